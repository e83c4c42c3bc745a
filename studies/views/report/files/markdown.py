"""The answer of a study as Markdown, for a README: the sentence, the plan, how sure, and where it comes from."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from largebatch.search.plan.plan import Plan
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import answer_sentence, choice_notes, count, plan_table
from largebatch.studies.answer.evidence import Ground, grounds
from largebatch.studies.answer.law_text import verdict_words

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

_FACTS = ("device", "created", "largebatch", "torch", "ray", "study_fingerprint", "data_fingerprint")
"""Of the provenance, what a reader elsewhere needs to judge or to repeat it."""


def markdown_report(
    *,
    study_name: str,
    target: Target,
    trials: Sequence[Trial],
    laws: "FittedLaws | None",
    plan: Plan | None,
    facts: Mapping[str, str],
    problem: str | None,
) -> str:
    """The summary; its strings cannot become markup of a page that shows it."""
    reached = sum(trial.reached for trial in trials)
    summary = f"{count(len(trials), 'trial')}, {reached:,} of which reached the target."
    parts = [f"## {_safe(study_name)}: {_safe(target)}", _answer(plan, problem), _safe(summary)]
    found = grounds(trials, laws, plan)
    if found:
        parts += ["### How sure", "\n".join(_line(one) for one in found)]
    known = {name: facts[name] for name in _FACTS if name in facts}
    if known:
        told = "; ".join(f"{_safe(name.replace('_', ' '))} {_safe(value)}" for name, value in known.items())
        parts.append(f"Measured with: {told}.")
    return "\n\n".join(parts) + "\n"


def _answer(plan: Plan | None, problem: str | None) -> str:
    if plan is None or not plan.rows:
        return f"**{_safe(problem or 'There is no plan yet.')}**"
    table = plan_table(plan)
    rows = [
        [f"{cells[0]} (the knee)" if index == table.knee else cells[0], *cells[1:]]
        for index, cells in enumerate(table.rows)
    ]
    lines = [f"| {' | '.join(map(_safe, cells))} |" for cells in (table.columns, *rows)]
    lines.insert(1, f"|{'|'.join('---:' for _ in table.columns)}|")
    notes = "\n".join(f"- {_safe(note)}" for note in choice_notes(plan))
    return "\n\n".join([f"**{_safe(answer_sentence(plan))}**", "\n".join(lines), notes])


def _line(ground: Ground) -> str:
    verdict = f"*{verdict_words(ground.law)}*. " if ground.law is not None else ""
    return f"- **{ground.what}**: {verdict}{_safe(ground.found)}"


def _safe(text: object) -> str:
    """One line of text in which nothing is markup."""
    line = re.sub(r"\s+", " ", str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", line)
