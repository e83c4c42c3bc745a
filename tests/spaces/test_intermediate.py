"""The metric at a trial's evaluations: a value that another one shares, and that never changes."""

import pytest

from largebatch.spaces.intermediate import Intermediate


def grown(count: int) -> Intermediate:
    values = Intermediate()
    for k in range(count):
        values = values.added(64 * k, 1 / (1 + k))
    return values


def test_a_longer_one_shares_what_it_has_in_common_and_changes_nothing() -> None:
    short = grown(3)
    longer = short.added(192, 0.25)
    assert (dict(short), dict(longer)) == ({0: 1.0, 64: 0.5, 128: 1 / 3}, {0: 1.0, 64: 0.5, 128: 1 / 3, 192: 0.25})
    assert longer._values is short._values  # nothing was copied
    assert (short.last, longer.last, Intermediate().last) == (128, 192, -1)
    assert short == {0: 1.0, 64: 0.5, 128: 1 / 3}


def test_what_is_measured_again_takes_the_place_of_what_was() -> None:
    values = grown(3)
    again = values.added(64, 0.7)
    other = values.added(128, 0.1).added(200, 0.2)
    assert (dict(values), dict(again)) == ({0: 1.0, 64: 0.5, 128: 1 / 3}, {0: 1.0, 64: 0.7, 128: 1 / 3})
    assert dict(other) == {0: 1.0, 64: 0.5, 128: 0.1, 200: 0.2}
    first, second = values.added(300, 1.0), values.added(400, 2.0)  # two that continue one
    assert (list(first), list(second)) == ([0, 64, 128, 300], [0, 64, 128, 400])


def test_the_evaluations_on_both_sides() -> None:
    assert [grown(3).around(at) for at in (0, 64, 65.5, 128, 129)] == [
        (None, 0), (0, 64), (64, 128), (64, 128), (128, None)
    ]  # fmt: skip


def test_what_is_no_measurement_changes_nothing() -> None:
    values = grown(2)
    for examples, value in ((1.5, 0.1), ("x", 0.1), (128, "x"), (10**30, 0.1)):
        with pytest.raises((TypeError, OverflowError)):
            values.added(examples, value)  # type: ignore[arg-type]
    assert dict(values.added(128, 0.1)) == {0: 1.0, 64: 0.5, 128: 0.1}
