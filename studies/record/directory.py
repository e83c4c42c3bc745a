"""A study directory: the frozen study, the ledger, the curves, checkpoints, profile, plan and report."""

import hashlib
import importlib.metadata
import itertools
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import write_whole
from largebatch.spaces.os_fault import os_fault
from largebatch.spaces.printable import printable
from largebatch.spaces.problems import first_problem
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.studies.question.load_task import load_question
from largebatch.studies.question.study import Study
from largebatch.studies.question.study_file import fingerprint as study_fingerprint
from largebatch.studies.question.study_file import parse_study, study_diff, study_text
from largebatch.studies.record.lease.lease_monitor import LeaseWatch

_PROVENANCE = "# --- provenance (written by largebatch, not read back into the study) ---"


_WAY_OUT = "choose another --out, or --fresh to set this study aside and start anew"


class StudyDirectory:
    """Paths and the frozen study of one directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study_file = path / "study.yaml"
        self.ledger = path / "ledger.log"
        self.storage_file = path / "storage.json"
        self.curves = path / "curves"
        self.checkpoints = path / "checkpoints"
        self.requests = path / "requests"
        self.profile_file = path / "profile.json"
        self.plan_file = path / "plan.json"
        self.report_file = path / "report.html"

    @classmethod
    def existing(cls, path: Path) -> "StudyDirectory":
        """The directory at ``path``.

        Raises:
            UserError: if there is no study in it.
        """
        directory = cls(path)
        if directory.study_file.exists() and directory.ledger.is_symlink() and not directory.begun:
            raise UserError(
                f"{directory.ledger} is a link to {directory.ledger.readlink()}, which is away; put it back there"
            )
        if not directory.study_file.exists() or not directory.begun:
            raise UserError(f"{path} holds no study (no study.yaml and ledger.log); give the --out of a `run`")
        return directory

    @property
    def begun(self) -> int:
        """Not 0 once there is a ledger; another number when another one is in its place."""
        for path in (self.storage_file, self.ledger):
            if path.exists():
                return path.stat().st_ino
        return 0

    def study(self) -> Study:
        """The frozen study.

        Raises:
            UserError: if its file is damaged.
        """
        with later_version_told(self.path):
            return parse_study(read_text(self.study_file).split(_PROVENANCE)[0], str(self.study_file))

    def provenance(self) -> dict[str, str]:
        """Versions, machine, date and the data's fingerprint at the study's beginning.

        Raises:
            UserError: if they are damaged.
        """
        _, _, text = read_text(self.study_file).partition(_PROVENANCE)
        lines = "\n".join(line.removeprefix("# ") for line in text.splitlines())
        try:
            facts = yaml.safe_load(lines) or {}
            return {printable(str(name)): printable(str(value)) for name, value in facts.items()}
        except (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise self._no_provenance("cannot be read") from error

    def target(self) -> Target:
        """The target of the study, its task's own where the study names none.

        Raises:
            UserError: if it is damaged.
        """
        study = self.study()
        if study.target is not None:
            return study.target
        try:
            with later_version_told(self.path):
                return Target.model_validate_json(self.provenance()["target"])
        except (KeyError, ValueError) as error:
            raise self._no_provenance("names no target") from error

    def _no_provenance(self, what: str) -> UserError:
        return UserError(f"{self.study_file}: what is below `{_PROVENANCE}` {what}; put a copy of the file back")

    def freeze(self, study: Study, target: Target, data_fingerprint: str) -> None:
        """Write the study once; later runs compare theirs with it."""
        facts = {
            **_versions(),
            "study_fingerprint": study_fingerprint(study),
            "data_fingerprint": data_fingerprint,
            "target": target.model_dump_json(),
        }
        comment = "".join(f"# {line}\n" for line in yaml.safe_dump(facts, sort_keys=False).splitlines())
        write_whole(self.study_file, f"{study_text(study)}\n{_PROVENANCE}\n{comment}")

    def refuse_change(self, study: Study) -> None:
        """Compare with the frozen study.

        Raises:
            UserError: with the difference, if the study changed.
        """
        frozen = self.study()
        if frozen != study:
            raise UserError(f"{self.path} holds another study:\n{study_diff(frozen, study)}\n{_WAY_OUT}")

    def refuse_other_data(self, data_fingerprint: str) -> None:
        """Compare with the data that the study was begun on.

        Raises:
            UserError: if they changed.
        """
        known = self.provenance().get("data_fingerprint")
        if known != data_fingerprint:
            raise UserError(
                f"{self.path} was begun on other data (fingerprint {known}, now {data_fingerprint}); {_WAY_OUT}"
            )

    def profile(self) -> StepTimeProfile | None:
        """The measured step times, None where none were measured.

        Raises:
            UserError: if the file is damaged.
        """
        if not self.profile_file.exists():
            return None
        try:
            with later_version_told(self.path):
                return StepTimeProfile.model_validate_json(read_text(self.profile_file))
        except ValidationError as error:
            raise UserError(
                f"{self.profile_file} is damaged ({first_problem(error)}); remove it, and the same `run` times the "
                f"steps again"
            ) from error


def read_text(path: Path) -> str:
    """The text of a file of the record.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is no text; put a copy of the file back") from error
    except OSError as error:
        raise os_fault(error, path) from error


