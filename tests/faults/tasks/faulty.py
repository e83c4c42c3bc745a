"""A small task, and the same with a fault in it."""

import dataclasses
import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from largebatch.spaces.target import Target
from largebatch.trainers.task import Metric, Task
from largebatch.trainers.tasks.digits import digits


def sound() -> Task:
    """One layer on the digits: a trial takes a tenth of a second."""
    return dataclasses.replace(
        digits(),
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        target=Target(metric="val_accuracy", above=0.9),
        evaluation_examples=400,
    )


def slow() -> Task:
    """A quarter of a second between two measurements, so that a study is killed in the middle of its trials."""
    return _faulty(lambda: time.sleep(0.03), first=1)


def _faulty(fault: Callable[[], None], first: int = 30) -> Task:
    """The fault happens in the loss, from its ``first`` call on."""
    calls = 0

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls >= first:
            fault()
        return cross_entropy(logits, targets)

    return dataclasses.replace(sound(), loss=loss)


def raises() -> Task:
    def fault() -> None:
        raise ZeroDivisionError("the task's own")

    return _faulty(fault)


def hangs() -> Task:
    return _faulty(lambda: time.sleep(3600))


def leaks() -> Task:
    kept: list[Any] = []
    return _faulty(lambda: kept.append(torch.ones(20_000_000)))


def prints() -> Task:
    """So many bytes as the environment says, in lines of a megabyte."""
    megabytes = int(os.environ.get("PRINTED_MEGABYTES", "30"))

    def fault() -> None:
        nonlocal megabytes
        if megabytes > 0:
            megabytes -= 1
            print("x" * 2**20)

    return _faulty(fault)


def _metric(late: Any) -> Task:
    evaluations = 0

    def mean(logits: Tensor, targets: Tensor) -> Any:
        nonlocal evaluations
        evaluations += 1
        return (logits.argmax(dim=1) == targets).float().mean() if evaluations < 4 else late

    return dataclasses.replace(sound(), metrics={"val_accuracy": Metric(mean=mean)})


def nan() -> Task:
    return _metric(torch.tensor(math.nan))


def text() -> Task:
    return _metric("0.93")
