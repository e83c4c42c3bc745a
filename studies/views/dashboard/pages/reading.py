"""What several pages ask of a study: its trials as the filters leave them, its laws and its plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.plan.plan import Plan
from largebatch.spaces.domain import Choice
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.trial_text import MARKS, varying_names
from largebatch.studies.question.study import Study
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.page import Scene
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.reading.snapshot import Fit, Snapshot

FITTING = "The laws are being fitted; they appear here when they are."
MANY = 2000
"""Beyond so many trials their recipes are not compared value by value to name what varies: the space names it."""
_OUTCOMES = {
    "": "all",
    "reached": "reached the target",
    "running": "running or waiting",
    **{kind.value: mark.words for kind, mark in MARKS.items() if kind is not None},
}


def study_of(scene: Scene) -> Study:
    """The study of a page that is shown for one."""
    assert scene.live is not None
    study = scene.live.snapshot.study
    assert study is not None
    return study


def read_plan(live: LiveStudy, network: Network | None = None, **asked: Any) -> tuple[Fit | None, Plan | None, str]:
    """The laws, the plan, and the sentence in place of what is missing."""
    if live.snapshot.read_fraction < 1:
        return None, None, "The ledger is being read."
    fit = live.fit(network or Network())
    if fit is None:
        return None, None, FITTING
    plan = live.plan(fit, **asked)
    return (fit, plan, "") if isinstance(plan, Plan) else (fit, None, plan)


def heading(snapshot: Snapshot, title: str) -> list[Any]:
    """The title of a page, and what is wrong with the directory where something is."""
    assert snapshot.study is not None
    goal = f"{snapshot.study.name}: to reach {snapshot.target}"
    return [html.H1(title), html.P(goal, className="lead"), parts.words("problem")]


def problem(snapshot: Snapshot) -> Any:
    """The box for the place ``problem`` of every heading."""
    return parts.note(snapshot.problem, problem=True) if snapshot.problem else ""


def filter_controls(study: Study, query: Mapping[str, str]) -> list[Any]:
    """Controls that leave some trials out: by outcome, batch size, and every searched choice."""
    sizes = {"": "all", **{str(size): str(size) for size in study.space.batch_sizes}}
    found = [
        parts.select("outcome", "Outcome", _OUTCOMES, query),
        parts.select("batch", "Batch size", sizes, query),
    ]
    for name, domain in _choices(study).items():
        options = {"": "all", **{str(value): str(value) for value in domain.choices}}
        found.append(parts.select(f"only.{name}", name.replace("_", " ").capitalize(), options, query))
    return found


def filtered(trials: Sequence[Trial], choices: Mapping[str, Any]) -> list[Trial]:
    """The trials that the controls leave."""
    kept = list(trials)
    if size := choices.get("batch"):
        kept = [trial for trial in kept if str(trial.recipe.global_batch_size) == size]
    if outcome := choices.get("outcome"):
        kept = [trial for trial in kept if _outcome(trial) == outcome]
    for name, wanted in choices.items():
        if name.startswith("only.") and wanted:
            field = name.removeprefix("only.")
            kept = [trial for trial in kept if str(getattr(trial.recipe, field, None)) == wanted]
    return kept


def told_names(study: Study, trials: Sequence[Trial]) -> list[str]:
    """The values of a recipe that a text names, beside batch size and learning rate."""
    if len(trials) <= MANY:
        return [name for name in varying_names(trials) if name != "seed" or "seed" in study.space.varying]
    return [name for name in study.space.varying if name not in ("global_batch_size", "learning_rate")]


def trial_limit(study: Study) -> str:
    """`` of 56`` where the budget says so."""
    return f" of {study.budget.trials:,}" if study.budget.trials is not None else ""


def _choices(study: Study) -> dict[str, Choice]:
    return {
        name: domain
        for name, domain in study.space.varying.items()
        if isinstance(domain, Choice) and name != "global_batch_size"
    }


def _outcome(trial: Trial) -> Outcome | str:
    return "running" if trial.ending is None else trial.ending.outcome
