"""The laws find what data was made from, say how sure they are, and say when they do not hold."""

import dataclasses
import math

import numpy as np
import pytest

from largebatch.search.laws.batch_size.learning_rate_law import fit_learning_rate_law
from largebatch.search.laws.batch_size.optima import Optima, find_optima
from largebatch.search.laws.batch_size.steps_law import fit_steps_law
from largebatch.search.laws.fit_laws import fit_laws
from largebatch.search.laws.law import Law
from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Outcome, Trial

SIZES = np.array([16.0, 64.0, 1024.0, 4096.0])


def valley(trials: list[Trial], num_draws: int = 400) -> Optima:
    return find_optima(trials, num_draws=num_draws, rng=np.random.default_rng(0))


def steps_law(found: Optima, seed: int = 0) -> Law:
    return fit_steps_law(found.steps, rng=np.random.default_rng(seed))


def rate_law(found: Optima, seed: int = 0) -> Law:
    return fit_learning_rate_law(found.rates, rng=np.random.default_rng(seed))


def hyperbola(size: np.ndarray, s_min: float = 40.0, b_crit: float = 100.0) -> np.ndarray:
    return s_min * (1 + b_crit / size)


def test_known_laws_are_recovered(make_trials):  # type: ignore[no-untyped-def]
    fit = valley(make_trials(seed=0, trials_per_size=30))
    steps = steps_law(fit, 1)
    rate = rate_law(fit, 2)
    assert steps.verdict == rate.verdict == "ok"
    assert steps.parameters["S_min"] == pytest.approx(40, rel=0.1)
    assert steps.parameters["B_crit"] == pytest.approx(100, rel=0.15)
    assert rate.parameters["lr_max"] == pytest.approx(1.0, rel=0.25)
    assert rate.parameters["B_noise"] == pytest.approx(80, rel=0.3)
    assert fit.valley.noise == pytest.approx(0.15, rel=0.2)


def test_intervals_cover_the_truth(make_trials):  # type: ignore[no-untyped-def]
    """Of 20 studies of 8 noisy trials a batch size, censored ones among them: 4 predictions each, 1 beyond the data."""
    covered = []
    for seed in range(20):
        fit = valley(make_trials(seed=seed, max_examples=40_000), num_draws=60)
        law = steps_law(fit, seed).predict(SIZES)
        covered += list((law.low <= hyperbola(SIZES)) & (hyperbola(SIZES) <= law.high))
    assert 0.8 <= np.mean(covered) <= 1.0


def test_the_interval_widens_beyond_the_data(make_trials):  # type: ignore[no-untyped-def]
    law = steps_law(valley(make_trials(seed=3, sizes=(16, 32, 64, 128))), 0)
    prediction = law.predict([64.0, 4096.0])
    inside, beyond = np.log(prediction.high / prediction.low)
    assert beyond > 1.2 * inside


def test_laws_are_monotone_and_lie_in_their_intervals(make_trials):  # type: ignore[no-untyped-def]
    sizes = np.geomspace(1, 1e5, 40)
    for seed in range(3):
        fit = valley(make_trials(seed=seed))
        steps = steps_law(fit, 0).predict(sizes)
        rate = rate_law(fit, 0).predict(sizes)
        assert (steps.value[1:] <= 1.05 * steps.value[:-1]).all()
        assert (rate.value[1:] >= 0.9 * rate.value[:-1]).all()
        for prediction in (steps, rate):
            assert (prediction.low <= prediction.value).all()
            assert (prediction.value <= prediction.high).all()


def test_no_dependence_is_called_flat(make_trials):  # type: ignore[no-untyped-def]
    fit = valley(make_trials(seed=1, b_crit=0.0, b_noise=0.0, trials_per_size=12))
    assert steps_law(fit, 0).verdict == "flat"
    assert rate_law(fit, 0).verdict == "flat"


def test_too_few_batch_sizes_are_no_law(make_trials):  # type: ignore[no-untyped-def]
    fit = valley(make_trials(seed=1, sizes=(16, 32)))
    law = steps_law(fit, 0)
    assert law.verdict == "no-law"
    assert "known at 2 batch sizes; a law needs 3" in law.reason
    assert np.isnan(law.predict(SIZES).value).all()
    assert law.to_json()["parameters"] == {}


