"""The comparison in tables and a plot: python benchmarks/curves/summarise.py journal/compare.jsonl --plot anytime.html.

Prints Markdown: the mean regret after so many examples; the examples until a plan stays within 10 and 25 % of the best
known at every worker count, and until its mean regret stays below 0.25 and 0.15 (median and quartiles; a run that never
does counts as infinite); what ``guided`` needs of each method's examples to 25 % everywhere and to a mean regret of
0.25, with Wilcoxon's signed rank test over the seeds that both have. The plot shows medians and quartiles.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from scipy.stats import wilcoxon

Run = dict[str, Any]
Array = NDArray[np.float64]
MARKS = (50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000)
NEARS = (1.1, 1.25)
MEANS = (0.25, 0.15)
WORST = 2.0
"""Regrets are cut here, and a worker count without a recipe has this one."""
NAMES = {
    "guided": "guided", "halton": "Halton", "optuna-tpe": "Optuna TPE + halving", "optuna-gp": "Optuna GP",
    "deephyper-cbo": "DeepHyper CBO", "syne-tune": "syne-tune ASHA-CQR",
}  # fmt: skip
COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00")
"""Okabe and Ito's, which the colour-blind can tell apart."""


def regret_after(run: Run, examples: float) -> float:
    """Mean over worker counts of the regret of the plan after so many examples, cut at ``WORST``."""
    last = [math.inf]
    for spent, regret in run["trace"]:
        if spent > examples:
            break
        last = regret
    return float(np.minimum(last, WORST).mean())


Judged = Callable[[Sequence[float]], bool]
"""Whether a plan with these regrets is good enough."""


def everywhere(near: float) -> Judged:
    """Within a factor of the best known at every worker count."""
    return lambda regrets: max(regrets) <= math.log(near)


def on_average(mean: float) -> Judged:
    """The mean regret, each cut at ``WORST``, is at most ``mean``."""
    return lambda regrets: float(np.minimum(regrets, WORST).mean()) <= mean


def examples_until(run: Run, judged: Judged) -> float:
    """After which the plan stays good enough; infinite where never."""
    until = math.inf
    for examples, regrets in reversed(run["trace"]):
        if not judged(regrets):
            return until
        until = float(examples)
    return until


def tables(task: str, groups: dict[tuple[str, str], list[Run]]) -> None:
    """Print both tables of a task."""
    ours = {run["seed"]: run for run in groups.get(("guided", "one"), [])}
    print(f"\n### {task}\n\n| method | seeds | {' | '.join(f'{mark // 1000} k' for mark in MARKS)} |")
    print("|" + "---|" * (2 + len(MARKS)))
    for (method, way), runs in groups.items():
        means = [np.mean([regret_after(run, mark) for run in runs]) for mark in MARKS]
        print(f"| {NAMES[method]}, {way} | {len(runs)} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    goals = [*map(everywhere, NEARS), *map(on_average, MEANS)]
    names = [f"within {round(100 * (near - 1))} %" for near in NEARS] + [f"mean {mean}" for mean in MEANS]
    print(
        f"\n| method | {' | '.join(names)} | guided needs, 25 % | guided needs, mean 0.25 |\n|"
        + "---|" * (3 + len(goals))
    )
    for (method, way), runs in groups.items():
        cells = [_quartiles([examples_until(run, goal) for run in runs]) for goal in goals]
        against = [_against(ours, runs, goal) for goal in (everywhere(1.25), on_average(0.25))]
        print(f"| {NAMES[method]}, {way} | {' | '.join([*cells, *against])} |")


def _quartiles(needed: Sequence[float]) -> str:
    low, middle, high = np.quantile(needed, (0.25, 0.5, 0.75), method="inverted_cdf")
    reached = sum(math.isfinite(one) for one in needed)
    return f"{_short(middle)} ({_short(low)} to {_short(high)}; {reached} of {len(needed)})"


def _short(examples: float) -> str:
    return f"{examples / 1000:,.0f} k" if math.isfinite(examples) else "never"


def _against(ours: dict[int, Run], runs: Sequence[Run], goal: Judged) -> str:
    """Median of what guided needs over what this method needs, and the test's p; equal seeds."""
    pairs = [(ours[run["seed"]], run) for run in runs if run["seed"] in ours]
    if not pairs or runs[0]["method"] == "guided":
        return ""
    logs: Array = np.array([[_log_until(run, goal) for run in pair] for pair in pairs])
    apart = logs[:, 0] - logs[:, 1]
    if not np.any(apart):
        return "as much"
    unreached = np.mean([math.isinf(examples_until(run, goal)) for _, run in pairs]) >= 0.5
    return f"{'at most ' if unreached else ''}{math.exp(float(np.median(apart))):.2f} (p {wilcoxon(apart).pvalue:.1g})"


def _log_until(run: Run, goal: Judged) -> float:
    """A run that never is good enough counts with all that any could spend."""
    return math.log(min(examples_until(run, goal), run["most"]))


def plot(tasks: dict[str, dict[tuple[str, str], list[Run]]], path: Path) -> None:
    """Median and quartiles of the regret against examples, a panel a task."""
    figure = make_subplots(1, len(tasks), subplot_titles=list(tasks), shared_yaxes=True, horizontal_spacing=0.03)
    grid = np.geomspace(1e4, 3e6, 60)
    for column, groups in enumerate(tasks.values(), start=1):
        for (method, way), runs in groups.items():
            colour = COLOURS[list(NAMES).index(method)]
            regrets = np.array([[regret_after(run, at) for at in grid] for run in runs])
            low, middle, high = np.quantile(regrets, (0.25, 0.5, 0.75), axis=0)
            line = {
                "color": colour,
                "dash": "dot" if way == "each" else "solid",
                "width": 3 if method == "guided" else 2,
            }
            name = NAMES[method] + ("" if method == "guided" else f", {way}")
            if method == "guided":
                band = go.Scatter(
                    x=[*grid, *grid[::-1]], y=[*low, *high[::-1]], fill="toself", fillcolor="rgba(0,0,0,0.15)",
                    line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=method + way,
                )  # fmt: skip
                figure.add_trace(band, row=1, col=column)
            curve = go.Scatter(
                x=grid, y=middle, mode="lines", line=line, name=name, legendgroup=method + way, showlegend=column == 1
            )
            figure.add_trace(curve, row=1, col=column)
    figure.update_xaxes(
        type="log", title="examples trained", tickvals=[1e4, 1e5, 1e6], ticktext=["10 k", "100 k", "1 M"]
    )
    figure.update_yaxes(title="regret of the plan, log(time / best known)", col=1)
    figure.update_layout(template="plotly_white", width=1200, height=480, legend={"orientation": "h", "y": -0.2})
    figure.write_html(path, include_plotlyjs=True)


def main() -> None:
    """Read the journal, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    runs = [json.loads(line) for line in arguments.journal.read_text().splitlines()]
    order = list(NAMES)
    runs = [run for run in runs if run["method"] in order]
    runs.sort(key=lambda run: (run["shuffled"], run["task"], order.index(run["method"]), run["way"], run["seed"]))
    tasks: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for (shuffled, task), of_task in groupby(runs, key=lambda run: (run["shuffled"], run["task"])):
        named = f"{task}, batch sizes shuffled" if shuffled else task
        tasks[named] = {key: list(same) for key, same in groupby(of_task, key=lambda run: (run["method"], run["way"]))}
        tables(named, tasks[named])
    if arguments.plot:
        plot({name: groups for name, groups in tasks.items() if "shuffled" not in name}, arguments.plot)


if __name__ == "__main__":
    main()
