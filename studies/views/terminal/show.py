"""What a study directory says, for the terminal and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console

from largebatch.search.laws.step_time.interconnects import INTERCONNECTS
from largebatch.search.plan.finalists import best_trials, compare_finalists
from largebatch.search.plan.plan import Plan
from largebatch.spaces.errors import UserError
from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.rule import RULES
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.answer import Answer
from largebatch.studies.answer.best_trials import answer_sentence, format_number, plan_notes, plan_table
from largebatch.studies.answer.evidence import comparison_words
from largebatch.studies.answer.trial_text import branches_words, default_value, outcome_words
from largebatch.studies.question.study import SCHEDULERS, SEARCHERS
from largebatch.studies.question.study_file import studies_that_ship
from largebatch.studies.views.terminal.narrow import table_that_fits
from largebatch.studies.views.terminal.progress import best_table
from largebatch.studies.views.terminal.sparkline import sparkline
from largebatch.trainers.tasks import TASKS


def print_plan(plan: Plan) -> None:
    """The plan as a table, and the answer in a sentence."""
    console = Console(highlight=False, markup=False)
    cells = plan_table(plan)
    named = [index for index, name in enumerate(cells.columns) if name in _HEADINGS]
    headings = [_HEADINGS[cells.columns[index]] for index in named]
    rows = [[row[index] for index in named] for row in cells.rows]
    console.print(f"{plan.study}: {plan.target}")
    console.print(table_that_fits(headings, rows, console.width, _LEAST_FIRST, bold_row=cells.knee))
    console.print(answer_sentence(plan))
    for line in plan_notes(plan):
        console.print(line)


_LEAST_FIRST = ("cost", "step", "eff.", "speed-up", "steps", "90 % interval", "basis", "rate")
"""Columns that a narrow terminal goes without: workers, batch and time are left."""
_HEADINGS = {
    "workers": "workers",
    "global batch": "batch",
    "learning rate": "rate",
    "steps": "steps",
    "step time": "step",
    "time to target": "time",
    "90 % interval": "90 % interval",
    "speed-up": "speed-up",
    "efficiency": "eff.",
    "cost": "cost",
    "basis": "basis",
}
"""The columns that 80 characters have room for, and their short names; the page and ``--json`` have all."""


def print_study(answer: Answer) -> None:
    """Trials by their end, the best at each batch size, the laws, what is running."""
    console = Console(highlight=False, markup=False)
    study = answer.study
    ended = [trial.ending.outcome.value for trial in answer.trials if trial.ending is not None]
    counts = ", ".join(f"{ended.count(name)} {name}" for name in sorted(set(ended)))
    running = [str(trial.number) for trial in answer.trials if trial.running]
    console.print(f"{study.name}: {answer.target} on {study.task}")
    paused = [str(trial.number) for trial in answer.trials if trial.paused_at is not None]
    waiting = f"; paused: {', '.join(paused)}" if paused else ""
    console.print(
        f"{len(answer.trials)} trials: {counts or 'none ended'}; running: {', '.join(running) or 'none'}{waiting}"
    )
    console.print(best_table(study.space.batch_sizes, answer.trials, console.width))
    for line in sparkline_words(answer, console.encoding):
        console.print(line)
    if words := branches_words(answer.trials):
        console.print(words, soft_wrap=True)
    if answer.plan is not None:
        for name, law in answer.plan.laws.items():
            console.print(f"{name} law: {law.name} ({law.verdict}): {law.reason}", soft_wrap=True)
        if answer.plan.next_measurements:
            console.print(f"Measure next: {answer.plan.next_measurements[0]}.", soft_wrap=True)
    for comparison in compare_finalists(answer.trials):
        console.print(comparison_words(comparison), soft_wrap=True)
    for request in answer.requests:
        console.print(request_words(request), soft_wrap=True)
    if answer.trials and answer.trials[-1].why:
        last = answer.trials[-1]
        console.print(f"Trial {last.number} was proposed because: {last.why}.", soft_wrap=True)
    if answer.problem is not None:
        console.print(f"No plan: {answer.problem}", soft_wrap=True)


def sparkline_words(answer: Answer, encoding: str) -> list[str]:
    """Fewest steps against batch size as bars, and below them those of the law; nothing where nothing was reached."""
    sizes = list(answer.study.space.batch_sizes)
    best = best_trials(answer.trials)
    passages = [best[size].passage if size in best else None for size in sizes]
    steps = [None if one is None or one.is_bound else one.middle for one in passages]
    known = [value for value in steps if value is not None and value > 0]
    if len(known) < 2:
        return []
    told: list[float] = []
    if answer.laws is not None and answer.laws.steps.verdict != "no-law":
        told = answer.laws.steps.predict(sizes).value.tolist()
    low, high = min([*known, *told]), max([*known, *told])
    ends = f"batch {sizes[0]} to {sizes[-1]}, {format_number(low)} to {format_number(high)} steps"
    lines = [f"fewest steps {sparkline(steps, low, high, encoding)}  {ends}"]
    return [*lines, f"by the law   {sparkline(told, low, high, encoding)}"] if told else lines


def print_trial(answer: Answer, number: int, *, as_json: bool) -> None:
    """All that is known of one trial.

    Raises:
        UserError: if there is no such trial.
    """
    trial = next((one for one in answer.trials if one.number == number), None)
    if trial is None:
        raise UserError(f"there is no trial {number}; the study has {len(answer.trials)}, from 0 on")
    if as_json:
        print(json.dumps(_trial_json(trial), indent=1))
        return
    console = Console(highlight=False, markup=False)
    told = [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in _given(trial)]
    console.print(f"trial {number}: {outcome_words(trial)}", soft_wrap=True)
    console.print(f"recipe: {', '.join(told)}", soft_wrap=True)
    if trial.ending is not None:
        reached = "" if trial.passage is None else f", the target {_passage_words(trial.passage)}"
        console.print(f"trained {trial.ending.step:,} steps, {trial.ending.examples:,} examples{reached}")
        if trial.ending.reason:
            console.print(f"ended: {trial.ending.reason}", soft_wrap=True)
    console.print(f"why: {trial.why or 'not recorded'}", soft_wrap=True)


def _passage_words(passage: PassageInterval) -> str:
    """In steps."""
    low, middle, high = (format_number(steps, 4) for steps in (passage.low, passage.middle, passage.high))
    if passage.is_bound:
        return f"after {high} at most, before the first evaluation"
    return f"after {middle}" if passage.low == passage.high else f"after {middle} (between {low} and {high})"


def _given(trial: Trial) -> list[tuple[str, Any]]:
    """The recipe's values that are not the default, batch size and rate first."""
    return [(name, value) for name, value in trial.recipe.model_dump().items() if value != default_value(name)]


