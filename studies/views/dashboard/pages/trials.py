"""Trials: a table that is sorted by its headings, filtered by controls and words, and turned page by page."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import dcc, html

from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.answer.trial_text import outcome_words, recipe_words
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import (
    filter_controls,
    filtered,
    heading,
    problem,
    study_of,
    told_names,
)
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.view import address

ROWS = 50

_COLUMNS: Mapping[str, tuple[str, Callable[[Trial], float]]] = {
    "trial": ("trial", lambda trial: trial.number),
    "size": ("batch", lambda trial: trial.recipe.global_batch_size),
    "rate": ("learning rate", lambda trial: trial.recipe.learning_rate),
    "steps": ("steps to target", lambda trial: trial.steps_to_target or math.inf),
    "amount": ("examples to target", lambda trial: trial.examples_to_target or math.inf),
    "trained": ("examples", lambda trial: trial.examples),
    "seconds": ("seconds", lambda trial: trial.ending.seconds if trial.ending is not None else math.inf),
}
"""Sortable columns by the name in the address: heading, and the number that they are sorted by."""


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    return [
        *heading(scene.live.snapshot, "Trials"),
        parts.controls(
            parts.text_field("find", "Words", query, "in the recipe, the reason or the ending"),
            *filter_controls(study_of(scene), query),
        ),
        parts.hidden("sort", query),
        parts.hidden("from", query),
        parts.words("table"),
    ]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    snapshot = live.snapshot
    trials = filtered(snapshot.trials, choices)
    names = told_names(study_of(scene), trials)
    if find := str(choices.get("find") or "").strip().lower():
        trials = [trial for trial in trials if find in _text(trial, names)]
    sort = str(choices.get("sort") or "trial")
    column = _COLUMNS.get(sort.removeprefix("-"), _COLUMNS["trial"])
    trials.sort(key=column[1], reverse=sort.startswith("-"))
    first = _first(choices.get("from"), len(trials))
    rows = [_row(snapshot.key, trial, names) for trial in trials[first : first + ROWS]]
    head = [_heading(snapshot.key, choices, name, title, sort) for name, (title, _) in _COLUMNS.items()]
    words = ["recipe"] if names else []
    table = parts.table([*head, *words, "outcome", "why it was proposed"], rows, words_from=len(head))
    shown = [_pages(snapshot.key, choices, first, len(trials)), table]
    return Shown(words={"problem": problem(snapshot), "table": shown})


def _first(text: object, num_trials: int) -> int:
    number = int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else 0
    return min(number, max(0, num_trials - 1)) // ROWS * ROWS


def _text(trial: Trial, names: Sequence[str]) -> str:
    reason = trial.ending.reason if trial.ending is not None else ""
    return f"{recipe_words(trial.recipe, names)} {outcome_words(trial)} {reason} {trial.why}".lower()


def _heading(key: str, choices: Mapping[str, Any], name: str, title: str, sort: str) -> Any:
    """A link that sorts by this column, or the other way round."""
    other = f"-{name}" if sort == name else name
    mark = {name: " ▲", f"-{name}": " ▼"}.get(sort, "")
    link = address("trials", key, {**choices, "sort": other, "from": ""})
    return dcc.Link(f"{title}{mark}", href=link, title="sort by this column")


def _row(key: str, trial: Trial, names: Sequence[str]) -> list[Any]:
    ending = trial.ending
    reason = ending.reason if ending is not None else ""
    told = f"{outcome_words(trial)}: {reason}" if reason else outcome_words(trial)
    return [
        dcc.Link(str(trial.number), href=address("trial", key, {"trial": trial.number})),
        str(trial.recipe.global_batch_size),
        format_number(trial.recipe.learning_rate),
        format_number(trial.steps_to_target),
        format_number(trial.examples_to_target),
        f"{trial.examples:,}",
        format_number(ending.seconds) if ending is not None else "–",
        *([recipe_words(trial.recipe, names)] if names else []),
        *(html.Span(text, className="long clamped" if text else "", title=text) for text in (told, trial.why)),
    ]


def _pages(key: str, choices: Mapping[str, Any], first: int, num_trials: int) -> Any:
    last = min(first + ROWS, num_trials)
    shown: list[Any] = [html.Span(f"{first + 1:,} to {last:,} of {num_trials:,} trials" if num_trials else "no trials")]
    if first > 0:
        shown.append(dcc.Link("previous", href=address("trials", key, {**choices, "from": max(0, first - ROWS)})))
    if last < num_trials:
        shown.append(dcc.Link("next", href=address("trials", key, {**choices, "from": first + ROWS})))
    return html.P(shown, className="pages")


PAGE = Page(name="trials", title="Trials", layout=_layout, show=_show)
