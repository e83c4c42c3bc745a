"""The source paper's own speed-ups beside the step-time law: python benchmarks/laws/paper_scaling.py --out page.html

Huerta et al. (2020), Journal of Big Data 7:88, table of training times, and an independent ResNet-50 curve on the same
kind of cluster (HAL: 16 nodes of 4 V100, EDR InfiniBand). The law knows the gradient's bytes, the network's name and
the devices of a node, and is fitted to the points that are marked so; all else is predicted. Times are turned into
seconds a step at a constant number of examples, as if more workers needed no more epochs.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plotly.subplots import make_subplots

from largebatch.search.laws.from_table import time_steps
from largebatch.search.laws.holdout import withhold_workers
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.studies.answer.scaling.published import (
    GALAXIES_HAL,
    GW_BRIDGES,
    GW_HAL,
    GW_SUMMIT,
    INDEPENDENT_RESNET,
    PaperCurve,
)

GRID = np.unique(np.rint(np.geomspace(1, 2048, 60)))
HOUR = 3600.0


@dataclass(frozen=True)
class Curve:
    """Seconds a step at ``local`` examples a worker: fitted, and reported elsewhere or withheld."""

    name: str
    local: float
    gradient_bytes: float
    workers_per_node: int
    fitted: dict[int, float]
    withheld: dict[tuple[int, str], float]


def steps(hours: dict[int, float], examples: float, local: float) -> dict[int, float]:
    return {n: time * HOUR * n * local / examples for n, time in hours.items()}


WAVEFORMS = 19 * 1_580_128.0
"""Examples of the deployed AI-GW model: 19 epochs of its training grid."""


def ends(curve: PaperCurve, examples: float) -> dict[int, float]:
    return steps({1: curve.hours_alone, curve.num_gpus: curve.hours}, examples, 2)


GW = ends(GW_HAL, WAVEFORMS)
GALAXIES = ends(GALAXIES_HAL, 20 * 36_620.0)
IMAGES = {n: 128 * n / rate for n, rate in INDEPENDENT_RESNET.items()}
CURVES = (
    Curve(
        "AI-GW", 2, 41.2e6, 4, GW,
        {
            (curve.num_gpus, curve.system): ends(curve, WAVEFORMS)[curve.num_gpus]
            for curve in (GW_BRIDGES, GW_SUMMIT)
        },
    ),
    Curve("AI-DES", 2, 96e6, 4, GALAXIES, {}),
    Curve(
        "ResNet-50 (independent)", 128, 102e6, 4, {n: IMAGES[n] for n in (1, 8, 16)},
        {(n, ""): IMAGES[n] for n in (32, 64)},
    ),
)  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, help="also write a page with the plot")
    out = arguments.parse_args().out
    figure = make_subplots(cols=3, subplot_titles=[curve.name for curve in CURVES], horizontal_spacing=0.06)
    for column, curve in enumerate(CURVES, start=1):
        counts = np.array(sorted(curve.fitted), dtype=float)
        seconds = np.array([curve.fitted[int(n)] for n in counts])
        timings = time_steps(counts, counts * curve.local, seconds, curve.gradient_bytes)
        network = Network(workers_per_node=curve.workers_per_node, interconnect="ib-edr")
        law, _ = withhold_workers(timings, network, np.random.default_rng(0))
        alone = curve.fitted[1]
        print(f"{curve.name}: fitted on {', '.join(f'{n:.0f}' for n in counts)} GPUs")
        for (n, where), measured in [*(((n, "fitted"), t) for n, t in curve.fitted.items()), *curve.withheld.items()]:
            told = law.predict(n, curve.local)
            value, low, high = (n * alone / float(t) for t in (told.value, told.high, told.low))
            interval = f"{value:.1f} ({low:.1f} to {high:.1f})"
            print(f"  {n:5d} ({where or 'withheld'}): speed-up {n * alone / measured:.1f}; law {interval}")
        told = law.predict(GRID, np.full(len(GRID), curve.local))
        lines = {"low": GRID * alone / told.high, "high": GRID * alone / told.low, "law": GRID * alone / told.value}
        for name, y in lines.items():
            fill = {"fill": "tonexty", "fillcolor": "rgba(0,114,178,0.18)"} if name == "high" else {}
            width = 2 if name == "law" else 0
            figure.add_scatter(
                x=GRID, y=y, line={"color": "#0072b2", "width": width}, showlegend=False, mode="lines", row=1,
                col=column, **fill,
            )  # fmt: skip
        figure.add_scatter(
            x=GRID, y=GRID, line={"dash": "dot", "color": "#888"}, mode="lines", showlegend=False, row=1, col=column
        )
        figure.add_scatter(
            x=counts, y=counts * alone / seconds, mode="markers", name="fitted", marker={"color": "#000", "size": 9},
            showlegend=column == 1, row=1, col=column,
        )  # fmt: skip
        if curve.withheld:
            x = np.array([n for n, _ in curve.withheld], dtype=float)
            y = x * alone / np.array(list(curve.withheld.values()))
            marker = {"symbol": "circle-open", "color": "#d55e00", "size": 10, "line": {"width": 2}}
            figure.add_scatter(
                x=x, y=y, mode="markers+text", text=[f"{where}  " for _, where in curve.withheld],
                textposition="middle left", name="reported, not fitted",
                marker=marker, showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
    ticks = [1, 8, 64, 512]
    figure.update_xaxes(type="log", tickvals=ticks, title="GPUs", range=[-0.1, 3.35])
    figure.update_yaxes(type="log", tickvals=ticks, range=[-0.1, 3.35])
    figure.update_yaxes(title="speed-up", col=1)
    figure.update_layout(template="plotly_white", width=1180, height=440, legend={"orientation": "h", "y": -0.2})
    if out is not None:
        figure.write_html(out, include_plotlyjs=True, config={"displayModeBar": False})


if __name__ == "__main__":
    main()
