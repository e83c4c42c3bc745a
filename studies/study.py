"""The question: task, space, worker counts, target, budget. A frozen value."""

import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from largebatch.spaces.nearest import nearest
from largebatch.spaces.rule import RULES
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target

SEARCHERS = ("grid", "halton", "optuna-tpe")
SEARCHERS_NOT_BUILT = ("guided", "optuna-gp", "optuna-cmaes", "deephyper-cbo")
SCHEDULERS = ("none", "asha")
SCHEDULERS_NOT_BUILT = ("hyperband", "median", "pbt", "projection")


def _built(kind: str, name: str, built: tuple[str, ...], not_built: tuple[str, ...]) -> str:
    if name in not_built:
        raise ValueError(f"{kind} {name} is not built yet; built: {', '.join(built)}")
    if name not in built:
        raise ValueError(f"unknown {kind} {name!r}{nearest(name, built)}")
    return name


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Search(_Section):
    """Which searcher proposes recipes. ``points_per_range`` is for ``grid``, the rule for ``optuna-tpe``."""

    name: str = "optuna-tpe"
    seed: NonNegativeInt = 0
    points_per_range: PositiveInt = 5
    learning_rate_rule: str = "square-root"

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _built("searcher", name, SEARCHERS, SEARCHERS_NOT_BUILT)

    @field_validator("learning_rate_rule")
    @classmethod
    def _known_rule(cls, name: str) -> str:
        return _built("rule", name, tuple(RULES), ())


class TrialScheduler(_Section):
    """Which trials go on. ``grace_examples`` is ASHA's first rung, a ninth of a trial's limit if not given."""

    name: str = "asha"
    grace_examples: PositiveInt | None = None
    reduction_factor: Annotated[int, Field(ge=2)] = 3

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _built("scheduler", name, SCHEDULERS, SCHEDULERS_NOT_BUILT)


class Budget(_Section):
    """Where the study ends, whichever comes first; ``examples_per_trial`` is where one trial gives up."""

    trials: PositiveInt | None = None
    examples: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    examples_per_trial: PositiveInt | None = None

    @model_validator(mode="after")
    def _finite(self) -> "Budget":
        if self.trials is None and self.examples is None and self.minutes is None:
            raise ValueError("a budget must have at least one of trials, examples and minutes")
        return self


class Resources(_Section):
    """Devices of a trial, trials at once (None fills the machine), seconds between a trial's checkpoints."""

    devices_per_trial: PositiveInt = 1
    concurrent_trials: PositiveInt | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0


class Study(_Section):
    """One question. ``target`` is the task's own where it is None."""

    name: str
    task: str
    workers: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 2, 4, 8, 16, 32, 64)
    target: Target | None = None
    space: Space
    search: Search = Search()
    scheduler: TrialScheduler = TrialScheduler()
    budget: Budget
    resources: Resources = Resources()
    repeats: PositiveInt = 1

    @field_validator("name")
    @classmethod
    def _slug(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError(
                f"a name must be letters, digits, '.', '_' or '-', for it names a folder; got {name!r}"
            )
        return name

    @field_validator("workers")
    @classmethod
    def _ascending(cls, workers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(workers)))

    @field_validator("repeats")
    @classmethod
    def _once(cls, repeats: int) -> int:
        if repeats > 1:
            raise ValueError(f"repeats over seeds are not built yet; use 1 (got {repeats})")
        return repeats

    @model_validator(mode="after")
    def _divisible(self) -> "Study":
        undivided = [count for count in self.workers if not self.space.divides(count)]
        if undivided:
            sizes, norm = list(self.space.batch_sizes), self.space.norm_batch_sizes[0]
            raise ValueError(
                f"workers: no global batch size of {sizes} can be divided among "
                f"{', '.join(map(str, undivided))} workers in whole groups of {norm} (norm_batch_size); "
                f"add larger batch sizes, lower norm_batch_size, or drop these counts"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The study as plain values, what was left out included."""
        return self.model_dump(mode="json", exclude_none=True)
