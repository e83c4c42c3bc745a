"""guided against its peers on the recorded tables: examples until the plan is near the best known at all worker counts.

    python benchmarks/curves/compare.py digits waveforms galaxies --seeds 20
    python benchmarks/curves/compare.py digits-live --seeds 5 --examples 400000

The second really trains (``live.py``).

Each peer runs both ways that a user would run it: one study a worker count (its objective: the time to target there),
and one study with the batch size as a dimension (its objective: the mean of log(time) over the worker counts). All pay
in examples trained. Results are lines of ``journal/compare.jsonl``, and what is there is not run again.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from live import LiveTable
from numpy.typing import NDArray
from peers import MAX_RESOURCE, PEERS, finite, make_peer, recipe_of
from record import BATCH_SIZES
from replay import FOLDER, SPACE, WORKERS, Cluster, Replay, Table, best_observed, best_times, regrets

from largebatch.schedulers.trial.projection import Projection
from largebatch.schedulers.trial.scheduler import GO_ON, Decision
from largebatch.search.searcher import Searcher
from largebatch.search.searchers.guided.guided import Guided
from largebatch.search.searchers.halton import Halton
from largebatch.search.searchers.tpe import OptunaTPE
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Trial

Array = NDArray[np.float64]
Point = tuple[int, list[float]]
"""Examples spent, regret at each worker count."""
OURS = ("guided", "our-tpe", "our-halton")
WAYS = ("each", "one")
GRACE_EVALUATIONS = 2
NEAR = math.log(1.05)
LIVE = "-live"


class Judge:
    """Regrets of chosen recipes by the smoothed truth of a table."""

    def __init__(self, table: Table) -> None:
        self.table, self.cluster = table, Cluster()
        self._truth = table.true_steps()
        self._best_W = best_times(self._truth, self.cluster)

    def regrets(self, recipes: dict[int, Recipe]) -> list[float]:
        """At each worker count, infinite where there is no recipe."""
        found: list[float] = regrets(recipes, self._truth, self.cluster, self._best_W).tolist()
        return found


def run_ours(name: str, judge: Judge, seed: int, max_examples: int, max_trials: int) -> Iterator[Point]:
    """A searcher of ours in one study, with the projection scheduler."""
    table, cluster = judge.table, judge.cluster
    guided = Guided(table.target, cluster, table.max_examples)
    searchers: dict[str, Searcher] = {
        "guided": guided, "our-tpe": OptunaTPE(table.target, "square-root"), "our-halton": Halton()
    }  # fmt: skip
    scheduler = Projection(table.target, cluster, grace_examples=GRACE_EVALUATIONS * 1_437)
    replay = Replay(table, scheduler, seed)
    for _ in replay.search(searchers[name], seed, max_examples, max_trials):
        if not any(trial.reached for trial in replay.trials):
            continue
        chosen = (
            guided.weigh(SPACE, replay.trials, seed).incumbents()
            if name == "guided"
            else best_observed(replay.trials, cluster)
        )
        yield replay.examples, judge.regrets(chosen)


class _Halving:
    """Lets a peer stop the trial that runs; metrics come at resources of its own clock."""

    def __init__(self, peer: Any, clock: Any, sign: float) -> None:
        self.peer, self.clock, self.sign = peer, clock, sign
        self.at = 0

    def rebuild(self, trials: Any) -> None:
        """See ``Scheduler``."""

    def decide(self, trial: Trial, trials: Any) -> Decision:
        """See ``Scheduler``."""
        del trials
        examples = max(trial.intermediate)
        resource = int(self.clock(trial.recipe.global_batch_size, examples))
        stops = False
        for passed in range(self.at + 1, min(resource, MAX_RESOURCE) + 1):
            stops = stops or self.peer.report(passed, finite(self.sign * trial.intermediate[examples]))
            self.at = passed
        return Decision("stop", "pruned") if stops else GO_ON


def run_peer(name: str, judge: Judge, workers: tuple[int, ...], seed: int, most: int, trials: int) -> Iterator[Replay]:
    """One study of a peer for the mean of log(time) over ``workers``; yields after each trial."""
    table, cluster = judge.table, judge.cluster
    index = [WORKERS.index(count) for count in workers]
    sizes = [size for size in BATCH_SIZES if len(workers) > 1 or math.isfinite(cluster.log_seconds(size)[index[0]])]
    peer = make_peer(name, len(sizes), seed)
    step_log = {size: _mean_log(cluster.log_seconds(size)[index]) for size in sizes}
    limit = max(step_log[size] + math.log(table.max_examples / size) for size in sizes)

    def clock(size: int, examples: int) -> float:
        return MAX_RESOURCE * math.exp(step_log[size] + math.log(max(examples / size, 1e-9)) - limit)

    replay = Replay(table, None, seed)
    while replay.examples < most and len(replay.trials) < trials:
        replay.scheduler = _Halving(peer, clock, table.target.sign)
        recipe = recipe_of(peer.propose(), sizes)
        trial = replay.train(recipe)
        steps = trial.steps_to_target
        peer.finish(limit + 1 if steps is None else math.log(max(steps, 1e-9)) + step_log[recipe.global_batch_size])
        yield replay


def _mean_log(logs: Array) -> float:
    """The mean over worker counts; one that cannot be served goes at the speed of the most that can."""
    known = logs[np.isfinite(logs)]
    return float(np.where(np.isfinite(logs), logs, known[-1]).mean())


def run_one(name: str, judge: Judge, seed: int, most: int, trials: int) -> Iterator[Point]:
    """A peer's one study with the batch size as a dimension."""
    for replay in run_peer(name, judge, WORKERS, seed, most, trials):
        yield replay.examples, judge.regrets(best_observed(replay.trials, judge.cluster))


