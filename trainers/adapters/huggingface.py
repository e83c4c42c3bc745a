"""A Hugging Face model and data sets as a task.

The model is called as ``Trainer`` calls it, with the columns that its ``forward`` names and the labels, and its own
loss is trained; nothing is downloaded. A loss that is a mean over tokens equals a mean over examples only where every
example has as many labelled tokens: pack texts into blocks of one length, or ``largebatch check`` will tell.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.task import Metric, Task

LABELS = ("labels", "label", "label_ids")
"""What the column of labels may be called."""


def huggingface_task(
    model: Callable[[], nn.Module],
    train_data: Any,
    validation_data: Any,
    *,
    target: Target,
    metrics: Mapping[str, Metric | Callable[[Any, Any], Tensor]] | None = None,
    max_examples: int = 0,
    evaluation_examples: int = 0,
    micro_batch_size: int = 256,
) -> Task:
    """The task of a ``transformers`` model, made from a config, and two ``datasets.Dataset`` with numbers of one shape.

    Args:
        model: Makes the model, as in ``lambda: AutoModelForSequenceClassification.from_config(config)``.
        train_data: Tokenized and padded to one length. One with ``set_transform`` is read item by item.
        validation_data: Likewise.
        target: Names ``val_loss`` or one of ``metrics``.
        metrics: Means over a batch of the model's output (``output.logits``) and the labels.
        max_examples: See ``Task``, as for the others.
        evaluation_examples: Likewise.
        micro_batch_size: Likewise.

    Raises:
        UserError: for streamed data sets, and where no column is one of labels.
    """
    named = _named(model())
    taken = tuple(inspect.signature(named.forward).parameters)
    # a config may ask for tuples, which have no names for what metrics read
    options = {} if getattr(getattr(named, "config", None), "return_dict", True) else {"return_dict": True}
    train, unused = _examples(train_data, taken)
    notes = ["optimizer, learning rate, schedule and batch size are the study's: a Trainer's arguments have no part"]
    if unused:
        notes.append(f"columns that the model's forward does not name are left out: {', '.join(unused)}")
    return Task(
        model=model,
        forward=lambda model, inputs, targets: model(**inputs, labels=targets, **options),
        loss=_loss,
        train_data=train,
        validation_data=_examples(validation_data, taken)[0],
        metrics=metrics or {},
        target=target,
        max_examples=max_examples,
        evaluation_examples=evaluation_examples,
        micro_batch_size=micro_batch_size,
        notes=notes,
    )


class Rows(BatchSource):
    """Rows of a table as batches: its columns as tensors."""

    def __init__(self, data: Any, columns: list[str], labels: str) -> None:
        self._data, self._labels = data.with_format("torch", columns=[*columns, labels]), labels

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: Tensor) -> tuple[Any, Any]:
        """Inputs by column and labels of the rows at ``indices``."""
        rows = self._data[indices.tolist()]
        for name, column in rows.items():
            if not isinstance(column, Tensor):
                raise UserError(
                    f"task: column {name!r} must hold numbers of one shape; pad or cut it (padding='max_length', "
                    f"truncation=True), or drop it"
                )
        moved = {name: column.to(indices.device) for name, column in rows.items()}
        return moved, moved.pop(self._labels)


class TransformedRows(Dataset[Any]):
    """Rows of a data set that transforms them as they are read, perhaps at random."""

    def __init__(self, data: Any, taken: tuple[str, ...]) -> None:
        self._data, self._taken = data, taken

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        row = self._data[index]
        labels = row[_label_column(list(row))]
        return {name: torch.as_tensor(row[name]) for name in row if name in self._taken and name not in LABELS}, labels


def _named(model: nn.Module) -> nn.Module:
    """The model, or the only one in it where ``forward`` takes ``*args, **kwargs`` alone: compiled, or wrapped."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if any(one.kind not in variable for one in inspect.signature(model.forward).parameters.values()):
        return model
    inside = list(model.children())
    if len(inside) != 1:
        raise UserError(
            f"task: forward of {type(model).__name__} names none of what it takes, so no column can be chosen; name "
            f"them in it, as in forward(self, input_ids, attention_mask, labels)"
        )
    return _named(inside[0])


def _examples(data: Any, taken: tuple[str, ...]) -> tuple[Dataset[Any], list[str]]:
    """The examples of a data set, and the columns that the model does not take."""
    if not hasattr(data, "with_format") or not hasattr(data, "__len__"):
        raise UserError(
            f"task: huggingface_task takes data sets of type datasets.Dataset; got one of type {type(data).__name__}; "
            f"load it without streaming, one split at a time"
        )
    if data.format["type"] == "custom":
        return TransformedRows(data, taken), []
    label = _label_column(data.column_names)
    columns = [name for name in data.column_names if name in taken and name != label]
    if not columns:
        raise UserError(
            f"task: the model's forward takes none of the columns {', '.join(data.column_names)}; rename one to "
            f"{taken[0]!r}"
        )
    return Rows(data, columns, label), [name for name in data.column_names if name not in (*columns, label)]


def _label_column(names: list[str]) -> str:
    for name in LABELS:
        if name in names:
            return name
    raise UserError(f"task: a column must be called 'labels' (or 'label'); got {', '.join(names)}")


def _loss(output: Any, targets: Any) -> Tensor:
    """The model's own: called so, or the first of a tuple, as ``Trainer`` takes it."""
    del targets
    if isinstance(output, tuple):
        loss = output[0] if output else None
    else:
        loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise UserError("task: the model returns no loss for its labels; choose one with a head, as AutoModelFor..")
    return loss
