"""All figures of a report, in the order in which they are read: for the page, and as files for a paper."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from largebatch.search.plan.finalists import best_trials
from largebatch.search.plan.plan import Plan
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.answer.best_trials import count
from largebatch.studies.answer.trial_text import branches_words, drawn
from largebatch.studies.views.report.figures.axes import Figure, positive
from largebatch.studies.views.report.figures.cost_figure import cost_figure
from largebatch.studies.views.report.figures.curves import MAX_CURVES, curves_figure
from largebatch.studies.views.report.figures.learning_rate import learning_rate_figure
from largebatch.studies.views.report.figures.residuals import rate_residuals, step_time_residuals, steps_residuals
from largebatch.studies.views.report.figures.steps import steps_figure
from largebatch.studies.views.report.figures.workers import workers_figure

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

MAX_POINTS = 1000
"""Trials drawn at most in one figure."""


class Drawn(NamedTuple):
    """A figure, its name in file names and links, its title and what a reader is to see in it."""

    name: str
    title: str
    caption: str
    figure: Figure


def report_figures(
    target: Target,
    trials: Sequence[Trial],
    curves: Mapping[int, Sequence[Measurement]],
    laws: "FittedLaws | None",
    plan: Plan | None,
    profile: StepTimeProfile | None,
) -> list[Drawn]:
    """The figures for which there is something to show; ``curves`` maps trial numbers to measurements."""
    figures = []
    if plan is not None and positive(row.seconds_to_target for row in plan.rows):
        figures += _workers(plan)
    if not trials:
        return figures
    best = {trial.number for trial in best_trials(trials).values()}
    steady = [trial for trial in trials if trial.origin is None]
    shown = drawn(steady, MAX_POINTS, lambda trial: trial.number in best)
    few = f" {len(shown):,} of {len(trials):,} trials are drawn." if len(shown) < len(trials) else ""
    few += f" {branches_words(trials)}" if len(steady) < len(trials) else ""
    figures.append(_steps(shown, laws, [row.global_batch_size for row in plan.rows] if plan is not None else [], few))
    figures.append(_learning_rates(shown, laws, few))
    if laws is not None:
        figures += _residuals(laws, profile)
    curve_figure = curves_figure(target, trials, curves)
    if curve_figure is not None:
        figures.append(_curves(target, curve_figure, len(curves)))
    return figures


def _workers(plan: Plan) -> list[Drawn]:
    knee = ""
    if plan.knee_num_workers is not None:
        knee = f" The ring marks {count(plan.knee_num_workers, 'worker')}, beyond which more of them stop paying."
    time = (
        "Time to target above, and below it the share of the workers' effort that shortens the training; "
        f"filled points are measured, open ones predicted.{knee}"
    )
    unit = "device-hours" if all(row.cost is None for row in plan.rows) else "money"
    cost = (
        f"How many times faster than the fewest workers above, and below it the {unit} that one training takes. "
        f"Along the dotted line twice the workers are twice as fast, and cost the same.{knee}"
    )
    return [
        Drawn("workers", "What more workers bring", time, workers_figure(plan)),
        Drawn("cost", "What more workers cost", cost, cost_figure(plan)),
    ]


def _steps(trials: Sequence[Trial], laws: "FittedLaws | None", planned: Sequence[int], few: str) -> Drawn:
    has_law = laws is not None and laws.steps.verdict != "no-law"
    law = (
        "At first twice the batch takes half the steps, along the dotted line; where the law leaves that line, "
        "a larger batch, and so more workers, brings less and less."
    )
    caption = f"{law if has_law else 'Each point is a trial: the lower, the fewer steps it took to the target.'}{few}"
    return Drawn("steps", "How many steps a larger batch saves", caption, steps_figure(trials, laws, planned))


def _learning_rates(trials: Sequence[Trial], laws: "FittedLaws | None", few: str) -> Drawn:
    valley = " The faint colours behind are the fitted valley: the steps that every learning rate would take."
    ridge = " The line follows the best rate as the batch grows."
    has_law = laws is not None and laws.learning_rate.verdict != "no-law"
    figure = learning_rate_figure(trials, laws)
    has_valley = any(trace["type"] == "heatmap" for trace in figure["data"])
    caption = (
        "Each point is a trial: the darker, the fewer steps it took; open: target not reached."
        f"{valley if has_valley else ''}{ridge if has_law else ''}{few}"
    )
    return Drawn("learning-rate", "Which learning rate for which batch size", caption, figure)


def _residuals(laws: "FittedLaws", profile: StepTimeProfile | None) -> list[Drawn]:
    about = "Above the line more than the law says, below it less; the band is the law's own 90 % interval."
    found = [
        ("residuals-steps", "What the law of steps leaves", about, steps_residuals(laws)),
        ("residuals-learning-rate", "What the law of the learning rate leaves", about, rate_residuals(laws)),
        (
            "residuals-step-time",
            "What the law of a step's time leaves",
            "Timed steps over those of the law, a mark a number of workers.",
            step_time_residuals(laws, profile),
        ),
    ]
    return [Drawn(name, title, words, figure) for name, title, words, figure in found if figure is not None]


def _curves(target: Target, figure: Figure, num_curves: int) -> Drawn:
    few = f" {MAX_CURVES} of {num_curves:,} trials are drawn." if num_curves > MAX_CURVES else ""
    caption = (
        f"{target.metric} while training, one line a trial and a colour a batch size; "
        f"thick lines are the best trial of each batch size.{few}"
    )
    return Drawn("curves", "How the trials trained", caption, figure)
