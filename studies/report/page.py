"""The report: one HTML page that holds everything it shows, and needs no network."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.search.plan import Plan
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.report.answer import answer_sentence, count, plan_notes
from largebatch.studies.report.axes import Figure, finite, positive
from largebatch.studies.report.curves_figure import MAX_CURVES, curves_figure
from largebatch.studies.report.law_words import law_html, noise_html, rates_html
from largebatch.studies.report.learning_rate_figure import learning_rate_figure
from largebatch.studies.report.script import SCRIPT
from largebatch.studies.report.steps_figure import steps_figure
from largebatch.studies.report.style import STYLE
from largebatch.studies.report.tables import facts_html, glossary_html, plan_html, trials_html
from largebatch.studies.report.trial_words import best_trials, branches_words, drawn
from largebatch.studies.report.workers_figure import workers_figure

if TYPE_CHECKING:
    from largebatch.search.laws.fitting import FittedLaws

MAX_POINTS = 1000
"""Trials drawn at most in one figure."""

_HINT = """<noscript><p>The figures need JavaScript; the plan and the tables do not.</p></noscript>
<p class="note screen">In the figures, point at a mark to see its recipe, drag to enlarge, double-click to go back, and
click a name in the legend to hide what it names.</p>"""
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
    _write(Path(path), _page(study_name, target, trials, "\n".join(sections)))


def _page(study_name: str, target: Target, trials: Sequence[Trial], body: str) -> str:
    # Only the modules that draw need plotly, and it takes a while to import.
    from plotly.offline import get_plotlyjs

    name, goal = html.escape(study_name), html.escape(str(target))
    reached = sum(trial.reached for trial in trials)
    summary = f"{count(len(trials), 'trial')}, {reached:,} of which reached the target" if trials else "no trials yet"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="largebatch"><link rel="icon" href="data:,"><title>{name}: report</title>
<style>{STYLE}</style></head>
<body><main><header><h1>{name}</h1>
<p class="lead">
How many workers, with which batch size and learning rate, to reach <b>{goal}</b> ({summary}).</p>
</header>
{body}
<footer>Written by largebatch. The page is complete in itself: it loads nothing.</footer></main>
<script>{get_plotlyjs()}</script>
<script>{SCRIPT}</script></body></html>
"""


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
    sections = [_HINT, _learning_rates(shown, laws, few), _steps(shown, laws, planned, few)]
    if plan is not None and positive(row.seconds_to_target for row in plan.rows):
        sections.append(_workers(plan))
    curve_figure = curves_figure(target, trials, curves)
    if curve_figure is not None:
        sections.append(_curves(target, curve_figure, len(curves)))
    return sections


def _learning_rates(trials: Sequence[Trial], laws: "FittedLaws | None", few: str) -> str:
    has_law = laws is not None and laws.learning_rate.verdict != "no-law"
    line = " The line follows the best rate as the batch grows." if has_law else ""
    return _figure(
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
    return _figure(
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
    return _figure(
        "workers",
        "What more workers bring",
        "Time to target above, and below it the share of the workers' effort that shortens the training; "
        f"filled points are measured, open ones predicted.{knee}",
        workers_figure(plan),
        law_html(step_seconds, "Step time") if step_seconds is not None else "",
    )


def _curves(target: Target, figure: Figure, num_curves: int) -> str:
    few = f" {MAX_CURVES} of {num_curves:,} trials are drawn." if num_curves > MAX_CURVES else ""
    return _figure(
        "curves",
        "How the trials trained",
        f"{target.metric} while training, one line a trial and a colour a batch size; "
        f"thick lines are the best trial of each batch size.{few}",
        figure,
        "",
    )


def _figure(name: str, title: str, caption: str, figure: Figure, after: str) -> str:
    """A section with a figure. `<` is escaped in the data, so that no string in it can end the script element."""
    data = json.dumps(finite(figure), allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        data = data.replace(character, f"\\u{ord(character):04x}")
    label, height = html.escape(title, quote=True), figure["layout"]["height"]
    return f"""<section><h2>{label}</h2><figure><figcaption>{html.escape(caption)}</figcaption>
<div class="plot" id="{name}" role="img" aria-label="{label}" style="min-height: {height}px"></div></figure>
<script type="application/json" id="{name}-data">{data}</script>{after}</section>"""


def _rest(trials: Sequence[Trial], facts: Mapping[str, str]) -> str:
    every = f"<section><h2>The trials</h2>{trials_html(trials)}</section>" if trials else ""
    known = f"<section><h2>Where the numbers come from</h2>{facts_html(facts)}</section>" if facts else ""
    return f"{every}\n{known}\n<section><h2>How to read this</h2>{glossary_html()}</section>"


def _write(path: Path, text: str) -> None:
    """A reader sees the old page or the new one, never half of either."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
