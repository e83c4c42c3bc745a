"""Compare: two studies, or two searchers on one question."""

from collections.abc import Mapping
from typing import Any

from dash import html

from largebatch.search.plan.plan import Plan
from largebatch.studies.answer.best_trials import (
    answer_row,
    count,
    format_number,
    format_seconds,
    format_seconds_interval,
)
from largebatch.studies.question.study_file import study_diff
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.figures.comparison import best_so_far_figure, laws_figure, plans_figure
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import heading, problem, read_plan, study_of
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.dashboard.reading.snapshot import Fit


def _others(scene: Scene) -> dict[str, str]:
    """The studies that this one can be compared with, by key."""
    assert scene.live is not None
    return {
        key: f"{key} ({live.snapshot.study.search.name})"
        for key, live in scene.library.studies.items()
        if live is not scene.live and live.snapshot.study is not None
    }


def _largest(scene: Scene, others: Mapping[str, str]) -> str:
    return max(others, key=lambda key: len(scene.library.studies[key].snapshot.trials))


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    others = _others(scene)
    head = heading(scene.live.snapshot, "Compare")
    if not others:
        told = "There is no other study here. Start the dashboard on the folder that holds both to compare them."
        return [*head, parts.note(told)]
    return [
        *head,
        parts.controls(parts.select("with", "With", others, query, _largest(scene, others))),
        parts.words("summary"),
        parts.plot("best", "The best found against what was spent", "Lower and further left is better."),
        parts.plot("laws", "Steps to target against batch size"),
        parts.plot("plans", "Time to target against workers"),
        html.Section([html.H2("How the studies differ"), parts.words("difference")]),
    ]


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    other = scene.library.studies.get(str(choices.get("with")))
    if other is None or other.snapshot.study is None:
        return Shown(words={"problem": problem(live.snapshot)})
    pair = {one.snapshot.key: one for one in (live, other)}
    answers = {key: read_plan(one) for key, one in pair.items()}
    laws = {key: fit.laws if fit is not None else None for key, (fit, _, _) in answers.items()}
    plans = {key: plan for key, (_, plan, _) in answers.items()}
    return Shown(
        figures={
            "best": best_so_far_figure({key: one.snapshot.steady for key, one in pair.items()}),
            "laws": laws_figure(laws),
            "plans": plans_figure(plans),
        },
        words={
            "problem": problem(live.snapshot),
            "summary": parts.table(
                ["", *pair],
                [[name, *cells] for name, *cells in zip(*_summaries(pair, answers), strict=True)],
                words_from=0,
            ),
            "difference": html.Pre(
                study_diff(study_of(scene), other.snapshot.study) or "Their study files say the same."
            ),
        },
    )


def _summaries(
    pair: Mapping[str, LiveStudy], answers: Mapping[str, tuple[Fit | None, Plan | None, str]]
) -> list[list[str]]:
    """The names of the facts, then a column of them for each study."""
    columns = [["task", "target", "searcher", "trials", "reached", "examples trained", "answer", "time there"]]
    for key, live in pair.items():
        snapshot, (_, plan, why) = live.snapshot, answers[key]
        assert snapshot.study is not None
        row = answer_row(plan) if plan is not None and plan.rows else None
        columns.append(
            [
                snapshot.study.task, str(snapshot.target), snapshot.study.search.name, f"{len(snapshot.trials):,}",
                f"{sum(trial.reached for trial in snapshot.trials):,}",
                format_number(float(sum(trial.own_examples for trial in snapshot.trials))),
                f"{count(row.num_workers, 'worker')}, batch {row.global_batch_size}" if row is not None else why,
                f"{format_seconds(row.seconds_to_target)} "
                f"({format_seconds_interval(row.seconds_low, row.seconds_high)})" if row is not None else "–",
            ]
        )  # fmt: skip
    return columns


PAGE = Page(name="compare", title="Compare", layout=_layout, show=_show)
