"""For tests of your own searcher, trial scheduler, task or optimizer: made-up trials, and the suites of ours.

Each ``check_..`` puts an implementation through what every one that ships promises, and raises an ``AssertionError``
that says what does not hold. The ``.._CHECKS`` are the same checks by name, for ``pytest.mark.parametrize``; pytest
itself is not needed. The names are imported when they are first used, for tasks and optimizers load torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from largebatch.testing.curves import MadeUpValley, falling_curve
    from largebatch.testing.made_up_seconds import MadeUpSeconds
    from largebatch.testing.made_up_study import make_study
    from largebatch.testing.made_up_trial import make_trial
    from largebatch.testing.optimizers import OPTIMIZER_CHECKS, check_optimizer
    from largebatch.testing.schedulers import SCHEDULER_CHECKS, SchedulerPromises, check_scheduler
    from largebatch.testing.searchers import SEARCHER_CHECKS, SearcherPromises, check_searcher
    from largebatch.testing.tasks import TASK_CHECKS, check_task

__all__ = [
    "OPTIMIZER_CHECKS",
    "SCHEDULER_CHECKS",
    "SEARCHER_CHECKS",
    "TASK_CHECKS",
    "MadeUpSeconds",
    "MadeUpValley",
    "SchedulerPromises",
    "SearcherPromises",
    "check_optimizer",
    "check_scheduler",
    "check_searcher",
    "check_task",
    "falling_curve",
    "make_study",
    "make_trial",
]

_MODULES = {
    "OPTIMIZER_CHECKS": "optimizers",
    "SCHEDULER_CHECKS": "schedulers",
    "SEARCHER_CHECKS": "searchers",
    "TASK_CHECKS": "tasks",
    "MadeUpSeconds": "made_up_seconds",
    "MadeUpValley": "curves",
    "SchedulerPromises": "schedulers",
    "SearcherPromises": "searchers",
    "check_optimizer": "optimizers",
    "check_scheduler": "schedulers",
    "check_searcher": "searchers",
    "check_task": "tasks",
    "falling_curve": "curves",
    "make_study": "made_up_study",
    "make_trial": "made_up_trial",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'largebatch.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"largebatch.testing.{_MODULES[name]}"), name)
