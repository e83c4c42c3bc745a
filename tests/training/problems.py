"""Small training problems with all that could tell one split from another."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout
from torch.utils.data import Dataset, TensorDataset

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.data.example_random import ExampleRandom
from largebatch.trainers.task import Task

NUM_EXAMPLES = 330


def images(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(NUM_EXAMPLES, 1, 6, 6, generator=generator, dtype=torch.float64)
    return inputs.to(dtype), torch.randint(0, 3, (NUM_EXAMPLES,), generator=generator)


class SelfAugmented(Dataset[Any]):
    """A data set that shifts its images with torch's own generator, as torchvision's transforms do."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.inputs, self.targets = images(dtype)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.inputs[index].roll(int(torch.randint(0, 3, ())), -1), self.targets[index]


class Computed(BatchSource):
    """The first of the same images as a source of whole batches."""

    def __init__(self, count: int) -> None:
        self.inputs, self.targets = (tensor[:count] for tensor in images(torch.float64))

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.inputs[indices], self.targets[indices]


class FunctionalDropout(nn.Module):
    """Draws from torch's generator in a way that nobody can replace."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, 0.3, self.training)


def flip_and_scale(inputs: Tensor, random: ExampleRandom) -> Tensor:
    flip = random.uniform(1, 1, 1) < 0.5
    return torch.where(flip, inputs.flip(-1), inputs) * (0.8 + 0.4 * random.uniform(1, 1, 1)).to(inputs.dtype)


def network(*, batch_norm: bool = True, drop: nn.Module | None = None, dtype: torch.dtype = torch.float64) -> nn.Module:
    norm = nn.BatchNorm2d(4) if batch_norm else nn.GroupNorm(2, 4)
    layers = (nn.Conv2d(1, 4, 3, bias=False), norm, nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(), drop or nn.Dropout(0.3),
              nn.Linear(64, 3))  # fmt: skip
    return nn.Sequential(*layers).to(dtype)


def problem(kind: str = "augmented", dtype: torch.dtype = torch.float64, micro_batch_size: int = 256) -> Task:
    """``augmented`` on the device, ``items`` by the data set, ``functional`` dropout, ``no-norm``."""
    inputs, targets = images(dtype)
    drop = FunctionalDropout() if kind == "functional" else None
    return Task(
        model=lambda: network(batch_norm=kind != "no-norm", drop=drop, dtype=dtype),
        train_data=SelfAugmented(dtype) if kind == "items" else TensorDataset(inputs, targets),
        validation_data=TensorDataset(inputs[:50], targets[:50]),
        loss=cross_entropy,
        target=Target(metric="val_loss", below=0.01),
        max_examples=100_000,
        evaluation_examples=320,
        micro_batch_size=micro_batch_size,
        augment=flip_and_scale if kind == "augmented" else None,
    )


def recipe(**changes: Any) -> Recipe:
    """8 workers with 4 examples each."""
    fields = {"global_batch_size": 32, "learning_rate": 0.02, "norm_batch_size": 4, "weight_decay": 0.01}
    return Recipe.model_validate({**fields, **changes})
