"""Record training curves over batch size x learning rate x warm-up x optimizer x seed with our trainer.

    python benchmarks/curves/record.py digits waveforms galaxies

Restartable: each training is a line of ``journal/TASK.jsonl`` (which may be removed at the end), and those that are
there are not trained again. At the end the journal becomes two Parquet files a task in ``data/``. A training ends at
the target, when it diverges, or when it has taken ``CUT`` times the examples of the best one at its batch size so far:
later it can be the best of nothing. Not trained are: other seeds of a recipe whose first did not reach the target, and
warm-ups of a rate that without one was too small (it used up its examples while a larger rate reached the target), for
a warm-up makes it smaller still. A replay takes the curve of the recipe that was trained for them.
"""

import itertools
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from largebatch import Task
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Action, Measurement, Outcome
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.task import load_task
from largebatch.trainers.training import Training

FOLDER = Path(__file__).parent
TASKS = {"digits": "digits", "waveforms": "waveforms:waveforms", "galaxies": "galaxies:galaxies"}
BATCH_SIZES = (16, 32, 64, 128, 256, 512, 1024)
LEARNING_RATES = tuple(0.0005 * 2**power for power in range(13))
OPTIMIZERS = ("nesterov", "adamw")
WARMUP_EPOCHS = (0.0, 2.0)
SEEDS = (0, 1, 2)
NORM_BATCH_SIZE = 16
CUT = 3.0
FIRST_EXAMPLES = 10_000
"""A training may always go on for so long."""
CURVE = ("step", "examples", "seconds", "value", "train_loss", "noise_scale")


def main(names: list[str]) -> None:
    """Record the tasks that ``names`` lists, then write their tables."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(FOLDER))
    for name in names:
        record(name, load_task(TASKS[name], {}), FOLDER / "journal" / f"{name}.jsonl")
        write_tables(name)


def cells() -> Iterator[dict[str, Any]]:
    """Every recipe and seed, middle learning rates first, so that the best of a batch size is known early."""
    rates = sorted(LEARNING_RATES, key=lambda rate: abs(LEARNING_RATES.index(rate) - len(LEARNING_RATES) // 2))
    for seed, warmup, rate, optimizer, size in itertools.product(SEEDS, WARMUP_EPOCHS, rates, OPTIMIZERS, BATCH_SIZES):
        yield {
            "global_batch_size": size, "optimizer": optimizer, "learning_rate": rate, "warmup_epochs": warmup,
            "seed": seed,
        }  # fmt: skip


def record(name: str, task: Task, journal: Path) -> None:
    """Train what the journal lacks."""
    done = {_key(line["cell"]): line for line in read_journal(journal)}
    best: dict[int, float] = {}
    for line in done.values():
        _note(best, line)
    everything = list(cells())
    for number, cell in enumerate(everything):
        if _key(cell) in done or stand_in(cell, done) is not None:
            continue
        line = train(task, cell, best.get(cell["global_batch_size"]))
        done[_key(cell)] = line
        _note(best, line)
        journal.parent.mkdir(exist_ok=True)
        with journal.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{name} {number + 1}/{len(everything)} {cell} {line['outcome']} {line['examples']}", flush=True)


def stand_in(cell: dict[str, Any], done: dict[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any] | None:
    """The training that stands for one that is not trained."""
    unwarmed = done.get(_key({**cell, "seed": SEEDS[0], "warmup_epochs": WARMUP_EPOCHS[0]}))
    if cell["warmup_epochs"] and unwarmed is not None and unwarmed["outcome"] == Outcome.EXHAUSTED:
        larger = [_key({**unwarmed["cell"], "learning_rate": rate}) for rate in LEARNING_RATES]
        reached = [
            done[key]["cell"]["learning_rate"] for key in larger if key in done and done[key]["examples_to_target"]
        ]
        if any(rate > cell["learning_rate"] for rate in reached):
            return unwarmed
    first = done.get(_key({**cell, "seed": SEEDS[0]}))
    if cell["seed"] != SEEDS[0] and first is not None and first["outcome"] != Outcome.REACHED:
        return first
    return None


def train(task: Task, cell: dict[str, Any], best: float | None) -> dict[str, Any]:
    """One training, as a line of the journal."""
    recipe = Recipe(**cell, norm_batch_size=NORM_BATCH_SIZE)
    limit = task.max_examples if best is None else min(task.max_examples, int(max(FIRST_EXAMPLES, CUT * best)))
    curve: list[list[float]] = []

    def on_measurement(measurement: Measurement) -> Action:
        values = measurement.values
        row = {**asdict(measurement), **values, "value": values[task.target.metric]}
        curve.append([float(row.get(column, "nan")) for column in CURVE])
        return "go on"

    training = Training(task, recipe, max_examples=limit, device=torch.device("cpu"))
    ending = run_to_target(training, task.target, on_measurement=on_measurement)
    facts = {key: value for key, value in asdict(ending).items() if key not in ("outcome", "reason")}
    return {"cell": cell, "outcome": ending.outcome.value, "limit": limit, **facts, "curve": curve}


def read_journal(journal: Path) -> list[dict[str, Any]]:
    """The lines that were written whole."""
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text().splitlines(keepends=True) if line.endswith("}\n")]


def write_tables(name: str) -> None:
    """``data/TASK-trials.parquet``, one row a training, and ``data/TASK-curves.parquet``, one row an evaluation."""
    lines = read_journal(FOLDER / "journal" / f"{name}.jsonl")
    trials, curves = [], []
    for number, line in enumerate(lines):
        trials.append(
            {"trial": number, **line["cell"], **{k: v for k, v in line.items() if k not in ("cell", "curve")}}
        )
        curves += [{"trial": number, **dict(zip(CURVE, row, strict=True))} for row in line["curve"]]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=FOLDER)
    provenance = {
        "command": f"python benchmarks/curves/record.py {name}",
        "commit": commit.stdout.strip(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
    }
    (FOLDER / "data").mkdir(exist_ok=True)
    for kind, rows in (("trials", trials), ("curves", curves)):
        table = pa.Table.from_pylist(rows)
        integers = {"trial", "step", "examples", "global_batch_size", "seed", "limit"}
        types = [pa.int32() if f.name in integers else pa.float32() if pa.types.is_floating(f.type) and kind == "curves"
                 else f.type for f in table.schema]  # fmt: skip
        table = table.cast(pa.schema([pa.field(f.name, kind_) for f, kind_ in zip(table.schema, types, strict=True)]))
        table = table.replace_schema_metadata({"largebatch": json.dumps(provenance)})
        pq.write_table(table, FOLDER / "data" / f"{name}-{kind}.parquet", compression="zstd")


def _key(cell: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(cell[name] for name in ("global_batch_size", "optimizer", "learning_rate", "warmup_epochs", "seed"))


def _note(best: dict[int, float], line: dict[str, Any]) -> None:
    if line["examples_to_target"] is not None:
        size = line["cell"]["global_batch_size"]
        best[size] = min(best.get(size, float("inf")), line["examples_to_target"])


if __name__ == "__main__":
    main(sys.argv[1:] or list(TASKS))
