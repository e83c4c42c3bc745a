"""Addresses: page, study and every choice on the page, so that a link reproduces a view."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

STUDY = "study"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an address asks for; ``query`` are the choices in it, as text."""

    page: str
    study: str | None
    query: Mapping[str, str] = field(default_factory=dict)


def parse_address(pathname: str | None, search: str | None) -> View:
    """The view of an address, whatever somebody typed."""
    query = dict(parse_qsl((search or "").removeprefix("?")))
    study = query.pop(STUDY, None)
    return View(page=(pathname or "/").strip("/") or "overview", study=study, query=query)


def address(page: str, study: str | None, choices: Mapping[str, Any] | None = None) -> str:
    """The address of a view; choices that are empty are left out."""
    pairs = {STUDY: study, **(choices or {})}
    kept = {name: str(value) for name, value in pairs.items() if value not in (None, "", [])}
    path = "/" if page == "overview" else f"/{page}"
    return f"{path}?{urlencode(kept)}" if kept else path
