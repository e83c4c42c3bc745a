"""Measured step times: what the step-time law is fitted to."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from largebatch.spaces.printable import printable

Repeats = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class ComputeTime(BaseModel):
    """Seconds of one training step of one device without communication, ``local_batch_size`` examples a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local_batch_size: PositiveInt
    seconds: Repeats


class StepTime(BaseModel):
    """Seconds of a synchronous step of ``num_workers`` real devices with ``local_batch_size`` examples each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_workers: PositiveInt
    local_batch_size: PositiveInt
    seconds: Repeats
    workers_per_node: PositiveInt | None = None
    """The most of them on one node; not recorded by the first versions."""


class AllReduceTime(BaseModel):
    """Seconds of one sum of ``num_bytes`` over ``num_workers`` real devices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_workers: PositiveInt
    num_bytes: PositiveInt
    seconds: Repeats
    workers_per_node: PositiveInt | None = None
    """As of a step: as many as ``num_workers`` within one node, 1 between nodes."""


class InputTime(BaseModel):
    """Seconds in which one device has the examples of a step, read, decoded or made, while nothing trains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local_batch_size: PositiveInt
    seconds: Repeats


class StepTimeProfile(BaseModel):
    """What was timed on one machine; several repeats each. ``num_bytes`` are summed over devices in each step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, AfterValidator(printable)]
    num_bytes: PositiveInt
    micro_batch_size: PositiveInt | None = None
    """Examples of a pass, fewer than the task's where memory ran out; not recorded by the first versions."""
    has_batch_statistics: bool | None = None
    """Whether examples of a pass share statistics, so that a group of them stays whole; not recorded by the first
    versions."""
    compute: tuple[ComputeTime, ...]
    input: InputTime | None = None
    """Not recorded by the first versions."""
    steps: tuple[StepTime, ...] = ()
    all_reduce: tuple[AllReduceTime, ...] = ()
