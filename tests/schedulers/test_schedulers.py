"""What every trial scheduler promises; a new one is added to ``SCHEDULERS``."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from largebatch.schedulers.asha import Asha
from largebatch.schedulers.hyperband import Hyperband
from largebatch.schedulers.median import Median
from largebatch.schedulers.pbt import Pbt
from largebatch.schedulers.scheduler import Decision, NoScheduler, Scheduler
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

TARGET = Target(metric="val_accuracy", above=0.99)
GRACE, LIMIT = 100, 1_000
SIZES = (16, 32, 64)
SPACE = Space.model_validate(
    {"global_batch_size": {"choices": list(SIZES)}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
SCHEDULERS: Mapping[str, Callable[[], Scheduler]] = {
    "none": NoScheduler,
    "asha": lambda: Asha(target=TARGET, grace_examples=GRACE, reduction_factor=3, max_examples=LIMIT),
    "hyperband": lambda: Hyperband(target=TARGET, grace_examples=GRACE, reduction_factor=3, max_examples=LIMIT, seed=7),
    "median": lambda: Median(target=TARGET, grace_examples=GRACE, min_samples=3),
    "pbt": lambda: Pbt(target=TARGET, space=SPACE, perturbation_examples=GRACE, max_examples=LIMIT, seed=7),
}
STOPPING = [name for name in SCHEDULERS if name != "none"]
each = pytest.mark.parametrize("name", SCHEDULERS)
each_that_stops = pytest.mark.parametrize("name", STOPPING)

Curves = Mapping[int, Mapping[int, float]]
Log = list[tuple[int, int, Decision]]


class History:
    """A study of made-up curves, all trials side by side: each in turn is measured, paused, stopped as decided."""

    def __init__(self, make: Callable[[], Scheduler], curves: Curves, sizes: Mapping[int, int]) -> None:
        self.make, self.curves, self.scheduler = make, curves, make()
        self.trials = [
            Trial(
                number=number, recipe=Recipe(global_batch_size=sizes[number], learning_rate=0.1), num_devices=1,
                running=True, intermediate={},
            )
            for number in curves
        ]  # fmt: skip
        self.log: Log = []

    def run(self, *, rebuilt_each_time: bool = False) -> Log:
        for examples in sorted({examples for curve in self.curves.values() for examples in curve}):
            for number, curve in self.curves.items():
                if examples in curve and self.trials[number].running:
                    if rebuilt_each_time:
                        self.scheduler = self.make()
                        self.scheduler.rebuild(self.trials)
                    self.change(number, intermediate={**self.trials[number].intermediate, examples: curve[examples]})
                    self.decide(number, examples)
            paused = [trial.number for trial in self.trials if trial.paused_at is not None]
            snapshot = list(self.trials)
            decisions = {number: self.scheduler.decide(snapshot[number], snapshot) for number in paused}
            for number, decision in decisions.items():
                self.act(number, examples, decision)
        return self.log

    def decide(self, number: int, examples: int) -> None:
        self.act(number, examples, self.scheduler.decide(self.trials[number], self.trials))

    def act(self, number: int, examples: int, decision: Decision) -> None:
        self.log.append((number, examples, decision))
        if decision.action == "stop":
            ending = Ending(outcome=Outcome.STOPPED, step=1, examples=examples, seconds=1.0, reason=decision.why)
            self.change(number, running=False, paused_at=None, ending=ending)
        else:
            paused = decision.action == "pause"
            self.change(number, running=not paused, paused_at=examples if paused else None)

    def change(self, number: int, **changes: object) -> None:
        fields = {name: getattr(self.trials[number], name) for name in Trial.__dataclass_fields__}
        self.trials[number] = Trial(**{**fields, **changes})


def history(name: str, *, seed: int = 0, count: int = 30) -> History:
    rng = np.random.default_rng(seed)
    curves = {
        number: {50 * step: float(value) for step, value in enumerate(np.sort(rng.uniform(0.1, 0.9, 19)), 1)}
        for number in range(count)
    }
    return History(SCHEDULERS[name], curves, {number: SIZES[number % 3] for number in range(count)})


def flat(name: str, values: list[float], sizes: list[int]) -> History:
    """Trials whose metric never moves."""
    curves = {number: {50 * step: value for step in range(1, 20)} for number, value in enumerate(values)}
    return History(SCHEDULERS[name], curves, dict(enumerate(sizes)))


def stopped(log: Log) -> set[int]:
    return {number for number, _, decision in log if decision.action == "stop"}


@each
def test_rebuilt_from_the_record_it_decides_alike(name: str) -> None:
    for seed in range(3):
        assert history(name, seed=seed).run() == history(name, seed=seed).run(rebuilt_each_time=True)


@each_that_stops
def test_it_stops_some_and_says_why(name: str) -> None:
    log = history(name).run()
    assert 0 < len(stopped(log)) < 30
    assert all(decision.why for _, _, decision in log if decision.action == "stop")


@each
def test_nothing_stops_before_the_grace(name: str) -> None:
    early = [decision.action for _, examples, decision in history(name).run() if examples < GRACE]
    assert set(early) == {"go on"}


@each
def test_batch_sizes_do_not_compete(name: str) -> None:
    """Whatever one batch size does, decisions on the others stay the same."""
    alone = history(name, count=30)
    beside = history(name, count=30)
    beside.curves = {
        number: dict.fromkeys(curve, 0.001) if number % 3 == 0 else curve for number, curve in beside.curves.items()
    }

    def others(log: Log) -> Log:
        return [entry for entry in log if entry[0] % 3]

    first, second = others(alone.run()), others(beside.run())
    assert first == second


@each_that_stops
def test_what_is_not_finite_is_the_worst(name: str) -> None:
    """The four of NaN come last in number, so that each meets finite values of its batch size."""
    log = flat(name, [0.5, 0.6, 0.7, 0.8] * 4 + [float("nan")] * 4, [32] * 20).run()
    assert {16, 17, 18, 19} & stopped(log)
    log = flat(name, [float("nan")] * 12 + [0.5] * 4, [32] * 16).run()
    assert not {12, 13, 14, 15} & stopped(log)


@each
def test_it_is_deterministic_and_draws_from_no_global_generator(name: str) -> None:
    np.random.seed(1)
    first = history(name).run()
    np.random.seed(2)
    assert history(name).run() == first


def test_hyperband_gives_each_bracket_its_share() -> None:
    """Trials that always lose stop early in most brackets, late or never in the others."""
    log = flat("hyperband", [0.9] * 500 + [0.1] * 200, [32] * 700).run()
    ends = {number: at for number, at, decision in log if decision.action == "stop"}
    shares = [sum(at == rung for at in ends.values()) / 200 for rung in (100, 300, 900)]
    assert shares[0] == pytest.approx(9 / 17, abs=0.1)
    assert shares[1] == pytest.approx(5 / 17, abs=0.1)
    assert shares[2] == pytest.approx(3 / 17, abs=0.1)


def test_the_median_needs_its_samples() -> None:
    assert not stopped(flat("median", [0.9, 0.9, 0.1], [32] * 3).run())
    assert stopped(flat("median", [0.9, 0.9, 0.9, 0.1], [32] * 4).run()) == {3}


def test_pbt_waits_for_all_and_branches_from_the_best_within_the_space() -> None:
    study = flat("pbt", [0.9, 0.5, 0.5, 0.5, 0.1], [64] * 5)
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
    study = flat("pbt", [0.9, 0.5, 0.1], [64] * 3)
    for number in (0, 1):
        study.change(number, intermediate={50: 0.5, 100: 0.5})
        study.decide(number, 100)
    assert study.scheduler.decide(study.trials[0], study.trials).action == "pause"
    ending = Ending(outcome=Outcome.DIVERGED, step=1, examples=60, seconds=1.0)
    study.change(2, running=False, ending=ending)
    assert study.scheduler.decide(study.trials[0], study.trials).action == "go on"
