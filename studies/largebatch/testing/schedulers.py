"""What every trial scheduler promises, on made-up curves of trials side by side.

Make the scheduler for ``TARGET`` with a grace of ``GRACE`` examples and trials of ``LIMIT``, over ``SPACE`` where it
needs one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from largebatch.schedulers.trial.scheduler import Decision, Scheduler
from largebatch.spaces.intermediate import Intermediate
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome
from largebatch.testing.expect import expect
from largebatch.testing.made_up_trial import make_trial

MakeScheduler = Callable[[], Scheduler]
Curves = Mapping[int, Mapping[int, float]]
Log = list[tuple[int, int, Decision]]
"""Decisions in their order: number of the trial, examples, what was decided."""

TARGET = Target(metric="val_accuracy", above=0.99)
GRACE, LIMIT = 100, 1_000
SIZES = (16, 32, 64)
SPACE = Space.model_validate(
    {"global_batch_size": {"choices": list(SIZES)}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
_EVALUATIONS = range(50, LIMIT, 50)
_COUNT = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerPromises:
    """What a scheduler promises beyond the protocol, or does not."""

    stops: bool = True
    """It stops some trials."""
    batch_sizes_apart: bool = True
    """Trials of one batch size decide nothing about those of another; ``projection`` compares their times to target."""


ALL = SchedulerPromises()


def check_scheduler(make: MakeScheduler, promises: SchedulerPromises = ALL) -> None:
    """Put the scheduler that ``make`` returns through all of ``SCHEDULER_CHECKS``."""
    for check in SCHEDULER_CHECKS.values():
        check(make, promises)


class SideBySide:
    """A study of made-up curves: each trial in turn is measured, ends at the target, is paused, stopped as decided."""

    def __init__(self, make: MakeScheduler, curves: Curves, recipes: Sequence[Recipe]) -> None:
        self.make, self.curves, self.scheduler = make, curves, make()
        self.trials = [make_trial(number, recipe=recipes[number], curve=Intermediate()) for number in curves]
        self.log: Log = []

    def run(self, *, rebuilt_each_time: bool = False) -> Log:
        """All decisions, by one scheduler or by one that is rebuilt from the record before each."""
        for examples in sorted({examples for curve in self.curves.values() for examples in curve}):
            for number, curve in self.curves.items():
                if examples in curve and self.trials[number].running:
                    if rebuilt_each_time:
                        self.scheduler = self.make()
                        self.scheduler.rebuild(self.trials)
                    self.measure(number, examples, curve[examples])
            paused = [trial.number for trial in self.trials if trial.paused_at is not None]
            snapshot = list(self.trials)
            decisions = {number: self.scheduler.decide(snapshot[number], snapshot) for number in paused}
            for number, decision in decisions.items():
                self._act(number, examples, decision)
        return self.log

    def measure(self, number: int, examples: int, value: float) -> None:
        """Record a measurement; unless it reached the target, decide."""
        before = self.trials[number]
        assert isinstance(before.intermediate, Intermediate)
        self.trials[number] = replace(before, intermediate=before.intermediate.added(examples, value))
        if TARGET.reached(value):
            low, low_value = max(before.intermediate.items(), default=(0, 0.0))
            met = float(np.interp(TARGET.bound, (low_value, value), (low, examples)))
            self.end(number, Outcome.REACHED, examples_to_target=met)
        else:
            self._act(number, examples, self.scheduler.decide(self.trials[number], self.trials))

    def end(self, number: int, outcome: Outcome, *, examples_to_target: float | None = None, reason: str = "") -> None:
        """End a trial where its curve ends."""
        trial = self.trials[number]
        size = trial.recipe.global_batch_size
        self.trials[number] = make_trial(
            number,
            recipe=trial.recipe,
            curve=trial.intermediate,
            outcome=outcome,
            steps_to_target=None if examples_to_target is None else examples_to_target / size,
            examples_to_target=examples_to_target,
            reason=reason,
        )

    def _act(self, number: int, examples: int, decision: Decision) -> None:
        self.log.append((number, examples, decision))
        if decision.action == "stop":
            self.end(number, Outcome.STOPPED, reason=decision.why)
        else:
            paused = decision.action == "pause"
            self.trials[number] = replace(
                self.trials[number], running=not paused, paused_at=examples if paused else None
            )


def rising_curves(seed: int = 0) -> dict[int, dict[int, float]]:
    """30 accuracies that rise as the root of the examples, with noise; those that are fast enough reach the target."""
    rng = np.random.default_rng(seed)
    examples = np.array(_EVALUATIONS)
    curves = {}
    for number in range(_COUNT):
        whole = np.exp(rng.uniform(np.log(300), np.log(5_000)))
        noisy = 0.99 * np.sqrt(examples / whole) * np.exp(0.1 * rng.standard_normal(len(examples)))
        values = np.minimum(np.maximum.accumulate(noisy), 1.0)
        curves[number] = {int(at): float(value) for at, value in zip(examples, values, strict=True)}
    return curves


def flat_curves(values: Sequence[float]) -> dict[int, dict[int, float]]:
    """Trials whose metric never moves."""
    return {number: dict.fromkeys(_EVALUATIONS, value) for number, value in enumerate(values)}


def mixed_recipes() -> list[Recipe]:
    """Ten rates, far enough apart to be other recipes, at each of three batch sizes in turn."""
    return [
        Recipe(global_batch_size=SIZES[number % 3], learning_rate=0.01 * 1.5 ** (number // 3))
        for number in range(_COUNT)
    ]


def alike_recipes(count: int, global_batch_size: int = 32) -> list[Recipe]:
    """One batch size, rates apart."""
    return [Recipe(global_batch_size=global_batch_size, learning_rate=0.01 * 1.26**number) for number in range(count)]


def stopped(log: Log) -> set[int]:
    """Numbers of the trials that were stopped."""
    return {number for number, _, decision in log if decision.action == "stop"}


def _run(make: MakeScheduler, seed: int = 0) -> Log:
    return SideBySide(make, rising_curves(seed), mixed_recipes()).run()


def _expect_same(first: Log, second: Log, what: str) -> None:
    for one, other in zip(first, second, strict=False):
        expect(one == other, f"{what}: trial, examples and decision were {one}, then {other}")
    expect(len(first) == len(second), f"{what}: {len(first)} decisions, then {len(second)}")


def _check_rebuilt(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """Rebuilt from the record it decides alike."""
    del promises
    for seed in range(3):
        again = SideBySide(make, rising_curves(seed), mixed_recipes()).run(rebuilt_each_time=True)
        _expect_same(_run(make, seed), again, "a scheduler rebuilt from the record must decide as one never stopped")


def _check_stops(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """It stops some and says why; or none, if that is what it promises."""
    log = _run(make)
    count = len(stopped(log))
    if not promises.stops:
        expect(count == 0, f"it stopped {count} of {_COUNT} trials, and promises to stop none")
        return
    expect(0 < count < _COUNT, f"it must stop some of {_COUNT} trials and not all; stopped {count}")
    silent = [number for number, _, decision in log if decision.action == "stop" and not decision.why]
    expect(not silent, f"every stop must say why; those of trials {silent} do not")


def _check_grace(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """Nothing stops or pauses before the grace."""
    del promises
    early = [entry for entry in _run(make) if entry[1] < GRACE and entry[2].action != "go on"]
    expect(not early, f"every trial must go on before {GRACE} examples; got {early[:1]}")


def _check_batch_sizes_apart(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """Whatever one batch size does, decisions on the others stay the same."""
    if not promises.batch_sizes_apart:
        return
    curves = rising_curves()
    beside = {number: dict.fromkeys(curve, 0.001) if number % 3 == 0 else curve for number, curve in curves.items()}

    def others(curves: Curves) -> Log:
        return [entry for entry in SideBySide(make, curves, mixed_recipes()).run() if entry[0] % 3]

    what = f"decisions on batch sizes {SIZES[1]} and {SIZES[2]} must not depend on the trials of {SIZES[0]}"
    _expect_same(others(curves), others(beside), what)


def _check_not_finite(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """A metric that is not finite is the worst: such trials are stopped first, and others not on their account.

    The four of NaN come last in number, so that each meets finite values of its batch size. Of the finite ones four
    rise to the target, the others never move.
    """
    if promises.stops:
        rising = [{at: min(0.5 + at / 1_000, 1.0) for at in _EVALUATIONS} for _ in range(4)]
        flat = flat_curves([0.5, 0.6, 0.7] * 4 + [float("nan")] * 4)
        curves = {**dict(enumerate(rising)), **{4 + number: curve for number, curve in flat.items()}}
        found = stopped(SideBySide(make, curves, alike_recipes(20)).run())
        expect({16, 17, 18, 19} & found, f"trials 16 to 19, whose metric is NaN, must be stopped; only {found} were")
        expect(not {0, 1, 2, 3} & found, f"trials 0 to 3, which reach the target, must not be stopped; {found} were")
    curves = flat_curves([float("nan")] * 12 + [0.5] * 4)
    found = stopped(SideBySide(make, curves, alike_recipes(16)).run())
    expect(not {12, 13, 14, 15} & found, f"trials 12 to 15 are finite, the others NaN: none may stop; {found} were")


def _check_deterministic(make: MakeScheduler, promises: SchedulerPromises) -> None:
    """It decides alike and draws from no global generator."""
    del promises
    state = np.random.get_state()
    logs = []
    for seed in (1, 2):
        np.random.seed(seed)
        logs.append(_run(make))
    np.random.set_state(state)
    _expect_same(logs[0], logs[1], "decisions must depend on the record alone, not on NumPy's global generator")


SCHEDULER_CHECKS: Mapping[str, Callable[[MakeScheduler, SchedulerPromises], None]] = {
    "rebuilt from the record it decides alike": _check_rebuilt,
    "it stops some and says why": _check_stops,
    "nothing stops before the grace": _check_grace,
    "batch sizes do not compete": _check_batch_sizes_apart,
    "what is not finite is the worst": _check_not_finite,
    "it is deterministic and draws from no global generator": _check_deterministic,
}
