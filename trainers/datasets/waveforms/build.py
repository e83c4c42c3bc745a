"""Make the coefficients of the reduced-order model again, from phenomxpy's IMRPhenomT.

Waveforms at the Chebyshev nodes of (log q, s1, s2), their amplitudes and phases decomposed into singular vectors, the
vectors' weights into Chebyshev polynomials. ``rom.py`` has the notation.

References: as there; Clenshaw, Curtis (1960), doi:10.1007/BF01386223, for the discrete transform; phenomxpy 2.0.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import whole_file
from largebatch.trainers.datasets.waveforms.parameters import MAX_Q, MAX_SPIN
from largebatch.trainers.datasets.waveforms.times import ROM_TIMES

ORDERS = (12, 9, 9)
"""Polynomials in log q, s1 and s2."""
NUM_VECTORS = 16
REFERENCE_FREQUENCY = 0.002
"""Cycles per M, below that at the first time."""

Floats = NDArray[np.float64]


def rebuild(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Write the coefficients to ``path``, whole or not at all; a minute or two on one core.

    ``progress`` is told the number of waveforms that are made, and of all.

    Raises:
        UserError: if phenomxpy is missing.
    """
    waveform = phenomt()
    nodes = [_nodes(order) for order in ORDERS]
    points = [
        (MAX_Q ** ((x + 1) / 2), MAX_SPIN * y, MAX_SPIN * z) for x in nodes[0] for y in nodes[1] for z in nodes[2]
    ]
    waveforms = []
    for done, point in enumerate(points):
        progress(done, len(points))
        waveforms.append(waveform(*point))
    progress(len(points), len(points))
    arrays: dict[str, Any] = {"grid": ROM_TIMES.values().astype(np.float32), "n": np.array(ORDERS)}
    for name, series in zip("AP", np.array(waveforms).transpose(1, 0, 2), strict=True):
        arrays |= {name + part: array.astype(np.float32) for part, array in decompose(series).items()}
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)


def phenomt() -> Callable[[float, float, float], tuple[Floats, Floats]]:
    """The source: amplitude and phase at ``ROM_TIMES``, shape ``(2566,)``, of ``q, s1, s2``."""
    try:
        from phenomxpy import IMRPhenomT
    except ImportError as error:
        raise UserError("rebuild: phenomxpy is missing; pip install 'largebatch[gw]'") from error
    times = ROM_TIMES.values()

    def waveform(q: float, s1: float, s2: float) -> tuple[Floats, Floats]:
        model = IMRPhenomT(
            eta=min(q / (1 + q) ** 2, 0.25), s1=[0, 0, s1], s2=[0, 0, s2],
            f_min=REFERENCE_FREQUENCY, f_ref=REFERENCE_FREQUENCY,
        )  # fmt: skip
        mode, _ = model.compute_hlm(times=times)
        phase = -np.unwrap(np.angle(mode))
        return np.abs(mode), phase - phase[np.searchsorted(times, 0)]

    return waveform


def decompose(series: Floats) -> dict[str, Floats]:
    """Mean ``m``, singular vectors ``V`` and polynomial coefficients ``c`` of their weights.

    ``series`` has the waveforms at the products of the nodes, shape ``(12 * 9 * 9, T)``.
    """
    mean = series.mean(axis=0)
    left, values, vectors = np.linalg.svd(series - mean, full_matrices=False)
    weights = (left[:, :NUM_VECTORS] * values[:NUM_VECTORS]).reshape(*ORDERS, NUM_VECTORS)
    for axis, order in enumerate(ORDERS):
        transform = np.cos(np.arange(order)[:, None] * np.arccos(_nodes(order))) * 2 / order
        transform[0] /= 2
        weights = np.moveaxis(np.tensordot(transform, weights, (1, axis)), 0, axis)
    return {"m": mean, "V": vectors[:NUM_VECTORS], "c": weights.reshape(-1, NUM_VECTORS)}


def _nodes(order: int) -> Floats:
    """The roots of the Chebyshev polynomial of an order."""
    nodes: Floats = np.cos(np.pi * (np.arange(order) + 0.5) / order)
    return nodes
