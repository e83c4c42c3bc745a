"""Admission control: which trial may begin on the devices that there are, and which idle groups make room for it.

A warm group holds its devices between trials, for a new one costs seconds. So a trial takes an idle group of its own
size, else free devices, else the devices of idle groups of other sizes, those first that have been idle the longest.
A trial that fits is never made to wait. One that does not waits alone: no other is proposed meanwhile, so nothing
overtakes it for ever; and when nothing runs everything is idle, so that it fits in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """A warm group, as admission sees it."""

    index: int
    num_units: int
    """Devices that it holds, or shares of one where several trials share a device."""
    idle_since: float | None
    """None while it trains."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a trial goes: to an idle group, or (None) to a new one once the groups in ``closes`` have quit."""

    group: int | None
    closes: tuple[int, ...] = ()


def admit(num_units: int, groups: Sequence[Group], total_units: int, most_trials: int) -> Seat | None:
    """The seat of a trial that wants ``num_units``; None: it waits until a running one has ended.

    Raises:
        ValueError: if it wants more than there are.
    """
    if num_units > total_units:
        raise ValueError(f"a trial wants {num_units} devices; there are {total_units}")
    idle = sorted((group for group in groups if group.idle_since is not None), key=lambda group: group.idle_since or 0)
    if len(groups) - len(idle) >= most_trials:
        return None
    for group in idle:
        if group.num_units == num_units:
            return Seat(group.index)
    free, closes = total_units - sum(group.num_units for group in groups), []
    for group in idle:
        if free >= num_units:
            break
        closes.append(group.index)
        free += group.num_units
    return Seat(None, tuple(closes)) if free >= num_units else None
