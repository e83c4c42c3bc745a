"""What of a study goes into its crate, and by which names: nothing else is taken out of one either."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from largebatch.search.plan.finalists import best_trials
from largebatch.spaces.files import write_whole
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.curves import curve_path, read_curve, running_path, write_table
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.open_ledger import ledger_file
from largebatch.trainers.checkpoint_path import best_path

METADATA = "ro-crate-metadata.json"
REPORT = "report.html"
_NAMES = re.compile(
    r"study\.yaml|ledger\.log|plan\.json|profile\.json|report\.html|environment\.txt|hardware\.json|ro-crate-metadata\.json"
    r"|curves/trial-\d{6}\.parquet|weights/trial-\d{6}\.safetensors|code/\w+\.py"
    r"|trained/workers-\d+/(recipe\.json|result\.json|weights\.safetensors|trial-\d{6}\.parquet)"
)


def belongs(name: str) -> bool:
    """Whether a crate of ours has a file of this name. None of them is a pickle."""
    return _NAMES.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of a crate: its name there, where it lies now, what it is."""

    name: str
    source: Path
    what: str
    media_type: str
    version: str | None = None
    """Of code: its commit."""


def parts_of(directory: StudyDirectory, study: Study, trials: Sequence[Trial], made: Path) -> Iterator[Part]:
    """The files of a study; those that have to be made first are made in the folder ``made``."""
    yield _part(
        "study.yaml", directory.study_file, "the question, and the versions that it was asked with", "text/yaml"
    )
    yield _part(
        "ledger.log",
        ledger_file(directory, study, made),
        "every trial: recipe, measurements, ending (an Optuna journal)",
        _LINES,
    )
    for path, what, media_type in (
        (directory.plan_file, "the answer: a recipe and a time for each number of workers", _JSON),
        (directory.profile_file, "measured seconds of a step", _JSON),
        (directory.report_file, "the report, to look at", "text/html"),
    ):
        if path.exists():
            yield _part(path.name, path, what, media_type)
    for trial in trials:
        if (curve := _curve(directory.curves, trial.number, made)) is not None:
            yield _part(f"curves/{curve.name}", curve, f"what trial {trial.number} measured", _PARQUET)
    store = CheckpointStore(directory.checkpoints, 0)
    for size, trial in best_trials(trials).items():
        what = f"the best weights of trial {trial.number}, the best of batch size {size}"
        yield from _weights(store.best(trial.number), f"weights/trial-{trial.number:06d}.safetensors", what, made)
    for folder in sorted((directory.path / "train").glob("workers-*")):
        if belongs(f"trained/{folder.name}/result.json") and (folder / "result.json").exists():
            yield from _training(folder, made)
    yield from _code(study)
    yield _part("environment.txt", _environment(made), "packages of the machine that made this crate", "text/plain")
    yield _part("hardware.json", _hardware(directory, made), "the machine that was timed, and that made this", _JSON)


def _curve(folder: Path, number: int, made: Path) -> Path | None:
    """The table of a trial; that of one that has not ended is made first."""
    path = curve_path(folder, number)
    if running_path(folder, number).exists():
        path = curve_path(made, number)
        made.mkdir(parents=True, exist_ok=True)
        write_table(path, number, read_curve(folder, number))
    return path if path.exists() else None


_JSON, _LINES, _PARQUET = "application/json", "application/jsonl", "application/vnd.apache.parquet"
_SAFETENSORS = "application/vnd.safetensors"


def _part(name: str, source: Path, what: str, media_type: str) -> Part:
    assert belongs(name), name
    return Part(name=name, source=source, what=what, media_type=media_type)


def _training(folder: Path, made: Path) -> Iterator[Part]:
    """A training of `train`: recipe, result, curve, weights."""
    where, words = f"trained/{folder.name}", f"a training for {folder.name.replace('-', ' ')}"
    for name, what in (("recipe.json", "the recipe"), ("result.json", "how it ended")):
        if (folder / name).exists():
            yield _part(f"{where}/{name}", folder / name, f"{what} of {words}", _JSON)
    number = int(folder.name.rpartition("-")[2])
    if (curve := _curve(folder, number, made / where)) is not None:
        yield _part(f"{where}/{curve.name}", curve, f"what {words} measured", _PARQUET)
    yield from _weights(
        best_path(folder / "last.pt"), f"{where}/weights.safetensors", f"the best weights of {words}", made
    )


def _weights(checkpoint: Path, name: str, what: str, made: Path) -> Iterator[Part]:
    """The weights of a checkpoint where there is one, in a format that runs no code."""
    if not checkpoint.exists():
        return
    from largebatch.trainers.safe_weights import write_safetensors

    path = made / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(checkpoint, path)
    yield _part(name, path, what, _SAFETENSORS)


def _code(study: Study) -> Iterator[Part]:
    """The file of a task of the user's own, found without importing it."""
    module, _, function = study.task.partition(":")
    if not function:
        return
    package, *inner = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return
    path = Path(spec.origin)
    if inner:
        path = path.parent.joinpath(*inner).with_suffix(".py")
    if path.exists() and "site-packages" not in path.parts:
        yield Part(
            name=f"code/{path.name}", source=path, what=f"the task, {module}:{function}", media_type="text/x-python",
            version=_commit(path.parent),
        )  # fmt: skip


def _commit(folder: Path) -> str | None:
    """The commit that a folder is at, where git keeps it, and whether it was changed since."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _environment(made: Path) -> Path:
    packages = {str(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()}
    lines = [f"{name}=={version}\n" for name, version in sorted(packages.items(), key=lambda item: item[0].lower())]
    path = made / "environment.txt"
    write_whole(path, f"# Python {platform.python_version()}, {platform.platform()}\n" + "".join(lines))
    return path


def _hardware(directory: StudyDirectory, made: Path) -> Path:
    profile = directory.profile()
    timed = None
    if profile is not None:
        timed = {"device": profile.device, "workers": sorted({1, *(step.num_workers for step in profile.steps)})}
    facts: Mapping[str, Any] = {
        "timed": timed,
        "crate_made_on": {"system": platform.platform(), "processor": _processor(), "cpus": os.cpu_count()},
    }
    path = made / "hardware.json"
    write_whole(path, json.dumps(facts, indent=1))
    return path


def _processor() -> str:
    """The processor's model where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