def request_words(request: Mapping[str, Any]) -> str:
    """What somebody asked of the study."""
    of = {
        "enqueue": lambda: (
            f"to train batch size {request['recipe']['global_batch_size']} at learning rate "
            f"{request['recipe']['learning_rate']:g}"
        ),
        "stop": lambda: f"to stop trial {request['trial']}",
        "narrow": lambda: f"to search {request['name']} in {request['domain']}",
    }
    try:
        asked = of[request["kind"]]()
    except (LookupError, TypeError, ValueError):
        asked = f"what only a later version of largebatch knows ({request.get('kind')})"
    return f"{request.get('by')} asked {asked} ({request.get('at')}): {request.get('became')}"


def study_json(answer: Answer) -> dict[str, Any]:
    """The same as one JSON object, every trial in it."""
    return {
        "study": answer.study.name,
        "task": answer.study.task,
        "target": str(answer.target),
        "trials": [_trial_json(trial) for trial in answer.trials],
        "best": {str(size): trial.number for size, trial in best_trials(answer.trials).items()},
        "running": [trial.number for trial in answer.trials if trial.running],
        "laws": {name: law.to_json() for name, law in answer.plan.laws.items()} if answer.plan else {},
        "comparisons": [asdict(found) for found in compare_finalists(answer.trials)],
        "requests": list(answer.requests),
        "problem": answer.problem,
    }


def names_that_ship() -> dict[str, list[str]]:
    """Tasks, searchers, schedulers, rules and studies by name."""
    return {
        "tasks": sorted(TASKS),
        "searchers": list(SEARCHERS),
        "schedulers": list(SCHEDULERS),
        "learning-rate rules": list(RULES),
        "interconnects": list(INTERCONNECTS),
        "studies": studies_that_ship(),
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    ending, passage = trial.ending, trial.passage
    return {
        "number": trial.number,
        "recipe": trial.recipe.model_dump(),
        "num_devices": trial.num_devices,
        "outcome": ending.outcome.value if ending is not None else "running" if trial.running else "paused",
        "steps": ending.step if ending is not None else None,
        "examples": trial.examples,
        "seconds": ending.seconds if ending is not None else None,
        "steps_to_target": trial.steps_to_target,
        "steps_low": passage.low if passage is not None else None,
        "steps_high": passage.high if passage is not None else None,
        "reason": ending.reason if ending is not None else "",
        "why": trial.why,
        "repeat_of": trial.repeat_of,
        "origin": asdict(trial.origin) if trial.origin is not None else None,
    }