def test_steps_without_any_law_are_said_to_have_none(make_trials):  # type: ignore[no-untyped-def]
    """The floors of the batch sizes shuffled over three orders of magnitude: neither law describes them."""
    floors = [3000.0, 20.0, 900.0, 30.0, 2500.0, 60.0, 700.0]
    trials = []
    for size, floor in zip((16, 32, 64, 128, 256, 512, 1024), floors, strict=True):
        trials += make_trials(seed=size, sizes=(size,), s_min=floor, b_crit=0.0, max_examples=1e9)
    assert steps_law(valley(trials), 0).verdict == "no-law"


def test_batch_sizes_that_never_reached_are_lower_bounds(make_trials):  # type: ignore[no-untyped-def]
    """At 512 and more no trial reaches the target in 20,000 examples; the law is still that of the others."""
    trials = make_trials(seed=5, max_examples=20_000, trials_per_size=12)
    fit = valley(trials)
    unreached = [optimum for optimum in fit.optima if not optimum.reached]
    assert [optimum.global_batch_size for optimum in unreached] == [512, 1024]
    assert (unreached[1].steps, unreached[1].steps_high) == (19, math.inf)
    law = steps_law(fit, 0)
    assert law.fitted_on["lower_bounds"] == [512, 1024]
    assert law.parameters["S_min"] == pytest.approx(40, rel=0.25)


def test_censored_trials_are_not_dropped(make_trials):  # type: ignore[no-untyped-def]
    """Dropping the trials that did not reach the target would put the floor too low."""
    trials = make_trials(seed=0, max_examples=12_000, trials_per_size=40, noise=0.3, sizes=(64, 128))
    kept = [trial for trial in trials if trial.reached]
    assert len(kept) < 0.8 * len(trials)

    def error(some: list[Trial]) -> float:
        return float(
            np.mean([math.log(o.steps / hyperbola(np.array(o.global_batch_size))) for o in valley(some).optima])
        )

    assert error(kept) < error(trials)
    assert abs(error(trials)) < abs(error(kept))


def test_an_optimum_on_the_edge_is_said_to_be_one(make_trials):  # type: ignore[no-untyped-def]
    trials = [one for one in make_trials(seed=2, trials_per_size=20) if one.recipe.learning_rate < 0.4]
    edges = {optimum.global_batch_size: optimum.edge for optimum in valley(trials).optima}
    assert edges[256] == edges[1024] == "high"
    assert edges[16] is None


def test_the_learning_rate_is_that_of_the_trials_momentum(make_trials):  # type: ignore[no-untyped-def]
    plain, heavy = make_trials(seed=0, momentum=0.0), make_trials(seed=0, momentum=0.9)
    for left, right in zip(valley(plain).optima, valley(heavy).optima, strict=True):
        assert left.learning_rate == pytest.approx(right.learning_rate, rel=0.01)


def test_two_trials_of_which_one_reached_the_target(make_trials):  # type: ignore[no-untyped-def]
    """A bootstrap of them may draw only the other."""
    trials = [trial for trial in make_trials(seed=0) if trial.recipe.global_batch_size == 64]
    reached = next(trial for trial in trials if trial.reached)
    other = dataclasses.replace(
        reached, number=1, ending=dataclasses.replace(reached.ending, outcome=Outcome.EXHAUSTED, steps_to_target=None)
    )
    (optimum,) = valley([dataclasses.replace(reached, number=0), other]).optima
    assert optimum.steps_low <= optimum.steps <= optimum.steps_high < math.inf


def test_adaptive_recipes_have_a_valley_of_their_own(make_trials):  # type: ignore[no-untyped-def]
    """Their learning rate is that of another batch size."""
    plain = make_trials(seed=0)
    adaptive = [
        dataclasses.replace(one, recipe=one.recipe.model_copy(update={"adaptive": "adascale"})) for one in plain
    ]
    slower = [
        dataclasses.replace(one, ending=dataclasses.replace(one.ending, steps_to_target=3 * one.ending.steps_to_target))
        for one in adaptive
        if one.reached
    ]
    assert valley([*plain, *slower], num_draws=3).kind == plain[0].recipe.optimizer
    assert valley(adaptive, num_draws=3).kind.endswith(", adascale")


