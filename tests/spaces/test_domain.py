"""Domains: the way to the unit interval and back, the grid, and what belongs."""

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from largebatch.spaces.domain import Choice, Range, Scale, fixed

UNITS = st.floats(0, 1)
SCALES: tuple[Scale, ...] = ("linear", "log", "log1m")


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    scale = draw(st.sampled_from(SCALES))
    low, high = sorted(draw(st.tuples(*[st.floats(1e-6, 0.999)] * 2)))
    assume(high - low > 1e-6 * high)
    return Range(low=low, high=high, scale=scale)


@st.composite
def doublings(draw: st.DrawFn) -> Range:
    low = draw(st.floats(1e-6, 1e6))
    return Range(low=low, high=low * 2 ** draw(st.integers(1, 20)), scale="log2")


@settings(deadline=None)
@given(ranges(), UNITS)
def test_there_and_back_through_a_range(domain: Range, u: float) -> None:
    value = domain.from_unit(u)
    assert domain.contains(value)
    assert domain.from_unit(domain.to_unit(value)) == pytest.approx(value, rel=1e-9)
    assert domain.to_unit(value) == pytest.approx(u, abs=1e-6)


@settings(deadline=None)
@given(ranges() | doublings(), UNITS, UNITS)
def test_a_range_rises_with_its_coordinate(domain: Range, u: float, v: float) -> None:
    low, high = sorted((u, v))
    assert domain.from_unit(low) <= domain.from_unit(high)
    assert domain.low == domain.from_unit(0)
    assert domain.from_unit(1) == domain.high


@settings(deadline=None)
@given(doublings(), UNITS)
def test_there_and_back_through_doublings(domain: Range, u: float) -> None:
    values = domain.values()
    assert values is not None
    assert all(2 * low == high for low, high in itertools.pairwise(values))
    assert [domain.from_unit(domain.to_unit(value)) for value in values] == list(values)
    assert domain.from_unit(u) in values
    assert domain.grid(3) == values
    assert not domain.contains(domain.low * 1.5)


@settings(deadline=None)
@given(st.lists(st.integers() | st.text() | st.floats(allow_nan=False), min_size=1, max_size=9, unique=True), UNITS)
def test_there_and_back_through_a_choice(choices: list[int | str | float], u: float) -> None:
    domain = Choice(choices=tuple(choices))
    assert [domain.from_unit(domain.to_unit(value)) for value in choices] == choices
    assert domain.contains(domain.from_unit(u))
    assert domain.grid(2) == domain.values() == tuple(choices)


@settings(deadline=None)
@given(ranges(), st.integers(2, 12))
def test_a_grid_holds_its_ends_and_is_even_on_the_scale(domain: Range, count: int) -> None:
    grid = domain.grid(count)
    assert (grid[0], grid[-1], len(grid)) == (domain.low, domain.high, count)
    assert [domain.to_unit(value) for value in grid] == pytest.approx([k / (count - 1) for k in range(count)], abs=1e-6)


def test_a_grid_of_one_is_the_middle_of_the_scale() -> None:
    assert Range(low=1, high=100, scale="log").grid(1) == pytest.approx((10,))
    assert Range(low=0.9, high=0.999, scale="log1m").grid(1) == pytest.approx((0.99,))
    assert fixed(0.9).grid(1) == (0.9,)


def test_what_a_range_does_not_contain() -> None:
    domain = Range(low=0, high=1)
    assert all(domain.contains(value) for value in (0, 0.5, 1))
    assert not any(domain.contains(value) for value in (-0.1, 1.1, True, "0.5", None, math.nan))


@pytest.mark.parametrize(
    ("domain", "rule"),
    [
        ({"low": 1, "high": 1}, "`low < high` must hold; got low=1, high=1"),
        ({"low": 0, "high": 1, "scale": "log"}, "`low > 0` must hold for scale log; got low=0, high=1"),
        ({"low": -1, "high": 1, "scale": "log2"}, "`low > 0` must hold for scale log2"),
        ({"low": 0.5, "high": 1, "scale": "log1m"}, "`high < 1` must hold for scale log1m"),
        ({"low": 16, "high": 100, "scale": "log2"}, "use high: 64 or 128"),
        ({"low": 3, "high": 2.9999 * 2**1000, "scale": "log2"}, "must be low times a power of two"),
        ({"low": 5e-324, "high": 1.7e308, "scale": "log2"}, "must be low times a power of two"),
        ({"low": -1e308, "high": 1e308}, "must be apart, and not by more than numbers can tell"),
        ({"low": 1e10, "high": math.nextafter(1e10, 2e10), "scale": "log"}, "must be apart"),
        ({"low": 0, "high": math.inf}, "finite"),
    ],
)
def test_ranges_that_are_refused(domain: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule.replace("(", r"\(")):
        Range.model_validate(domain)


def test_choices_that_are_refused() -> None:
    with pytest.raises(ValidationError, match="choices must be distinct; got"):
        Choice(choices=(1, 2, 1))
    with pytest.raises(ValidationError, match="at least 1 item"):
        Choice(choices=())
