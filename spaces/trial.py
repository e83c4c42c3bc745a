"""A recipe and what was measured of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import PlainSerializer

from largebatch.spaces.intermediate import Intermediate
from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.printable import printable
from largebatch.spaces.recipe import Recipe

Action = Literal["go on", "pause", "stop"]
"""What a training is told to do after a measurement; paused, it saves its state and goes on from it later."""
ACTIONS: tuple[Action, ...] = get_args(Action)


class Outcome(StrEnum):
    """How a trial ended. All but ``REACHED`` are censored: the target lies beyond what was trained."""

    REACHED = "reached"
    """The target was reached."""
    EXHAUSTED = "exhausted"
    """The trial used its examples without reaching the target."""
    STOPPED = "stopped"
    """The trial scheduler ended it early."""
    DIVERGED = "diverged"
    """The loss became non-finite, or rose too far above its first value (``trainers/divergence.py``)."""
    PREEMPTED = "preempted"
    """The training was told to leave and goes on later from its checkpoint; never the end of a recorded trial."""
    FAILED = "failed"
    """The training raised an error or its workers died too often; the reason is recorded."""


_NOISE_SCALES = ("noise_scale", "scaled_noise_scale")
RECORDED = frozenset(
    (
        *("step", "examples", "seconds", "train_loss", "learning_rate", "evaluation_seconds", "save_seconds"),
        *("global_batch_size", *(f"{name}{end}" for name in _NOISE_SCALES for end in ("", "_low", "_high"))),
    )
)
"""What a measurement tells beside the task's metrics, in one list of names with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One evaluation. ``seconds`` are of training alone; ``values`` holds losses, metrics and the learning rate."""

    step: int
    examples: int
    seconds: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a trial ended. What it took to reach the target is interpolated between evaluations; None where censored.

    ``_low`` and ``_high`` are the evaluations on both sides: nothing else is known of where the target was met. Records
    of earlier versions lack them.
    """

    outcome: Outcome
    step: int
    examples: int
    seconds: float
    steps_to_target: float | None = None
    examples_to_target: float | None = None
    steps_low: float | None = None
    steps_high: float | None = None
    examples_low: float | None = None
    examples_high: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A trial that began from the state of ``parent`` after ``examples``, in the place of trial ``replaces``."""

    parent: int
    examples: int
    replaces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A numbered recipe with its measurements of the target's metric; ``ending`` is None while it waits or runs.

    ``intermediate`` maps examples to the target's metric at the evaluations so far. ``why`` says why it was proposed,
    ``repeat_of`` which trial it repeats with another seed. ``origin`` is None where it began untrained; else its steps
    and examples count those of its ancestors, which had other recipes. ``paused_at`` are the examples after which it
    waits to go on.
    """

    number: int
    recipe: Recipe
    num_devices: int
    running: bool
    intermediate: Annotated[Mapping[int, float], PlainSerializer(dict, return_type=dict[int, float])]
    ending: Ending | None = None
    why: str = ""
    repeat_of: int | None = None
    origin: Origin | None = None
    paused_at: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", printable(self.why))

    @property
    def reached(self) -> bool:
        """Whether the target was reached."""
        return self.ending is not None and self.ending.outcome is Outcome.REACHED

    @property
    def steps_to_target(self) -> float | None:
        """Steps to the target, None where it was not reached."""
        return self.ending.steps_to_target if self.ending is not None else None

    @property
    def examples_to_target(self) -> float | None:
        """Examples to the target, None where it was not reached."""
        steps, examples = self.steps_to_target, self.ending.examples_to_target if self.ending is not None else None
        return steps * self.recipe.global_batch_size if examples is None and steps is not None else examples

    @property
    def passage(self) -> PassageInterval | None:
        """Where the target was met, in steps; None where it was not."""
        ending, steps, examples = self.ending, self.steps_to_target, self.examples_to_target
        if ending is None or steps is None or examples is None:
            return None
        if ending.steps_low is not None and ending.steps_high is not None:
            return PassageInterval(ending.steps_low, steps, ending.steps_high)
        # Recorded before the interval was: the curve has the evaluations on both sides.
        at = examples * (1 - 1e-9)
        if isinstance(self.intermediate, Intermediate):
            before, after = self.intermediate.around(at)
        else:
            before = max((one for one in self.intermediate if one < at), default=None)
            after = min((one for one in self.intermediate if one >= at), default=None)
        if before is None or after is None:
            return PassageInterval(steps, steps, steps)
        return PassageInterval(steps * before / examples, steps, steps * after / examples)

    @property
    def examples(self) -> int:
        """Examples trained so far, those of its ancestors among them."""
        return self.ending.examples if self.ending is not None else max(self.recorded_examples, self.first_examples)

    @property
    def recorded_examples(self) -> int:
        """Examples at the last evaluation of it that is recorded, -1 where none is."""
        if isinstance(self.intermediate, Intermediate):
            return self.intermediate.last
        return max(self.intermediate, default=-1)

    @property
    def first_examples(self) -> int:
        """Examples that its ancestors trained, 0 where it has none."""
        return self.origin.examples if self.origin is not None else 0

    @property
    def own_examples(self) -> int:
        """Examples that it trained itself."""
        return max(self.examples - self.first_examples, 0)  # a failed one says 0

    @property
    def step_seconds(self) -> float:
        """Mean seconds a training step, NaN where nothing was trained."""
        return self.ending.seconds / self.ending.step if self.ending is not None and self.ending.step else math.nan
