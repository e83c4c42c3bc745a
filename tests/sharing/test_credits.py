"""Who made a study, and under which licence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.errors import UserError
from largebatch.studies.exchange.ro_crate.credits import check_digit, parse_author, parse_licence

DIGITS = st.text("0123456789", min_size=15, max_size=15)


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X"])
def test_orcids_of_orcids_own_pages(orcid: str) -> None:
    """https://support.orcid.org/hc/en-us/articles/360006897674"""
    author = parse_author(f"Josiah Carberry <{orcid}>")
    assert (author.name, author.orcid) == ("Josiah Carberry", orcid)
    assert parse_author(f" Josiah Carberry <https://orcid.org/{orcid}>") == author


@given(DIGITS, st.integers(0, 14), st.integers(1, 9))
def test_every_wrong_digit_is_found(digits: str, place: int, by: int) -> None:
    wrong = digits[:place] + str((int(digits[place]) + by) % 10) + digits[place + 1 :]
    assert check_digit(wrong) != check_digit(digits)


@given(DIGITS, st.integers(0, 13))
def test_swapped_neighbours_are_found(digits: str, place: int) -> None:
    swapped = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    assert (check_digit(swapped) != check_digit(digits)) == (swapped != digits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada", r"--author must be 'NAME <ORCID>', as in .*; got 'Ada'"),
        ("<0000-0002-1825-0097>", "--author must be"),
        ("Ada <0000-0002-1825-0079>", "0000-0002-1825-0079 is no ORCID: its last digit does not fit"),
    ],
)
def test_what_is_no_author(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        parse_author(text)


def test_licences_by_their_spdx_names() -> None:
    assert parse_licence("cc-by-4.0") == "CC-BY-4.0"
    for text in ("free", "MIT OR Apache-2.0", "LicenseRef-mine", "", "MIT/../x"):
        with pytest.raises(UserError, match="SPDX name of one licence"):
            parse_licence(text)
