"""Every searcher goes through the suite of ``largebatch.testing``; those that promise more, through more."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from largebatch.search.searcher import Proposal, Searcher
from largebatch.search.searchers.cbo import DeepHyperCBO
from largebatch.search.searchers.cma_es import CmaEs
from largebatch.search.searchers.gp import OptunaGP
from largebatch.search.searchers.grid import Grid
from largebatch.search.searchers.guided.guided import Guided
from largebatch.search.searchers.halton import Halton
from largebatch.search.searchers.tpe import OptunaTPE
from largebatch.spaces.space import Space
from largebatch.studies.question import study
from largebatch.testing import SEARCHER_CHECKS, MadeUpSeconds, SearcherPromises, check_searcher
from largebatch.testing.searchers import SPACES, TARGET, check_learning, search

SEARCHERS: dict[str, Callable[[], Searcher]] = {
    "grid": lambda: Grid(points_per_range=4),
    "halton": Halton,
    "optuna-tpe": lambda: OptunaTPE(TARGET, "square-root"),
    "optuna-tpe-linear": lambda: OptunaTPE(TARGET, "linear"),
    "optuna-gp": lambda: OptunaGP(TARGET, "square-root"),
    "optuna-cmaes": lambda: CmaEs(TARGET, "square-root"),
    "deephyper-cbo": lambda: DeepHyperCBO(TARGET, "square-root"),
    "guided": lambda: Guided(TARGET, MadeUpSeconds(), 2_000),
}
PROMISES = {
    "grid": SearcherPromises(every_batch_size=False),
    "guided": SearcherPromises(every_batch_size=False, rates_stay=False),
}


@pytest.mark.parametrize("check", SEARCHER_CHECKS)
@pytest.mark.parametrize("name", SEARCHERS)
def test_conformance(name: str, check: str) -> None:
    SEARCHER_CHECKS[check](SEARCHERS[name], PROMISES.get(name, SearcherPromises()))


def test_every_searcher_that_ships_is_in_the_suite() -> None:
    assert set(study.SEARCHERS) <= set(SEARCHERS)


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp", "optuna-cmaes", "deephyper-cbo"])
def test_it_learns_where_the_optimum_is(name: str) -> None:
    check_learning(SEARCHERS[name])


def test_tpe_gives_every_batch_size_its_turn() -> None:
    counts = [one.recipe.global_batch_size for one in search(SEARCHERS["optuna-tpe"](), SPACES["flat"], 40)]
    assert all(abs(counts.count(size) - 10) <= 3 for size in SPACES["flat"].batch_sizes)


def test_grid_ends() -> None:
    trials = search(SEARCHERS["grid"](), SPACES["flat"], 1000)
    assert len(trials) == len({one.recipe for one in trials}) == 4 * 4


def test_seeds_differ() -> None:
    first, second = (search(Halton(), SPACES["flat"], 5, seed) for seed in (0, 1))
    assert first != second


class Faulty:
    """Halton with one fault; ``asked`` counts over all of them, as a global generator would."""

    asked = 0

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def ask(self, space: Space, trials: object, seed: int) -> Proposal | None:
        history = list(trials)  # type: ignore[call-overload]
        Faulty.asked += 1
        if self.fault == "remembers":
            seed += Faulty.asked
        if self.fault == "ignores what runs":
            history = [one for one in history if not one.running]
        if self.fault == "refuses a human's own" and not all(space.contains(one.recipe) for one in history):
            return None
        proposal = Halton().ask(space, history, seed)
        if self.fault == "says nothing":
            return replace(proposal, why="")
        if self.fault == "leaves the space":
            return replace(proposal, recipe=proposal.recipe.model_copy(update={"learning_rate": 2.0}))
        if self.fault == "one batch size":
            recipe = proposal.recipe.model_copy(update={"global_batch_size": space.batch_sizes[-1]})
            return replace(proposal, recipe=recipe)
        return proposal


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("remembers", "ask must be pure"),
        ("ignores what runs", r"four recipes .* must differ; 1 do"),
        ("refuses a human's own", "ask must propose a recipe after 12 trials; got None"),
        ("says nothing", "must say why"),
        ("leaves the space", "recipes must lie inside the space"),
        ("one batch size", r"none of \[16, 32, 64\]"),
    ],
)
def test_a_faulty_searcher_fails(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_searcher(lambda: Faulty(fault))
