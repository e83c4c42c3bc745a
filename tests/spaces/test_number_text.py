"""Numbers as people read them: no exponent where a plain number is as short."""

import pytest

from largebatch.spaces.number_text import format_number

TEXTS = {120.0: "120", 1234.5: "1,234", 99.96: "100", 0.1234: "0.123", 1e-7: "1e-7", 0.0: "0", float("nan"): "–"}


@pytest.mark.parametrize("number", TEXTS)
def test_a_number_is_read_as_it_is_said(number: float) -> None:
    assert format_number(number) == TEXTS[number]


def test_a_percentage_above_a_hundred_has_no_exponent() -> None:
    assert [format_number(100 * share, 2) for share in (1.2, 0.35, 0.0042, 12.0)] == ["120", "35", "0.42", "1,200"]
