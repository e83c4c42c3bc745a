"""The question: task, space, worker counts, target, budget. A frozen value."""

import json
import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from largebatch.spaces.domain import Value
from largebatch.spaces.execution import Execution
from largebatch.spaces.nearest import nearest
from largebatch.spaces.problems import first_problem
from largebatch.spaces.rule import RULES
from largebatch.spaces.space import MAX_EXTRAPOLATION, Space
from largebatch.spaces.target import Target

SEARCHERS = ("guided", "grid", "halton", "optuna-tpe", "optuna-gp", "optuna-cmaes", "deephyper-cbo")
SCHEDULERS = ("none", "asha", "hyperband", "median", "pbt", "projection")
Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""Small enough for every generator that it reaches, the number of trials added."""


def _known_name(kind: str, name: str, built: tuple[str, ...]) -> str:
    if name not in built:
        raise ValueError(f"unknown {kind} {name!r}{nearest(name, built)}")
    return name


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Search(_Section):
    """Which searcher proposes recipes."""

    name: str = "optuna-tpe"
    """One of ``SEARCHERS``."""
    seed: Seed = 0
    """Seeds the searcher and the recipes that it proposes."""
    points_per_range: PositiveInt = 5
    """Of ``grid``: values of each range."""
    learning_rate_rule: str = "square-root"
    """Of Optuna's and DeepHyper's searchers: rates are searched as departures from this rule across batch sizes."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_name("searcher", name, SEARCHERS)

    @field_validator("learning_rate_rule")
    @classmethod
    def _known_rule(cls, name: str) -> str:
        return _known_name("rule", name, tuple(RULES))


class TrialScheduler(_Section):
    """Which trials continue and which are stopped early."""

    name: str = "asha"
    """One of ``SCHEDULERS``."""
    grace_examples: PositiveInt | None = None
    """First rung of ``asha`` and ``hyperband``, and where ``median`` begins to stop trials; if not given, a trial's
    limit over the square of ``reduction_factor``."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """Of ``asha`` and ``hyperband``: the best 1 in this many trials of a rung continue."""
    min_samples: PositiveInt = 3
    """Of ``median``: the least number of other trials to compare with."""
    perturbation_examples: PositiveInt | None = None
    """Of ``pbt``: examples between two comparisons of its population; if not given, an eighth of a trial's limit."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_name("scheduler", name, SCHEDULERS)


class Budget(_Section):
    """Where the study ends, whichever comes first. One of ``trials``, ``examples`` and ``minutes`` must be given."""

    trials: PositiveInt | None = None
    """Number of trials; with scheduler ``pbt``, the size of its population."""
    examples: PositiveInt | None = None
    """Training examples of all trials together."""
    minutes: PositiveFloat | None = None
    """Wall time, over all sessions of the study."""
    examples_per_trial: PositiveInt | None = None
    """Training examples after which one trial gives up; the task's ``max_examples`` if not given."""

    @model_validator(mode="after")
    def _finite(self) -> "Budget":
        if self.trials is None and self.examples is None and self.minutes is None:
            raise ValueError("at least one of trials, examples and minutes must be given, or the study never ends")
        return self


