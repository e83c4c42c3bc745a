"""The waveform generator: against its source, differentiable, and each waveform the same whatever is beside it."""

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.waveforms.build import decompose, phenomt, rebuild
from largebatch.trainers.datasets.waveforms.rom import Rom
from largebatch.trainers.datasets.waveforms.surrogate import NRHybSur3dq8
from largebatch.trainers.datasets.waveforms.times import LONG_TIMES, ROM_TIMES, Times


def points(count: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    units = torch.rand(3, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [value.to(dtype) for value in (1 + 7 * units[0], 1.6 * units[1] - 0.8, 1.6 * units[2] - 0.8)]


def mismatch(left: tuple[NDArray[np.float64], ...], right: tuple[NDArray[np.float64], ...]) -> float:
    """1 - overlap of two waveforms, each an amplitude and a phase, over a constant phase."""
    product = np.abs(np.sum(left[0] * right[0] * np.exp(1j * (left[1] - right[1]))))
    return float(1 - product / np.linalg.norm(left[0]) / np.linalg.norm(right[0]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_matches_its_source() -> None:
    pytest.importorskip("phenomxpy", reason="the waveforms' source is an optional extra: largebatch[gw]")
    source = phenomt()
    parameters = points(100)
    for dtype in (torch.float64, torch.float32):
        amplitude, phase = (tensor.double().numpy() for tensor in Rom()(*(value.to(dtype) for value in parameters)))
        for index, point in enumerate(torch.stack(parameters, dim=1).tolist()):
            assert mismatch(source(*point), (amplitude[index], phase[index])) < 1e-6, point


@pytest.mark.filterwarnings("ignore")
def test_it_matches_lal() -> None:
    """The same model by its authors' other code, in SI units from 60 solar masses on, up to a constant phase."""
    lal = pytest.importorskip("lal", reason="lalsuite (GPL) is for this test alone: pip install lalsuite")
    lalsimulation = pytest.importorskip("lalsimulation")
    parameters = points(5)
    for point in torch.stack(parameters, dim=1).tolist():
        times, mode = _lal_mode(lal, lalsimulation, *point)
        inside = (times > -2_000) & (times < 100)
        rom = Rom(Times(first=float(times[inside][0]), step=float(times[1] - times[0]), num_samples=int(inside.sum())))
        amplitude, phase = (tensor[0].numpy() for tensor in rom(*(torch.tensor([value]).double() for value in point)))
        strain = amplitude * np.exp(-1j * phase)
        product = np.abs(np.vdot(strain, mode[inside])) / np.linalg.norm(strain) / np.linalg.norm(mode[inside])
        assert 1 - product < 1e-5, point


def _lal_mode(
    lal: ModuleType, lalsimulation: ModuleType, q: float, s1: float, s2: float
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Seen face on, the two polarisations are the mode."""
    mass, second = 60 * lal.MSUN_SI, 60 * lal.MTSUN_SI
    first, step = mass * q / (1 + q), 0.5 * second
    plus, cross = lalsimulation.SimInspiralChooseTDWaveform(
        first, mass - first, 0, 0, s1, 0, 0, s2, 1e6 * lal.PC_SI, 0, 0, 0, 0, 0, step, 15.0, 15.0, None,
        lalsimulation.IMRPhenomT,
    )  # fmt: skip
    times = (float(plus.epoch) + step * np.arange(plus.data.length)) / second
    return times, plus.data.data - 1j * cross.data.data


def test_it_is_differentiable() -> None:
    rom = Rom(Times(first=-200.0, step=40.0, num_samples=8))
    parameters = [torch.tensor([value, 1.7], dtype=torch.float64, requires_grad=True) for value in (3.0, 0.3, -0.5)]
    parameters[1:] = [(value / 4).detach().requires_grad_() for value in parameters[1:]]
    assert torch.autograd.gradcheck(rom, parameters)


def test_it_has_slopes_at_the_ends_of_the_domain() -> None:
    parameters = [torch.tensor(ends, requires_grad=True) for ends in ([1.0, 8.0], [-0.8, 0.8], [0.8, -0.8])]
    _, phase = Rom()(*parameters)
    phase.sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() and value.grad.all() for value in parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_waveform_is_the_same_in_every_batch(dtype: torch.dtype) -> None:
    rom, parameters = Rom(), points(70, dtype)
    together = rom(*parameters)
    for first, last in ((0, 1), (3, 5), (5, 36), (1, 70)):
        apart = rom(*(value[first:last].clone() for value in parameters))
        assert all(torch.equal(part, whole[first:last]) for part, whole in zip(apart, together, strict=True))


def test_mixed_precision_leaves_it_alone() -> None:
    parameters = points(4, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = Rom()(*parameters)
    assert all(torch.equal(*pair) for pair in zip(mixed, Rom()(*parameters), strict=True))


def test_finer_times_pass_through_the_coarse_ones() -> None:
    fine = Rom(Times(first=-1_000.0, step=0.1, num_samples=11_300))(*points(10))
    coarse = Rom(Times(first=-1_000.0, step=2.0, num_samples=565))(*points(10))
    for between, given in zip(fine, coarse, strict=True):
        torch.testing.assert_close(between[:, ::20], given, rtol=0, atol=2e-4)
    assert fine[1].diff(dim=1).min() > -1e-4  # the phase grows


def test_times_of_full_size() -> None:
    assert LONG_TIMES.num_samples == 101_300
    assert LONG_TIMES.values()[0] == -5_000
    assert math.isclose(LONG_TIMES.values()[-1], 130, abs_tol=LONG_TIMES.step * 1.01)
    assert ROM_TIMES.values()[-1] == 130
    assert ROM_TIMES.last(128, stride=2).values()[[0, -1]].tolist() == [-378, 130]


def test_times_outside_are_refused() -> None:
    with pytest.raises(UserError, match=r"covers -5000 .. 130 M; got -10000 .. 129\.9 M; choose times inside"):
        Rom(Times(first=-10_000.0, step=0.1, num_samples=101_300))


@pytest.mark.parametrize("point", [(9.0, 0.1, 0.2), (0.99, 0.1, 0.2), (2.0, 0.1, -0.9), (2.0, 0.81, 0.0)])
def test_parameters_outside_are_refused(point: tuple[float, ...]) -> None:
    values = "q={:g}, s1={:g}, s2={:g}".format(*point)
    with pytest.raises(UserError, match=rf"1 <= q <= 8, .* must hold; got {values}; choose parameters inside"):
        Rom()(*(torch.tensor([inside, value]) for inside, value in zip((1.0, 0.5, 0.5), point, strict=True)))


def test_a_decomposition_gives_back_a_polynomial() -> None:
    """What the coefficients are of: a series in few polynomials and vectors is exact."""
    from largebatch.trainers.datasets.waveforms import build

    x, y, z = np.meshgrid(*(build._nodes(order) for order in build.ORDERS), indexing="ij")
    time = np.linspace(0, 1, 50)
    series = (x**3 * y)[..., None] * time + (y**2 * z)[..., None] * np.cos(time) + 2
    parts = decompose(series.reshape(-1, 50))
    chebyshev = np.polynomial.chebyshev.chebvander3d(0.3, -0.2, 0.9, [order - 1 for order in build.ORDERS]).ravel()
    expected = 0.3**3 * -0.2 * time + 0.2**2 * 0.9 * np.cos(time) + 2
    np.testing.assert_allclose(parts["m"] + chebyshev @ parts["c"] @ parts["V"], expected, atol=1e-12)


def test_the_surrogates_modes_become_amplitude_and_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a stand-in with gwsurrogate's interface: the real one needs a file that is not here."""

    def surrogate(q: float, *spins: list[float], times: NDArray[np.float64], **options: Any) -> tuple[Any, ...]:
        assert options == {"f_low": 0, "mode_list": [(2, 2)]}
        return times, {(2, 2): q * np.exp(-1j * (5 + 0.3 * times + spins[0][2]))}, None

    stand_in = SimpleNamespace(LoadSurrogate=lambda path: surrogate)
    monkeypatch.setitem(sys.modules, "gwsurrogate", stand_in)  # type: ignore[arg-type]
    (tmp_path / "NRHybSur3dq8.h5").touch()
    times = Times(first=-20.0, step=1.0, num_samples=30)
    amplitude, phase = NRHybSur3dq8(tmp_path / "NRHybSur3dq8.h5", times)(*points(3, torch.float32))
    torch.testing.assert_close(amplitude, points(3, torch.float32)[0][:, None].expand(3, 30))
    torch.testing.assert_close(phase, torch.tensor(0.3 * times.values()).float().expand(3, 30), rtol=0, atol=1e-5)


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "NRHybSur3dq8.h5"
    with pytest.raises(UserError, match=r"the surrogate's file NRHybSur3dq8.h5 is needed; got .* Zenodo"):
        NRHybSur3dq8(file)
    file.touch()
    for name in ("gwsurrogate", "phenomxpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'largebatch\[gw\]'"):
        NRHybSur3dq8(file)
    with pytest.raises(UserError, match=r"pip install 'largebatch\[gw\]'"):
        rebuild(tmp_path / "rom.npz")
    assert not list(tmp_path.glob("rom*"))
