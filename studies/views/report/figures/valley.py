"""The fitted valley behind the trials: the steps that the law of each batch size gives to every learning rate."""

import math
from typing import TYPE_CHECKING

import numpy as np

from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.views.report.figures.axes import COLOUR_SCALE, Figure, plain

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

NUM_RATES = 48
DEEP = math.log(6)
"""Of the valley, so much (in log steps) above its floor is drawn."""


def valley_traces(laws: "FittedLaws", steps: tuple[float, float]) -> list[Figure]:
    """Faint cells, coloured from the first of ``steps`` to the second; none where fewer than two batch sizes have one.

    Their values are log10(steps).
    """
    found = laws.found
    groups = [g for g, optimum in enumerate(found.optima) if optimum.reached and np.isfinite(found.valley.floor_G[g])]
    tried = np.log([trial.recipe.effective_learning_rate for trial in found.trials])
    if len(groups) < 2 or tried.min() == tried.max():
        return []
    x_R = np.linspace(tried.min(), tried.max(), NUM_RATES)
    z_RG = np.stack([found.valley.predict(x_R, np.full(NUM_RATES, g)) for g in groups], axis=1)
    z_RG = np.where(z_RG - found.valley.floor_G[groups][None, :] < DEEP, z_RG, np.nan)
    sizes = [found.optima[g].global_batch_size for g in groups]
    rates = (found.damping * np.exp(x_R)).tolist()
    words = [
        [
            f"batch {size}, learning rate {format_number(rate)}<br>"
            f"the fitted valley: {format_number(math.exp(z))} steps"
            for size, z in zip(sizes, row, strict=True)
        ]
        for rate, row in zip(rates, z_RG.tolist(), strict=True)
    ]
    return [
        {
            "type": "heatmap", "name": "the fitted valley", "x": _borders(sizes), "y": plain(_borders(rates)),
            "z": [plain(row) for row in (z_RG / math.log(10)).tolist()], "hovertext": words, "hoverinfo": "text",
            "colorscale": COLOUR_SCALE, "opacity": 0.3, "showscale": False, "showlegend": True,
            "zmin": math.log10(steps[0]), "zmax": math.log10(steps[1]),
        }
    ]  # fmt: skip


def _borders(centres: list[float] | list[int]) -> list[float]:
    """The borders of cells about ``centres`` on a log axis: one more than there are cells."""
    logs = np.log(np.array(centres, dtype=float))
    middles = (logs[1:] + logs[:-1]) / 2
    first, last = 2 * logs[0] - middles[0], 2 * logs[-1] - middles[-1]
    return [float(edge) for edge in np.exp([first, *middles, last])]
