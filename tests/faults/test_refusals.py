"""What the operating system refuses, for each command: exit code 2 and one line with the path and what to do.

Typed in this process. Tests may run as root, whom no permission stops, so the refusals are injected into the calls.
"""

import builtins
import errno
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.running.steering import Steering
from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.trainers.checkpoint import refuse_unusable

from ..fuzz.studies import write_small_study
from ..fuzz.typed import Typed, typed

TRAINING = ("train", "{}", "--workers", "2", "--in-process", "--examples", "200", "--json")
COMMANDS = {
    "show": ("show", "{}"),
    "show --json": ("show", "{}", "--json"),
    "plan": ("plan", "{}"),
    "report": ("report", "{}"),
    "enqueue": ("enqueue", "{}", "learning_rate=0.3"),
    "stop": ("stop", "{}", "5"),
    "narrow": ("narrow", "{}", "learning_rate=0.01:0.1"),
    "export": ("export", "{}", "-o", "{}.zip"),
    "history": ("history", "{}"),
    "train": TRAINING,
}
WRITING = ("report", "enqueue", "stop", "narrow", "train")


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    return write_small_study(tmp_path / "small")


def do(name: str, study: StudyDirectory) -> Typed:
    return typed(*(word.format(study.path) for word in COMMANDS[name]))


def one_line(result: Typed, path: Path, said: str) -> None:
    """A refusal: one line that names ``path``, says ``said``, and then what to do."""
    assert result.code == 2, result
    assert result.errors.startswith("largebatch: "), result.errors
    assert result.errors.count("\n") == 1, result.errors
    where, found, way = result.errors.partition(said)
    assert str(path) in where, result.errors
    assert found, result.errors
    assert ";" in way, result.errors


@contextmanager
def refused(number: int, below: Path, *, reading: bool) -> Iterator[None]:
    """The system's calls that read, or else those that write, fail for all that lies below a folder."""
    real_open, real_os_open = builtins.open, os.open

    def inside(path: object) -> bool:
        return isinstance(path, str | Path) and Path(path).is_relative_to(below)

    def refusal(path: object) -> OSError:
        return OSError(number, os.strerror(number), str(path))

    def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if inside(file) and reading == (mode.strip("bt") == "r"):
            raise refusal(file)
        return real_open(file, mode, *arguments, **named)

    def opened_by_number(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if inside(path) and reading != bool(flags & (os.O_WRONLY | os.O_RDWR)):
            raise refusal(path)
        return real_os_open(path, flags, *arguments, **named)

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *arguments: Any, **named: Any) -> Any:
            if inside(path):
                raise refusal(path)
            return real(path, *arguments, **named)

        return call

    names = ("listdir", "scandir") if reading else ("mkdir", "rename", "replace", "unlink", "link", "symlink")
    with (
        mock.patch.object(builtins, "open", opened),
        mock.patch.object(io, "open", opened),
        mock.patch.object(os, "open", opened_by_number),
        mock.patch.multiple(os, **{name: failing(getattr(os, name)) for name in names}),
    ):
        yield


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "history"])
def test_a_study_that_cannot_be_read(name: str, number: int, study: StudyDirectory) -> None:
    with refused(number, study.path, reading=True):
        result = do(name, study)
    one_line(result, study.path, os.strerror(number))


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO, errno.ENAMETOOLONG, errno.EDQUOT, errno.EPERM]
)
@pytest.mark.parametrize("name", WRITING)
def test_a_study_that_cannot_be_written(name: str, number: int, study: StudyDirectory) -> None:
    before = sorted(study.path.rglob("*"))
    with refused(number, study.path, reading=False):
        result = do(name, study)
    one_line(result, study.path, os.strerror(number))
    assert sorted(study.path.rglob("*")) == before


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WRITING])
def test_a_study_that_may_only_be_read_is_read(name: str, study: StudyDirectory) -> None:
    with refused(errno.EROFS, study.path, reading=False):
        result = do(name, study)
    assert (result.code, result.errors) == (0, "")


