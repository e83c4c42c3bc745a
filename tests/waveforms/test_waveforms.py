"""Data sets of waveforms, the detector's noise and gaps, the overlap."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.data.example_random import ExampleRandom, example_keys
from largebatch.trainers.datasets.waveforms.detector import Detector, normal, spectrum
from largebatch.trainers.datasets.waveforms.overlap import Overlap
from largebatch.trainers.datasets.waveforms.parameters import TRAIN, labels, scaled
from largebatch.trainers.datasets.waveforms.rom import Rom
from largebatch.trainers.datasets.waveforms.times import ROM_TIMES
from largebatch.trainers.datasets.waveforms.waveforms import Waveforms
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.tasks.gw import gw, gw_small, loss
from largebatch.trainers.training import Training

TIMES = ROM_TIMES.last(256, stride=2)
GRID = TRAIN.every(q=16, spin=30)
DISTURBED: dict[str, Any] = {"signal_to_noise": 8.0, "whiten": True, "missing_fraction": 0.2}


def strains(count: int = 50, detector: Detector | None = None) -> Tensor:
    return Waveforms(GRID, Rom(TIMES), detector=detector).batch(torch.arange(count))[0]


def keys(count: int) -> Tensor:
    return example_keys(3, torch.arange(count))


@pytest.mark.parametrize("detector", [None, Detector(step=4.0, **DISTURBED)], ids=["clean", "disturbed"])
def test_an_example_is_the_same_in_every_batch(detector: Detector | None) -> None:
    data = Waveforms(GRID, Rom(TIMES), detector=detector)
    inputs, targets = data.batch(torch.arange(len(data)))
    assert inputs.shape == (len(data), 1, 256)
    assert targets.shape == (len(data), 5)
    for indices in (torch.tensor([7]), torch.tensor([40, 3, 41]), torch.arange(5, 70)):
        some_inputs, some_targets = data.batch(indices)
        assert torch.equal(some_inputs, inputs[indices])
        assert torch.equal(some_targets, targets[indices])
    assert torch.equal(data[7][0], inputs[7])


def test_targets_are_the_labels_of_the_inputs() -> None:
    indices = torch.arange(20)
    _, targets = Waveforms(GRID, Rom(TIMES)).batch(indices)
    assert torch.equal(targets, labels(*GRID.parameters(indices)))
    assert torch.equal(Waveforms(GRID, Rom(TIMES), scaled_targets=True).batch(indices)[1], scaled(targets))


def test_augmentation_belongs_to_examples() -> None:
    """However a batch is cut into passes."""
    detector, clean = Detector(step=4.0, **DISTURBED), strains()
    together = detector(clean, ExampleRandom(keys(50)))
    for first, last in ((0, 1), (1, 17), (17, 50)):
        assert torch.equal(detector(clean[first:last], ExampleRandom(keys(50)[first:last])), together[first:last])
    again = ExampleRandom(keys(50))
    detector(clean, again)
    assert not torch.equal(detector(clean, again), together), "another pass draws other numbers"


class Tiny(nn.Module):
    """Stands in for the WaveNet: batch statistics and few weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, 4, 8, stride=4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Flatten()
        )
        self.head = nn.Linear(4 * 31, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.layers(x))
        return y


def trained(task: Task, micro_batch_size: int, steps: int = 10) -> tuple[dict[str, Tensor], dict[str, float]]:
    training = Training(
        task,
        Recipe(global_batch_size=32, learning_rate=0.01, norm_batch_size=4, optimizer="adam"),
        max_examples=10_000,
        device=torch.device("cpu"),
        micro_batch_size=micro_batch_size,
    )
    for _ in range(steps):
        training.train_step()
    return training.model.state_dict(), training.evaluate()


def test_workers_that_share_a_device_change_nothing() -> None:
    """With noise, gaps and whitening: one pass of all eight groups or two of four."""
    task = dataclasses.replace(gw_small(**DISTURBED), model=Tiny)
    (one, one_values), (two, two_values) = trained(task, 256), trained(task, 16)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    assert one_values == pytest.approx(two_values, abs=1e-5)


def test_the_small_task_learns() -> None:
    before, after = (trained(dataclasses.replace(gw_small(), model=Tiny), 256, steps)[1] for steps in (0, 80))
    assert after["val_loss"] < 0.5 * before["val_loss"]
    assert after["val_overlap"] > before["val_overlap"]


def test_validation_noise_is_fixed_and_training_noise_is_not() -> None:
    task = gw_small(**DISTURBED)
    assert torch.equal(task.validation_data[3][0], task.validation_data[3][0])
    assert task.augment is not None
    assert not torch.equal(task.validation_data[3][0], gw_small().validation_data[3][0])
    assert torch.equal(task.train_data[3][0], gw_small().train_data[3][0])


