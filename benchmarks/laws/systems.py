"""Time to target on more devices than were fitted: python benchmarks/laws/systems.py --rounds 0.7 1.0

Rows of MLCommons' training results. A family is a submitter, accelerator and benchmark with one optimizer and at least
four numbers of devices. Its rows of up to 64 devices (of the smaller half, where fewer than two are) are fitted with
`largebatch fit`, beside the epochs of other submitters' rows of that size; the time of each larger row is predicted at
its batch size. Developed on rounds 0.7 and 1.0; round 1.1 was run once, at the end.
The baseline: a hyperbola of epochs, and step seconds a + c b + d log2 N, by least squares.
Seconds include start-up and evaluation, epochs are rounded up to an evaluation, settings are borrowed between
submitters. Nothing here is an MLPerf score.
"""

import argparse
import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, nnls
from scipy.stats import wilcoxon

from largebatch.studies.answer.fit_table import Asked, fit_table
from largebatch.studies.answer.measurement_table import OwnRow, OwnTable

DATA = Path(__file__).parents[2] / "tests" / "data" / "mlperf" / "results_by_system.csv"
MOST_FITTED = 64
PARAMETERS = {
    **{"resnet": 26e6, "ssd": 36e6, "maskrcnn": 46e6, "unet3d": 31e6, "transformer": 210e6},
    **{"gnmt": 160e6, "bert": 335e6, "rnnt": 49e6, "dlrm": 540e6},
}
"""Of the benchmarks' models; gradients are summed in two bytes each."""
EXAMPLES = {
    **{"resnet": 1.281e6, "ssd": 117e3, "maskrcnn": 117e3, "unet3d": 168, "transformer": 4.5e6},
    **{"gnmt": 3.5e6, "bert": 1.0, "rnnt": 278e3, "dlrm": 4.2e9},
}
"""Of an epoch; bert tells its progress in examples."""


@dataclass(frozen=True)
class Result:
    """A row of the results; ``examples`` to the target."""

    family: tuple[str, str, str]
    optimizer: str
    count: float
    batch: float
    examples: float
    seconds: float

    @property
    def in_tokens(self) -> bool:
        """Some submitters count the transformer's batch in tokens."""
        return self.batch > 10_000


def results(rounds: list[str]) -> list[Result]:
    found = []
    with DATA.open() as file:
        for row in csv.DictReader(file):
            needed = ("n_accel", "global_batch_size", "last_eval_x_med")
            if row["version"] not in rounds or not all(row[name] for name in needed):
                continue
            benchmark, told, batch = row["benchmark"], float(row["last_eval_x_med"]), float(row["global_batch_size"])
            if benchmark not in EXAMPLES:
                continue
            if benchmark == "bert":  # told as steps or as examples, by submitter; else it cannot be used
                told = told * batch if 400 < told < 50_000 else told
                if not 1e6 < told < 1e7:
                    continue
            family = (row["submitter"], row["accel"], benchmark)
            examples = told * EXAMPLES[benchmark]
            found.append(
                Result(family, row["opt_name"], float(row["n_accel"]), batch, examples, float(row["sec_med"]))
            )  # fmt: skip
    return found


def families(found: list[Result], least: int) -> dict[tuple[str, str, str], list[Result]]:
    grouped = defaultdict(list)
    for result in found:
        grouped[result.family].append(result)
    kept = {}
    for family, members in sorted(grouped.items()):
        optimizer = Counter(result.optimizer for result in members).most_common(1)[0][0]
        alike = [result for result in members if result.optimizer == optimizer]
        if len({result.count for result in alike}) >= least:
            kept[family] = sorted(alike, key=lambda result: result.count)
    return kept


