"""A LightningModule and its DataModule as a task.

``training_step`` gives the loss and ``validation_step`` what it logs; nothing else of the module is called. What would
change the training behind the study's back is refused by name. Works with ``lightning`` and ``pytorch_lightning``.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.adapters.train_step import train_step_task
from largebatch.trainers.task import Task

TAKEN = (
    "optimizer, learning rate and its schedule are the study's: configure_optimizers is not called",
    "batch size, shuffle and loader processes are the study's: of the DataLoaders only the data sets are taken",
    "logging, callbacks and the Trainer's arguments have no part",
)
NEVER_CALLED = (
    *("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "configure_gradient_clipping"),
    *("configure_model", "setup", "on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_batch_start"),
    *("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"),
    *("on_train_batch_end", "on_train_epoch_end", "on_validation_epoch_start", "on_validation_batch_start"),
    *("on_validation_batch_end", "on_validation_epoch_end", "on_before_batch_transfer", "on_after_batch_transfer"),
    *("transfer_batch_to_device",),
)
"""Hooks that would change the training or its figures."""
OPTIMIZING = (
    *("optimizers", "lr_schedulers", "manual_backward", "toggle_optimizer", "untoggle_optimizer", "clip_gradients"),
)
"""A module's ways to its optimizers."""


def lightning_task(
    module: Callable[[], Any],
    data: Any,
    *,
    target: Target,
    metrics: Sequence[str] = (),
    max_examples: int = 0,
    evaluation_examples: int = 0,
    micro_batch_size: int = 256,
) -> Task:
    """The task of a LightningModule.

    Args:
        module: Makes the LightningModule: its class, or a function.
        data: The LightningDataModule, or anything with ``train_dataloader()`` and ``val_dataloader()``.
        target: Names what ``validation_step`` logs, a mean over the batch; or ``val_loss``, which it may leave out.
        metrics: Names of further logged figures to record.
        max_examples: See ``Task``, as for the others.
        evaluation_examples: Likewise.
        micro_batch_size: Likewise.

    Raises:
        UserError: for manual optimization, hooks that would never be called, and loaders that do more than read.
    """
    _refuse_unhonoured(module())
    for prepare in ("prepare_data", "setup"):
        if hasattr(data, prepare):
            getattr(data, prepare)(*(["fit"] if prepare == "setup" else []))
    return train_step_task(
        model=lambda: _detached(module()),
        train_step=lambda model, batch: _call(model.training_step, batch),
        evaluate=lambda model, batch: _logged(model, batch, (target.metric, *metrics)),
        train_data=_data_of(data.train_dataloader(), "train_dataloader"),
        validation_data=_data_of(data.val_dataloader(), "val_dataloader"),
        target=target,
        metrics=metrics,
        max_examples=max_examples,
        evaluation_examples=evaluation_examples,
        micro_batch_size=micro_batch_size,
        notes=TAKEN,
    )


class _Log:
    """Takes the place of a module's ``log``."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reductions: dict[str, Any] = {}

    def __call__(self, name: str, value: Any, *arguments: Any, **options: Any) -> None:
        del arguments
        self.values[name] = value
        self.reductions[name] = options.get("reduce_fx", "mean")


class _NoIndex:
    """Takes the place of ``batch_idx``: it may be handed on; a batch is dealt in groups, so no number is its own."""


def _refuse_index(*operands: Any) -> Any:
    del operands
    raise UserError(
        "task: the module uses batch_idx, and there is none here: a study deals a batch in groups, in an order of its "
        "own; take out what depends on it, or let the data set say it of each item"
    )


for _operation in (
    *("bool", "int", "float", "index", "str", "format", "hash", "neg", "abs", "round"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
    *(
        side + name
        for side in ("", "r")
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow")
    ),
    *(side + name for side in ("", "r") for name in ("and", "or", "xor", "lshift", "rshift")),
):
    setattr(_NoIndex, f"__{_operation}__", _refuse_index)


class _NoTrainer:
    """Takes the place of a module's trainer: there is none to ask."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(
            f"task: the module asks its trainer for `{name}`, and there is none here; make it a value of the module, "
            f"or what the task's function takes"
        )


