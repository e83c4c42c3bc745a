"""ASHA: batch sizes apart, rungs in examples, and rebuilt from the record as if it had never stopped."""

import numpy as np

from largebatch.schedulers.trial.asha import Asha
from largebatch.schedulers.trial.scheduler import NoScheduler, Scheduler
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.testing import make_trial


def asha() -> Asha:
    target = Target(metric="val_accuracy", above=0.9)
    return Asha(target=target, grace_examples=100, reduction_factor=2, max_examples=1_000)


def decide(scheduler: Scheduler, number: int, size: int, examples: int, signed: float) -> bool:
    """The decision on a trial of which only the last measurement matters; ``signed`` is better where smaller."""
    recipe = Recipe(global_batch_size=size, learning_rate=0.1)
    measured = {examples: -signed}
    trial = Trial(number=number, recipe=recipe, num_devices=1, running=True, intermediate=measured)
    return scheduler.decide(trial, [trial]).action == "stop"


def test_the_worse_half_stops_at_a_rung() -> None:
    scheduler = asha()
    assert not decide(scheduler, 0, 32, 100, -0.8)
    assert decide(scheduler, 1, 32, 100, -0.5)
    assert not decide(scheduler, 2, 32, 120, -0.9)


def test_nothing_stops_before_the_first_rung() -> None:
    scheduler = asha()
    decide(scheduler, 0, 32, 100, -0.9)
    assert not decide(scheduler, 1, 32, 99, -0.1)


def test_batch_sizes_do_not_compete() -> None:
    scheduler = asha()
    assert not decide(scheduler, 0, 32, 100, -0.8)
    assert not decide(scheduler, 1, 1024, 100, -0.1)


def test_a_trial_that_met_the_target_holds_its_place_in_a_rung() -> None:
    """Nothing is decided of the measurement that met it, so that ``decide`` finds it among the other trials."""
    met = make_trial(0, curve={100: 0.95}, steps_to_target=3.0)
    worse = make_trial(1, curve={100: 0.5})
    assert asha().decide(worse, [met, worse]).action == "stop"
    assert asha().decide(worse, [worse]).action == "go on"


def test_non_finite_values_are_the_worst() -> None:
    scheduler = asha()
    decide(scheduler, 0, 32, 100, -0.1)
    assert decide(scheduler, 1, 32, 100, float("nan"))


def test_rebuilt_from_the_record_it_decides_alike() -> None:
    """30 trials of random curves; after a rebuild each further decision equals that of the scheduler that went on."""
    rng = np.random.default_rng(0)
    curves = {
        number: {100 * step: float(value) for step, value in enumerate(np.sort(rng.random(8)), 1)}
        for number in range(30)
    }
    went_on, trials = asha(), []
    for number in range(20):
        seen = {}
        for examples, value in curves[number].items():
            seen[examples] = value
            if decide(went_on, number, 32, examples, -value):
                break
        recipe = Recipe(global_batch_size=32, learning_rate=0.1)
        trials.append(Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=seen))
    rebuilt = asha()
    rebuilt.rebuild(trials)
    for number in range(20, 30):
        for examples, value in curves[number].items():
            decision = decide(went_on, number, 32, examples, -value)
            assert decide(rebuilt, number, 32, examples, -value) == decision
            if decision:
                break


def test_no_scheduler_never_stops() -> None:
    scheduler = NoScheduler()
    scheduler.rebuild([])
    assert not decide(scheduler, 0, 32, 10**9, float("inf"))
