"""What was measured and what is predicted of a task's training on more workers, at a constant local batch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from largebatch.search.laws.holdout import Withheld
from largebatch.search.laws.law import INTERVAL, Prediction
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan.plan import Plan
from largebatch.spaces.execution import Execution
from largebatch.studies.answer.scaling.published import paper_curves


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRow:
    """A number of workers, each with ``local_batch_size`` examples a step.

    Where ``measured``, ``_low`` and ``_high`` are quartiles of the repeats, else a 90 % interval. Speed-up and
    efficiency are of examples a second, against one worker as it was measured. ``seconds_to_target`` is that of a
    study's plan for so many workers, with a 90 % interval, at the plan's own ``planned_batch_size``.
    """

    num_workers: int
    local_batch_size: int
    global_batch_size: int
    step_seconds: float
    step_seconds_low: float
    step_seconds_high: float
    examples_per_second: float
    epoch_seconds: float
    speedup: float
    speedup_low: float
    speedup_high: float
    efficiency: float
    seconds_to_target: float | None
    seconds_to_target_low: float | None
    seconds_to_target_high: float | None
    planned_batch_size: int | None
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The rows, and what they come from. ``num_examples`` are those of an epoch."""

    task: str
    device: str
    local_batch_size: int
    num_examples: int
    alone_seconds: float
    """Of a step of one worker, measured."""
    execution: Execution
    law: StepTimeLaw
    withheld: Withheld | None
    """The step of the most measured workers, and what the others foretell of it."""
    plan: Plan | None
    rows: tuple[ScalingRow, ...]

    def predict_speedup(self, num_workers: Sequence[float]) -> Prediction:
        """The law's speed-up with its 90 % interval, arrays of the length of ``num_workers``."""
        told = predict_seconds(self.law, num_workers, self.local_batch_size, self.alone_seconds)
        alone = np.asarray(num_workers, float) * self.alone_seconds
        return Prediction(value=alone / told.value, low=alone / told.high, high=alone / told.low)

    def to_json(self) -> dict[str, Any]:
        """The contract of ``benchmark --json``."""
        return {
            "task": self.task,
            "device": self.device,
            "local_batch_size": self.local_batch_size,
            "num_examples": self.num_examples,
            "execution": self.execution.model_dump(),
            "rows": [asdict(row) for row in self.rows],
            "law": self.law.to_json(),
            "withheld": None if self.withheld is None else asdict(self.withheld),
            "target": None if self.plan is None else self.plan.target,
            "published": [
                {**asdict(curve), "speedup": curve.speedup, "efficiency": curve.efficiency}
                for curve in paper_curves(self.task)
            ],
        }


def predict_seconds(
    law: StepTimeLaw, num_workers: Sequence[float], local_batch_size: int, alone_seconds: float
) -> Prediction:
    """Seconds of a step with their 90 % interval.

    Each worker has the same work on however many, so no draw is faster than one worker alone.
    """
    workers = np.asarray(num_workers, float)
    draws = np.maximum(law.draws(workers, np.full(len(workers), float(local_batch_size))), alone_seconds)
    low, value, high = np.quantile(draws, (INTERVAL[0], 0.5, INTERVAL[1]), axis=0)
    return Prediction(value=value, low=low, high=high)