@contextmanager
def later_version_told(path: Path) -> Iterator[None]:
    """For what reads the study in ``path``: where a later version of largebatch wrote it, that is the mistake.

    Raises:
        UserError: that names the version, in the place of what its record lacks or has too much.
    """
    try:
        yield
    except (UserError, ValueError, LookupError, TypeError, AttributeError) as error:
        if (version := _later_version(path)) is None:
            raise
        mine = importlib.metadata.version("largebatch")
        raise UserError(
            f"{path} was written by largebatch {version}, and this is {mine}, which cannot read it: "
            f"pip install 'largebatch>={version}'"
        ) from error


def _later_version(path: Path) -> str | None:
    """Of those that began the study or owned it last, one that is later than this."""
    watch = LeaseWatch(path)
    watch.look()
    found = [str(watch.versions.get("largebatch", ""))]
    try:
        text = (path / "study.yaml").read_text(encoding="utf-8").partition(_PROVENANCE)[2]
        found += re.findall(r"^# largebatch: '?([\w.]+)", text, flags=re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        pass
    mine = _release(importlib.metadata.version("largebatch"))
    return next((printable(version) for version in found if _release(version) > mine), None)


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def is_study(path: Path) -> bool:
    """Whether a folder holds a study or what is left of one; a study file of a user's own is none."""
    directory = StudyDirectory(path)
    if directory.begun:
        return True
    try:
        return _PROVENANCE in directory.study_file.read_text()
    except (OSError, UnicodeDecodeError):
        return False


def set_aside(path: Path) -> Path:
    """Rename a study directory, so that nothing in it is lost, and return its new path.

    Raises:
        UserError: if this process works in it, and would then begin the new study inside of the old one.
    """
    if path.name in ("", ".."):
        path = path.resolve()
    if Path.cwd().is_relative_to(path.resolve()):
        raise UserError(
            f"--fresh sets {path} aside, in which this command was typed; go to the folder above it and name it from "
            f"there: cd {path.parent}"
        )
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{path.name}.{stamp}{f'-{number}' if number else ''}" for number in itertools.count())
    aside = next(place for name in names if not os.path.lexists(place := path.with_name(name)))
    path.rename(aside)
    return aside


def fingerprint(data: Any) -> str:
    """16 hex digits of the SHA-256 of a data set's tensors; of its first 64 items where it is not held in memory.

    A data set's own ``fingerprint`` is taken where it has one. Items are read as in training, each with a seed of its
    own, so that those which are augmented at random are the same each time.
    """
    from largebatch.trainers.data.loader import seeded_item

    own = getattr(data, "fingerprint", None)
    if isinstance(own, str):
        return own
    digest = hashlib.sha256(str(len(data)).encode())
    for tensor in getattr(data, "tensors", ()) or (
        part for i in range(min(64, len(data))) for part in seeded_item(data, i, i)
    ):
        array = tensor.numpy() if hasattr(tensor, "numpy") else tensor
        digest.update(array.tobytes() if hasattr(array, "tobytes") else repr(array).encode())
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    packages = ("largebatch", "torch", "ray", "optuna", "numpy")
    return {
        "created": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{package: importlib.metadata.version(package) for package in packages},
    }


def refuse_another_study(directory: StudyDirectory, study: Study) -> None:
    """Compare with the frozen study of a directory.

    Raises:
        UserError: with the difference, or, where that is a name that the task does not know, with that name.
    """
    try:
        directory.refuse_change(study)
    except UserError:
        load_question(study)
        raise