class Resources(_Section):
    """How trials are dealt to devices, and what their checkpoints may take."""

    devices_per_trial: PositiveInt = 1
    """Devices that emulate the workers of a trial."""
    examples_per_device: PositiveInt | None = None
    """Instead of ``devices_per_trial``: a trial takes one device for each such number of examples of its global batch,
    at most all devices."""
    trials_per_device: PositiveInt = 1
    """Trials of one device each that share it."""
    concurrent_trials: PositiveInt | None = None
    """Trials at once; if not given, as many as the machine has devices for."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    """Seconds between two checkpoints of a trial."""
    checkpoint_bytes: PositiveInt = 20_000_000_000
    """Bytes on disk of all checkpoints of the study: those of running trials, then the best weights of each batch
    size, then those of other trials that reached the target."""

    @model_validator(mode="after")
    def _one_way(self) -> "Resources":
        if self.examples_per_device is not None and self.devices_per_trial > 1:
            raise ValueError(
                f"examples_per_device: {self.examples_per_device} and devices_per_trial: {self.devices_per_trial} both "
                f"say how many devices a trial takes; leave one out"
            )
        if self.trials_per_device > 1 and (self.devices_per_trial > 1 or self.examples_per_device is not None):
            raise ValueError(
                f"trials_per_device: {self.trials_per_device} is for trials of one device each; leave out "
                f"devices_per_trial and examples_per_device"
            )
        return self


class Study(_Section):
    """One question."""

    name: str
    """Names the study and, unless ``--out`` does, its directory in ``runs/``."""
    task: str
    """A task that ships (``largebatch list``), or ``package.module:function``; the module is imported."""
    target: Target | None = None
    """What a training must reach; the task's own target if not given."""
    space: Space
    """What is searched: a domain for each hyper-parameter that may vary, or its one value."""
    # After the space, which its check looks at: so that the check runs though another key be wrong.
    workers: Annotated[tuple[PositiveInt, ...], Field(min_length=1, validate_default=True)] = (1, 2, 4, 8, 16, 32, 64)
    """Worker counts that the plan answers."""
    search: Search = Search()
    """The searcher."""
    scheduler: TrialScheduler = TrialScheduler()
    """The trial scheduler."""
    budget: Budget
    """Where the study ends."""
    resources: Resources = Resources()
    """Devices and checkpoints of trials."""
    execution: Execution = Execution()
    """How devices compute."""
    first_trials: tuple[dict[str, bool | int | float | str], ...] = ()
    """Recipes to begin with, such as published ones; a hyper-parameter that one leaves out takes the middle of its
    domain."""
    repeats: PositiveInt = 1
    """Seeds for the best recipes of each batch size, at most; 1 repeats none."""

    @field_validator("name")
    @classmethod
    def _slug(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError(
                "must be at most 100 letters, digits, '.', '_' or '-', and begin with a letter or digit, "
                f"for it names a folder; got {name!r:.60}"
            )
        return name

    @field_validator("task")
    @classmethod
    def _one_word(cls, task: str) -> str:
        if not re.fullmatch(r"\S+", task):
            raise ValueError(f"must be the name of a task that ships, or package.module:function; got {task!r:.60}")
        return task

    @field_validator("workers")
    @classmethod
    def _served(cls, workers: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        space: Space | None = info.data.get("space")
        most = space.most_workers if space is not None else max(workers)
        if space is not None and max(workers) > most:
            norms = " or ".join(str(norm) for norm in sorted({norm for _, norm in space.batches}))
            raise ValueError(
                f"{', '.join(str(count) for count in workers if count > most)} workers with whole groups of {norms} "
                f"need a batch more than {MAX_EXTRAPOLATION} times the largest of {_listed(space.batch_sizes)}; the "
                f"most that works: {most}; add larger batch sizes, lower norm_batch_size, or drop the count"
            )
        return tuple(sorted(set(workers)))

    @field_validator("first_trials")
    @classmethod
    def _recipes(cls, first_trials: tuple[dict[str, Value], ...], info: ValidationInfo) -> tuple[dict[str, Value], ...]:
        space: Space | None = info.data.get("space")
        if space is None:  # wrong itself, which is said
            return first_trials
        for number, values in enumerate(first_trials, start=1):
            for name in values:
                if name not in space.recipe_names:
                    names = space.recipe_names
                    raise ValueError(f"recipe {number}: unknown hyper-parameter {name!r}{nearest(name, names)}")
            try:
                space.completed(values)
            except ValidationError as error:
                raise ValueError(f"recipe {number}: {first_problem(error)}") from error
        return first_trials

    @field_validator("budget")
    @classmethod
    def _population(cls, budget: Budget, info: ValidationInfo) -> Budget:
        scheduler: TrialScheduler | None = info.data.get("scheduler")
        if scheduler is not None and scheduler.name == "pbt" and budget.trials is None:
            raise ValueError("scheduler pbt needs trials, the size of its population; add trials: 20, say")
        return budget

    def to_dict(self) -> dict[str, Any]:
        """The study as plain values, what was left out included; a single choice is its value."""
        plain = self.model_dump(mode="json", exclude_none=True)
        plain["space"] = {
            name: domain["choices"][0] if domain.keys() == {"choices"} and len(domain["choices"]) == 1 else domain
            for name, domain in plain["space"].items()
        }
        return plain

    def canonical_json(self) -> str:
        """The same text for equal studies."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def __hash__(self) -> int:
        return hash(self.canonical_json())


def _listed(sizes: tuple[int, ...]) -> str:
    shown = [str(size) for size in sizes]
    return f"[{', '.join(shown if len(shown) <= 12 else [*shown[:6], '..', *shown[-3:]])}]"