def test_noise_has_its_spectrum_and_strength() -> None:
    """Whitened it is white, and the optimal signal-to-noise ratio is what was asked for."""
    ratio = 5.0
    clean = strains(400)
    noisy = Detector(step=TIMES.step, signal_to_noise=ratio)(clean, ExampleRandom(keys(400)))
    root = spectrum(torch.fft.rfftfreq(256, TIMES.step, dtype=torch.float64)).sqrt().float()
    whitened = Detector(step=TIMES.step, whiten=True)(clean, ExampleRandom(keys(400)))
    power = (torch.fft.rfft(noisy - clean) / root).abs().square()[:, 0]
    power = power / 256 / (whitened.square().sum(dim=-1) / ratio**2)
    torch.testing.assert_close(power.mean(dim=0)[1:-1], torch.ones(127), rtol=0, atol=0.25)
    assert power.mean() == pytest.approx(1, abs=0.02)


def test_normal_numbers() -> None:
    numbers = normal(ExampleRandom(keys(200)), 501).double()
    assert numbers.shape == (200, 501)
    assert numbers.mean() == pytest.approx(0, abs=0.01)
    assert numbers.std() == pytest.approx(1, abs=0.01)
    assert (numbers**4).mean() == pytest.approx(3, abs=0.1)


def test_the_spectrum_is_lowest_in_the_detectors_band() -> None:
    values = spectrum(torch.tensor([0.0, 10.0, 20.0, 215.0, 2_000.0]).double() * 60 * 4.925491e-6)
    assert values[0] == values[1] == values[2]
    assert values[3] == pytest.approx(33 / 32.96, rel=0.05)
    assert values[2] > 100
    assert values[4] > 100


def test_a_stretch_is_missing() -> None:
    ones = torch.ones(60, 1, 100)
    gapped = Detector(step=2.0, missing_fraction=0.3)(ones, ExampleRandom(keys(60)))[:, 0]
    assert (gapped.sum(dim=1) == 70).all()
    assert ((gapped[:, 1:] - gapped[:, :-1]).abs().sum(dim=1) <= 2).all(), "one stretch each"
    assert len(gapped.unique(dim=0)) > 20, "at many places"


def test_the_overlap_is_one_at_the_truth_and_less_elsewhere() -> None:
    overlap = Overlap(rom=Rom(TIMES), scaled_targets=False)
    truth = labels(*GRID.parameters(torch.arange(20)))
    assert overlap(truth, truth).item() == pytest.approx(1, abs=1e-6)
    near, far = (overlap(truth + truth.new_tensor([shift, 0, 0, 0, 0]), truth).item() for shift in (0.05, 2.0))
    assert far < near < 1
    wild = truth.new_tensor([100.0, -9.0, 9.0, 0.0, 0.0]).expand(20, -1)
    assert 0 <= overlap(wild, truth).item() < 1
    assert math.isnan(overlap(truth * math.nan, truth).item())


def test_the_overlap_is_over_a_constant_phase() -> None:
    class Shifted(Rom):
        shift = 0.0

        def __call__(self, q: Tensor, s1: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
            amplitude, phase = super().__call__(q, s1, s2)
            self.shift += 1.3
            return amplitude, phase + self.shift

    truth = labels(*GRID.parameters(torch.arange(5)))
    assert Overlap(rom=Shifted(TIMES), scaled_targets=False)(truth, truth).item() == pytest.approx(1, abs=1e-6)


def test_scaled_outputs_overlap_as_plain_ones_do() -> None:
    outputs, targets = (labels(*GRID.parameters(torch.arange(*ends))) for ends in ((0, 9), (9, 18)))
    plain = Overlap(rom=Rom(TIMES), scaled_targets=False)(outputs, targets)
    torch.testing.assert_close(Overlap(rom=Rom(TIMES), scaled_targets=True)(scaled(outputs), scaled(targets)), plain)


def test_the_loss_weighs_the_mass_ratio_as_the_four_others() -> None:
    assert loss(torch.tensor([[1.0, 0, 0, 0, 0]]), torch.zeros(1, 5)).item() == 1
    assert loss(torch.tensor([[0.0, 1, 0, 0, 0]]), torch.zeros(1, 5)).item() == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"signal_to_noise": 0.0}, r"signal_to_noise must be > 0; got 0; leave it out"),
        ({"signal_to_noise": math.nan}, r"signal_to_noise must be > 0; got nan"),
        ({"missing_fraction": 1.0}, r"0 <= missing_fraction < 1 must hold; got 1; 0.1 zeroes"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        gw_small(**options)  # type: ignore[arg-type]


def test_the_task_of_full_size() -> None:
    task = load_task("gw", {})
    inputs, targets = task.train_data[0]
    assert inputs.shape == (1, 101_300)
    assert targets.shape == (5,)
    assert len(task.train_data) == 1_580_128  # type: ignore[arg-type]
    assert task.augment is None
    assert gw(signal_to_noise=10.0).augment is not None
