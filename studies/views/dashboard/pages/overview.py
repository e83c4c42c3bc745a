"""Overview: how far each study is and what it says; for one study, the answer, the plan and what runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dash import dcc, html

from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import answer_sentence, format_number, format_seconds, plan_notes
from largebatch.studies.answer.trial_text import outcome_words, recipe_words
from largebatch.studies.question.study import Study
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import heading, problem, read_plan, told_names
from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.reading.snapshot import Snapshot
from largebatch.studies.views.dashboard.view import address
from largebatch.studies.views.report.tables import plan_html

NUM_LAST = 8
"""Trials listed as the latest."""


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    del query
    assert scene.live is not None
    return [
        *heading(scene.live.snapshot, "Overview"),
        parts.words("answer"),
        parts.words("progress"),
        html.Section([html.H2("The plan"), parts.words("plan")]),
        html.Section([html.H2("The latest trials"), parts.words("latest")]),
        html.Section([html.H2("What was asked of it"), parts.words("asked")]),
    ]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    del scene, choices
    snapshot = live.snapshot
    assert snapshot.study is not None
    _, plan, why = read_plan(live)
    notes = [html.Li(text) for text in plan_notes(plan)] if plan is not None else []
    if plan is not None and plan.next_measurements:
        notes.append(html.Li(f"Worth measuring next: {plan.next_measurements[0]}."))
    return Shown(
        words={
            "problem": problem(snapshot),
            "answer": parts.note(answer_sentence(plan)) if plan is not None else parts.note(why, problem=True),
            "progress": _progress(snapshot, snapshot.study),
            "plan": [*parts.from_html(plan_html(plan)), html.Ul(notes, className="note")] if plan is not None else "",
            "latest": _latest(snapshot, snapshot.study),
            "asked": _asked(snapshot),
        }
    )


def _progress(snapshot: Snapshot, study: Study) -> Any:
    trials = snapshot.trials
    running = sum(trial.running for trial in trials)
    ended = sum(trial.ending is not None for trial in trials)
    facts = [
        ("trials ended", f"{ended:,}" + (f" of {study.budget.trials:,}" if study.budget.trials else "")),
        ("reached the target", f"{sum(trial.reached for trial in trials):,}"),
        ("running now", f"{running:,}"),
        ("examples trained", format_number(float(sum(trial.own_examples for trial in trials)))),
        ("time so far", format_seconds(snapshot.elapsed_seconds)),
        ("searcher, scheduler", f"{study.search.name}, {study.scheduler.name}"),
    ]
    bar = html.Progress(value=str(ended), max=str(max(study.budget.trials or ended, 1)), **parts.aria(label="trials"))
    return html.Div(
        [bar, html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in facts])], className="facts"
    )


def _latest(snapshot: Snapshot, study: Study) -> Any:
    if not snapshot.trials:
        return html.P("No trial has been recorded yet.")
    last = list(snapshot.trials[-NUM_LAST:])[::-1]
    names = told_names(study, last)
    columns = ["trial", "batch", "learning rate", "examples", "steps to target", "outcome"]
    columns += ["recipe", "why"] if names else ["why"]
    return parts.table(columns, [_row(snapshot.key, trial, names) for trial in last], words_from=5)


def _row(key: str, trial: Trial, names: list[str]) -> list[Any]:
    """The recipe is told only where more varies than batch size and learning rate."""
    return [
        dcc.Link(str(trial.number), href=address("trial", key, {"trial": trial.number})),
        str(trial.recipe.global_batch_size),
        format_number(trial.recipe.learning_rate),
        f"{trial.examples:,}",
        format_number(trial.steps_to_target),
        outcome_words(trial),
        *([recipe_words(trial.recipe, names)] if names else []),
        html.Span(trial.why, className="long clamped", title=trial.why),
    ]


def _asked(snapshot: Snapshot) -> Any:
    if not snapshot.requests:
        ways = [html.Code(name) for name in ("largebatch enqueue", "stop", "narrow", "largebatch dashboard --control")]
        return html.P(
            ["Nothing yet. ", ways[0], ", ", ways[1], " and ", ways[2], " steer a study, as does ", ways[3], "."]
        )
    rows = [[one.get("at"), one.get("by"), one.get("kind"), one.get("became")] for one in snapshot.requests[::-1]]
    return parts.table(["when", "who", "what", "became"], [[str(cell) for cell in row] for row in rows[:20]])


def layout_all() -> list[Any]:
    """The page of all studies."""
    return [html.H1("Studies"), parts.words("studies")]


def show_all(library: Library) -> Shown:
    """A row a study."""
    rows = [_study_row(one) for one in library.studies.values()]
    columns = ["study", "state", "task", "searcher", "trials", "reached", "best plan"]
    return Shown(words={"studies": parts.table(columns, rows)})


def _study_row(live: LiveStudy) -> list[Any]:
    snapshot = live.snapshot
    link = dcc.Link(snapshot.key, href=address("overview", snapshot.key))
    study = snapshot.study
    if study is None:
        return [link, "broken", "", "", "", "", snapshot.problem or ""]
    plan = _stored_plan(live.directory.plan_file)
    limit = f" of {study.budget.trials:,}" if study.budget.trials else ""
    best = answer_sentence(plan) if plan is not None else "no plan yet"
    return [
        link, html.Span(snapshot.state, className="short"), study.task, study.search.name,
        f"{len(snapshot.trials):,}{limit}", f"{sum(trial.reached for trial in snapshot.trials):,}",
        html.Span(snapshot.problem or best, className="long answered"),
    ]  # fmt: skip


def _stored_plan(path: Path) -> Plan | None:
    """The plan that the study's last run wrote, as far as its sentence needs it."""
    try:
        stored = json.loads(path.read_text())
        rows = tuple(PlanRow(**row) for row in stored["rows"])
        knee = stored["knee"]
        return Plan(
            study=stored["study"], target=stored["target"], laws={}, rows=rows, knee_num_workers=knee["num_workers"],
            knee_why=knee["why"], knee_cause=knee["cause"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none yet, or of another version
        return None


PAGE = Page(name="overview", title="Overview", layout=_layout, show=_show)
