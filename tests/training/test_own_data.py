"""Items of any structure, and data sets that can only be iterated: every split and every resume sees the same."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.studies.record.directory import fingerprint
from largebatch.trainers.data.streamed import WINDOW, Streamed, WindowedStream
from largebatch.trainers.evaluation_interval import usual_evaluation_examples
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training

NUM_EXAMPLES = 1_300
FEATURES = torch.randn(NUM_EXAMPLES, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = FEATURES[:, :3].argmax(1)


class InDicts(Dataset[Any]):
    """Two inputs in a dict, as tokenizers make them; one of them drawn at random."""

    def __len__(self) -> int:
        return NUM_EXAMPLES

    def __getitem__(self, index: int) -> Any:
        return {"a": FEATURES[index, :3], "b": (FEATURES[index, 3:], torch.rand(1))}, LABELS[index]


class InOrder(IterableDataset[Any]):
    """The same as a stream that draws from every generator."""

    def __len__(self) -> int:
        return NUM_EXAMPLES

    def __iter__(self) -> Iterator[Any]:
        for features, label in zip(FEATURES, LABELS, strict=True):
            yield features + 0.01 * (random.random() + np.random.rand() + torch.rand(())), label


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield FEATURES[0], LABELS[0]


class OfDicts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3, dtype=torch.float64)

    def forward(self, inputs: Any) -> Tensor:
        b, noise = inputs["b"]
        scores: Tensor = self.layer(torch.cat([inputs["a"], b + noise], dim=1))
        return scores


def task(kind: str, **changes: Any) -> Task:
    data = {"dicts": InDicts, "stream": InOrder}[kind]()
    model = OfDicts if kind == "dicts" else lambda: nn.Sequential(nn.Linear(6, 3, dtype=torch.float64))
    fields = {"model": model, "train_data": data, "validation_data": data, "loss": cross_entropy}
    return Task(**{**fields, "target": Target(metric="val_loss", below=0.1), **changes})


def training(problem: Task, *, micro_batch_size: int = 256, seed: int = 0) -> Training:
    recipe = Recipe(global_batch_size=64, norm_batch_size=16, learning_rate=0.5, seed=seed)
    return Training(problem, recipe, max_examples=10**6, device=torch.device("cpu"), micro_batch_size=micro_batch_size)


def weights(trained: Training) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trained.model.parameters()])


@pytest.mark.parametrize("kind", ["dicts", "stream"])
@pytest.mark.parametrize("micro_batch_size", [5, 16, 32])
def test_every_split_is_the_same(kind: str, micro_batch_size: int) -> None:
    """40 steps: the stream's second pass has begun."""
    whole, split = training(task(kind)), training(task(kind), micro_batch_size=micro_batch_size)
    for trained in (whole, split):
        for _ in range(40):
            trained.train_step()
    torch.testing.assert_close(weights(whole), weights(split), rtol=0, atol=1e-12)
    assert whole.evaluate() == pytest.approx(split.evaluate(), abs=1e-12)


def test_a_stream_resumes_where_it_was_and_leaves_other_generators_alone() -> None:
    through = training(task("stream"))
    for _ in range(30):
        through.train_step()
    state = through.state()
    state["model"] = {name: tensor.clone() for name, tensor in state["model"].items()}
    state["optimizers"] = [torch.load(_saved(one), weights_only=True) for one in state["optimizers"]]
    resumed = training(task("stream"))
    resumed.load_state(state)
    for trained in (through, resumed):
        torch.manual_seed(trained is through)
        trained.train_step()
    assert torch.equal(weights(through), weights(resumed))


def _saved(state: Any) -> Any:
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def test_a_stream_is_shuffled_within_windows_only() -> None:
    order = WindowedStream(1).take(0, 3 * WINDOW)
    for number in range(3):
        window = order[number * WINDOW : (number + 1) * WINDOW]
        assert sorted(window) == list(range(number * WINDOW, (number + 1) * WINDOW))
        assert list(window) != sorted(window)
    assert list(WindowedStream(1).take(1000, 100)) == list(order[1000:1100])
    assert list(WindowedStream(2).take(0, 100)) != list(order[:100])


def test_a_stream_goes_back_and_on() -> None:
    stream = Streamed(InOrder())
    far, near = stream.items([NUM_EXAMPLES + 5]), stream.items([5])
    assert torch.equal(far[0][1], near[0][1])
    assert not torch.equal(far[0][0], near[0][0])  # another pass draws anew
    assert torch.equal(Streamed(InOrder()).items([5])[0][0], near[0][0])


def test_what_a_task_does_not_say() -> None:
    small = task("stream", metrics={"val_first": lambda scores, labels: scores[:, 0].mean()})
    often = usual_evaluation_examples(NUM_EXAMPLES, len(small.validation_data), 40 * NUM_EXAMPLES)  # type: ignore[arg-type]
    assert (small.max_examples, small.evaluation_examples) == (40 * NUM_EXAMPLES, often)
    assert set(training(small).evaluate(limit=8)) == {"val_loss", "val_first"}
    assert task("stream", max_examples=7).max_examples == 7


def test_random_items_do_not_change_a_fingerprint() -> None:
    assert fingerprint(InDicts()) == fingerprint(InDicts())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Endless(), r"how many examples a pass has; give Endless a `__len__`"),
        (TensorDataset(FEATURES[:0], LABELS[:0]), "must hold examples; it is empty"),
    ],
)
def test_data_without_a_length(data: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        task("stream", train_data=data)


class Items(Dataset[Any]):
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([torch.zeros(3)] * 2, r"must be a pair .* got a Tensor"),
        ([(1.0, 2.0, 3)] * 2, r"got a tuple of 3 parts; return \(\(a, b\), target\)"),
        ([(torch.zeros(3), 0), (torch.zeros(4), 0)], "of the same shapes in every item"),
        ([({"text": "a"}, 0), ({"text": "b"}, 0)], "got a str among them"),
    ],
)
def test_items_that_no_batch_can_be_made_of(items: list[Any], said: str) -> None:
    problem = task("stream", train_data=Items(*items), validation_data=TensorDataset(FEATURES, LABELS))
    with pytest.raises(UserError, match=said):
        training(problem).train_step()


def test_a_function_with_a_value_that_nobody_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "needy_task.py").write_text("def make(width):\n    return None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"called as make\(width\) and has missing a required argument: 'width'"):
        load_task("needy_task:make", {})