def test_the_better_optimizer_is_fitted(make_trials):  # type: ignore[no-untyped-def]
    good, bad = make_trials(seed=0), make_trials(seed=1, s_min=200.0)
    adamw = [
        Trial(
            number=len(good) + one.number,
            recipe=Recipe.model_validate({**one.recipe.model_dump(), "optimizer": "adamw"}),
            num_devices=1,
            running=False,
            intermediate=one.intermediate,
            ending=one.ending,
        )
        for one in bad
    ]
    fit = valley(good + adamw)
    assert fit.kind == good[0].recipe.optimizer
    assert steps_law(fit, 0).parameters["S_min"] == pytest.approx(40, rel=0.25)


def test_the_same_seed_gives_the_same_laws(make_trials):  # type: ignore[no-untyped-def]
    trials = make_trials(seed=0, sizes=(16, 64, 256))
    assert fit_laws(trials, None).steps.to_json() == fit_laws(trials, None).steps.to_json()


@pytest.mark.parametrize("steps", [100.0, None])
def test_degenerate_studies(steps: float | None) -> None:
    """One trial; all at one rate with one result; nothing that reached: an answer or a sentence, never a crash."""
    outcome = Outcome.DIVERGED if steps is None else Outcome.REACHED
    ending = Ending(outcome=outcome, step=100, examples=1600, seconds=1.0, steps_to_target=steps)
    trials = [
        Trial(
            number=number,
            recipe=Recipe(global_batch_size=16 * 2 ** (number % 4), learning_rate=0.1, norm_batch_size=16),
            num_devices=1,
            running=False,
            intermediate={},
            ending=ending,
        )
        for number in range(8)
    ]
    for some in (trials[:1], trials):
        if steps is None:
            with pytest.raises(UserError, match=f"none of {len(some)} trials reached the target"):
                fit_laws(some, None)
        else:
            assert all(optimum.steps == pytest.approx(100, rel=0.05) for optimum in fit_laws(some, None).optima)
    with pytest.raises(UserError, match="no trial has ended yet"):
        fit_laws([], None)


def quadratic_steps(size: int, rate: float, dimensions: int = 1000) -> float:
    """Steps of the noisy quadratic model to 5 % of its initial loss (Zhang et al. 2019, arXiv 1907.04164)."""
    h = 1 / np.arange(1, dimensions + 1)
    keep, add = (1 - rate * h) ** 2, rate**2 * h / size
    square = np.ones(dimensions)
    goal = 0.05 * float(h @ square)
    for step in range(1, 20_000):
        square = keep * square + add
        if float(h @ square) <= goal:
            return float(step)
    return math.inf


def test_the_noisy_quadratic_model_s_hyperbola() -> None:
    """Known: S_min = 183, B_crit = 51, best rate growing below B_crit and saturating above.

    Its best rates lie next to a cliff, beyond which no training reaches the target.
    """
    trials: list[Trial] = []
    for size in (8, 16, 32, 64, 128, 256, 512):
        for rate in np.geomspace(0.1, 1.9, 12):
            steps = quadratic_steps(size, float(rate))
            reached = math.isfinite(steps)
            ending = Ending(
                outcome=Outcome.REACHED if reached else Outcome.EXHAUSTED,
                step=int(steps) if reached else 20_000,
                examples=1,
                seconds=1.0,
                steps_to_target=steps if reached else None,
            )
            recipe = Recipe(global_batch_size=size, learning_rate=float(rate), norm_batch_size=8, momentum=0.0)
            trials.append(
                Trial(number=len(trials), recipe=recipe, num_devices=1, running=False, intermediate={}, ending=ending)
            )
    fit = valley(trials)
    law = steps_law(fit, 0)
    assert law.verdict == "ok"
    assert law.parameters["S_min"] == pytest.approx(183, rel=0.15)
    assert law.parameters["B_crit"] == pytest.approx(51, rel=0.15)
    assert float(law.predict(16 * 512).value) == pytest.approx(181, rel=0.15)
    rates = [optimum.learning_rate for optimum in fit.optima]
    assert rates[3] > 2 * rates[0]
    assert rates[-1] < 1.5 * rates[-3]


