"""A transformers model from a config and datasets in memory as a task; nothing is downloaded."""

from typing import Any

import pytest
import torch
from torch import nn

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.adapters.huggingface import huggingface_task
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

REASON = "transformers or datasets is not installed"  # pip install 'largebatch[huggingface]'
transformers = pytest.importorskip("transformers", reason=REASON, exc_type=ImportError)
datasets = pytest.importorskip("datasets", reason=REASON, exc_type=ImportError)


def words(count: int = 120, **changes: Any) -> Any:
    """Which half of the vocabulary has more words in eight."""
    ids = torch.randint(2, 22, (count, 8), generator=torch.Generator().manual_seed(0))
    columns = {
        "input_ids": ids.tolist(),
        "attention_mask": torch.ones_like(ids).tolist(),
        "text": ["some words"] * count,
        "label": ((ids < 12).sum(1) > 4).long().tolist(),
    }
    return datasets.Dataset.from_dict({**columns, **changes})


def model(dropout: float = 0.1) -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=22, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, num_labels=2,
    )  # fmt: skip
    made: nn.Module = transformers.BertForSequenceClassification(config)
    return made


def accuracy(output: Any, labels: torch.Tensor) -> torch.Tensor:
    return (output.logits.argmax(1) == labels).float().mean()


def task(data: Any, **changes: Any) -> Task:
    fields: dict[str, Any] = {"target": Target(metric="accuracy", above=0.9), "metrics": {"accuracy": accuracy}}
    return huggingface_task(model, data, data, **{**fields, **changes})


def trained(problem: Task, steps: int = 60, micro_batch_size: int = 256) -> Training:
    recipe = Recipe(global_batch_size=32, norm_batch_size=8, learning_rate=0.02, optimizer="adamw")
    training = Training(
        problem, recipe, max_examples=10**5, device=torch.device("cpu"), micro_batch_size=micro_batch_size
    )
    for _ in range(steps):
        training.train_step()
    return training


def test_it_learns_and_every_split_is_the_same() -> None:
    problem = task(words())
    assert any("text" in note for note in problem.notes)
    found = trained(problem).evaluate()
    assert found["accuracy"] > 0.8
    whole, split = (trained(problem, steps=3, micro_batch_size=size).model.state_dict() for size in (256, 8))
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, split[name], rtol=1e-3, atol=1e-5)


def test_the_loss_is_the_models_own() -> None:
    data = words()
    training = trained(task(data), steps=2)
    training.average = None
    found = training.evaluate()["val_loss"]
    rows = data.with_format("torch")[:]
    with torch.no_grad():
        training.model.eval()
        output = training.model(
            input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], labels=rows["label"]
        )
    assert found == pytest.approx(output.loss.item(), rel=1e-5)


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)


def compiled(inner: nn.Module) -> nn.Module:
    made: nn.Module = torch.compile(inner, backend="eager")  # type: ignore[assignment]
    return made


def with_tuples(inner: nn.Module) -> nn.Module:
    inner.config.return_dict = False  # type: ignore[union-attr]
    return inner


@pytest.mark.parametrize("change", [Wrapped, compiled, with_tuples, lambda inner: Wrapped(with_tuples(inner))])
def test_a_model_that_is_wrapped_compiled_or_returns_tuples_gives_the_same_figures(change: Any) -> None:
    def problem(make: Any) -> Task:
        target = Target(metric="accuracy", above=0.9)
        return huggingface_task(make, words(), words(), target=target, metrics={"accuracy": accuracy})

    expected, found = (
        trained(problem(make), steps=2).evaluate() for make in (lambda: model(0.0), lambda: change(model(0.0)))
    )
    assert found == pytest.approx(expected, rel=1e-5)


class Unnamed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, **columns: Any) -> Any:
        return columns


def test_a_forward_that_names_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="forward of Unnamed names none of what it takes, so no column can be chosen"):
        huggingface_task(Unnamed, words(), words(), target=Target(metric="val_loss", below=0.1))


def test_a_model_without_a_loss_is_refused() -> None:
    plain = transformers.BertModel(model().config)
    found = huggingface_task(lambda: Wrapped(plain), words(), words(), target=Target(metric="val_loss", below=0.1))
    with pytest.raises(UserError, match="the model returns no loss for its labels"):
        found.loss((torch.zeros(2, 3),), None)
    with pytest.raises(UserError, match="the model returns no loss for its labels"):
        found.loss({"logits": torch.zeros(2, 3)}, None)


def test_a_transform_that_draws_is_the_examples_own() -> None:
    def mask_words(rows: Any) -> Any:
        ids = torch.as_tensor(rows["input_ids"])
        return {
            "input_ids": torch.where(torch.rand(ids.shape) < 0.2, 1, ids),
            "attention_mask": torch.as_tensor(rows["attention_mask"]),
            "labels": torch.as_tensor(rows["label"]),
        }

    data = words()
    data.set_transform(mask_words)
    whole, split = (trained(task(data), steps=3, micro_batch_size=size).evaluate() for size in (256, 8))
    assert whole == pytest.approx(split, rel=1e-4)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: words().remove_columns("label"), "must be called 'labels'"),
        (
            lambda: words(2, input_ids=[[2], [3, 4]], attention_mask=[[1], [1, 1]]),
            "must hold .* pad or cut",
        ),
        (lambda: words().to_iterable_dataset(), "got one of type IterableDataset; load it without streaming"),
        (lambda: words().select_columns(["text", "label"]), "takes none of the columns text, label"),
    ],
)
def test_data_that_no_batch_can_be_made_of(data: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trained(task(data()), steps=1)
