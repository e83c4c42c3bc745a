"""Examples to the digits target: adaptive recipes against the best fixed recipe at 16 times the base batch.

    python benchmarks/adaptive.py        # about 15 minutes on 2 cores

Each kind of recipe has its learning rate chosen by the median over tuning seeds, and is then compared over other seeds,
which chose nothing. A training that gives up counts with all its examples, which is too few. The test is Mann and
Whitney's, one-sided: that the adaptive recipe needs fewer examples. Results, with machine and spread: docs/trainer.md.
"""

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import torch
from scipy.stats import mannwhitneyu

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training

BASE, TIMES = 32, 16
MAX_EXAMPLES = 60_000
COMMON = {"norm_batch_size": 16, "optimizer": "nesterov", "momentum": 0.9}
KINDS: dict[str, dict[str, Any]] = {
    "fixed at the base batch": {"global_batch_size": BASE},
    "fixed at 16 times": {"global_batch_size": TIMES * BASE},
    "adascale at 16 times": {"global_batch_size": TIMES * BASE, "adaptive": "adascale", "base_batch_size": BASE},
    "growing to 16 times": {"global_batch_size": TIMES * BASE, "adaptive": "noise-scale", "base_batch_size": BASE},
}
RATES = {
    "fixed at the base batch": (0.1, 0.2, 0.4),
    "fixed at 16 times": (0.4, 0.8, 1.2, 1.6, 2.4),
    "adascale at 16 times": (0.1, 0.2, 0.3, 0.4, 0.6),
    "growing to 16 times": (0.1, 0.2, 0.4),
}


@cache
def task() -> Task:
    torch.set_num_threads(1)
    return load_task("digits", {})


def examples_to_target(kind: str, rate: float, seed: int) -> tuple[float, float]:
    """Examples and steps to the target; infinitely many steps where it was not reached."""
    recipe = Recipe.model_validate({**COMMON, **KINDS[kind], "learning_rate": rate, "seed": seed})
    training = Training(task(), recipe, max_examples=MAX_EXAMPLES, device=torch.device("cpu"))
    ending = run_to_target(training, task().target, on_measurement=lambda _: "go on")
    return ending.examples_to_target or float(ending.examples), ending.steps_to_target or math.inf


def run(jobs: Sequence[tuple[str, float, int]], processes: int) -> dict[tuple[str, float, int], tuple[float, float]]:
    with ProcessPoolExecutor(processes) as pool:
        return dict(zip(jobs, pool.map(examples_to_target, *zip(*jobs, strict=True)), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuning-seeds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tuning = range(1000, 1000 + options.tuning_seeds)
    tuned = run([(kind, rate, seed) for kind in KINDS for rate in RATES[kind] for seed in tuning], options.processes)
    medians = {
        (kind, rate): statistics.median(tuned[kind, rate, seed][0] for seed in tuning)
        for kind in KINDS
        for rate in RATES[kind]
    }
    best = {kind: min(RATES[kind], key=lambda rate, kind=kind: medians[kind, rate]) for kind in KINDS}  # type: ignore[misc]
    found = run([(kind, best[kind], seed) for kind in KINDS for seed in range(options.seeds)], options.processes)
    fixed = [found["fixed at 16 times", best["fixed at 16 times"], seed][0] for seed in range(options.seeds)]
    for kind in KINDS:
        ends = [found[kind, best[kind], seed] for seed in range(options.seeds)]
        examples = [end[0] for end in ends]
        low, middle, high = statistics.quantiles(examples, n=4)
        row = {
            "recipe": kind, "learning_rate": best[kind], "examples": round(middle),
            "quartiles": [round(low), round(high)], "steps": round(statistics.median(end[1] for end in ends), 1),
            "reached": sum(math.isfinite(end[1]) for end in ends), "seeds": options.seeds,
        }  # fmt: skip
        if kind not in ("fixed at 16 times", "fixed at the base batch"):
            row["p_fewer_than_fixed"] = round(float(mannwhitneyu(examples, fixed, alternative="less").pvalue), 4)
        print(json.dumps(row), flush=True)
    print(json.dumps({f"{kind} at {rate}": round(value) for (kind, rate), value in medians.items()}))


if __name__ == "__main__":
    main()