def split(members: list[Result]) -> tuple[list[Result], list[Result]]:
    counts = sorted({result.count for result in members})
    small = [count for count in counts if count <= MOST_FITTED]
    if len(small) < 2 or len(small) == len(counts):
        small = counts[: len(counts) // 2]
    return [r for r in members if r.count in small], [r for r in members if r.count not in small]


def predict(fitted: list[Result], others: list[Result], held: list[Result]) -> list[tuple[float, float, float]]:
    """Value, low, high of the seconds of each held row, by `largebatch fit`."""
    rows = [
        OwnRow(
            line=0, group="", censored=False,
            values={"global_batch_size": r.batch, "examples": r.examples, "num_workers": r.count, "seconds": r.seconds},
        )
        for r in fitted
    ] + [
        OwnRow(line=0, group="", censored=False, values={"global_batch_size": r.batch, "examples": r.examples})
        for r in others
    ]  # fmt: skip
    table = OwnTable(path=DATA, rows=tuple(rows), unit="examples", notes=())
    asked = Asked(workers=[int(r.count) for r in held], batches=[int(r.batch) for r in held])
    answer = fit_table(table, asked, gradient_bytes=2 * PARAMETERS[fitted[0].family[2]])
    told = answer["groups"][0]["predictions"]
    return [(one["value"], one["low"], one["high"]) for one in told]


def baseline(fitted: list[Result], others: list[Result], held: list[Result]) -> list[float]:
    batch = np.array([r.batch for r in [*fitted, *others]])
    examples = np.array([r.examples for r in [*fitted, *others]])

    def misses(p: np.ndarray) -> np.ndarray:
        return np.asarray(p[0] + np.log1p(batch / np.exp(p[1])) - np.log(examples))

    level, log_bend = least_squares(misses, [np.log(examples.min()), np.log(10 * batch.max())]).x

    def design(some: list[Result]) -> np.ndarray:
        return np.array([[1.0, r.batch / r.count, np.log2(r.count)] for r in some])

    step = np.array([r.seconds * r.batch / r.examples for r in fitted])
    weights, _ = nnls(design(fitted) / step[:, None], np.ones(len(step)))
    steps = [np.exp(level) * (1 + r.batch / np.exp(log_bend)) / r.batch for r in held]
    return [float(number * seconds) for number, seconds in zip(steps, design(held) @ weights, strict=True)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", nargs="+", default=["0.7", "1.0"])
    arguments.add_argument("--least", type=int, default=4, help="numbers of devices that make a family")
    options = arguments.parse_args()
    found = results(options.rounds)
    errors, simple, inside, two_points, logs = [], [], [], [], []
    for family, members in families(found, options.least).items():
        fitted, held = split(members)
        limit = max(MOST_FITTED, max(r.count for r in fitted))
        others = [
            r
            for r in found
            if r.family[2] == family[2] and r not in fitted and r.count <= limit and r.count <= MOST_FITTED
            and r.in_tokens == fitted[0].in_tokens and r.optimizer in ("", fitted[0].optimizer)
        ]  # fmt: skip
        counts = sorted({int(r.count) for r in fitted})
        print(f"{' / '.join(family)}: fitted on {', '.join(map(str, counts))}; {len(others)} rows of others")
        told, plain = predict(fitted, others, held), baseline(fitted, others, held)
        for result, (value, low, high), other in zip(held, told, plain, strict=True):
            hit = low <= result.seconds <= high
            errors.append(abs(value / result.seconds - 1))
            simple.append(abs(other / result.seconds - 1))
            logs.append((abs(np.log(value / result.seconds)), abs(np.log(other / result.seconds))))
            inside.append(hit)
            if len(counts) == 2:
                two_points.append(hit)
            print(
                f"  {result.count:5.0f} devices, batch {result.batch:6.0f}: {value / result.seconds:.2f} "
                f"({low / result.seconds:.2f} to {high / result.seconds:.2f}) of the measured time"
                f"{'' if hit else ' MISSED'}; baseline {other / result.seconds:.2f}"
            )
    print(
        f"{len(errors)} predictions: median absolute error {100 * np.median(errors):.1f} % (baseline "
        f"{100 * np.median(simple):.1f} %), {sum(inside)} in their 90 % intervals; of two fitted sizes "
        f"{sum(two_points)} of {len(two_points)}"
    )
    ours, theirs = np.array(logs).T
    test = wilcoxon(ours, theirs)
    print(
        f"|log error|: mean {ours.mean():.3f}, baseline {theirs.mean():.3f}; nearer than the baseline in "
        f"{(ours < theirs).sum()} of {len(ours)}, Wilcoxon's signed-rank p = {test.pvalue:.2f}"
    )


if __name__ == "__main__":
    main()
