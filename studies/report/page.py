"""The report: one HTML page that holds everything it shows, and needs no network."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.search.plan import Plan
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.report.answer import answer_sentence, count, plan_notes
from largebatch.studies.report.axes import Figure, positive
from largebatch.studies.report.curves_figure import MAX_CURVES, curves_figure
from largebatch.studies.report.law_words import law_html, noise_html, rates_html
from largebatch.studies.report.learning_rate_figure import learning_rate_figure
from largebatch.studies.report.shell import HINT, figure_html, page_html, write_page
from largebatch.studies.report.steps_figure import steps_figure
from largebatch.studies.report.tables import facts_html, glossary_html, plan_html, trials_html
from largebatch.studies.report.trial_words import best_trials, branches_words, drawn
from largebatch.studies.report.workers_figure import workers_figure

if TYPE_CHECKING:
    from largebatch.search.laws.fitting import FittedLaws

MAX_POINTS = 1000
"""Trials drawn at most in one figure."""

_NO_PLAN = "There is no plan yet."


def write_report(
    path: Path,
    *,
    study_name: str,
    target: Target,
    trials: Sequence[Trial],
    curves: Mapping[int, Sequence[Measurement]],
    laws: "FittedLaws | None",
    plan: Plan | None,
    facts: Mapping[str, str],
    problem: str | None,
) -> None:
    """Write the page to ``path``, whole or not at all.

    ``curves`` maps trial numbers to measurements; ``facts`` say where the numbers come from (``device`` names what was
    timed); ``problem`` is the sentence in place of the plan where there is none.
    """
    sections = [
        _answer(plan, problem, facts.get("device")),
        *_figures(target, trials, curves, laws, plan),
        _rest(trials, facts),
    ]
    write_page(Path(path), _page(study_name, target, trials, "\n".join(sections)))


def _page(study_name: str, target: Target, trials: Sequence[Trial], body: str) -> str:
    name, goal = html.escape(study_name), html.escape(str(target))
    reached = sum(trial.reached for trial in trials)
    summary = f"{count(len(trials), 'trial')}, {reached:,} of which reached the target" if trials else "no trials yet"
    lead = f"How many workers, with which batch size and learning rate, to reach <b>{goal}</b> ({summary})."
    return page_html(f"{name}: report", f'<h1>{name}</h1>\n<p class="lead">\n{lead}</p>', body)


def _answer(plan: Plan | None, problem: str | None, device: str | None) -> str:
    if plan is None or not plan.rows:
        return f'<section class="answer problem"><p>{html.escape(problem or _NO_PLAN)}</p></section>'
    like = f" ({html.escape(device)})" if device else ""
    return f"""<section class="answer"><p>{html.escape(answer_sentence(plan))}</p></section>
<section><h2>The plan</h2>{plan_html(plan)}
<ul class="note">{"".join(f"<li>{html.escape(note)}</li>" for note in _notes(plan))}</ul>
<p class="note">A <b>worker</b> is one device like the one that was timed{like}.
<span class="badge measured">measured</span> means that trials of this study measured the steps at this batch size, and
that the step time was clocked on as many real devices. <span class="badge predicted">predicted</span> means that at
least one of the two comes from a law fitted to the measurements below; its interval says how far to trust it.</p>
</section>"""


def _notes(plan: Plan) -> list[str]:
    notes = plan_notes(plan)
    return [*notes, f"Worth measuring next: {plan.next_measurements[0]}."] if plan.next_measurements else notes


def _figures(
    target: Target,
    trials: Sequence[Trial],
    curves: Mapping[int, Sequence[Measurement]],
    laws: "FittedLaws | None",
    plan: Plan | None,
) -> list[str]:
    """The sections of the figures, as far as there is something to show."""
    if not trials:
        return ["<section><h2>The measurements</h2><p>No trial has been recorded yet.</p></section>"]
    best = {trial.number for trial in best_trials(trials).values()}
    steady = [trial for trial in trials if trial.origin is None]
    shown = drawn(steady, MAX_POINTS, lambda trial: trial.number in best)
    few = f" {len(shown):,} of {len(trials):,} trials are drawn." if len(shown) < len(trials) else ""
    few += f" {html.escape(branches_words(trials))}" if len(steady) < len(trials) else ""
    planned = [row.global_batch_size for row in plan.rows] if plan is not None else []
    sections = [HINT, _learning_rates(shown, laws, few), _steps(shown, laws, planned, few)]
    if plan is not None and positive(row.seconds_to_target for row in plan.rows):
        sections.append(_workers(plan))
    curve_figure = curves_figure(target, trials, curves)
    if curve_figure is not None:
        sections.append(_curves(target, curve_figure, len(curves)))
    return sections


def _learning_rates(trials: Sequence[Trial], laws: "FittedLaws | None", few: str) -> str:
    has_law = laws is not None and laws.learning_rate.verdict != "no-law"
    line = " The line follows the best rate as the batch grows." if has_law else ""
    return figure_html(
        "learning-rate",
        "Which learning rate for which batch size",
        f"Each point is a trial: the darker, the fewer steps it took; open: target not reached.{line}{few}",
        learning_rate_figure(trials, laws),
        rates_html(laws) if laws is not None else "",
    )


def _steps(trials: Sequence[Trial], laws: "FittedLaws | None", planned: Sequence[int], few: str) -> str:
    has_law = laws is not None and laws.steps.verdict != "no-law"
    law = (
        "At first twice the batch takes half the steps, along the dotted line; where the law leaves that line, "
        "a larger batch, and so more workers, brings less and less."
    )
    return figure_html(
        "steps",
        "How many steps a larger batch saves",
        f"{law if has_law else 'Each point is a trial: the lower, the fewer steps it took to the target.'}{few}",
        steps_figure(trials, laws, planned),
        law_html(laws.steps, "Steps to target") + noise_html(laws) if laws is not None else "",
    )


def _workers(plan: Plan) -> str:
    knee = ""
    if plan.knee_num_workers is not None:
        knee = f" The ring marks {plan.knee_num_workers} workers, beyond which more of them stop paying."
    step_seconds = plan.laws.get("step_seconds")
    return figure_html(
        "workers",
        "What more workers bring",
        "Time to target above, and below it the share of the workers' effort that shortens the training; "
        f"filled points are measured, open ones predicted.{knee}",
        workers_figure(plan),
        law_html(step_seconds, "Step time") if step_seconds is not None else "",
    )


def _curves(target: Target, figure: Figure, num_curves: int) -> str:
    few = f" {MAX_CURVES} of {num_curves:,} trials are drawn." if num_curves > MAX_CURVES else ""
    return figure_html(
        "curves",
        "How the trials trained",
        f"{target.metric} while training, one line a trial and a colour a batch size; "
        f"thick lines are the best trial of each batch size.{few}",
        figure,
        "",
    )


def _rest(trials: Sequence[Trial], facts: Mapping[str, str]) -> str:
    every = f"<section><h2>The trials</h2>{trials_html(trials)}</section>" if trials else ""
    known = f"<section><h2>Where the numbers come from</h2>{facts_html(facts)}</section>" if facts else ""
    return f"{every}\n{known}\n<section><h2>How to read this</h2>{glossary_html()}</section>"
