"""A task from two functions: the loss of a batch, and what is measured of one.

``train_step(model, batch)`` returns the mean loss of the batch, with its graph: the backward pass, the optimizer's step
and the learning rate are the study's. ``evaluate(model, batch)`` returns means over the batch by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.task import Metric, Task

TAKEN = (
    "optimizer, learning rate and its schedule are the study's: train_step takes no step itself",
    "batch size and shuffle are the study's",
)


def train_step_task(
    *,
    model: Callable[[], nn.Module],
    train_step: Callable[[nn.Module, Any], Any],
    evaluate: Callable[[nn.Module, Any], Mapping[str, Any]],
    train_data: Dataset[Any],
    validation_data: Dataset[Any],
    target: Target,
    metrics: Sequence[str] = (),
    max_examples: int = 0,
    evaluation_examples: int = 0,
    micro_batch_size: int = 256,
    notes: Sequence[str] = TAKEN,
) -> Task:
    """The task of two functions.

    Args:
        model: Makes the model.
        train_step: Mean loss of a batch, a tensor of one element (or a dict with it as ``loss``).
        evaluate: Figures of a batch of the validation data, means over its examples.
        train_data: Map-style or iterable; a batch is what a ``DataLoader`` would make of its items.
        validation_data: Likewise.
        target: Names a figure of ``evaluate``, or ``val_loss``: the same of ``evaluate``, else of ``train_step``.
        metrics: Names of further figures of ``evaluate`` to record.
        max_examples: See ``Task``, as for the others.
        evaluation_examples: Likewise.
        micro_batch_size: Likewise.
        notes: What the study decides instead of the user's code.
    """
    pairs = _is_pair(_first(train_data))

    def forward(model: nn.Module, inputs: Any, targets: Any) -> Any:
        batch = [inputs, targets] if pairs else inputs
        if model.training:
            return _loss(train_step(model, batch), graph=True)
        found = dict(evaluate(model, batch))
        return found if "val_loss" in found else {**found, "val_loss": _loss(train_step(model, batch), graph=False)}

    names = sorted({target.metric, *metrics} - {"val_loss"})
    return Task(
        model=model,
        forward=forward,
        train_data=train_data if pairs else Whole(train_data),
        validation_data=validation_data if pairs else Whole(validation_data),
        loss=lambda outputs, targets: outputs if isinstance(outputs, Tensor) else _figure(outputs, "val_loss"),
        metrics={name: Metric(mean=lambda outputs, targets, name=name: _figure(outputs, name)) for name in names},  # type: ignore[misc]
        target=target,
        max_examples=max_examples,
        evaluation_examples=evaluation_examples,
        micro_batch_size=micro_batch_size,
        notes=notes,
    )


class Whole(Dataset[Any]):
    """Items that are no pairs, each as inputs without targets."""

    def __init__(self, data: Dataset[Any]) -> None:
        if isinstance(data, IterableDataset):
            raise UserError(f"task: items of an iterable data set must be pairs; got others from {type(data).__name__}")
        self._data = data

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        return self._data[index], ()


def _first(data: Dataset[Any]) -> Any:
    return next(iter(data)) if isinstance(data, IterableDataset) else data[0]


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2


def _loss(returned: Any, *, graph: bool) -> Tensor:
    loss = returned["loss"] if isinstance(returned, Mapping) and "loss" in returned else returned
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise UserError(f"task: a train step must return the mean loss of its batch, one number in a tensor; got {got}")
    if graph and not loss.requires_grad:
        raise UserError(
            "task: the loss that a train step returns must still have its graph; leave backward() and the optimizer's "
            "step to the study, and do not detach the loss"
        )
    return loss.squeeze()


def _figure(found: Mapping[str, Any], name: str) -> Tensor:
    if name not in found:
        raise UserError(f"task: nothing called {name!r} is measured; the evaluation gives {', '.join(sorted(found))}")
    value = found[name]
    if isinstance(value, Tensor):
        return value.detach().squeeze()
    if isinstance(value, int | float):
        return torch.tensor(value, dtype=torch.float64)
    raise UserError(
        f"task: {name} must be a number, the mean over the examples of a batch; got a {type(value).__name__}, whose "
        f"value over all batches is no such mean; return or log the batch's mean itself"
    )
