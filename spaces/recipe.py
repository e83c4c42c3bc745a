"""One point of a space, complete enough to train."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

OPTIMIZERS = ("sgd", "adamw")
OPTIMIZERS_NOT_BUILT = ("adam", "lars", "lamb", "muon")

Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Recipe(BaseModel):
    """The hyper-parameters of one training. Batch sizes and learning rates are always those of the global batch.

    ``num_workers`` are the workers that the mathematics sees; how many real devices emulate them is no part of a
    recipe. ``norm_batch_size`` examples share batch statistics, at most a worker's local batch.
    ``warmup_fraction`` is a share of ``horizon_examples``, as is the length of a cosine decay; a constant rate with
    weight averaging depends on the horizon through its warm-up alone, and not at all with ``warmup_steps``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    global_batch_size: PositiveInt
    learning_rate: PositiveFloat
    num_workers: PositiveInt = 1
    norm_batch_size: PositiveInt = 32
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: Decay = 0.9
    """Nesterov momentum of ``sgd``."""
    beta1: Decay = 0.9
    """Decay of AdamW's first moment."""
    beta2: Decay = 0.999
    """Decay of AdamW's second moment."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    warmup_fraction: Fraction | None = None
    weight_averaging: Literal["none", "power"] = "power"
    horizon_examples: PositiveInt | None = None
    """Examples over which a cosine decays and of which the warm-up is a fraction; the trial's limit if not given."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.warmup_steps is not None and self.warmup_fraction is not None:
            raise ValueError(
                "at most one of `warmup_steps` and `warmup_fraction` may be given; "
                f"got {self.warmup_steps} and {self.warmup_fraction}"
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
    def effective_learning_rate(self) -> float:
        """``learning_rate / (1 - momentum)`` for SGD, the step that a constant gradient ends up with; else the rate."""
        return self.learning_rate / (1 - self.momentum) if self.optimizer == "sgd" else self.learning_rate
