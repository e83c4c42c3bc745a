"""Landscape: the trials over any two dimensions; with control, a click enqueues a recipe and a drag narrows."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from largebatch.studies.question.study import Study
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.figures.dimension_axis import dimension_title
from largebatch.studies.views.dashboard.figures.landscape_figure import COLOURS, MAX_POINTS, PLANE, landscape_figure
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import (
    filter_controls,
    filtered,
    heading,
    problem,
    read_plan,
    study_of,
    told_names,
)
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy

_DRAGS = {"zoom": "zooms in", "select": "marks a range to narrow to"}


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    study = study_of(scene)
    dimensions = {name: dimension_title(name) for name in _dimensions(study)}
    colours = {name: title for name, (title, _) in COLOURS.items()}
    return [
        *heading(scene.live.snapshot, "Landscape"),
        parts.controls(
            parts.select("x", "Across", dimensions, query, PLANE[0]),
            parts.select("y", "Up", dimensions, query, PLANE[1]),
            parts.select("colour", "Colour", colours, query, "steps"),
            *filter_controls(study, query),
            parts.select("drag", "A drag", _DRAGS, query, "zoom") if scene.can_control else None,
        ),
        _steering() if scene.can_control else None,
        parts.words("few"),
        parts.plot("landscape", "What trials took to the target", "The darker, the fewer; open: not reached."),
    ]


def _dimensions(study: Study) -> list[str]:
    return list(dict.fromkeys([*PLANE, *study.space.varying]))


def _steering() -> Any:
    """The form that a click on the plane fills, and the ranges that a drag marks; above the plot, seen with it."""
    return html.Section(
        [
            html.P(
                "Steer the study: click anywhere in the plot, or write; what is not named is as in the best trial.",
                className="note",
            ),
            html.Div(
                [
                    html.Label([html.Span("Batch size"), dcc.Input(id="wanted-batch", type="number", min=1, step=1)]),
                    html.Label([html.Span("Learning rate"), dcc.Input(id="wanted-rate", type="number", step="any")]),
                    html.Button("Train it next", id="enqueue", className="act"),
                    html.P(id="enqueued", role="status"),
                ],
                className="controls",
            ),
            html.Div(
                [
                    html.Button("Search only there", id="narrow", className="act"),
                    html.Span("Nothing is marked: choose what a drag does, and draw a box.", id="marked"),
                    html.P(id="narrowed", role="status"),
                ],
                className="controls",
            ),
            dcc.Store(id="ranges"),
        ],
        className="steering",
        **parts.aria(label="Steer the study"),
    )


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    snapshot, study = live.snapshot, study_of(scene)
    trials = filtered(snapshot.steady, choices)
    fit, _, _ = read_plan(live) if snapshot.trials else (None, None, "")
    words = {"problem": problem(snapshot)}
    if not trials and not scene.can_control:
        return Shown(words={**words, "few": html.P("No trial has been recorded that the filters leave.")})
    figure = landscape_figure(
        trials, fit.laws if fit is not None else None, study.space,
        x=parts.one_of(choices.get("x"), _dimensions(study), PLANE[0]),
        y=parts.one_of(choices.get("y"), _dimensions(study), PLANE[1]),
        colour=parts.one_of(choices.get("colour"), COLOURS, "steps"),
        names=told_names(study, trials),
    )  # fmt: skip
    if choices.get("drag") == "select":
        figure["layout"]["dragmode"] = "select"
    few = f"{MAX_POINTS:,} of {len(trials):,} trials are drawn, the best of each batch size among them."
    return Shown(figures={"landscape": figure}, words={**words, "few": html.P(few) if len(trials) > MAX_POINTS else ""})


PAGE = Page(name="landscape", title="Landscape", layout=_layout, show=_show)
