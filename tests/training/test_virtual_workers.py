"""One device with virtual workers computes what several real ones do, and groups what separate passes do."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import OPTIMIZERS
from largebatch.trainers.layers.ghost_batch_norm import BatchStatistics, group_batch_norms
from largebatch.trainers.training import Training

from .problems import NUM_EXAMPLES, Computed, problem, recipe
from .processes import in_processes

STEPS = 30
KINDS = ("augmented", "items", "functional", "no-norm")
CASES: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in KINDS},
    "float32": {"dtype": torch.float32},
    "growing": {"recipe": {"adaptive": "noise-scale", "base_batch_size": 16}},
    "adascale": {"recipe": {"adaptive": "adascale", "base_batch_size": 8}},
    **{name: {"recipe": {"optimizer": name, "learning_rate": 0.002}} for name in ("adamw", "lars", "lamb")},
    "bucket-a-layer": {"bucket_bytes": 64},
    "uneven": {"recipe": {"global_batch_size": 20}},
}


def train(
    kind: str = "augmented", dtype: torch.dtype = torch.float64, micro_batch_size: int = 256, steps: int = STEPS,
    bucket_bytes: int | None = None, **changes: Any,
) -> dict[str, Tensor]:  # fmt: skip
    if bucket_bytes is not None:
        from largebatch.trainers.gradients import step_gradients

        step_gradients.BUCKET_BYTES = bucket_bytes
    training = Training(
        problem(kind, dtype, micro_batch_size),
        recipe(**changes.get("recipe", {})),
        max_examples=100_000,
        device=torch.device("cpu"),
        execution=Execution(**changes.get("execution", {})),
    )
    for _ in range(steps):
        training.train_step()
    training.close()
    values = {name: torch.tensor(value) for name, value in training.evaluate().items()}
    return {**training.model.state_dict(), **values}


def differences(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    assert left.keys() == right.keys()
    return max((left[name].double() - right[name].double()).abs().max().item() for name in left)


def tolerance(case: str) -> float:
    return 1e-5 if case == "float32" else 1e-10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("micro_batch_size", [4, 8, 16])
def test_gradient_accumulation_changes_nothing(micro_batch_size: int, kind: str) -> None:
    assert differences(train(kind, micro_batch_size=micro_batch_size), train(kind)) < 1e-10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradient_accumulation_suits_every_optimizer(optimizer: str) -> None:
    changes = {"recipe": {"optimizer": optimizer, "learning_rate": 0.002}}
    assert differences(train(micro_batch_size=8, **changes), train(**changes)) < 1e-10


def test_a_group_without_batch_statistics_may_be_cut() -> None:
    assert differences(train("no-norm", micro_batch_size=3), train("no-norm")) < 1e-10


def test_a_group_with_batch_statistics_stays_whole() -> None:
    with pytest.raises(UserError, match=r"the 4 examples that share batch statistics .* choose norm_batch_size <= 3"):
        train(micro_batch_size=3)


def test_reading_ahead_in_other_processes_changes_nothing() -> None:
    assert differences(train("items", steps=15, execution={"loader_workers": 2}), train("items", steps=15)) == 0


def test_a_batch_that_grows_while_reading_ahead() -> None:
    changes = CASES["growing"]
    assert differences(train("items", execution={"loader_workers": 1}, **changes), train("items", **changes)) == 0


def test_the_seed_decides_what_is_random() -> None:
    assert differences(train(steps=3, recipe={"seed": 1}), train(steps=3, recipe={"seed": 1})) == 0
    assert differences(train(steps=3, recipe={"seed": 1}), train(steps=3, recipe={"seed": 2})) > 1e-3


def train_cases(rank: int, num_devices: int, folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {name: train(**case) for name, case in CASES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("num_devices", [2, 4, 8])
def test_real_processes_equal_virtual_workers(num_devices: int, tmp_path: Path) -> None:
    """8 workers as 2 x 4, 4 x 2 and 8 x 1; ``uneven`` has 5 groups, so that some devices have more than others."""
    results = in_processes(train_cases, num_devices, tmp_path)
    found = {}
    for name, case in CASES.items():
        alone = train(**{key: value for key, value in case.items() if key != "bucket_bytes"})
        assert all(differences(result[name], results[0][name]) == 0 for result in results), f"{name}: ranks differ"
        found[name] = differences(results[0][name], alone)
    print("\n", num_devices, "processes:", {name: f"{value:.1e}" for name, value in found.items()})
    assert all(value < tolerance(name) for name, value in found.items()), found


def test_one_group_is_plain_batch_norm() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(3)).double()
    grouped = nn.Sequential(nn.BatchNorm2d(3)).double()
    group_batch_norms(grouped)
    statistics = BatchStatistics(grouped)
    x = torch.randn(8, 3, 5, 5, dtype=torch.float64)
    statistics.begin_pass(1)
    torch.testing.assert_close(grouped(x), plain(x))
    statistics.end_pass(1)
    statistics.end_step(1)
    torch.testing.assert_close(grouped.state_dict(), plain.state_dict())
    torch.testing.assert_close(grouped.eval()(x), plain.eval()(x))


def test_groups_are_normalised_apart() -> None:
    """Interleaved groups in one pass equal a plain batch normalisation of each; the statistics are their mean."""
    layers = nn.Sequential(nn.BatchNorm1d(3, momentum=0.2), nn.BatchNorm1d(3, affine=False)).double()
    group_batch_norms(layers)
    statistics = BatchStatistics(layers)
    statistics.begin_pass(2)
    x = torch.randn(8, 3, dtype=torch.float64)
    y = layers[0](x)
    layers[1](x)
    for group in range(2):
        torch.testing.assert_close(y[group::2], nn.BatchNorm1d(3).double()(x[group::2]))
    statistics.end_pass(2)
    statistics.end_step(2)
    mean = torch.stack([x[group::2].mean(0) for group in range(2)]).mean(0)
    var = torch.stack([x[group::2].var(0) for group in range(2)]).mean(0)
    for norm, momentum in zip(layers, (0.2, 0.1), strict=True):
        share = 1 - (1 - momentum) ** 2
        torch.testing.assert_close(norm.running_mean, share * mean)
        torch.testing.assert_close(norm.running_var, share * var + 1 - share)


def test_a_source_of_batches_trains_as_tensors_do() -> None:
    """Bit for bit, in training and evaluation."""
    states = []
    computed = dataclasses.replace(problem(), train_data=Computed(NUM_EXAMPLES), validation_data=Computed(50))
    for task in (problem(), computed):
        training = Training(task, recipe(), max_examples=10_000, device=torch.device("cpu"))
        for _ in range(5):
            training.train_step()
        states.append((training.model.state_dict(), training.evaluate()))
    torch.testing.assert_close(states[0][0], states[1][0], rtol=0, atol=0)
    assert states[0][1] == states[1][1]
