"""Measures the gradient noise scale of a training from the passes and devices of some of its steps.

A step is measured where its gradient comes in parts: devices, and passes on a device. That is free but for the norms,
so that every ``EVERY``-th such step is; a step of one pass is cut in two every ``SPLIT_EVERY``-th time. The first step
after an evaluation is always measured, so that every measurement has a noise scale.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from largebatch.trainers.gradients.noise_scale import DECAY, NoiseEstimate, NoiseScale
from largebatch.trainers.gradients.step_gradients import StepGradients

EVERY = 8
SPLIT_EVERY = 32
ADAPTIVE_DECAY = 0.8
"""Of the averages that a recipe acts on, about the last 9 steps: all of them are measured, group by group, and the
noise grows fast at the start of a training, behind which a longer average lags."""


class NoiseMeter:
    """``raw`` in the space of the weights; ``scaled`` in that where an Adam-like optimizer is gradient descent."""

    def __init__(self, gradients: StepGradients, parameters: Sequence[nn.Parameter], *, adaptive: bool) -> None:
        self._gradients, self._parameters, self._adaptive = gradients, parameters, adaptive
        decay = ADAPTIVE_DECAY if adaptive else DECAY
        self.raw, self.scaled = NoiseScale(decay), NoiseScale(decay)
        self.measure_next = True
        self._previous: list[Tensor] = []
        self._scales: list[Tensor] | None = None

    def begin_step(self, step: int, *, natural: bool, scales: Callable[[], Mapping[Tensor, Tensor] | None]) -> bool:
        """Whether to measure this step, whose gradient comes in parts anyway where ``natural``."""
        measured = self._adaptive or self.measure_next or step % (EVERY if natural else SPLIT_EVERY) == 0
        if measured:
            self.measure_next = False
            self._previous = []
            found = scales()
            self._scales = None if found is None else [found[parameter] for parameter in self._parameters]
        return measured

    @torch.no_grad()
    def end_pass(self, squares: Tensor, *, share: float, is_last: bool) -> None:
        """Add the part's ``share |g|^2`` to ``squares``, raw and scaled; gradients hold sums of ``share g``."""
        gradients = self._gradients.tensors()
        part = list(torch._foreach_sub(gradients, self._previous)) if self._previous else gradients
        if not is_last:
            self._previous = [gradient.clone() for gradient in gradients]
        squares += self._squares(part) / share

    @torch.no_grad()
    def end_step(self, squares: Tensor, num_parts: Tensor, *, batch_size: int) -> None:
        """Take in a step's ``squares`` and parts, summed over devices, beside the whole gradient."""
        step = torch.stack([num_parts.squeeze().expand(2), squares, self._squares(self._gradients.tensors())])
        self.raw.add(step[:, 0], batch_size=batch_size)
        if self._scales is not None:
            self.scaled.add(step[:, 1], batch_size=batch_size)
        self._previous, self._scales = [], None

    def values(self) -> dict[str, float]:
        """What a measurement tells of the noise; nothing before two steps have been measured."""
        values: dict[str, float] = {}
        for prefix, noise in (("noise_scale", self.raw), ("scaled_noise_scale", self.scaled)):
            estimate = noise.estimate()
            if estimate is not None:
                values |= _values(prefix, estimate)
        return values

    def state(self) -> dict[str, Any]:
        """All that resuming needs."""
        return {"raw": self.raw.state(), "scaled": self.scaled.state(), "measure_next": self.measure_next}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.raw.load_state(state["raw"])
        self.scaled.load_state(state["scaled"])
        self.measure_next = state["measure_next"]

    def _squares(self, gradients: list[Tensor]) -> Tensor:
        """Squared norms of the whole gradient, raw and scaled, shape ``(2,)``."""
        raw = torch.stack(torch._foreach_norm(gradients)).square().sum()
        if self._scales is None:
            return torch.stack([raw, torch.zeros_like(raw)])
        scaled = torch.stack(torch._foreach_norm(torch._foreach_mul(gradients, self._scales))).square().sum()
        return torch.stack([raw, scaled])


def _values(prefix: str, estimate: NoiseEstimate) -> dict[str, float]:
    return {prefix: estimate.value, f"{prefix}_low": estimate.low, f"{prefix}_high": estimate.high}
