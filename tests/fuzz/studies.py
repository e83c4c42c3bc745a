"""A small study directory with everything in it, to be damaged by the tests here."""

import math
from pathlib import Path

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import AllReduceTime, ComputeTime, InputTime, StepTime, StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import write_curve
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.ledger import Ledger

TEXT = """\
name: small
task: digits
workers: [1, 2, 8]
space:
  global_batch_size: {choices: [32, 64, 128, 256]}
  learning_rate: {low: 1.0e-3, high: 1.0, scale: log}
  optimizer: {choices: [sgd, adam]}
  momentum: {low: 0.8, high: 0.99, scale: log1m, when: {optimizer: [sgd]}}
search: {name: halton, seed: 3}
scheduler: {name: none}
budget: {trials: 9, examples_per_trial: 4000}
"""
TARGET = Target(metric="val_accuracy", above=0.9)


def write_small_study(path: Path) -> StudyDirectory:
    """Five trials: four batch sizes that reached the target, one that diverged; a sixth still runs."""
    directory = StudyDirectory(path)
    path.mkdir()
    study = parse_study(TEXT, "small.yaml")
    directory.freeze(study, TARGET, "0" * 16)
    ledger = Ledger(directory.ledger, "small", create=True)
    ledger.record_request("0-a", {"kind": "stop", "by": "me@here", "at": "today", "trial": 0, "became": "taken"})
    for number, size in enumerate((32, 64, 128, 256, 32, 64)):
        recipe = Recipe(global_batch_size=size, learning_rate=0.1 * (1 + number), optimizer="adam", seed=number)
        ledger.create(study.space, recipe, num_devices=1, owner="here:1:0", why="a point")
        curve = [
            Measurement(
                step=step, examples=size * step, seconds=0.1 * step,
                values={"val_accuracy": 0.1 + 0.1 * step, "train_loss": math.nan if step == 0 else 1 / step,
                        "noise_scale": 100.0},
            )
            for step in range(0, 10, 3)
        ]  # fmt: skip
        for measurement in curve:
            ledger.measure(number, measurement, "val_accuracy")
        write_curve(directory.curves, number, curve)
        steps = 10.0 + 400 / size
        if number < 4:
            ledger.end(number, Ending(
                outcome=Outcome.REACHED, step=9, examples=9 * size, seconds=1.0, steps_to_target=steps,
                examples_to_target=steps * size,
            ))  # fmt: skip
        elif number == 4:
            ledger.end(number, Ending(outcome=Outcome.DIVERGED, step=9, examples=9 * size, seconds=1.0, reason="inf"))
    ledger.set_elapsed_seconds(12.0)
    directory.profile_file.write_text(
        StepTimeProfile(
            device="a device",
            num_bytes=1_000_000,
            micro_batch_size=64,
            compute=tuple(ComputeTime(local_batch_size=b, seconds=(0.01 + 1e-4 * b,) * 3) for b in (32, 64, 128, 256)),
            input=InputTime(local_batch_size=64, seconds=(0.001, 0.002)),
            steps=(StepTime(num_workers=2, local_batch_size=64, seconds=(0.02, 0.021), workers_per_node=2),),
            all_reduce=(AllReduceTime(num_workers=2, num_bytes=1000, seconds=(1e-4,), workers_per_node=2),),
        ).model_dump_json(indent=1)
    )
    return directory