def with_decays(trials: list[Trial], seed: int, strength: float) -> list[Trial]:
    """The best weight decay grows as B^0.5; ten times as much or as little costs ``strength`` / 4 in log."""
    rng = np.random.default_rng(seed)
    changed = []
    for one in trials:
        decay = 10 ** rng.uniform(-6, -2)
        best = 1e-4 * (one.recipe.global_batch_size / 128) ** 0.5
        steps = one.steps_to_target
        if steps is not None:
            steps *= math.exp(strength * math.log10(decay / best) ** 2 / 4)
        recipe = one.recipe.model_copy(update={"weight_decay": decay})
        ending = dataclasses.replace(one.ending, steps_to_target=steps)
        changed.append(dataclasses.replace(one, recipe=recipe, ending=ending))
    return changed


def test_a_searched_number_has_a_law_of_its_own(make_trials):  # type: ignore[no-untyped-def]
    sizes, inside = np.array([32.0, 128.0, 512.0]), []
    for seed in range(6):
        trials = with_decays(make_trials(seed=seed, trials_per_size=12, noise=0.08), seed, 0.5)
        laws = fit_laws(trials, None)
        assert set(laws.others) == {"weight_decay"}
        law = laws.others["weight_decay"]
        assert law.verdict == "ok"
        told, truth = law.predict(sizes), 1e-4 * (sizes / 128) ** 0.5
        assert (np.abs(np.log10(told.value / truth)) < 0.7).all(), "a valley's 10 % are 0.9 decades wide"
        inside += list((told.low < truth) & (truth < told.high))
    assert np.mean(inside) >= 0.75


def test_a_number_that_does_not_matter_is_said_not_to(make_trials):  # type: ignore[no-untyped-def]
    trials = with_decays(make_trials(seed=0, trials_per_size=12, noise=0.08), 0, 0.0)
    assert fit_laws(trials, None).others["weight_decay"].verdict == "flat"


def test_the_valley_s_width_is_told(make_trials):  # type: ignore[no-untyped-def]
    """Of a valley 0.5 u^2 in log, 10 % more steps are at u = +-0.44."""
    for optimum in valley(make_trials(seed=0, trials_per_size=30)).optima:
        assert 0.4 < optimum.tolerated_low / optimum.learning_rate < 0.85
        assert 1.2 < optimum.tolerated_high / optimum.learning_rate < 2.2


def test_a_measured_noise_scale_is_evidence_of_b_crit(make_trials):  # type: ignore[no-untyped-def]
    """With few batch sizes, all far below the knee, it is what says where the knee lies."""
    trials = make_trials(seed=0, sizes=(16, 32, 64), b_crit=1000.0, max_examples=1e9)
    scales = {trial.number: 1000.0 for trial in trials}
    alone, informed = fit_laws(trials, None), fit_laws(trials, None, noise_scales=scales)
    assert informed.noise_scale == 1000.0
    off = [abs(math.log(law.parameters["B_crit"] / 1000)) for law in (alone.steps, informed.steps)]
    assert off[1] < 0.7 * off[0]
    assert informed.steps.interval["B_crit"][0] < 1000 < informed.steps.interval["B_crit"][1]
    far = [law.predict(4096.0) for law in (alone.steps, informed.steps)]
    truth = 40 * (1 + 1000 / 4096)
    assert abs(math.log(far[1].value / truth)) < abs(math.log(far[0].value / truth))


def test_a_target_that_is_met_at_once_is_doubted(make_trials):  # type: ignore[no-untyped-def]
    trials = [
        dataclasses.replace(one, ending=dataclasses.replace(one.ending, steps_to_target=0.0))
        for one in make_trials(seed=0, max_examples=1e9)
    ]
    with pytest.raises(UserError, match=r"its direction \(`above` or `below`\) meant"):
        fit_laws(trials, None)
