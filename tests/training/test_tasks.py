"""Every task that ships goes through the suite of ``largebatch.testing``; those without their data are skipped."""

import dataclasses
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.testing import TASK_CHECKS, check_task
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.tasks import TASKS

from .problems import problem

PAPER_SIZE = ("galaxies", "gw", "imagenet")
"""Too large for a test; each is the same code as its small one, or has tests of its own."""
SMALL = [name for name in TASKS if name not in PAPER_SIZE]


def load(name: str) -> Task:
    try:
        return load_task(name, {})
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("check", TASK_CHECKS)
@pytest.mark.parametrize("name", SMALL)
def test_conformance(name: str, check: str) -> None:
    TASK_CHECKS[check](load(name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": Target(metric="val_loss", below=100.0)}, r"must not be met before training; val_loss is 1\."),
        ({"metrics": {"odd": lambda y, _: y.mean() * torch.nan}}, r"must be finite before training; got \{'odd': nan"),
        ({"loss": lambda y, t: cross_entropy(y, t, reduction="sum")}, "8 examples a pass must give the weights"),
    ],
)
def test_a_faulty_task_fails(changes: dict[str, Any], message: str) -> None:
    check_task(problem())
    with pytest.raises(AssertionError, match=message):
        check_task(dataclasses.replace(problem(), **changes))
