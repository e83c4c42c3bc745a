"""The report: one HTML page that holds everything it shows, and needs no network.

First the answer, then how sure and why, then everything else.
"""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.search.plan.plan import Plan
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.answer.best_trials import answer_sentence, choice_notes, count
from largebatch.studies.answer.evidence import grounds
from largebatch.studies.answer.law_text import law_html, rates_html
from largebatch.studies.views.report.figures.every import Drawn, report_figures
from largebatch.studies.views.report.shell import HINT, figure_html, page_html, write_page
from largebatch.studies.views.report.tables import facts_html, glossary_html, grounds_html, plan_html, trials_html

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

_NO_PLAN = "There is no plan yet."
_ANSWERS = ("workers", "cost")
"""Figures that belong to the answer; the others say how sure it is, or are the rest."""
_REST = ("curves",)
_SHORT = {
    "workers": "Workers", "cost": "Cost", "steps": "Steps", "learning-rate": "Learning rate", "curves": "Curves",
}  # fmt: skip


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
    profile: StepTimeProfile | None = None,
) -> None:
    """Write the page to ``path``, whole or not at all.

    ``curves`` maps trial numbers to measurements; ``facts`` say where the numbers come from (``device`` names what was
    timed); ``problem`` is the sentence in place of the plan where there is none.
    """
    figures = report_figures(target, trials, curves, laws, plan, profile)
    sections = [
        _answer(plan, problem, facts.get("device")),
        _ways(figures, has_trials=bool(trials)),
        HINT if figures else "",
        *(_figure(drawn, "") for drawn in figures if drawn.name in _ANSWERS),
        _sure(trials, laws, plan),
        *(_figure(drawn, _laws_of(drawn, laws, plan)) for drawn in figures if drawn.name not in (*_ANSWERS, *_REST)),
        *(_figure(drawn, "") for drawn in figures if drawn.name in _REST),
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
<section id="plan"><h2>The plan</h2>{plan_html(plan)}
<ul class="note">{"".join(f"<li>{html.escape(note)}</li>" for note in _notes(plan))}</ul>
<p class="note">A <b>worker</b> is one device like the one that was timed{like}.
<span class="badge measured">measured</span> means that trials of this study measured the steps at this batch size, and
that the step time was clocked on as many real devices. <span class="badge predicted">predicted</span> means that at
least one of the two comes from a law fitted to the measurements below; its interval says how far to trust it.</p>
</section>"""


def _notes(plan: Plan) -> list[str]:
    notes = choice_notes(plan)
    return [*notes, f"Worth measuring next: {plan.next_measurements[0]}."] if plan.next_measurements else notes


def _ways(figures: Sequence[Drawn], *, has_trials: bool) -> str:
    """Links to the parts of the page."""
    parts = {drawn.name: _SHORT[drawn.name] for drawn in figures if drawn.name in _SHORT}
    ways = {f"{name}-section": words for name, words in parts.items()}
    ways = {"sure": "How sure", **ways, **({"trials": "Every trial"} if has_trials else {}), "facts": "Where from"}
    links = "".join(f'<a href="#{name}">{words}</a>' for name, words in {**ways, "words": "Words"}.items())
    return f'<nav class="screen" aria-label="Parts of this page">{links}</nav>'


def _sure(trials: Sequence[Trial], laws: "FittedLaws | None", plan: Plan | None) -> str:
    if not trials:
        return '<section id="sure"><h2>How sure, and why</h2><p>No trial has been recorded yet.</p></section>'
    found = grounds(trials, laws, plan)
    return f'<section id="sure"><h2>How sure, and why</h2>{grounds_html(found)}</section>' if found else ""


def _figure(drawn: Drawn, after: str) -> str:
    return figure_html(drawn.name, drawn.title, drawn.caption, drawn.figure, after)


def _laws_of(drawn: Drawn, laws: "FittedLaws | None", plan: Plan | None) -> str:
    """The law that a figure shows, in a box below it."""
    step_seconds = plan.laws.get("step_seconds") if plan is not None else None
    if drawn.name == "residuals-step-time" and step_seconds is not None:
        return law_html(step_seconds, "Step time")
    if laws is None:
        return ""
    if drawn.name == "steps":
        return law_html(laws.steps, "Steps to target")
    return rates_html(laws) if drawn.name == "learning-rate" else ""


def _rest(trials: Sequence[Trial], facts: Mapping[str, str]) -> str:
    every = f'<section id="trials"><h2>The trials</h2>{trials_html(trials)}</section>' if trials else ""
    known = f'<section id="facts"><h2>Where the numbers come from</h2>{facts_html(facts)}</section>' if facts else ""
    return f'{every}\n{known}\n<section id="words"><h2>How to read this</h2>{glossary_html()}</section>'