def test_a_disk_that_fills_while_a_file_is_written_names_the_file(study: StudyDirectory) -> None:
    """Such an error of the system names none."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(os, "fsync", side_effect=full):
        one_line(do("enqueue", study), study.requests, "No space left on device")
        one_line(do("train", study), study.path / "train" / "workers-2" / "leases" / "000001", "No space left")
        with pytest.raises(OSError, match=str(study.ledger)):
            Ledger(study.ledger, "small", create=True).set_elapsed_seconds(1)
    assert list(study.requests.iterdir()) == []


FILES = (
    "study.yaml", "ledger.log", "profile.json", "plan.json", "report.html", "curves/trial-000001.parquet",
    "storage.json", "leases/000001", "requests/1.json", "train/workers-2/recipe.json", "train/workers-2/last.pt",
)  # fmt: skip
FOLDERS = ("curves", "requests", "leases", "train")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_where_a_file_belongs_or_a_file_where_a_folder_does(name: str, study: StudyDirectory) -> None:
    """An answer where the command does not need it, else one line that names it."""
    for place in FILES:
        copy = StudyDirectory(study.path.with_name("copy"))
        shutil.copytree(study.path, copy.path)
        path = copy.path / place
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)
        answered_or_named(do(name, copy), path)
        remove(copy)
    for place in FOLDERS:
        copy = StudyDirectory(study.path.with_name("copy"))
        shutil.copytree(study.path, copy.path)
        shutil.rmtree(copy.path / place, ignore_errors=True)
        (copy.path / place).write_text("")
        answered_or_named(do(name, copy), copy.path / place)
        remove(copy)


def remove(copy: StudyDirectory) -> None:
    """With the crate that was made of it."""
    shutil.rmtree(copy.path)
    copy.path.with_name("copy.zip").unlink(missing_ok=True)


def answered_or_named(result: Typed, path: Path) -> None:
    assert "Traceback" not in result.errors, (path, result.errors)
    if result.code == 0:
        return
    assert result.code == 2, (path, result)
    assert result.errors.count("\n") == 1, (path, result.errors)
    assert path.name in result.errors, (path, result.errors)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_that_no_lease_has(name: str, study: StudyDirectory) -> None:
    """Each lower one would be forbidden, one by one, or the number cannot even be read."""
    (study.path / "leases").mkdir(exist_ok=True)
    for number in ("999999999999999", "9" * 200):
        path = study.path / "leases" / number
        path.touch()
        result = do(name, study)
        if name in ("show", "show --json", "export"):
            assert f"{path} is no lease" in result.errors
        assert result.code in (0, 2)
        path.unlink()


def test_one_bad_study_does_not_end_the_list_of_the_others(tmp_path: Path) -> None:
    spoil: dict[str, Callable[[StudyDirectory], object]] = {
        "lease-folder": lambda one: (one.path / "leases" / "000007").mkdir(parents=True),
        "lease-number": lambda one: (one.path / "leases" / ("9" * 99)).touch(),
        "plan-folder": lambda one: one.plan_file.mkdir(),
        "plan-types": lambda one: one.plan_file.write_text(PLAN.format(knee='"many"', steps=1)),
        "plan-huge": lambda one: one.plan_file.write_text(PLAN.format(knee=10**30, steps=1)),
        "plan-infinite": lambda one: one.plan_file.write_text(PLAN.format(knee="1e400", steps=1)),
        "plan-deep": lambda one: one.plan_file.write_text("[" * 200_000),
        "provenance": lambda one: one.study_file.write_text(one.study_file.read_text() + "# - x\n"),
    }
    for name, damage in spoil.items():
        damage(write_small_study(tmp_path / name))
    write_small_study(tmp_path / "sound")
    result = typed("history", tmp_path, "--json")
    assert (result.code, result.errors) == (0, "")
    found = json.loads(result.output)
    assert [row["directory"] for row in found["studies"]] == [str(tmp_path / "sound")]
    assert {Path(one["directory"]).name for one in found["damaged"]} == set(spoil)


PLAN = """{{"rows": [{{"num_workers": {knee}, "global_batch_size": 32, "recipe": {{"learning_rate": 0.1}}, "steps":
{steps}, "seconds_to_target": 1, "speedup": 1}}], "knee": {{"num_workers": {knee}}}}}"""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("learning_rate={", "learning_rate: must be a number or a word"),
        ("learning_rate=@x", "learning_rate: must be a number or a word"),
        ("learning_rate=\t", "learning_rate: must be a number or a word"),
        (f"learning_rate={'9' * 5000}", "learning_rate: must be a number or a word"),
        (f"learning_rate={'[' * 5000}", "nested too deep"),
        ("learning_rate=[1]", "learning_rate: Input should be a valid number"),
        ("learning_rate=true", "learning_rate: must be a number"),
        ("global_batch_size=true", "global_batch_size: must be a number"),
        ("learning_rate=1e400", "learning_rate: Input should be a finite number"),
        ("learning_rate=\x1b[2J", "learning_rate: must be a number or a word"),
        (f"seed={'9' * 30}", "seed: must be a number or a word"),
        ("=", "values are given as NAME=VALUE"),
    ],
)
def test_what_no_recipe_has(value: str, said: str, study: StudyDirectory) -> None:
    result = typed("enqueue", study.path, value)
    assert result.code == 2
    assert said in result.errors
    assert result.errors.count("\n") == 1
    assert len(result.errors) < 500
    assert not study.requests.exists()


def test_numbers_are_read_as_in_a_study_file(study: StudyDirectory) -> None:
    assert typed("enqueue", study.path, "learning_rate=3e-1", "global_batch_size=64").code == 0
    assert typed("narrow", study.path, f"learning_rate={'9' * 5000}:1").code == 2
    (path,) = study.requests.iterdir()
    recipe = Recipe.model_validate(json.loads(path.read_text())["recipe"])
    assert (recipe.learning_rate, recipe.global_batch_size) == (0.3, 64)


def test_a_request_of_a_later_version(study: StudyDirectory) -> None:
    """It was taken, so that a study which goes on without it would not be what was asked for."""
    ledger = Ledger(study.ledger, "small", create=True)
    ledger.record_request("9-later", {"kind": "hurry", "by": "me@there", "at": "tomorrow", "became": "taken"})
    shown = typed("show", study.path)
    assert (shown.code, shown.errors) == (0, "")
    said = " ".join(shown.output.split())
    assert "me@there asked what only a later version of largebatch knows (hurry) (tomorrow): taken" in said
    steering = Steering(ledger=ledger, folder=study.requests)
    for act in (lambda: steering.space(study.study().space), steering.next_recipe):
        with pytest.raises(UserError, match=r"does not know .*'hurry'.*continue with the version that took it"):
            act()
    with Library(study.path) as library:
        (live,) = library.studies.values()
        live.refresh()
        assert live.snapshot.requests[-1]["kind"] == "hurry"


@pytest.mark.parametrize("out", [".", "..", "inner/..", "../small"])
def test_fresh_in_the_folder_that_it_would_set_aside(
    out: str, study: StudyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study.path / "inner").mkdir()
    monkeypatch.chdir(study.path / "inner" if out == ".." else study.path)
    result = typed("run", study.path / "study.yaml", "--out", out, "--fresh", "--in-process")
    assert result.code == 2
    assert "go to the folder above it" in result.errors
    assert [one.name for one in study.path.parent.iterdir()] == ["small"]


def test_an_export_without_room(study: StudyDirectory, tmp_path: Path) -> None:
    """Of weights too, whose library raises an error of its own."""
    assert do("train", study).code == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        result = do("export", study)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(result, tmp_path / "small.zip", "File too large")
    assert [one.name for one in tmp_path.iterdir()] == ["small"]


def test_nobody_reads_the_output(study: StudyDirectory) -> None:
    """As in ``largebatch list | true``; and standard output on a full disk, or closed."""
    read, write = os.pipe()
    os.close(read)
    gone = subprocess.run([sys.executable, "-m", "largebatch", "list"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (gone.returncode, gone.stderr) == (1, "")
    with open("/dev/full", "w") as full:
        no_room = subprocess.run(
            [sys.executable, "-m", "largebatch", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert no_room.returncode == 2
    assert "No space left on device; what was recorded is whole" in no_room.stderr
    assert no_room.stderr.count("\n") == 1
    closed = subprocess.run(f"{sys.executable} -m largebatch list >&-", shell=True, stderr=subprocess.PIPE, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_checkpoint_that_cannot_be_read_is_not_taken_for_a_damaged_one(number: int, study: StudyDirectory) -> None:
    """Which would be removed, and its trial begun from nothing."""
    store, trials = CheckpointStore(study.checkpoints, 10**9), Ledger(study.ledger, "small", create=False).trials()
    study.checkpoints.mkdir(exist_ok=True)
    store.last(5).write_bytes(b"damaged")
    with refused(number, study.checkpoints, reading=True):
        with pytest.raises(OSError, match=str(study.checkpoints)):
            store.begin(trials)
        with pytest.raises(OSError, match=str(store.last(5))):
            refuse_unusable(store.last(5), trials[5].recipe)
    assert store.last(5).read_bytes() == b"damaged"
    store.begin(trials)
    assert not store.last(5).exists()
