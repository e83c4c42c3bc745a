"""``new``: a study file and the skeleton of a task that run as they are."""

import importlib.resources
import re
from dataclasses import dataclass
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.space import MAX_EXTRAPOLATION
from largebatch.studies.question.study_file import parse_study

KINDS = {
    "plain": "plain.py",
    "lightning": "lightning.py",
    "huggingface": "huggingface.py",
    "train-step": "train_step.py",
}
"""What a task may be made of -> its skeleton."""
GROUP_EXAMPLES, BATCH_SIZE = 32, 1024
"""Examples of a virtual worker, and the largest batch that is searched unless more workers need a larger one."""

LARGEST_STEPS = 16
"""Steps of a trial at such a larger batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStudy:
    """The answers to four questions."""

    name: str
    kind: str
    most_workers: int
    minutes: float


def write_new(asked: NewStudy, folder: Path) -> tuple[Path, Path]:
    """Write ``NAME.yaml`` and ``NAME_task.py`` into ``folder``, and return their paths.

    Raises:
        UserError: if one of them exists, or an answer cannot be taken.
    """
    module = re.sub(r"\W", "_", asked.name) + "_task"
    if not module.isidentifier():
        raise UserError(f"--name: must begin with a letter, for it names a Python module; got {asked.name!r}")
    if asked.kind not in KINDS:
        raise UserError(f"--kind: unknown kind {asked.kind!r}{nearest(asked.kind, KINDS)}")
    study_file, task_file = folder / f"{asked.name}.yaml", folder / f"{module}.py"
    text = study_yaml(asked, f"{module}:task")
    parse_study(text, "the new study")
    skeleton = importlib.resources.files("largebatch.trainers.templates") / KINDS[asked.kind]
    existing = [str(path) for path in (study_file, task_file) if path.exists()]
    if existing:
        raise UserError(f"{' and '.join(existing)} would be overwritten; choose another --name or --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in ((study_file, text), (task_file, skeleton.read_text(encoding="utf-8"))):
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error
    return study_file, task_file


def study_text_of_task(task: str) -> str:
    """The study file that ``new`` would write for a task."""
    return study_yaml(NewStudy(name="study", kind="plain", most_workers=64, minutes=20), task)


def study_yaml(asked: NewStudy, task: str) -> str:
    """A study file with its explanations."""
    counts = [2**power for power in range(asked.most_workers.bit_length()) if 2**power < asked.most_workers]
    workers = ", ".join(map(str, [*counts, asked.most_workers]))
    least = GROUP_EXAMPLES * asked.most_workers / MAX_EXTRAPOLATION
    largest = BATCH_SIZE
    while largest < least:
        largest *= 2
    # The task's own limit may be less than a step of so large a batch.
    limit = f", examples_per_trial: {LARGEST_STEPS * largest}" if largest > BATCH_SIZE else ""
    attention = asked.kind == "huggingface"
    optimizer, low, high = ("adamw", "1.0e-4", "0.1") if attention else ("nesterov", "1.0e-3", "1.0")
    return f"""\
# largebatch check {asked.name}.yaml    proves that the task is sound, and tells what this will cost
# largebatch run {asked.name}.yaml      runs it, or goes on with it
name: {asked.name}
task: {task}       # module:function
workers: [{workers}]       # the worker counts that the plan answers
space:                            # what may vary; all else keeps its default
  global_batch_size: {{low: {GROUP_EXAMPLES}, high: {largest}, scale: log2}}
  learning_rate: {{low: {low}, high: {high}, scale: log}}       # always of the global batch
  optimizer: {optimizer}             # or {{choices: [nesterov, adamw, lamb]}}, also sgd, adam, lars, muon
  # task.width: {{choices: [32, 64, 128]}}    searches what the task's function takes
search: {{name: guided, seed: 0}}
scheduler: {{name: projection}}     # stops a trial that can no longer be the best for any worker count
budget: {{trials: 40, minutes: {asked.minutes:g}{limit}}}    # whichever ends first
"""
