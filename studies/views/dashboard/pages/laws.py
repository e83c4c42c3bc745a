"""Laws: each fit with its residuals, what was left out, and the verdict."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dash import html

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.plan.finalists import best_trials
from largebatch.search.plan.plan import Plan
from largebatch.studies.answer.best_trials import count, plan_notes
from largebatch.studies.answer.evidence import critical_batch
from largebatch.studies.answer.law_text import law_html, rates_html
from largebatch.studies.answer.trial_text import drawn
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import heading, problem, read_plan
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.reading.snapshot import Fit, Snapshot
from largebatch.studies.views.report.figures.learning_rate import learning_rate_figure
from largebatch.studies.views.report.figures.residuals import rate_residuals, step_time_residuals, steps_residuals
from largebatch.studies.views.report.figures.steps import steps_figure

MAX_POINTS = 800


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    del query
    assert scene.live is not None
    return [
        *heading(scene.live.snapshot, "Laws"),
        parts.words("state"),
        parts.words("steps"),
        parts.plot("steps-law", "Steps to target against batch size"),
        parts.plot("steps-residuals", "What the steps law leaves"),
        parts.words("rates"),
        parts.plot("rates-law", "Best learning rate against batch size"),
        parts.plot("rates-residuals", "What the learning-rate law leaves"),
        parts.words("seconds"),
        parts.plot("seconds-residuals", "What the step-time law leaves"),
        html.Section([html.H2("Held back as a check"), parts.words("withheld")]),
        html.Section([html.H2("Left out"), parts.words("left-out")]),
    ]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    del scene, choices
    snapshot = live.snapshot
    fit, plan, why = read_plan(live)
    laws = fit.laws if fit is not None else None
    if fit is None or laws is None:
        told = parts.note(why or (fit.problem if fit is not None else None) or "There are no laws yet.", problem=True)
        return Shown(words={"problem": problem(snapshot), "state": told})
    best = {trial.number for trial in best_trials(fit.trials).values()}
    shown = drawn(fit.trials, MAX_POINTS, lambda trial: trial.number in best)
    planned = [row.global_batch_size for row in plan.rows] if plan is not None else []
    step_time = law_html(laws.step_seconds, "Step time") if laws.step_seconds is not None else ""
    return Shown(
        figures={
            "steps-law": steps_figure(shown, laws, planned), "steps-residuals": steps_residuals(laws),
            "rates-law": learning_rate_figure(shown, laws), "rates-residuals": rate_residuals(laws),
            "seconds-residuals": step_time_residuals(laws, fit.profile),
        },
        words={
            "problem": problem(snapshot),
            "state": html.P(_state(snapshot, fit), className="note"),
            "steps": [
                *parts.from_html(law_html(laws.steps, "Steps to target")),
                *(html.P(ground.found) for ground in critical_batch(laws)),
            ],
            "rates": parts.from_html(rates_html(laws)),
            "seconds": parts.from_html(step_time) if step_time else why,
            "withheld": _withheld(plan),
            "left-out": html.Ul([html.Li(text) for text in _left_out(snapshot, fit, laws)]),
        },
    )  # fmt: skip


def _state(snapshot: Snapshot, fit: Fit) -> str:
    ended = sum(trial.ending is not None for trial in snapshot.steady)
    behind = (
        f"; {ended - fit.num_ended} ended since, and the laws are being fitted again" if ended > fit.num_ended else ""
    )
    return f"Fitted to {fit.num_ended:,} trials that have ended{behind}."


def _withheld(plan: Plan | None) -> Any:
    if plan is None:
        return ""  # why there is none is told above
    notes = [text for text in plan_notes(plan) if text.startswith("Checked")]
    return html.Ul([html.Li(text) for text in notes]) if notes else html.P("Too few sizes were measured for a check.")


def _left_out(snapshot: Snapshot, fit: Fit, laws: FittedLaws) -> list[str]:
    """What the laws were not fitted to, and why."""
    used = {trial.number for trial in laws.found.trials}
    ended = [trial for trial in fit.trials if trial.ending is not None]
    others = Counter(trial.recipe.optimizer for trial in ended if trial.number not in used)
    known_T, _ = laws.found.residuals()
    reached = sum(trial.reached for trial in laws.found.trials)
    branches = len(snapshot.trials) - len(snapshot.steady)
    running = len(snapshot.steady) - fit.num_ended
    told = [
        f"{count(number, 'trial')} of {kind}: the laws are of {laws.found.kind}, the best at most batch sizes."
        for kind, number in others.items()
    ]
    if far := reached - int(known_T.sum()):
        told.append(f"{count(far, 'trial')} far above the valley: they count only as worse than it, not by how much.")
    if missed := len(used) - reached:
        told.append(f"{count(missed, 'trial')} that did not reach the target: they count as lower bounds of the steps.")
    if branches:
        told.append(f"{count(branches, 'trial')} that branched from others: their recipe changed on the way.")
    if running:
        told.append(f"{count(running, 'trial')} that had not ended.")
    return told or ["Nothing: every trial counts in full."]


PAGE = Page(name="laws", title="Laws", layout=_layout, show=_show)
