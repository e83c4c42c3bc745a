"""One point of a space, complete enough to train."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

OPTIMIZERS = ("sgd", "nesterov", "adam", "adamw", "lars", "lamb", "muon")
_WITH_MOMENTUM = ("sgd", "nesterov", "lars")

TASK_OPTION = re.compile(r"task\.[A-Za-z_]\w*")
"""Names of a recipe's values that are keyword arguments of the task's function."""

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
WARMUPS = ("warmup_steps", "warmup_epochs", "warmup_fraction")


class Recipe(BaseModel):
    """The hyper-parameters of one training. Batch sizes and learning rates are always those of the global batch.

    ``num_workers`` are the workers that the mathematics sees; how many real devices emulate them is no part of a
    recipe. ``norm_batch_size`` examples share batch statistics, at most a worker's local batch.
    ``warmup_fraction`` is a share of ``horizon_examples``, as is the length of every decay; a constant rate with
    weight averaging depends on the horizon through its warm-up alone, and not at all with ``warmup_steps``.
    A value called ``task.NAME`` is the keyword argument ``NAME`` of the task's function.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, bool | int | float | str]

    global_batch_size: PositiveInt
    """Examples of a step, over all workers."""
    learning_rate: PositiveFloat
    """Of the global batch; its peak where a schedule changes it."""
    num_workers: PositiveInt = 1
    norm_batch_size: PositiveInt = 32
    """Examples that share batch statistics: one virtual worker."""
    optimizer: Literal["sgd", "nesterov", "adam", "adamw", "lars", "lamb", "muon"] = "nesterov"
    """``sgd`` is heavy ball with ``momentum``."""
    momentum: Decay = 0.9
    """Of ``sgd`` (heavy ball), ``nesterov``, ``lars`` and ``muon``."""
    beta1: Decay = 0.9
    """Decay of the first moment of ``adam``, ``adamw`` and ``lamb``."""
    beta2: Decay = 0.999
    """Decay of their second moment."""
    epsilon: PositiveFloat | None = None
    """Added to the root of their second moment; 1e-8 if not given, 1e-6 for ``lamb``."""
    trust_coefficient: PositiveFloat = 0.001
    """``eeta`` of LARS."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled from the gradient for ``adamw``, ``lamb`` and ``muon``, an L2 penalty for the others."""
    decayed_weights: Literal["matrices", "all"] = "matrices"
    """Whether biases and the scales of norms (tensors of one dimension) decay too."""
    momentum_correction: Literal["none", "rate"] = "none"
    """``rate``: the momentum of LARS, which holds past rates, is scaled as the rate changes."""
    schedule: Literal["constant", "linear", "cosine", "polynomial", "step", "wsd", "plateau"] = "constant"
    """How the learning rate changes after its warm-up."""
    polynomial_power: PositiveFloat = 2.0
    """Of ``polynomial``."""
    step_fraction: PositiveFraction = 1 / 3
    """``step`` multiplies the rate by ``step_factor`` after each such share of the horizon."""
    step_factor: PositiveFraction = 0.1
    """Of ``step``."""
    decay_fraction: PositiveFraction = 0.2
    """Last share of the horizon in which ``wsd`` (warm-up, stable, decay) falls to zero."""
    patience_evaluations: PositiveInt = 3
    """``plateau`` halves the rate after this number of evaluations without a better target metric."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Length of the warm-up in steps; at most one of the three lengths may be given."""
    warmup_epochs: Annotated[float, Field(ge=0)] | None = None
    """Length of the warm-up in passes over the training data."""
    warmup_fraction: Fraction | None = None
    """Length of the warm-up as a share of the horizon."""
    warmup_shape: Literal["linear", "constant"] = "linear"
    """Whether the rate grows during the warm-up or stays at ``warmup_factor``."""
    warmup_factor: Fraction = 0.0
    """Share of the rate at which a linear warm-up begins, or at which a constant one stays."""
    adaptive: Literal["none", "adascale", "noise-scale"] = "none"
    """``adascale``: the rate follows the measured noise; ``noise-scale``: the batch grows with it, and the rate too."""
    base_batch_size: PositiveInt = 32
    """Where adaptive: the batch size at which ``learning_rate`` holds, and at which a growing batch starts."""
    weight_averaging: Literal["none", "power", "ema", "lawa"] = "power"
    """Which average of the weights is evaluated."""
    averaging_examples: PositiveInt | None = None
    """Half-life of ``ema``; a twentieth of the horizon if not given."""
    averaging_evaluations: PositiveInt = 5
    """Evaluations whose weights ``lawa`` averages."""
    horizon_examples: PositiveInt | None = None
    """Examples over which a rate decays and of which the warm-up is a fraction; the trial's limit if not given."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of initial weights, order of examples, augmentation and dropout."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        names, fields = data if isinstance(data, dict) else (), cls.model_fields  # which takes long to look up
        unknown = [name for name in names if name not in fields and not TASK_OPTION.fullmatch(str(name))]
        if unknown:
            raise ValueError(f"unknown hyper-parameter {unknown[0]!r}")
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        given = [name for name in WARMUPS if getattr(self, name) is not None]
        if len(given) > 1:
            values = " and ".join(str(getattr(self, name)) for name in given)
            raise ValueError(
                f"at most one of {', '.join(f'`{name}`' for name in WARMUPS)} may be given; got {values} for "
                f"{' and '.join(f'`{name}`' for name in given)}"
            )
        if self.global_batch_size % self.num_workers:
            raise ValueError(
                f"global_batch_size must be a multiple of num_workers; "
                f"got {self.global_batch_size} and {self.num_workers}"
            )
        if self.local_batch_size % self.group_size:
            raise ValueError(
                f"the local batch ({self.global_batch_size} / {self.num_workers} = {self.local_batch_size}) must be "
                f"at most norm_batch_size ({self.norm_batch_size}) or a multiple of it"
            )
        return self

    @property
    def local_batch_size(self) -> int:
        """Examples a worker and step."""
        return self.global_batch_size // self.num_workers

    @property
    def group_size(self) -> int:
        """Examples that share batch statistics: ``norm_batch_size``, or the whole local batch if that is smaller."""
        return min(self.norm_batch_size, self.local_batch_size)

    @property
    def num_groups(self) -> int:
        """Groups of ``group_size`` examples in a global batch."""
        return self.global_batch_size // self.group_size

    @property
    def whole_base_batch_size(self) -> int:
        """``base_batch_size`` in whole groups."""
        return max(
            self.group_size, min(self.base_batch_size, self.global_batch_size) // self.group_size * self.group_size
        )

    @property
    def first_batch_size(self) -> int:
        """Examples of the first step, the smallest."""
        return self.whole_base_batch_size if self.adaptive == "noise-scale" else self.global_batch_size

    @property
    def task_options(self) -> dict[str, bool | int | float | str]:
        """Keyword arguments of the task's function."""
        return {name.removeprefix("task."): value for name, value in self.__pydantic_extra__.items()}

    @property
    def has_momentum(self) -> bool:
        """Whether ``momentum`` makes the optimizer's steps larger than ``learning_rate`` says."""
        return self.optimizer in _WITH_MOMENTUM

    @property
    def effective_learning_rate(self) -> float:
        """``learning_rate / (1 - momentum)``: the step that a constant gradient ends up with; else the rate.

        Muon's momentum is normalised away by its orthogonalisation.
        """
        return self.learning_rate / (1 - self.momentum) if self.has_momentum else self.learning_rate
