"""A trial's page: recipe, curves, noise scale, why it was proposed, how it ended."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_number, format_seconds
from largebatch.studies.answer.trial_text import default_value, outcome_words
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.figures.trial_figure import trial_figure
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import heading, problem
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.reading.snapshot import Snapshot
from largebatch.studies.views.dashboard.view import address


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    trial = _trial(scene.live.snapshot, query.get("trial"))
    return [
        *heading(scene.live.snapshot, f"Trial {trial.number}"),
        parts.hidden("trial", query),
        parts.words("ending"),
        html.Div(
            [html.Button("Stop this trial", id="stop", className="act"), html.P(id="stopped", role="status")],
            className="controls",
        )
        if scene.can_control and trial.ending is None
        else None,
        parts.plot("trial", "How it trained"),
        html.Section([html.H2("The recipe"), parts.words("recipe")]),
    ]


def _trial(snapshot: Snapshot, text: object) -> Trial:
    number = int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else -1
    if not 0 <= number < len(snapshot.trials):
        raise UserError(f"There is no trial {text!r:.60}; the study has {len(snapshot.trials):,}, from 0 on.")
    return snapshot.trials[number]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    del scene
    snapshot = live.snapshot
    try:
        trial = _trial(snapshot, choices.get("trial"))
    except UserError as mistake:
        return Shown(words={"problem": parts.note(str(mistake), problem=True)})
    assert snapshot.target is not None
    figure = trial_figure(live.curve(trial.number), snapshot.target)
    return Shown(
        figures={"trial": figure},
        words={
            "problem": problem(snapshot), "ending": _ending(snapshot, trial), "recipe": _recipe(snapshot, trial),
        },
    )  # fmt: skip


def _ending(snapshot: Snapshot, trial: Trial) -> Any:
    facts: list[tuple[str, Any]] = [("outcome", outcome_words(trial)), ("why it was proposed", trial.why or "not said")]
    ending = trial.ending
    if ending is not None:
        facts.append(
            ("trained", f"{ending.step:,} steps, {ending.examples:,} examples, {format_seconds(ending.seconds)}")
        )
        if trial.steps_to_target is not None:
            took = f"{format_number(trial.steps_to_target)} steps, {format_number(trial.examples_to_target)} examples"
            facts.append(("to the target", took))
        if ending.reason:
            facts.append(("how it ended", ending.reason))
    else:
        facts.append(("trained so far", f"{trial.examples:,} examples"))
    if trial.repeat_of is not None:
        facts.append(("repeats", _link(snapshot, trial.repeat_of)))
    if trial.origin is not None:
        facts.append(("branched from", _link(snapshot, trial.origin.parent)))
    repeats = [other.number for other in snapshot.trials if other.repeat_of == trial.number]
    if repeats:
        facts.append(("repeated by", [part for number in repeats for part in (_link(snapshot, number), " ")]))
    facts.append(("devices", str(trial.num_devices)))
    rows = [html.Tr([html.Th(name, scope="row"), html.Td(value)]) for name, value in facts]
    return html.Div(html.Table(html.Tbody(rows), className="facts"), className="scroll")


def _link(snapshot: Snapshot, number: int) -> Any:
    return dcc.Link(f"trial {number}", href=address("trial", snapshot.key, {"trial": number}))


def _recipe(snapshot: Snapshot, trial: Trial) -> Any:
    """All values; those that were searched or set first."""
    assert snapshot.study is not None
    searched, values = snapshot.study.space.varying, trial.recipe.model_dump()
    kinds = {
        name: "searched" if name in searched else "set" if value != default_value(name) else "default"
        for name, value in values.items()
    }
    order = ["searched", "set", "default"]
    rows = [
        [name, format_number(value) if isinstance(value, float) else str(value), kinds[name]]
        for name, value in sorted(values.items(), key=lambda pair: order.index(kinds[pair[0]]))
        if value is not None
    ]
    return parts.table(["hyper-parameter", "value", "by"], rows)


PAGE = Page(name="trial", title="Trial", layout=_layout, show=_show)
