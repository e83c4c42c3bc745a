"""One device with virtual workers computes what several real ones do, and groups what separate passes do."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.group_norm import group_batch_norms
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

STEPS = 12


def float64_task(micro_batch_size: int = 256) -> Task:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(100, 1, 6, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 3, (100,), generator=generator)

    def model() -> nn.Module:
        layers = (nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        return nn.Sequential(*layers).double()

    return Task(
        model=model,
        train_data=TensorDataset(inputs, targets),
        validation_data=TensorDataset(inputs[:20], targets[:20]),
        loss=cross_entropy,
        target=Target(metric="val_loss", below=0.01),
        max_examples=10_000,
        evaluation_examples=100,
        micro_batch_size=micro_batch_size,
    )


def recipe(optimizer: str = "sgd") -> Recipe:
    return Recipe(global_batch_size=24, learning_rate=0.05, norm_batch_size=4, optimizer=optimizer, weight_decay=0.01)


def train(task: Task, steps: int = STEPS, optimizer: str = "sgd") -> dict[str, Tensor]:
    training = Training(task, recipe(optimizer), max_examples=10_000, device=torch.device("cpu"))
    for _ in range(steps):
        training.train_step()
    return {**training.model.state_dict(), "evaluated": torch.tensor(training.evaluate()["val_loss"])}


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("micro_batch_size", [4, 8, 16])
def test_gradient_accumulation_changes_nothing(micro_batch_size: int, optimizer: str) -> None:
    assert_equal(train(float64_task(micro_batch_size), optimizer=optimizer), train(float64_task(), optimizer=optimizer))


def _worker(rank: int, num_devices: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet-{num_devices}", rank=rank, world_size=num_devices
    )
    result = train(float64_task())
    torch.save(result, Path(folder) / f"{num_devices}-{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("num_devices", [2, 4])
def test_real_processes_equal_virtual_workers(num_devices: int, tmp_path: Path) -> None:
    """6 groups over 2 processes, and over 4, which take 2, 2, 1 and 1 of them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    mp.spawn(_worker, args=(num_devices, str(tmp_path)), nprocs=num_devices)
    alone = train(float64_task())
    for rank in range(num_devices):
        assert_equal(torch.load(tmp_path / f"{num_devices}-{rank}.pt", weights_only=True), alone)


def test_one_group_is_plain_batch_norm() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(3)).double()
    grouped = nn.Sequential(nn.BatchNorm2d(3)).double()
    (norm,) = group_batch_norms(grouped)
    x = torch.randn(8, 3, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(grouped(x), plain(x))
    norm.update_running_statistics(1)
    torch.testing.assert_close(grouped.state_dict(), plain.state_dict())
    torch.testing.assert_close(grouped.eval()(x), plain.eval()(x))


def test_groups_are_normalised_apart() -> None:
    """Interleaved groups in one pass equal a plain batch normalisation of each."""
    model = nn.Sequential(nn.BatchNorm1d(3)).double()
    (norm,) = group_batch_norms(model)
    norm.num_groups = 2
    x = torch.randn(8, 3, dtype=torch.float64)
    y = model(x)
    for group in range(2):
        torch.testing.assert_close(y[group::2], nn.BatchNorm1d(3).double()(x[group::2]))
