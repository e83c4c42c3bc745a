"""What the source paper reports of its three models, and an independent curve of one of them.

E. A. Huerta et al. (2020), Convergence of artificial intelligence and high performance computing on NSF-supported
cyberinfrastructure, Journal of Big Data 7:88, doi:10.1186/s40537-020-00361-2. All GPUs are V100. Of each curve the
ends are reported as numbers; what lies between was drawn only, and is not taken from drawings here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCurve:
    """Hours of whole trainings, alone and on many GPUs.

    ``at_most``: the time is told as just over its number, so speed-up and efficiency are upper bounds. ``borrowed``:
    the time of one GPU is that of HAL, another machine.
    """

    key: str
    model: str
    system: str
    machine: str
    num_gpus: int
    hours_alone: float
    hours: float
    at_most: bool = False
    borrowed: bool = False

    @property
    def told_hours(self) -> str:
        """The time on all GPUs as the paper tells it."""
        said = f"{self.hours:g} h" if self.hours >= 1 else f"{60 * self.hours:g} min"
        return f"just over {said}" if self.at_most else said

    @property
    def speedup(self) -> float:
        """Against one GPU."""
        return self.hours_alone / self.hours

    @property
    def efficiency(self) -> float:
        """Speed-up a GPU, in [0, 1]."""
        return self.speedup / self.num_gpus


_HAL = "16 nodes of 4 V100, EDR InfiniBand"

RESNET_HAL = PaperCurve(
    key="resnet-hal", model="ResNet-50", system="HAL", machine=_HAL, num_gpus=64, hours_alone=41.0, hours=1.0,
    at_most=True,
)  # fmt: skip
GW_HAL = PaperCurve(
    key="gw-hal", model="AI-GW", system="HAL", machine=_HAL, num_gpus=64, hours_alone=754.0, hours=12.4
)  # fmt: skip
GW_BRIDGES = PaperCurve(
    key="gw-bridges", model="AI-GW", system="Bridges-AI", machine="72 V100", num_gpus=72, hours_alone=754.0,
    hours=38.0, borrowed=True,
)  # fmt: skip
GW_SUMMIT = PaperCurve(
    key="gw-summit", model="AI-GW", system="Summit", machine="256 nodes of 6 V100", num_gpus=1536, hours_alone=754.0,
    hours=1.2, borrowed=True,
)  # fmt: skip
GALAXIES_HAL = PaperCurve(
    key="galaxies-hal", model="AI-DES", system="HAL", machine=_HAL, num_gpus=64, hours_alone=2.1, hours=2.7 / 60
)  # fmt: skip

INDEPENDENT_RESNET: Mapping[int, float] = MappingProxyType({1: 740.0, 8: 5000.0, 16: 9860.0, 32: 21300.0, 64: 37000.0})
"""Images a second by V100, 128 a GPU: a curve of others on the same kind of cluster (Horovod, 90 epochs in 54 min)."""

_OF_TASKS = {
    "imagenet": (RESNET_HAL,),
    "images": (RESNET_HAL,),
    "gw": (GW_HAL, GW_BRIDGES, GW_SUMMIT),
    "galaxies": (GALAXIES_HAL,),
}
"""By the beginning of a task's name: all sizes of a task are compared with the same curves."""


def paper_curves(task: str) -> tuple[PaperCurve, ...]:
    """The paper's curves of the model that ``task`` trains; none where it is another."""
    return next((curves for name, curves in _OF_TASKS.items() if task == name or task.startswith(f"{name}-")), ())
