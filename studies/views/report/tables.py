"""The page's tables and glossary as HTML; every string of a study is escaped here."""

import html
import textwrap
from collections.abc import Mapping, Sequence

from largebatch.search.plan.plan import Plan
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_number, plan_table
from largebatch.studies.answer.evidence import Ground
from largebatch.studies.answer.law_text import badge_html
from largebatch.studies.answer.trial_text import outcome_words, recipe_words, shared_words, varying_names

MAX_ROWS = 1500
"""Trials listed at most; the ledger has them all."""

_MAX_REASON = 160
_COLUMNS = (
    "trial",
    "batch",
    "learning rate",
    "steps to target",
    "steps",
    "examples",
    "outcome",
    "recipe",
    "ended",
    "proposed",
)

_GLOSSARY = {
    "step": "One update of the model's weights.",
    "global batch size": "Examples that one step averages over, all workers together. "
    "The local batch is one worker's share of it.",
    "worker": "One device that trains together with the others on the same step.",
    "steps to target": "Steps until the metric first passes the target, interpolated between evaluations.",
    "S_min": "The steps that remain however large the batch: no number of workers gets below them.",
    "critical batch size (B_crit)": "The batch size at which training takes twice the fewest possible steps, and twice "
    "the fewest possible examples. Well below it, twice the batch takes half the steps; well above, more examples a "
    "step are almost wasted.",
    "censored": "A trial that ended before the target tells only that it would have taken more steps than it had. "
    "That is used as such, and not dropped.",
    "90 % interval": "The range that holds the true value nine times in ten, if the law is of the right form.",
    "speed-up, efficiency": "How many times faster than the first row of the plan, and that speed-up divided by how "
    "many times more workers it took.",
    "on the edge": "The best trial had the smallest or largest learning rate that was tried, so a better one may lie "
    "beyond: drawn open.",
}


def plan_html(plan: Plan) -> str:
    """The plan as a table, the knee's row marked."""
    table = plan_table(plan)
    *names, last = table.columns
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    head += f'<th class="words" scope="col">{html.escape(last)}</th>'
    rows = []
    for index, cells in enumerate(table.rows):
        first, *middle, basis = (html.escape(cell) for cell in cells)
        knee = index == table.knee
        inner = "".join(f"<td>{cell}</td>" for cell in middle)
        mark = "<br>the knee" if knee else ""
        badge = f'<td class="words"><span class="badge {basis}">{basis}</span>{mark}</td>'
        rows.append(f'<tr{" class=knee" if knee else ""}><th scope="row">{first}</th>{inner}{badge}</tr>')
    body = "\n".join(rows)
    return f"""<div class="scroll plan" tabindex="0"><table class="numbers"><thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table></div>"""


def grounds_html(found: Sequence[Ground]) -> str:
    """What speaks for the answer and against it, one a row."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(ground.what)}</th><td>{badge_html(ground.law)}'
        f"{html.escape(ground.found)}</td></tr>"
        for ground in found
    )
    return f'<table class="grounds"><tbody>{rows}</tbody></table>'


def trials_html(trials: Sequence[Trial]) -> str:
    """All trials in a box that opens; what is the same in all of them is said once."""
    names, shared = varying_names(trials), shared_words(trials)
    table = [_trial_cells(trial, names) for trial in trials[:MAX_ROWS]]
    # A column without a single word (no reasons, one recipe) would only take room.
    columns = [index for index in range(len(_COLUMNS)) if any(cells[index] for cells in table)]
    head = "".join(f"<th{_side(index)} scope='col'>{_COLUMNS[index]}</th>" for index in columns)
    rows = "\n".join(
        f"<tr>{''.join(f'<td{_side(index)}>{html.escape(cells[index])}</td>' for index in columns)}</tr>"
        for cells in table
    )
    number = f"the first {MAX_ROWS:,} of {len(trials):,}" if len(trials) > MAX_ROWS else f"{len(trials):,}"
    same = f"<p class='note'>The same in all: {html.escape(shared)}.</p>" if shared else ""
    return f"""<details><summary>Every trial ({number})</summary>{same}<div class="scroll" tabindex="0">
<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"""


def _side(column: int) -> str:
    """Numbers stand at the right of their column, words at the left."""
    return " class=words" if column >= _COLUMNS.index("outcome") else ""


def _trial_cells(trial: Trial, names: Sequence[str]) -> tuple[str, ...]:
    ending = trial.ending
    return (
        f"{trial.number}",
        f"{trial.recipe.global_batch_size}",
        format_number(trial.recipe.learning_rate),
        format_number(trial.steps_to_target),
        f"{ending.step:,}" if ending is not None else "–",
        f"{trial.examples:,}",
        outcome_words(trial),
        recipe_words(trial.recipe, names),
        textwrap.shorten(ending.reason, _MAX_REASON, placeholder=" …") if ending is not None else "",
        textwrap.shorten(trial.why, _MAX_REASON, placeholder=" …"),
    )


def facts_html(facts: Mapping[str, str]) -> str:
    """Where the numbers come from."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(str(name).replace("_", " "))}</th><td>{html.escape(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def glossary_html() -> str:
    """The words that the page uses."""
    entries = "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(text)}</dd>" for word, text in _GLOSSARY.items())
    return f"<dl>{entries}</dl>"
