"""largebatch: search on the devices you have, learn the laws, predict the rest.

The names below are imported when they are first used, for some of them load torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from largebatch.spaces.recipe import Recipe
    from largebatch.spaces.target import Target
    from largebatch.studies.question.study import Study
    from largebatch.studies.question.study_file import load_study
    from largebatch.studies.run import run_study
    from largebatch.trainers.adapters.huggingface import huggingface_task
    from largebatch.trainers.adapters.lightning_module import lightning_task
    from largebatch.trainers.adapters.train_step import train_step_task
    from largebatch.trainers.task import Metric, Task

__version__ = "0.1.0"
__all__ = [
    "Metric",
    "Recipe",
    "Study",
    "Target",
    "Task",
    "huggingface_task",
    "lightning_task",
    "load_study",
    "run_study",
    "train_step_task",
]

_MODULES = {
    "Metric": "largebatch.trainers.task",
    "Recipe": "largebatch.spaces.recipe",
    "Study": "largebatch.studies.question.study",
    "Target": "largebatch.spaces.target",
    "Task": "largebatch.trainers.task",
    "huggingface_task": "largebatch.trainers.adapters.huggingface",
    "lightning_task": "largebatch.trainers.adapters.lightning_module",
    "load_study": "largebatch.studies.question.study_file",
    "run_study": "largebatch.studies.run",
    "train_step_task": "largebatch.trainers.adapters.train_step",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'largebatch' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