def run_each(name: str, judge: Judge, seed: int, most: int, trials: int) -> Iterator[Point]:
    """A peer's study for each worker count, a trial in turn."""
    studies = [run_peer(name, judge, (count,), seed + 1_000 * w, most, trials) for w, count in enumerate(WORKERS)]
    chosen: dict[int, Recipe] = {}
    spent = [0] * len(WORKERS)
    while sum(spent) < most:
        live = False
        for w, study in enumerate(studies):
            replay = next(study, None)
            if replay is None:
                continue
            live = True
            spent[w] = replay.examples
            best = best_observed(replay.trials, judge.cluster)
            if w in best:
                chosen[w] = best[w]
        if not live:
            return
        yield sum(spent), judge.regrets(chosen)


def compare(task: str, shuffled: bool, method: str, way: str, seed: int, most: int, trials: int) -> dict[str, Any]:
    """One run of one method: its whole trace."""
    live = task.removesuffix(LIVE)
    judge = Judge(LiveTable(live) if task != live else Table(task, seed if shuffled else None))
    began = time.perf_counter()
    if method in OURS:
        points = run_ours(method, judge, seed, most, trials)
    else:
        points = (run_each if way == "each" else run_one)(method, judge, seed, most, trials)
    trace = [(examples, [round(one, 4) for one in regret]) for examples, regret in points]
    return {
        "task": task, "shuffled": shuffled, "method": method, "way": way, "seed": seed, "trace": trace,
        "most": most, "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def examples_until_near(run: dict[str, Any]) -> float:
    """Examples after which every worker count stays within 5 % of the best known; infinite where never."""
    near = math.inf
    for examples, regret in reversed(run["trace"]):
        if max(regret) > NEAR:
            return near
        near = float(examples)
    return near


def main() -> None:
    """Run what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=["digits", "waveforms", "galaxies"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", default=",".join((*OURS, *PEERS)))
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--examples", type=int, default=3_000_000)
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    journal = Path(FOLDER / "journal" / "compare.jsonl")
    journal.parent.mkdir(exist_ok=True)
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    done = {(one["task"], one["shuffled"], one["method"], one["way"], one["seed"]) for one in lines}
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for method in arguments.methods.split(","):
                for way in ("one",) if method in OURS else WAYS:
                    if (task, arguments.shuffled, method, way, seed) in done:
                        continue
                    run = compare(task, arguments.shuffled, method, way, seed, arguments.examples, arguments.trials)
                    with journal.open("a") as file:
                        file.write(json.dumps(run) + "\n")
                    near = examples_until_near(run)
                    mean = float(np.mean(run["trace"][-1][1])) if run["trace"] else math.inf
                    told = f"near after {near:,.0f}, last {mean:.3f}, {run['seconds']} s"
                    print(f"{task} {method} {way} seed {seed}: {told}", flush=True)


if __name__ == "__main__":
    main()
