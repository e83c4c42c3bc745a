"""The warm groups of a study: opened and closed as its trials need them (``schedulers/admission.py`` says which)."""

import time
from collections.abc import Callable
from typing import Any

import ray

from largebatch.schedulers.admission import Group, admit
from largebatch.studies.engine.devices import Devices
from largebatch.trainers.warm_group import WarmGroup


class Groups:
    """``open_group`` starts a group of so many devices under an index; ``mailbox`` is the study's."""

    def __init__(self, devices: Devices, open_group: Callable[[int, int], WarmGroup], mailbox: Any) -> None:
        self._devices, self._open_group, self._mailbox = devices, open_group, mailbox
        self._all: list[WarmGroup] = []  # that ever were, by index
        self._sizes: dict[int, int] = {}  # of those that are open
        self._idle_since: dict[int, float] = {}
        self._seated: dict[int, int] = {}  # trial -> group

    def seat(self, number: int, num_devices: int) -> int | None:
        """The group that trial ``number`` is to go to, opened where it must be; None: it has to wait."""
        for index in [index for index in self._sizes if not self._all[index].alive]:  # lost: its task would not load
            self._forget(index)
        known = [Group(index, size, self._idle_since.get(index)) for index, size in self._sizes.items()]
        seat = admit(num_devices, known, self._devices.units, self._devices.most_trials)
        if seat is None:
            return None
        for index in seat.closes:
            ray.get(self._mailbox.close.remote(index))
            self._forget(index)
        group = len(self._all) if seat.group is None else seat.group
        if seat.group is None:  # Ray starts it when those that quit have given their devices back
            ray.get(self._mailbox.open.remote(group, num_devices))
            self._all.append(self._open_group(group, num_devices))
            self._sizes[group] = num_devices
        self._idle_since.pop(group, None)
        self._seated[number] = group
        return group

    def leave(self, number: int) -> None:
        """Trial ``number`` has ended or paused: its group is idle."""
        group = self._seated.pop(number)
        if group in self._sizes:
            self._idle_since[group] = time.monotonic()

    def close(self) -> None:
        """Let all quit, and wait until they have.

        Raises:
            Exception: that Ray Train raised.
        """
        for index in list(self._sizes):
            ray.get(self._mailbox.close.remote(index))
        for group in self._all:
            group.wait()

    def _forget(self, index: int) -> None:
        del self._sizes[index]
        self._idle_since.pop(index, None)
