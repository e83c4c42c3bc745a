"""Labels and grids against the paper's figures."""

import pytest
import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.waveforms.parameters import (
    CENTRES,
    HALF_RANGES,
    TEST,
    TRAIN,
    VALIDATION,
    VALIDATION_SAMPLE,
    Axis,
    Grid,
    labels,
    scaled,
    unscaled,
)


def points(grid: Grid) -> Tensor:
    return torch.stack(grid.parameters(torch.arange(len(grid))), dim=1)


@pytest.mark.parametrize(
    ("grid", "count", "q", "spin"),
    [
        (TRAIN, 1_580_128, (1.0, 7.96), (-0.8, 0.796)),
        (TEST, 197_516, (1.04, 7.92), (-0.794, 0.790)),
        (VALIDATION, 187_308, (1.12, 7.84), (-0.782, 0.778)),
    ],
)
def test_the_papers_grids(grid: Grid, count: int, q: tuple[float, float], spin: tuple[float, float]) -> None:
    assert len(grid) == count
    assert (grid.q.first, grid.q.last) == pytest.approx(q)
    assert (grid.spin.first, grid.spin.last) == pytest.approx(spin)


def test_test_and_validation_lie_midway_between_training_points() -> None:
    def values(axis: Axis) -> Tensor:
        return axis.first + axis.step * torch.arange(axis.count).double()

    for name in ("q", "spin"):
        train, test, validation = (values(getattr(grid, name)) for grid in (TRAIN, TEST, VALIDATION))
        both = torch.cat([test, validation]).sort().values
        torch.testing.assert_close(both, (train[:-1] + train[1:]) / 2, rtol=0, atol=1e-12)


def test_every_point_of_a_grid_comes_once() -> None:
    grid = TRAIN.every(q=8, spin=20)
    assert len(grid) == 11 * 7 * 7
    assert len(points(grid).unique(dim=0)) == len(grid)
    assert len(VALIDATION_SAMPLE) == 7_260


def test_the_first_points_are_a_sample_of_all() -> None:
    first, everything = points(VALIDATION)[:512], points(VALIDATION)
    deviation = (first.mean(dim=0) - everything.mean(dim=0)).abs() / everything.std(dim=0)
    assert deviation.max() < 0.1


def test_labels() -> None:
    """Worked by hand: q = 3, s1 = 0.4, s2 = -0.2."""
    found = labels(*(torch.tensor([value]).double() for value in (3.0, 0.4, -0.2)))
    expected = [3.0, 0.4, -0.2, (3 * 0.4 - 0.2) / 4, 1.25 * 0.4 - 3.25 * 0.2]
    torch.testing.assert_close(found, torch.tensor([expected]).double())


def test_scaled_labels_fill_their_range() -> None:
    corners = torch.cartesian_prod(torch.tensor([1.0, 8.0]), *[torch.tensor([-0.8, 0.8])] * 2).double()
    targets = labels(*corners.unbind(dim=1))
    torch.testing.assert_close(scaled(targets).amax(dim=0), torch.ones(5).double())
    torch.testing.assert_close(unscaled(scaled(targets)), targets)
    assert len(CENTRES) == len(HALF_RANGES) == 5


def test_a_grid_outside_the_domain_is_refused() -> None:
    with pytest.raises(UserError, match=r"must hold; got q=8\.96, s1=-0\.8, s2=-0\.8"):
        Grid(q=Axis(first=2.0, step=0.08, count=88), spin=TRAIN.spin)
