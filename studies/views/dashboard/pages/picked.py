"""What is told of a point that was clicked."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from largebatch.studies.answer.trial_text import trial_words
from largebatch.studies.views.dashboard.page import Scene
from largebatch.studies.views.dashboard.pages.reading import study_of, told_names
from largebatch.studies.views.dashboard.view import address


def clicked(click: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The point of a click, empty where there was none."""
    points = (click or {}).get("points") or [{}]
    point: Mapping[str, Any] = points[0]
    return point


def picked_trial(scene: Scene, click: Mapping[str, Any] | None) -> Any:
    """The recipe and the ending of the trial that was clicked, with a link to its page."""
    number = clicked(click).get("customdata")
    if scene.live is None or not isinstance(number, int) or not 0 <= number < len(scene.live.snapshot.trials):
        return ""
    snapshot = scene.live.snapshot
    trial = snapshot.trials[number]
    names = told_names(study_of(scene), snapshot.trials)
    link = dcc.Link(f"open trial {number}", href=address("trial", snapshot.key, {"trial": number}))
    return [html.Pre(trial_words(trial, names)), link]