class _Optimizing:
    """Takes the place of a module's way to an optimizer, which is the study's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        raise UserError(
            f"task: the module calls self.{self._name}(), and the optimizer and its steps are the study's; return the "
            f"loss from training_step instead, one loss for all parameters"
        )


def _detached(module: Any) -> nn.Module:
    """The module, and those in it, without a Trainer; what any of them logs is kept in one place, as Lightning does."""
    log = _Log()
    for part in module.modules():
        if _lightning_base(part) is not None:
            part.trainer = _NoTrainer()
            part.log = log
            for name in OPTIMIZING:
                setattr(part, name, _Optimizing(name))
    kept: nn.Module = module
    return kept


def _lightning_base(module: Any) -> type | None:
    return next((kind for kind in type(module).__mro__ if kind.__name__ == "LightningModule"), None)


def _call(step: Any, batch: Any) -> Any:
    """Call a step as Lightning does: with the number of the batch where it has a parameter for it."""
    taken = inspect.signature(step).parameters
    if "dataloader_iter" in taken:
        raise UserError("task: a step that takes dataloader_iter reads its batches itself; let it take the batch")
    kinds = [one.kind for one in taken.values()]
    if "batch_idx" in taken and taken["batch_idx"].kind is inspect.Parameter.KEYWORD_ONLY:
        return step(batch, batch_idx=_NoIndex())
    in_order = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if sum(kind in in_order for kind in kinds) > 1 or inspect.Parameter.VAR_POSITIONAL in kinds:
        return step(batch, _NoIndex())
    return step(batch)


def _logged(model: Any, batch: Any, recorded: Sequence[str]) -> Mapping[str, Any]:
    model.log.values.clear()
    _call(model.validation_step, batch)
    for name in recorded:
        how = model.log.reductions.get(name, "mean")
        if how not in ("mean", torch.mean):
            raise UserError(
                f"task: {name} is logged with reduce_fx={how!r}, and a study takes the mean over all examples; log one"
            )
    return dict(model.log.values)


def _refuse_unhonoured(module: Any) -> None:
    name = type(module).__name__
    base = _lightning_base(module)
    if base is None or base is type(module):
        raise UserError(f"task: lightning_task takes a subclass of LightningModule; got {name}")
    if not module.automatic_optimization:
        raise UserError(
            f"task: {name} optimizes by hand (automatic_optimization = False), and a study searches the optimizer; "
            f"return the loss from training_step instead, one loss for all parameters"
        )
    for step in ("training_step", "validation_step"):
        if not _overrides(module, base, step):
            raise UserError(f"task: {name} must have a {step}")
    never = [hook for hook in NEVER_CALLED if _overrides(module, base, hook)]
    if never:
        raise UserError(
            f"task: {name} has {', '.join(never)}, which would never be called here; move what they do into __init__, "
            f"training_step, validation_step or the data set"
        )


def _overrides(module: Any, base: type, name: str) -> bool:
    return getattr(type(module), name, None) is not getattr(base, name, None)


def _data_of(loader: Any, name: str) -> Dataset[Any]:
    """The data set of a loader that only reads and collates."""
    if not isinstance(loader, DataLoader):
        raise UserError(f"task: {name} must return one DataLoader; got a {type(loader).__name__}; join the data sets")
    own = []
    if loader.collate_fn is not default_collate:
        own.append("collate_fn")
    if not isinstance(loader.dataset, IterableDataset):
        plain = isinstance(loader.sampler, SequentialSampler) or (
            isinstance(loader.sampler, RandomSampler) and not loader.sampler.replacement
        )
        if not plain:
            own.append("sampler")
        if type(loader.batch_sampler) is not BatchSampler:
            own.append("batch_sampler")
    if own:
        raise UserError(
            f"task: {name} has its own {' and '.join(own)}, and a study deals the examples itself; let the data set "
            f"return items of equal shapes, each example as often as it should count"
        )
    found: Dataset[Any] = loader.dataset
    return found
