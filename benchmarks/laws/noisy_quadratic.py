"""The laws on the noisy quadratic model, where the truth is known: python benchmarks/laws/noisy_quadratic.py

Zhang et al. (2019), arXiv 1907.04164: 1,000 directions with curvature and gradient variance 1/i; the target is 5 % of
the initial loss. A study tries 16 learning rates at each of 7 batch sizes, coarse first, then near the best so far;
each training's steps scatter by 10 %; those that take more than 4 times the best steps are cut (censored), those that
diverge never reach the target, and in half of the studies the largest rate that may be tried lies below the best of
the large batches (edges). Prints how far S_min, B_crit and the steps at 16 times the largest batch are off, and how
often 90 % intervals hold the truth.
"""

import argparse

import numpy as np

from largebatch.search.laws.batch_size.points import AT_LEAST, AT_MOST
from largebatch.search.laws.batch_size.steps_law import fit_steps_law
from largebatch.search.laws.from_table import Trainings, pool

SIZES = (8, 16, 32, 64, 128, 256, 512)
TOLD = (8, 32, 128, 512, 1024, 2048, 8192)
S_MIN, B_CRIT = 183.0, 51.0
"""Of the hyperbola through the best steps of batch sizes 1 to 16,384."""
NUM_RATES, SCATTER, PATIENCE = 16, 0.1, 4.0
LOWEST, HIGHEST, LIMIT = 0.05, 2.5, 2.0
"""Rates that are tried; from ``LIMIT`` on training diverges."""
RATES = np.geomspace(0.02, 1.99, 140)


def steps_of_rates(size: int, max_steps: int = 20_000) -> np.ndarray:
    """Steps to the target at each of ``RATES``, infinite where it is never reached."""
    curvature = 1 / np.arange(1, 1001)
    keep, add = (1 - RATES[:, None] * curvature) ** 2, RATES[:, None] ** 2 * curvature / size
    square, steps = np.ones((len(RATES), 1000)), np.full(len(RATES), np.inf)
    goal = 0.05 * curvature.sum()
    before = np.full(len(RATES), curvature.sum())
    for step in range(1, max_steps):
        new = keep * square + add
        loss = new @ curvature
        hit = (loss <= goal) & np.isinf(steps)
        steps[hit] = step - 1 + np.log(before[hit] / goal) / np.log(before[hit] / loss[hit])
        if step % 100 == 0 and (np.isfinite(steps) | (np.abs(new - square).max(axis=1) < 1e-12)).all():
            break
        square, before = new, loss
        if np.isfinite(steps).any() and step > 3 * PATIENCE * steps.min():
            break
    return steps


def study(seed: int, table: dict[int, np.ndarray]) -> Trainings:
    """One simulated study."""
    rng = np.random.default_rng(seed)
    highest = HIGHEST if seed % 2 else rng.uniform(1.3, 1.9)
    rows: list[tuple[float, float, bool, float]] = []
    for size in SIZES:
        limit = PATIENCE * table[size].min()
        tried: list[tuple[float, float]] = []
        for index in range(NUM_RATES):
            if index < NUM_RATES // 2:
                share = (index + rng.random()) / (NUM_RATES // 2)
                log_rate = np.log(LOWEST) + share * np.log(highest / LOWEST)
            else:
                width = 0.7 if index < 3 * NUM_RATES // 4 else 0.3
                log_rate = min(min(tried)[1] + rng.uniform(-width, width), np.log(highest))
            known = np.where(np.isfinite(table[size]), table[size], 1e12)
            steps = np.exp(np.interp(log_rate, np.log(RATES), np.log(known)) + SCATTER * rng.standard_normal())
            diverged = log_rate >= np.log(LIMIT)
            reached = steps <= limit and not diverged
            tried.append((steps if reached else np.inf, log_rate))
            rows.append((size, steps if reached else np.inf if diverged else limit, reached, np.exp(log_rate)))
    batch, amount, reached_R, rate = zip(*rows, strict=True)
    return Trainings(
        batch_R=np.array(batch, float), amount_R=np.array(amount), reached_R=np.array(reached_R), rate_R=np.array(rate)
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--studies", type=int, default=200)
    number = arguments.parse_args().studies
    table = {size: steps_of_rates(size) for size in sorted({*SIZES, *TOLD})}
    truth = np.array([table[size].min() for size in TOLD])
    b_crit, s_min, far, held, edges = [], [], [], [], 0
    for seed in range(number):
        points, _ = pool(study(seed, table), "steps")
        edges += int((points.side_K == AT_MOST).sum() + (points.side_K == AT_LEAST).sum())
        law = fit_steps_law(points, rng=np.random.default_rng(seed))
        if law.verdict == "no-law":
            continue
        told = law.predict(np.array(TOLD, float))
        s_min.append(law.parameters.get("S_min", np.nan))
        b_crit.append(law.parameters.get("B_crit", np.nan))
        far.append(told.value[-1])
        held.append((told.low <= truth) & (truth <= told.high))
    print(f"{number} studies of {len(SIZES)} batch sizes and {NUM_RATES} rates, {edges} optima on an edge")
    print(f"{number - len(held)} studies were said to have no law; of the others:")
    for name, values, true in (("S_min", s_min, S_MIN), ("B_crit", b_crit, B_CRIT), ("steps at 8192", far, truth[-1])):
        low, middle, high = np.nanquantile(np.array(values) / true, (0.05, 0.5, 0.95))
        print(f"{name}: {middle:.3f} of the truth ({low:.3f} to {high:.3f} in 90 % of the studies)")
    for size, share in zip(TOLD, np.mean(held, axis=0), strict=True):
        print(f"  90 % intervals at batch {size}: {100 * share:.1f} % hold the truth")
    print(f"  all: {100 * np.mean(held):.1f} %")


if __name__ == "__main__":
    main()
