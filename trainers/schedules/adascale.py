"""The gain of a larger batch from the measured gradient noise, and a batch that grows with it.

Reference: Johnson et al. (2020), AdaScale SGD, arXiv 2007.05105, algorithm 1: a step at ``S`` times the base batch
takes ``gain`` times the base rate and counts as ``gain`` steps of the base schedule,
    gain = (sigma^2 + mu^2) / (sigma^2 / S + mu^2),
with ``sigma^2`` = tr Sigma / base batch and ``mu^2`` = |G|^2. We depart from it in the averages, which are those of
``NoiseScale``. The batch grows as McCandlish et al. (2018), arXiv 1812.06162, section 2.2, would have it: up to the
noise scale.
"""

import math

from largebatch.trainers.gradients.noise_scale import NoiseEstimate


def gain(noise: NoiseEstimate | None, *, base_batch_size: int, batch_size: int) -> float:
    """Between 1 (no noise: a larger batch is no better) and ``S``; 1 while nothing is measured."""
    if noise is None:
        return 1.0
    mean_square, variance = max(noise.gradient_square, 0.0), max(noise.gradient_trace, 0.0) / base_batch_size
    if mean_square + variance == 0:
        return 1.0
    return (variance + mean_square) / (variance * base_batch_size / batch_size + mean_square)


def grown_batch_size(noise: NoiseEstimate | None, *, batch_size: int, limit: int) -> int:
    """``batch_size`` or its double, where the lower bound of the noise scale reaches that, and ``limit`` allows it."""
    doubled = min(2 * batch_size, limit)
    if noise is None or math.isnan(noise.low) or noise.low < doubled:
        return batch_size
    return doubled
