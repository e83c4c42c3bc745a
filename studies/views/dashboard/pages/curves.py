"""Curves: how the trials trained, against steps, examples or seconds; thousands of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from dash import html

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.curve_reader import Series
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.figures.many_curves import ACROSS, MAX_CURVES, many_curves_figure
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import (
    filter_controls,
    filtered,
    heading,
    problem,
    study_of,
    told_names,
)
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy

NUM_ASKED = 30
"""Trials whose names of values stand for all."""
FROM_THE_LEDGER = 400
"""Beyond so many trials the target's metric is taken from the ledger: a file a trial would take long to read."""


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    study, target = study_of(scene), scene.live.snapshot.target
    assert target is not None
    return [
        *heading(scene.live.snapshot, "Curves"),
        parts.controls(
            parts.select("value", "Value", {name: name for name in _names(scene.live, target)}, query, target.metric),
            parts.select("across", "Against", dict(ACROSS), query, "examples"),
            parts.select("group", "Colour", _groups(study), query, "global_batch_size"),
            *filter_controls(study, query),
        ),
        parts.words("few"),
        parts.plot("curves", "How the trials trained", "Thick: the best trial of each batch size."),
    ]


def _groups(study: Study) -> dict[str, str]:
    groups = {"global_batch_size": "batch size", "optimizer": "optimizer"}
    others = [name for name in study.space.varying if name not in (*groups, "learning_rate")]
    return groups | {name: name.replace("_", " ") for name in others}


def _names(live: LiveStudy, target: Target) -> list[str]:
    """The values that trials recorded, the target's metric first."""
    found = {name for trial in live.snapshot.trials[:NUM_ASKED] for name in live.curve(trial.number)}
    return [target.metric, *sorted(found - {target.metric})]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    snapshot, target = live.snapshot, live.snapshot.target
    assert target is not None
    trials = filtered(snapshot.trials, choices)
    value, across = str(choices.get("value") or target.metric), parts.one_of(choices.get("across"), ACROSS, "examples")
    figure = many_curves_figure(
        trials, _reader(live, len(trials), value, target), target,
        value=value, across=across,
        group=parts.one_of(choices.get("group"), _groups(study_of(scene)), "global_batch_size"),
        names=told_names(study_of(scene), trials),
    )  # fmt: skip
    few = "No curve has been recorded that the filters leave." if figure is None else ""
    if len(trials) > MAX_CURVES:
        few = f"{MAX_CURVES:,} of {len(trials):,} trials are drawn, the best of each batch size among them."
    return Shown(figures={"curves": figure}, words={"problem": problem(snapshot), "few": html.P(few) if few else ""})


def _reader(live: LiveStudy, num_trials: int, value: str, target: Target) -> Callable[[Trial], Series | None]:
    if value == target.metric and num_trials > FROM_THE_LEDGER:
        return _of_ledger
    return lambda trial: live.curve(trial.number).get(value)


def _of_ledger(trial: Trial) -> Series | None:
    """The target's metric by examples; steps and seconds follow from the recipe and the trial's mean step."""
    if not trial.intermediate:
        return None
    examples = np.fromiter(trial.intermediate, dtype=np.int64)
    steps = examples // trial.recipe.global_batch_size
    seconds = steps.astype(np.float64) * trial.step_seconds
    return Series(
        steps=steps, examples=examples, seconds=seconds,
        values=np.fromiter(trial.intermediate.values(), dtype=float, count=len(examples)),
    )  # fmt: skip


PAGE = Page(name="curves", title="Curves", layout=_layout, show=_show)
