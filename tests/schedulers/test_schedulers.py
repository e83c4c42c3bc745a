"""Every trial scheduler goes through the suite of ``largebatch.testing``; what each promises beyond it is below."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from largebatch.schedulers.trial.asha import Asha
from largebatch.schedulers.trial.hyperband import Hyperband
from largebatch.schedulers.trial.median import Median
from largebatch.schedulers.trial.pbt import Pbt
from largebatch.schedulers.trial.projection import Projection
from largebatch.schedulers.trial.scheduler import GO_ON, Decision, NoScheduler, Scheduler
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.question import study
from largebatch.testing import SCHEDULER_CHECKS, MadeUpSeconds, SchedulerPromises, check_scheduler
from largebatch.testing.schedulers import GRACE, LIMIT, SPACE, TARGET, SideBySide, flat_curves, rising_curves, stopped

SCHEDULERS: Mapping[str, Callable[[], Scheduler]] = {
    "none": NoScheduler,
    "asha": lambda: Asha(target=TARGET, grace_examples=GRACE, reduction_factor=3, max_examples=LIMIT),
    "hyperband": lambda: Hyperband(target=TARGET, grace_examples=GRACE, reduction_factor=3, max_examples=LIMIT, seed=7),
    "median": lambda: Median(target=TARGET, grace_examples=GRACE, min_samples=3),
    "pbt": lambda: Pbt(target=TARGET, space=SPACE, perturbation_examples=GRACE, max_examples=LIMIT, seed=7),
    "projection": lambda: Projection(TARGET, MadeUpSeconds(), GRACE),
}
PROMISES = {"none": SchedulerPromises(stops=False), "projection": SchedulerPromises(batch_sizes_apart=False)}


@pytest.mark.parametrize("check", SCHEDULER_CHECKS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_conformance(name: str, check: str) -> None:
    SCHEDULER_CHECKS[check](SCHEDULERS[name], PROMISES.get(name, SchedulerPromises()))


def test_every_scheduler_that_ships_is_in_the_suite() -> None:
    assert set(study.SCHEDULERS) == set(SCHEDULERS)


def test_some_made_up_curves_reach_the_target_and_some_do_not() -> None:
    for seed in range(3):
        met = sum(any(map(TARGET.reached, curve.values())) for curve in rising_curves(seed).values())
        assert 5 <= met <= 25


class Faulty:
    """Stops what is below 0.3 after the grace, with one fault."""

    def __init__(self, fault: str) -> None:
        self.fault, self.asked = fault, 0

    def rebuild(self, trials: Sequence[Trial]) -> None:
        pass

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        self.asked += 1
        examples, why = trial.recorded_examples, "" if self.fault == "says nothing" else "below the bound"
        value, bound = trial.intermediate[examples], 0.3
        early = examples < GRACE and self.fault != "stops before the grace"
        if self.fault == "stops nothing" or early:
            return GO_ON
        if self.fault == "remembers" and self.asked % 2:
            return GO_ON
        if self.fault == "draws":
            bound = np.random.uniform(0.1, 0.5)
        if self.fault == "compares batch sizes":
            bound = float(np.mean([max(one.intermediate.values(), default=0.0) for one in trials]))
        if np.isnan(value):
            return GO_ON if self.fault == "NaN goes on" else Decision("stop", why)
        return Decision("stop", why) if value < bound else GO_ON


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("none", None),
        ("says nothing", "every stop must say why"),
        ("stops before the grace", "must go on before 100 examples"),
        ("stops nothing", r"must stop some of 30 trials and not all; stopped 0"),
        ("remembers", "rebuilt from the record must decide as one never stopped"),
        ("draws", "record"),
        ("compares batch sizes", "decisions on batch sizes 32 and 64 must not depend on the trials of 16"),
        ("NaN goes on", "trials 16 to 19, whose metric is NaN, must be stopped"),
    ],
)
def test_a_faulty_scheduler_fails(fault: str, message: str | None) -> None:
    if message is None:
        check_scheduler(lambda: Faulty(fault))
        return
    with pytest.raises(AssertionError, match=message):
        check_scheduler(lambda: Faulty(fault))


def flat(name: str, values: list[float], size: int) -> SideBySide:
    """Trials of one batch size and rate whose metric never moves."""
    recipe = Recipe(global_batch_size=size, learning_rate=0.1)
    return SideBySide(SCHEDULERS[name], flat_curves(values), [recipe] * len(values))


def test_hyperband_gives_each_bracket_its_share() -> None:
    """Trials that always lose stop early in most brackets, late or never in the others."""
    log = flat("hyperband", [0.9] * 500 + [0.1] * 200, 32).run()
    ends = {number: at for number, at, decision in log if decision.action == "stop"}
    shares = [sum(at == rung for at in ends.values()) / 200 for rung in (100, 300, 900)]
    assert shares[0] == pytest.approx(9 / 17, abs=0.1)
    assert shares[1] == pytest.approx(5 / 17, abs=0.1)
    assert shares[2] == pytest.approx(3 / 17, abs=0.1)


def test_the_median_needs_its_samples() -> None:
    assert not stopped(flat("median", [0.9, 0.9, 0.1], 32).run())
    assert stopped(flat("median", [0.9, 0.9, 0.9, 0.1], 32).run()) == {3}


def test_pbt_waits_for_all_and_branches_from_the_best_within_the_space() -> None:
    study = flat("pbt", [0.9, 0.5, 0.5, 0.5, 0.1], 64)
    log = study.run()
    first = [(number, decision.action) for number, at, decision in log if at == GRACE]
    assert first[:5] == [(number, "pause") for number in range(5)]
    assert first[5:] == [(0, "go on"), (1, "go on"), (2, "go on"), (3, "go on"), (4, "stop")]
    branch = next(decision.branch for _, _, decision in log if decision.branch)
    assert branch.parent == 0
    assert SPACE.contains(branch.recipe)
    assert branch.recipe.learning_rate == pytest.approx(0.12) or branch.recipe.learning_rate == pytest.approx(0.08)
    assert branch.recipe.global_batch_size in (32, 64)


def test_pbt_waits_for_a_trial_that_is_behind_and_not_for_one_that_ended() -> None:
    study = flat("pbt", [0.9, 0.5, 0.1], 64)
    for number in (0, 1):
        study.measure(number, 50, 0.5)
        study.measure(number, 100, 0.5)
    assert study.scheduler.decide(study.trials[0], study.trials).action == "pause"
    study.end(2, Outcome.DIVERGED)
    assert study.scheduler.decide(study.trials[0], study.trials).action == "go on"
