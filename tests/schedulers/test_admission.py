"""Admission control: what fits never waits, what waits gets its turn, no group that trains is closed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.studies.running.engines.admission import Group, Seat, admit


def test_an_idle_group_of_the_size_else_free_devices_else_those_idle_the_longest() -> None:
    busy, young, old = Group(0, 2, None), Group(1, 1, 5.0), Group(2, 1, 3.0)
    assert admit(1, [busy, young, old], 8, 8) == Seat(2)
    assert admit(2, [busy, young, old], 8, 8) == Seat(None)
    assert admit(2, [busy, young, old], 5, 8) == Seat(None, closes=(2,))
    assert admit(2, [busy, young, old], 4, 8) == Seat(None, closes=(2, 1))
    assert admit(3, [busy, young, old], 4, 8) is None
    assert admit(1, [busy, young, old], 4, 1) is None
    with pytest.raises(ValueError, match="wants 5 devices; there are 4"):
        admit(5, [], 4, 8)


@given(
    total=st.integers(1, 12),
    most=st.integers(1, 12),
    wants=st.lists(st.integers(1, 12), min_size=1, max_size=40),
    choices=st.randoms(use_true_random=False),
)
def test_any_sequence_of_trials_is_served_in_order_without_idling(
    total: int, most: int, wants: list[int], choices
) -> None:  # type: ignore[no-untyped-def]
    """A study's whole life: trials ask for seats in turn, groups end their trials at random moments."""
    groups: list[Group] = []
    opened = 0
    for moment, want in enumerate(min(want, total) for want in wants):
        while (seat := admit(want, groups, total, most)) is None:
            training = [group for group in groups if group.idle_since is None]
            busy_units = sum(group.num_units for group in training)
            assert training, "nothing runs, yet a trial waits"
            assert len(training) >= most or busy_units + want > total, "a trial that fits waits"
            ended = choices.choice(training)
            groups[groups.index(ended)] = replace(ended, idle_since=float(moment))
        closed = [group for group in groups if group.index in seat.closes]
        assert all(group.idle_since is not None for group in closed)
        assert len(closed) == len(seat.closes)
        groups = [group for group in groups if group not in closed]
        if seat.group is None:
            assert not any(group.num_units == want and group.idle_since is not None for group in groups)
            groups.append(Group(opened, want, None))
            opened += 1
        else:
            (taken,) = [group for group in groups if group.index == seat.group]
            assert taken.idle_since is not None
            assert taken.num_units == want
            groups[groups.index(taken)] = replace(taken, idle_since=None)
        assert sum(group.num_units for group in groups) <= total
        assert sum(group.idle_since is None for group in groups) <= most
