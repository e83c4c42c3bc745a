"""How devices compute a training: what changes its speed and, at most, its rounding."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Execution(BaseModel):
    """Settings of the devices, no part of a recipe: a trial means the same with all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products and convolutions; weights and optimizer stay in float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """Order of images in memory."""
    compile: Literal["no", "default", "reduce-overhead"] = "no"
    """Mode of ``torch.compile``; ``reduce-overhead`` replays CUDA graphs."""
    gradient_compression: Literal["none", "bfloat16", "powersgd"] = "none"
    """For slow interconnects. ``powersgd`` keeps its error for the next step, yet changes the mathematics a little."""
    loader_workers: Annotated[int, Field(ge=0)] = 0
    """Processes of a device that read a data set that is not in memory."""
    evaluated_weights: Literal["average", "both"] = "average"
    """``both`` evaluates the weights themselves beside their average."""
