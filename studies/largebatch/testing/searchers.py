"""What every searcher promises: a pure ``ask``, inside the space, all batch sizes, conditions respected."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from largebatch.search.searcher import Searcher
from largebatch.search.searchers.halton import Halton
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome, Trial
from largebatch.testing.expect import expect
from largebatch.testing.made_up_trial import make_trial

MakeSearcher = Callable[[], Searcher]
Train = Callable[[int, Recipe], Trial]

TARGET = Target(metric="val_loss", below=0.1)
"""What the made-up trials are to reach."""
_SIZES = {"global_batch_size": {"low": 16, "high": 128, "scale": "log2"}}
_RATE = {"learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
SPACES: Mapping[str, Space] = {
    "options of the task": Space.model_validate(
        {
            **_SIZES,
            **_RATE,
            "task.noisy": {"choices": [False, True]},
            "task.noise": {"low": 0.0, "high": 0.5, "when": {"task.noisy": [True]}},
        }
    ),
    "flat": Space.model_validate({**_SIZES, **_RATE}),
    "fixed rate": Space.model_validate({**_SIZES, "learning_rate": 0.1, "momentum": {"low": 0.5, "high": 0.9}}),
    "conditional": Space.model_validate(
        {
            **_SIZES,
            **_RATE,
            "optimizer": {"choices": ["sgd", "adamw"]},
            "momentum": {"low": 0.8, "high": 0.99, "scale": "log1m", "when": {"optimizer": ["sgd"]}},
            "beta2": {"low": 0.9, "high": 0.999, "scale": "log1m", "when": {"optimizer": ["adamw"]}},
            "warmup_steps": {"low": 0, "high": 50},
        }
    ),
    "decay": Space.model_validate({**_SIZES, **_RATE, "weight_decay": {"low": 1e-6, "high": 1e-2, "scale": "log"}}),
    "choices": Space.model_validate({"global_batch_size": {"choices": [24, 48]}, **_RATE, "norm_batch_size": 8}),
}
"""Where the suite searches."""
_TRIALS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class SearcherPromises:
    """What a searcher promises beyond the protocol, or does not."""

    rates_stay: bool = True
    """Its learning rates stay inside the space; ``guided`` moves the edges."""
    every_batch_size: bool = True
    """Within 18 trials each batch size gets its turn."""


ALL = SearcherPromises()


def check_searcher(make: MakeSearcher, promises: SearcherPromises = ALL) -> None:
    """Put the searcher that ``make`` returns through all of ``SEARCHER_CHECKS``."""
    for check in SEARCHER_CHECKS.values():
        check(make, promises)


def bowl_steps(recipe: Recipe) -> float:
    """Steps to the target: 100 at the best learning rate, which grows with the batch size."""
    best = 0.1 * math.sqrt(recipe.global_batch_size / 16)
    return 100 * math.exp(math.log(recipe.learning_rate / best) ** 2)


def mixed_trial(number: int, recipe: Recipe) -> Trial:
    """Trials that end in every way in turn, one of them still running."""
    outcomes = (Outcome.REACHED, Outcome.REACHED, Outcome.STOPPED, Outcome.DIVERGED, Outcome.REACHED, None)
    outcome = outcomes[number % len(outcomes)]
    return make_trial(
        number,
        recipe=recipe,
        outcome=outcome,
        steps_to_target=bowl_steps(recipe) if outcome is Outcome.REACHED else None,
        step=9,
        curve={16: 1.0, 99: math.nan if outcome is Outcome.DIVERGED else 0.5},
    )


def lawful_trial(number: int, recipe: Recipe) -> Trial:
    """Reaches the target after ``bowl_steps`` unless it would take too long."""
    steps = bowl_steps(recipe)
    reached = steps < 1_000
    return make_trial(
        number,
        recipe=recipe,
        outcome=Outcome.REACHED if reached else Outcome.EXHAUSTED,
        steps_to_target=steps if reached else None,
        step=9,
        curve={16: 1.0, 99: 0.1 * math.log(steps)},
    )


def search(searcher: Searcher, space: Space, count: int, seed: int = 0, train: Train = mixed_trial) -> list[Trial]:
    """The trials of a made-up study: ``count`` at most, one after another."""
    trials: list[Trial] = []
    while len(trials) < count and (proposal := searcher.ask(space, trials, seed)) is not None:
        expect(proposal.why, f"proposal {len(trials)} must say why")
        trials.append(train(len(trials), proposal.recipe))
    return trials


def _ask(searcher: Searcher, space: Space, trials: Sequence[Trial]) -> Recipe:
    proposal = searcher.ask(space, trials, 0)
    if proposal is None:
        raise AssertionError(f"ask must propose a recipe after {len(trials)} trials; got None")
    return proposal.recipe


def _check_space(name: str) -> Callable[[MakeSearcher, SearcherPromises], None]:
    def check(make: MakeSearcher, promises: SearcherPromises) -> None:
        searcher, space = make(), SPACES[name]
        trials = search(searcher, space, _TRIALS)
        expect(trials, f"ask must propose a first recipe in the space {name!r}; got None")
        for trial in trials:
            inside = trial.recipe
            if not promises.rates_stay:
                rate = space.root["learning_rate"].grid(1)[0]
                inside = inside.model_copy(update={"learning_rate": rate})
            expect(space.contains(inside), f"recipes must lie inside the space {name!r}; got {trial.recipe!r}")
        last = trials[-1].recipe
        for which, other in (("the same searcher", searcher), ("a new one", make())):
            again = _ask(other, space, trials[:-1])
            expect(
                again == last,
                f"ask must be pure (the same trials and seed, the same recipe): {which} asked again for recipe "
                f"{len(trials) - 1} in the space {name!r} gave {again!r}, before {last!r}",
            )
        if promises.every_batch_size and len(trials) == _TRIALS:
            missing = set(space.batch_sizes) - {trial.recipe.global_batch_size for trial in trials}
            expect(not missing, f"{_TRIALS} trials must try each batch size of {name!r}; none of {sorted(missing)}")

    check.__doc__ = f"Pure and inside the space {name!r}, every batch size in its turn."
    return check


def _check_proposals_while_others_run(make: MakeSearcher, promises: SearcherPromises) -> None:
    """Four at once differ."""
    del promises
    searcher, space = make(), SPACES["flat"]
    trials = search(searcher, space, 10)
    for _ in range(4):
        trials = [*trials, make_trial(len(trials), recipe=_ask(searcher, space, trials))]
    different = len({trial.recipe for trial in trials[-4:]})
    expect(different == 4, f"four recipes asked for while none has ended must differ; {different} do")


def _check_odd_histories(make: MakeSearcher, promises: SearcherPromises) -> None:
    """Nothing reached, all alike, and recipes that the space does not hold (a human's own)."""
    del promises
    searcher, space = make(), SPACES["conditional"]
    first = search(Halton(), space, 12)
    lost = make_trial(outcome=Outcome.EXHAUSTED, step=9, examples=99).ending
    hopeless = [replace(trial, running=False, ending=lost) for trial in first]
    alike = [replace(first[0], number=number) for number in range(12)]
    own = Recipe(global_batch_size=48, learning_rate=7.0, optimizer="lamb", norm_batch_size=16)
    foreign = [*first[:-1], replace(first[0], number=11, recipe=own)]
    for trials in (hopeless, alike, foreign):
        _ask(searcher, space, trials)


SEARCHER_CHECKS: Mapping[str, Callable[[MakeSearcher, SearcherPromises], None]] = {
    **{f"space: {name}": _check_space(name) for name in SPACES},
    "proposals while others run differ": _check_proposals_while_others_run,
    "odd histories": _check_odd_histories,
}


def check_learning(make: MakeSearcher) -> None:
    """For searchers that learn: after 16 trials nearer to each batch size's optimum than Halton's, at 3 seeds."""

    def miss(searcher: Searcher, seed: int) -> float:
        late = search(searcher, SPACES["decay"], 28, seed, lawful_trial)[16:]
        return float(np.median([math.log(bowl_steps(trial.recipe) / 100) for trial in late]))

    for seed in range(3):
        own, other = miss(make(), seed), miss(Halton(), seed)
        expect(own < other, f"seed {seed}: must come nearer to the optimum than Halton's {other:.3g}; got {own:.3g}")
