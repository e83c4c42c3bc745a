"""Published steps to target, the largest batch sizes held out: python benchmarks/laws/hold_out.py

`mlperf`: runs of five benchmarks' reference convergence points (MLCommons), without the largest batch size.
`shallue`: five workloads of Shallue et al. (2019), JMLR 20:112, without the largest three; digitised from plots.
Prints the prediction with its 90 % interval over what was measured.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from largebatch.search.laws.batch_size.points import Points
from largebatch.search.laws.batch_size.steps_law import Unit, fit_steps_law
from largebatch.search.laws.from_table import Trainings, pool

DATA = Path(__file__).parents[2] / "tests" / "data"


def convergence() -> dict[str, Points]:
    """Points of the MLPerf benchmarks, in examples or epochs."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (DATA / "mlperf" / "convergence.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["benchmark"]].append((float(row["global_batch_size"]), float(row["to_target"])))
    found = {}
    for name, pairs in rows.items():
        batch, amount = np.array(pairs).T
        reached = np.ones(len(batch), dtype=bool)
        found[name], _ = pool(Trainings(batch_R=batch, amount_R=amount, reached_R=reached), "examples")
    return found


def workloads() -> dict[str, Points]:
    """Points of the workloads, in steps: one training each, whose scatter is not known."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (DATA / "shallue" / "steps_to_goal.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["workload"]].append((float(row["batch_size"]), float(row["steps_to_goal"])))
    found = {}
    for name, pairs in rows.items():
        batch, steps = np.array(pairs).T
        reached = np.ones(len(batch), dtype=bool)
        found[name], _ = pool(Trainings(batch_R=batch, amount_R=steps, reached_R=reached), "steps")
    return found


def report(name: str, points: dict[str, Points], held_out: int, unit: Unit) -> None:
    print(f"{name}: the largest {held_out} held out")
    errors, inside = [], []
    for workload, all_points in points.items():
        fitted = all_points.first(len(all_points.batch_K) - held_out)
        law = fit_steps_law(fitted, rng=np.random.default_rng(0), unit=unit)
        told = law.predict(all_points.batch_K[-held_out:])
        truth = np.exp(all_points.log_K[-held_out:])
        held = (told.low <= truth) & (truth <= told.high)
        errors += list(np.abs(told.value / truth - 1))
        inside += list(held)
        for size, low, value, high, hit in zip(
            all_points.batch_K[-held_out:], told.low / truth, told.value / truth, told.high / truth, held, strict=True
        ):
            print(
                f"  {workload:28s} {law.name:10s} {law.verdict:6s} batch {size:6.0f}: {value:.2f} ({low:.2f} to "
                f"{high:.2f}) of what was measured{'' if hit else '  MISSED'}"
            )
    print(f"  median absolute error {100 * np.median(errors):.1f} %; {sum(inside)} of {len(inside)} in their intervals")


if __name__ == "__main__":
    report("mlperf", convergence(), 1, "examples")
    report("shallue", workloads(), 3, "steps")
