"""Studies made up from a known law, written straight into a directory: quick for any number of trials."""

import json
import math
import os
import random
from pathlib import Path

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import ComputeTime, StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import write_curve
from largebatch.studies.record.directory import StudyDirectory

STUDY = """name: {name}
task: digits
workers: [1, 2, 4, 8, 16]
space:
  global_batch_size: {{low: 16, high: 1024, scale: log2}}
  learning_rate: {{low: 0.01, high: 10.0, scale: log}}
  optimizer: {{choices: [nesterov, adamw]}}
  norm_batch_size: 16
search: {{name: halton, seed: 1}}
scheduler: {{name: none}}
budget: {{trials: {trials}}}
"""
TARGET = Target(metric="val_accuracy", above=0.95)
NUM_TEMPLATES = 40
"""Curve files that differ; the others are links to these."""


def write_study(
    path: Path, *, name: str = "made-up", trials: int = 60, measurements: int = 20, running: int = 0,
    why: str = "a point of the made-up law", reason: str = "", curves: bool = True,
) -> Path:  # fmt: skip
    """A study with ``trials``, the last ``running`` of which have not ended; its directory."""
    directory = StudyDirectory(path)
    path.mkdir(parents=True)
    study = parse_study(STUDY.format(name=name, trials=max(trials, 1)), "study.yaml")
    directory.freeze(study, TARGET, "0" * 16)
    rng = random.Random(1)
    text = [_line(op_code=0, study_name=name, directions=[1])]
    for number in range(trials):
        text += _trial(number, rng, measurements, ended=number < trials - running, why=why, reason=reason)
    directory.ledger.write_text("".join(text))
    directory.profile_file.write_text(_profile().model_dump_json())
    if curves:
        _write_curves(directory.curves, trials, measurements)
    return path


def _trial(number: int, rng: random.Random, measurements: int, *, ended: bool, why: str, reason: str) -> list[str]:
    size = 2 ** rng.randint(4, 10)
    best = 0.8 / (1 + 200 / size)
    rate = best * math.exp(rng.gauss(0, 1))
    optimizer = rng.choice(["nesterov", "nesterov", "adamw"])
    miss = math.log(rate / best)
    steps = 40 * (1 + 200 / size) * math.exp(0.25 * miss**2 + rng.gauss(0, 0.05)) * (1.3 if optimizer == "adamw" else 1)
    outcome = "diverged" if miss > 1.8 else "exhausted" if miss < -1.8 else "reached"
    last = math.ceil(steps) if outcome == "reached" else 150
    recipe = Recipe(global_batch_size=size, learning_rate=rate, optimizer=optimizer, norm_batch_size=16, seed=number)
    attributes = {
        "recipe": recipe.model_dump(), "num_devices": 1, "owner": "here:1:0", "why": why, "repeat_of": None,
        "request": None,
    }  # fmt: skip
    lines = [
        _line(
            op_code=4, study_id=0, datetime_start="2026-01-01T00:00:00", state=0, value=None, values=None,
            distributions={}, params={}, user_attrs=attributes, system_attrs={}, intermediate_values={},
        )
    ]  # fmt: skip
    shown = measurements if ended else measurements // 2
    lines += [
        f'{{"op_code":7,"worker_id":"made-up","trial_id":{number},"step":{last * k // (measurements - 1) * size},'
        f'"intermediate_value":{0.97 * (1 - math.exp(-4.0 * k / (measurements - 1))):.6f}}}\n'
        for k in range(shown)
    ]
    if ended:
        reached = outcome == "reached"
        ending = {
            "outcome": outcome, "step": last, "examples": last * size, "seconds": last * (0.01 + size * 2e-5),
            "steps_to_target": steps if reached else None, "examples_to_target": steps * size if reached else None,
            "reason": reason,
        }  # fmt: skip
        lines += [
            _line(op_code=8, trial_id=number, user_attr={"ending": ending}),
            _line(
                op_code=6, trial_id=number, state=1 if reached else 2, values=[steps * size] if reached else None,
                datetime_complete="2026-01-01T00:01:00",
            ),
        ]  # fmt: skip
    return lines


def _line(**fields: object) -> str:
    return json.dumps({"worker_id": "made-up", **fields}, separators=(",", ":")) + "\n"


def _profile() -> StepTimeProfile:
    sizes = [16, 32, 64, 128, 256, 512, 1024]
    times = [ComputeTime(local_batch_size=size, seconds=(0.01 + size * 2e-5,) * 3) for size in sizes]
    return StepTimeProfile(device="a made-up device", num_bytes=4_000_000, compute=tuple(times))


def _write_curves(folder: Path, trials: int, measurements: int) -> None:
    folder.mkdir()
    for number in range(trials):
        path = folder / f"trial-{number:06d}.parquet"
        if number < NUM_TEMPLATES:
            write_curve(folder, number, [_measurement(k, measurements) for k in range(measurements)])
        else:
            os.link(folder / f"trial-{number % NUM_TEMPLATES:06d}.parquet", path)


def _measurement(k: int, measurements: int) -> Measurement:
    accuracy = 0.97 * (1 - math.exp(-4.0 * k / (measurements - 1)))
    values = {"val_accuracy": accuracy, "val_loss": 2.3 * (1 - accuracy), "learning_rate": 0.1}
    if k > 2:
        values |= {"noise_scale": 100.0 + 20 * k, "noise_scale_low": 60.0 + 10 * k, "noise_scale_high": 200.0 + 30 * k}
    return Measurement(step=5 * k, examples=5 * k * 64, seconds=0.1 * k, values=values)
