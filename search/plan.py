"""The plan: one row a worker count, and the point where adding workers stops paying."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from largebatch.search.laws.law import Law
from largebatch.search.laws.step_time_law import StepTimeLaw


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """The best recipe for ``num_workers`` and what it takes; ``_low`` and ``_high`` bound a 90 % interval.

    ``speedup`` and ``efficiency`` compare with the plan's row of fewest workers. ``measured`` is True where both
    factors were measured: the steps at this batch size by trials, the step seconds by that many real devices.
    """

    num_workers: int
    global_batch_size: int
    local_batch_size: int
    recipe: Mapping[str, Any]
    steps: float
    steps_low: float
    steps_high: float
    examples: float
    step_seconds: float
    step_seconds_low: float
    step_seconds_high: float
    seconds_to_target: float
    seconds_low: float
    seconds_high: float
    speedup: float
    efficiency: float
    device_hours: float
    cost: float | None
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer of a study."""

    study: str
    target: str
    laws: Mapping[str, Law | StepTimeLaw]
    """``steps``, ``learning_rate`` and ``step_seconds``."""
    rows: tuple[PlanRow, ...]
    knee_num_workers: int | None
    knee_why: str

    def to_json(self) -> dict[str, Any]:
        """The contract of ``plan --json``."""
        return {
            "study": self.study,
            "target": self.target,
            "laws": {name: law.to_json() for name, law in self.laws.items()},
            "rows": [asdict(row) for row in self.rows],
            "knee": {"num_workers": self.knee_num_workers, "why": self.knee_why},
        }
