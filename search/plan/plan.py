"""The plan: one row a worker count, and the point where adding workers stops paying."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from largebatch.search.laws.holdout import Withheld
from largebatch.search.laws.law import Law
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.spaces.number_text import format_number


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """The best recipe for ``num_workers`` and what it takes; ``_low`` and ``_high`` bound a 90 % interval.

    That of the steps is of their mean over trainings, that of the time of one training. ``micro_batch_size`` are the
    examples of a device pass, fewer than ``local_batch_size`` where its memory does not hold more. ``speedup`` and
    ``efficiency`` compare with the plan's row of fewest workers. ``measured`` is True where both factors were measured:
    the steps at this batch size by trials, the step seconds by that many real devices.
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
    micro_batch_size: int | None = None
    tolerated_learning_rates: tuple[float, float] | None = None
    """Between these the steps are less than 10 % more than at the best rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextMeasurement:
    """Train at a batch size or time a number of workers (``of``); ``narrowing`` is the share of the intervals' widths
    that it is expected to take away on average, ``device_seconds`` what it costs."""

    of: str
    """``global_batch_size`` or ``num_workers``."""
    at: int
    narrowing: float
    device_seconds: float

    def __str__(self) -> str:
        """A sentence's predicate, as in: train once more at batch size 512."""
        if self.of == "global_batch_size":
            what = f"trials at batch size {self.at}"
        else:
            what = f"the step time of {self.at} workers"
        cost = f"{format_number(self.device_seconds)} device-seconds"
        return f"{what}: the plan's intervals would narrow by about {100 * self.narrowing:.0f} % for {cost}"


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
    knee_cause: str | None = None
    """``statistics``, ``communication``, ``input`` or ``fixed cost``."""
    withheld: Mapping[str, Withheld] = field(default_factory=dict)
    """``steps`` and ``step_seconds``: what the laws of the rest say of the largest that was measured."""
    next_measurements: tuple[NextMeasurement, ...] = ()
    """What to measure next, the most worth its cost first."""
    seconds_allowed: float | None = None
    unplanned: tuple[int, ...] = ()
    """Worker counts that were asked and have no row."""
    unplanned_why: str = ""
    left_out: tuple[int, ...] = ()
    """Batch sizes that reached the target and that no row could have."""
    left_out_why: str = ""

    def choices(self) -> dict[str, Any]:
        """Worker counts of the fastest, the cheapest, and the Pareto front of time and device-hours.

        With ``seconds_allowed`` also the fewest that end in time, by the best guess and with 95 % probability.
        """
        front = [
            row.num_workers
            for row in self.rows
            if not any(
                other.seconds_to_target <= row.seconds_to_target
                and other.device_hours <= row.device_hours
                and (other.seconds_to_target, other.device_hours) != (row.seconds_to_target, row.device_hours)
                for other in self.rows
            )
        ]
        found: dict[str, Any] = {
            "fastest": min(self.rows, key=lambda row: row.seconds_to_target).num_workers,
            "cheapest": min(self.rows, key=lambda row: row.device_hours).num_workers,
            "pareto": front,
        }
        if self.seconds_allowed is not None:
            in_time = [row.num_workers for row in self.rows if row.seconds_to_target <= self.seconds_allowed]
            surely = [row.num_workers for row in self.rows if row.seconds_high <= self.seconds_allowed]
            found |= {
                "within_seconds": self.seconds_allowed,
                "fewest_within": min(in_time, default=None),
                "fewest_surely_within": min(surely, default=None),
            }
        return found

    def to_json(self) -> dict[str, Any]:
        """The contract of ``plan --json``."""
        return {
            "study": self.study,
            "target": self.target,
            "laws": {name: law.to_json() for name, law in self.laws.items()},
            "rows": [asdict(row) for row in self.rows],
            "knee": {"num_workers": self.knee_num_workers, "why": self.knee_why, "cause": self.knee_cause},
            "choices": self.choices(),
            "withheld": {name: asdict(found) for name, found in self.withheld.items()},
            "next_measurements": [asdict(one) for one in self.next_measurements],
            "unplanned": {"num_workers": list(self.unplanned), "why": self.unplanned_why},
            "left_out": {"global_batch_size": list(self.left_out), "why": self.left_out_why},
        }
