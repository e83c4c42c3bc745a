"""Who made a study, and what others may do with it."""

import re
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from largebatch.spaces.errors import UserError

_AUTHOR = re.compile(r"([^<>]*[^<>\s])\s*<(?:https://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A person, by the number of whose own that ORCID gave."""

    name: str
    orcid: str

    @property
    def address(self) -> str:
        """The page of this person."""
        return f"https://orcid.org/{self.orcid}"


def parse_author(text: str) -> Author:
    """An author from ``NAME <ORCID>``.

    Raises:
        UserError: if it is none, or the number's check digit says that it was mistyped.
    """
    match = _AUTHOR.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--author must be 'NAME <ORCID>', as in 'Ada Lovelace <0000-0002-1825-0097>'; got {text!r}")
    name, orcid = match.groups()
    if check_digit(orcid.replace("-", "")[:-1]) != orcid[-1]:
        raise UserError(f"--author: {orcid} is no ORCID: its last digit does not fit the others; was it mistyped?")
    return Author(name=name, orcid=orcid)


def check_digit(digits: str) -> str:
    """The last character of an ORCID after its first 15 digits (ISO/IEC 7064, MOD 11-2)."""
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return "X" if rest == 10 else str(rest)


def parse_licence(text: str) -> str:
    """The SPDX name of one licence.

    Raises:
        UserError: if SPDX has none of that name.
    """
    try:
        name = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        name = None
    if name is None or not re.fullmatch(r"[\w.-]+", name) or name.startswith("LicenseRef-"):
        raise UserError(f"--licence must be the SPDX name of one licence, as in CC-BY-4.0 or CC0-1.0; got {text!r}")
    return name
