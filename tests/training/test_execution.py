"""How devices compute changes the speed of a training and at most its rounding."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from largebatch.spaces.execution import Execution
from largebatch.trainers.gradients import power_sgd
from largebatch.trainers.gradients.power_sgd import PowerSgd
from largebatch.trainers.training import Training

from .problems import problem, recipe
from .processes import in_processes

CPU = torch.device("cpu")


def trained(steps: int = 10, dtype: torch.dtype = torch.float32, **execution: object) -> tuple[Training, list[float]]:
    settings = Execution.model_validate(execution)
    training = Training(problem(dtype=dtype), recipe(), max_examples=10**6, device=CPU, execution=settings)
    return training, [training.train_step().item() for _ in range(steps)]


@pytest.mark.parametrize(
    ("execution", "tolerance"),
    [
        ({"memory_format": "channels_last"}, 1e-5),
        ({"precision": "bfloat16"}, 0.05),
        ({"precision": "bfloat16", "memory_format": "channels_last"}, 0.05),
    ],
)
def test_losses_agree(execution: dict[str, str], tolerance: float) -> None:
    training, losses = trained(40, **execution)
    _, expected = trained(40)
    assert losses == pytest.approx(expected, abs=tolerance)
    assert training.noise.values().keys() >= {"noise_scale"}
    assert all(parameter.dtype is torch.float32 for parameter in training.model.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")  # torch's own compiler
def test_a_compiled_model_trains_alike() -> None:
    """With groups, dropout by example and statistics that are written in place."""
    compiled, losses = trained(dtype=torch.float64, compile="default")
    plain, expected = trained(dtype=torch.float64)
    assert losses == pytest.approx(expected, abs=1e-12)
    for left, right in zip(compiled.model.state_dict().values(), plain.model.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-10)


def test_both_weights_are_evaluated_when_asked() -> None:
    training, _ = trained(evaluated_weights="both")
    values = training.evaluate()
    assert set(values) == {"val_loss", "raw_val_loss"}
    assert values["val_loss"] != values["raw_val_loss"]


def compressed(rank: int, num_processes: int, folder: Path) -> dict[str, object]:
    results: dict[str, object] = {}
    for name in ("none", "bfloat16", "powersgd"):
        power_sgd.RANK = 1  # the matrices are small
        training, losses = trained(30, gradient_compression=name)
        results[name] = {"losses": losses, "weights": training.model.state_dict()}
    generator = torch.Generator().manual_seed(rank)
    gradient = torch.randn(40, 30, generator=generator)
    bias = torch.full((5,), float(rank))
    sent, total = [gradient.clone(), bias.clone()], torch.zeros(40, 30)
    compressor = PowerSgd(sent)
    for _ in range(200):  # the same gradient in every step: with its error kept, the mean of what is sent is exact
        sent[0].copy_(gradient)
        sent[1].copy_(bias)
        compressor.sum_over_devices()
        total += sent[0]
    results["power"] = {"mean": total / 200, "bias": sent[1], "gradient": gradient}
    return results


@pytest.mark.slow
def test_compressed_gradients_train_alike_on_all_ranks(tmp_path: Path) -> None:
    first, second = in_processes(compressed, 2, tmp_path)
    for name in ("none", "bfloat16", "powersgd"):
        assert same(first[name]["weights"], second[name]["weights"]), name
    expected = torch.tensor(first["none"]["losses"])
    assert (torch.tensor(first["bfloat16"]["losses"]) - expected).abs().max() < 0.02
    assert (torch.tensor(first["powersgd"]["losses"]) - expected).abs().mean() < 0.1
    assert not same(first["powersgd"]["weights"], first["none"]["weights"])
    exact = first["power"]["gradient"] + second["power"]["gradient"]
    error = (first["power"]["mean"] - exact).norm() / exact.norm()
    assert error < 0.1
    assert torch.equal(first["power"]["bias"], torch.ones(5))


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)
