"""What a page is: a layout made once for an address, and what it shows, made anew with every choice and trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.report.figures.axes import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where a page is shown: ``live`` is None where it shows all studies."""

    library: Library
    live: LiveStudy | None
    can_control: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Figures and words by the names that the layout gives their places."""

    figures: Mapping[str, Figure | None] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``layout`` gets the choices of the address as text, ``show`` the values of the controls."""

    name: str
    title: str
    layout: Callable[[Scene, Mapping[str, str]], list[Any]]
    show: Callable[[LiveStudy, Scene, Mapping[str, Any]], Shown]
