"""What every curve of a law promises; a new one in ``CURVES`` is found here."""

import numpy as np
import pytest

from largebatch.search.laws.batch_size import learning_rate_law, steps_law
from largebatch.search.laws.batch_size.points import Points
from largebatch.search.laws.curve_family import Bend, Curve, fit_family

BEND = Bend(middle=np.log(256), spread=2.0)
SIZES = np.geomspace(16, 4096, 9)
FAMILIES = {"steps": steps_law.CURVES, "learning rate": learning_rate_law.CURVES}
CURVES = [(family, curve) for family, curves in FAMILIES.items() for curve in curves]
each = pytest.mark.parametrize(("family", "curve"), CURVES, ids=[f"{family}: {curve.name}" for family, curve in CURVES])


def draws(curve: Curve, number: int = 50) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((number, curve.num_coordinates))


@each
def test_it_is_finite_at_any_batch_size_and_its_parameters_are_positive(family: str, curve: Curve) -> None:
    z = 3 * draws(curve)
    values = curve.log_value(z, np.log([1.0, 64.0, 1e9]), BEND)
    assert values.shape == (50, 3)
    assert np.isfinite(values).all()
    for name, values in curve.parameters(z, np.zeros(50), BEND).items():
        assert values.shape == (50,), name
        assert np.isfinite(values).all(), name
        assert family != "steps" or (values > 0).all(), name


@each
def test_the_family_finds_data_of_the_curve(family: str, curve: Curve) -> None:
    """From 9 batch sizes that scatter by 2 %, told at those between them: most in their interval, all near it."""
    z = 0.5 * draws(curve, 1)
    rng = np.random.default_rng(1)
    width = np.full(len(SIZES), 0.02)
    points = Points(
        batch_K=SIZES, log_K=curve.log_value(z, np.log(SIZES), BEND)[0] + width * rng.standard_normal(len(SIZES)),
        width_K=width, side_K=np.zeros(len(SIZES), int),
    )  # fmt: skip
    fitted = fit_family(FAMILIES[family], points, misfit=0.02, rng=np.random.default_rng(2))
    between = np.sqrt(SIZES[1:] * SIZES[:-1])
    truth = curve.log_value(z, np.log(between), BEND)[0]
    low, middle, high = np.quantile(fitted.draw_logs(between), (0.05, 0.5, 0.95), axis=0)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.7
    assert np.abs(middle - truth).max() < 0.1
    assert curve.name in fitted.weights
