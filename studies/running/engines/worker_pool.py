"""The warm groups of a study: opened and closed as its trials need them (``admission.py`` says which).

Nodes may be lost and join meanwhile. Ray Train starts a group that lost workers again where there are devices for it;
where there are not, the group is given up, and its trial goes on from its checkpoint in another.
"""

import time
from collections.abc import Callable
from typing import Any

import ray

from largebatch.studies.running.engines.admission import Group, admit
from largebatch.studies.running.engines.devices import Devices
from largebatch.trainers.workers.worker_group import WarmGroup

LOOK_SECONDS = 3.0
"""From one look at the nodes to the next; a group is given up at the second that finds it without room."""


class Groups:
    """``open_group`` starts a group of so many devices under an index; ``mailbox`` is the study's.

    ``devices_now`` says what the study has, which moves with the nodes of the cluster.
    """

    def __init__(
        self, devices_now: Callable[[], Devices], open_group: Callable[[int, int], WarmGroup], mailbox: Any
    ) -> None:
        self._devices_now, self._open_group, self._mailbox = devices_now, open_group, mailbox
        self.devices = devices_now()
        self._looked = time.monotonic()
        self._suspects: set[int] = set()  # groups without room at the last look
        self._excused: set[tuple[int, str]] = set()  # deaths that a lost node explains: group and node
        self._given_up: set[int] = set()
        self._homeless: dict[int, int] = {}  # trial -> the group that was given up
        self._wanted: dict[int, int] = {}  # trial -> devices
        self._all: list[WarmGroup] = []  # that ever were, by index
        self._sizes: dict[int, int] = {}  # of those that are open
        self._idle_since: dict[int, float] = {}
        self._seated: dict[int, int] = {}  # trial -> group

    def seat(self, number: int, num_devices: int) -> int | None:
        """The group that trial ``number`` is to go to, opened where it must be; None: it has to wait.

        It gets fewer devices than ``num_devices`` where there are no longer so many.
        """
        units = self.devices.units
        for index in [index for index in self._sizes if not self._all[index].alive]:  # lost: its task would not load
            self._forget(index)
        known = [Group(index, size, self._idle_since.get(index)) for index, size in self._sizes.items()]
        seat = admit(min(num_devices, units), known, units, self.devices.most_trials)
        if seat is None:
            return None
        for index in seat.closes:
            ray.get(self._mailbox.close.remote(index))
            self._forget(index)
        group = len(self._all) if seat.group is None else seat.group
        if seat.group is None:  # Ray starts it when those that quit have given their devices back
            size = min(num_devices, units)
            ray.get(self._mailbox.open.remote(group, size))
            self._all.append(self._open_group(group, size))
            self._sizes[group] = size
        self._idle_since.pop(group, None)
        self._seated[number], self._wanted[number] = group, num_devices
        return group

    def leave(self, number: int) -> None:
        """Trial ``number`` has ended or paused: its group is idle."""
        self._homeless.pop(number, None)
        group = self._seated.pop(number, None)
        if group is not None and group in self._sizes:
            self._idle_since[group] = time.monotonic()

    def mend(self) -> None:
        """Follow the nodes: use those that joined, give up groups that have lost theirs and find no room."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self.devices = self._devices_now()
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        nodes: dict[int, set[str]] = ray.get(self._mailbox.nodes.remote())
        lost = {(index, node) for index in self._sizes for node in nodes.get(index, set()) - alive}
        for index, node in lost - self._excused:
            self._mailbox.excuse.remote(index)
            self._excused.add((index, node))
        too_many = sum(self._sizes.values()) - self.devices.total_units
        bereaved = {index for index, _ in lost} | {index for index in self._sizes if index not in nodes}
        for index in sorted(bereaved & self._suspects, key=lambda index: index not in nodes):
            if too_many > 0:
                too_many -= self._sizes[index]
                self._give_up(index)
        self._suspects = bereaved if too_many > 0 else set()
        for number, group in list(self._homeless.items()):
            if (heir := self.seat(number, self._wanted[number])) is None:
                break
            del self._homeless[number]
            ray.get(self._mailbox.move.remote(number, group, heir))

    def _give_up(self, index: int) -> None:
        self._given_up.add(index)
        self._forget(index)
        ray.get(self._mailbox.close.remote(index))  # should its nodes come back, it quits
        for number in [number for number, group in self._seated.items() if group == index]:
            self._homeless[number] = self._seated.pop(number)

    def close(self) -> None:
        """Let all quit, and wait until they have.

        Raises:
            Exception: that Ray Train raised.
        """
        for index in list(self._sizes):
            ray.get(self._mailbox.close.remote(index))
        for index, group in enumerate(self._all):
            if index not in self._given_up:  # it may wait for devices for ever; Ray's end is its end
                group.wait()

    def _forget(self, index: int) -> None:
        del self._sizes[index]
        self._idle_since.pop(index, None)
