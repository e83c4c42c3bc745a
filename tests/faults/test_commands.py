"""Every command that reads a study, on every kind of damaged study: its answer or a one-line error, never a traceback.

In process, on copies of one finished study, so that the whole table takes seconds.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from largebatch.studies.cli import command
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.lease import Lease, StudyLocked
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.run import _Job, _own_directory, run_study

from ..small_study import small_study

COMMANDS = {
    "show": ["show", "{out}"],
    "show --json": ["show", "{out}", "--json"],
    "show --trial": ["show", "{out}", "--trial", "0"],
    "plan": ["plan", "{out}", "--json"],
    "report": ["report", "{out}"],
    "report --markdown": ["report", "{out}", "--markdown", "{folder}/report.md"],
    "history": ["history", "{folder}"],
    "history --json": ["history", "{folder}", "--json"],
    "enqueue": ["enqueue", "{out}", "learning_rate=0.3"],
    "stop": ["stop", "{out}", "0"],
    "narrow": ["narrow", "{out}", "global_batch_size=32"],
    "export": ["export", "{out}", "-o", "{folder}/shared.zip"],
    "train": ["train", "{out}", "--workers", "2", "--examples", "320", "--in-process"],
    "run": ["run", "{folder}/../study.yaml", "--out", "{out}", "--in-process"],
}
FRESH = ["run", "{folder}/../study.yaml", "--out", "{out}", "--in-process", "--fresh"]
REFUSED = {"enqueue": "all 3 trials are spent", "stop": "trial 0 does not run"}
"""What these say to a sound study that has ended; all others succeed."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed."""

    code: int
    out: str
    error: str


Type = Callable[[str, Path], Said]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    run_study(small_study(examples_per_trial=8_000), out, in_process=True)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage, and its study file beside it."""
    shutil.copytree(finished, tmp_path / "runs" / "small")
    shutil.copy(finished / "study.yaml", tmp_path)
    return tmp_path / "runs" / "small"


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    def run(name: str, out: Path) -> Said:
        words = [word.format(out=out, folder=out.parent) for word in COMMANDS.get(name, FRESH)]
        monkeypatch.setattr(sys, "argv", ["largebatch", *words])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.chdir(out.parent)
        capfd.readouterr()
        code = command()
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run


def fine(said: Said) -> None:
    """An answer or a one-line error, without anything that a terminal would obey."""
    assert said.code in (0, 2), said.error
    assert "Traceback" not in said.error
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", said.out + said.error)
    if said.code == 2:
        assert said.error.rstrip("\n").rpartition("\n")[2].startswith("largebatch: "), said.error


@pytest.mark.parametrize("name", COMMANDS)
def test_a_sound_study(name: str, out: Path, typed: Type) -> None:
    said = typed(name, out)
    assert said.code == (2 if name in REFUSED else 0), said.error
    assert REFUSED.get(name, "") in said.error


OBEYED = "\x1b]0;owned\x07caf\udce9.png\r"
SHOWN = r"\x1b]0;owned\x07caf\xe9.png\x0d"


def unprintable(out: Path) -> None:
    """Texts of others as older versions recorded them: how a trial ended and why it was tried, who asked for what."""
    lines = [json.loads(line) for line in (out / "ledger.log").read_text().splitlines()]
    for line in lines:
        if "ending" in line.get("user_attr", {}):
            line["user_attr"]["ending"]["reason"] = OBEYED
        if "why" in line.get("user_attrs", {}):
            line["user_attrs"]["why"] = OBEYED
    asked = {"kind": "stop", "trial": 0, "by": OBEYED, "at": OBEYED, "became": OBEYED}
    first = next(line for line in lines if "user_attr" in line)
    lines.append({**first, "op_code": 2, "study_id": 0, "user_attr": {"request 1-a": asked}})
    lines[-1].pop("trial_id", None)
    (out / "ledger.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (out / "study.yaml").read_text()
    (out / "study.yaml").write_text(re.sub("# machine: .*", lambda _: rf'# machine: "\e[2K{SHOWN[8:-4]}"', text))
    profile = json.loads((out / "profile.json").read_text())
    (out / "profile.json").write_text(json.dumps({**profile, "device": "\x1b[1mGPU"}))
    lease = {"host": OBEYED, "machine": "another", "pid": 7, "locked": False, "renewals": 3, "over": False}
    (out / "leases" / "000009").write_text(json.dumps(lease))
    os.utime(out / "leases" / "000009", (0, 0))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("export", "run")])
def test_texts_that_cannot_be_printed(name: str, out: Path, typed: Type) -> None:
    unprintable(out)
    said = typed(name, out)
    fine(said)
    assert said.code == (2 if name in REFUSED else 0), said.error
    if name in ("show", "show --trial"):
        assert SHOWN in said.out
    if name == "show --json":
        told = json.loads(said.out)
        assert {trial["reason"] for trial in told["trials"]} == {SHOWN}
        assert told["requests"] == [{"kind": "stop", "trial": 0, "by": SHOWN, "at": SHOWN, "became": SHOWN}]
    if name == "report":
        page = StudyDirectory(out).report_file.read_text(encoding="utf-8")
        assert SHOWN in page
        assert "\x1b" not in page


def test_a_folder_of_a_latin_1_disk(out: Path, typed: Type) -> None:
    out.rename(out.with_name("caf\udce9"))
    said = typed("history --json", out)
    assert said.code == 0, said.error
    assert [Path(one["directory"]).name for one in json.loads(said.out)["studies"]] == [r"caf\xe9"]


def _ledger(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "ledger.log").read_text().splitlines()]


def twice(out: Path) -> None:
    path = out / "ledger.log"
    path.write_bytes(path.read_bytes() * 2)


def empty(out: Path) -> None:
    (out / "ledger.log").write_bytes(b"")


def link_away(out: Path) -> None:
    (out / "ledger.log").unlink()
    (out / "ledger.log").symlink_to("/nowhere/ledger.log")


def later_version(out: Path) -> None:
    """A ledger whose recipes have a value more, in a directory that says who wrote it."""
    lines = _ledger(out)
    for line in lines:
        line.get("user_attrs", {}).get("recipe", {})["of_tomorrow"] = 1
    (out / "ledger.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (out / "study.yaml").read_text()
    (out / "study.yaml").write_text(re.sub("# largebatch: .*", "# largebatch: 99.1.0", text))


def later_study_file(out: Path) -> None:
    text = (out / "study.yaml").read_text()
    text = re.sub("# largebatch: .*", "# largebatch: 99.1.0", text)
    (out / "study.yaml").write_text(f"of_tomorrow: 1\n{text}")


def later_profile(out: Path) -> None:
    profile = json.loads((out / "profile.json").read_text())
    (out / "profile.json").write_text(json.dumps({**profile, "of_tomorrow": 1}))
    text = (out / "study.yaml").read_text()
    (out / "study.yaml").write_text(re.sub("# largebatch: .*", "# largebatch: 99.1.0", text))


WHOLE = {"enqueue", "stop", "narrow"}
"""Commands that read no profile."""
LATER = r"was written by largebatch 99\.1\.0, and this is .*: pip install 'largebatch>=99\.1\.0'"
FAULTS: dict[Callable[[Path], None], tuple[str, set[str]]] = {
    twice: (r"is created a second time", set()),
    empty: (r"ledger\.log is empty, and beside it are the curves of 3 trials and a plan", set()),
    link_away: (r"ledger\.log is a link to /nowhere/ledger\.log, which is away", set()),
    later_version: (LATER, set()),
    later_study_file: (LATER, set()),
    later_profile: (LATER, WHOLE),
}
"""What is wrong; what is said of it; which commands do not read it."""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_faulty_study_is_refused_and_left_as_it_is(
    fault: Callable[[Path], None], name: str, out: Path, typed: Type
) -> None:
    fault(out)
    expected, unread = FAULTS[fault]
    if name in unread:
        return
    files = ("ledger.log", "study.yaml", "profile.json", "plan.json")
    before = {file: (out / file).read_bytes() for file in files if (out / file).exists()}
    said = typed(name, out)
    fine(said)
    if not name.startswith("history"):  # which lists the others all the same
        assert said.code == 2
    assert re.search(expected, said.out + said.error), said
    assert {file: (out / file).read_bytes() for file in files if (out / file).exists()} == before
    assert (out / "ledger.log").is_symlink() == (fault is link_away)


def test_a_ledger_twice_in_one_file_is_cut_where_the_message_says(out: Path, typed: Type) -> None:
    lines = len(_ledger(out))
    twice(out)
    said = typed("show", out)
    assert f"line {lines + 1} is damaged" in said.error
    assert f"head -n {lines} " in said.error


def test_recipes_that_wait_are_counted_and_those_beyond_the_budget_named(
    out: Path, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _ledger(out)
    second = [number for number, line in enumerate(lines) if line["op_code"] == 4][1]
    (out / "ledger.log").write_text("".join(json.dumps(line) + "\n" for line in lines[:second]))
    said = [typed("enqueue", out).out for _ in range(4)]
    assert [one.partition(": ")[2].partition(",")[0].rstrip(".\n") for one in said] == [
        "the next trial", *(f"after {number} that were asked for before it" for number in (1, 2, 3)),
    ]  # fmt: skip
    assert ["has 2 trials left: it is not reached" in one for one in said] == [False, False, True, True]


def test_a_study_that_began_meanwhile_is_not_set_aside(out: Path, typed: Type) -> None:
    """As when `run` begins between the first look of `run --fresh` and its own beginning."""
    with Lease(out):
        said = typed("run --fresh", out)
    assert said.code == 2
    assert f"is in use by process {os.getpid()} on" in said.error
    assert [path.name for path in out.parent.iterdir()] == ["small"]
    job = _Job(
        study=StudyDirectory(out).study(), out=out, watch=lambda _: nullcontext(), address=None, in_process=True,
        fresh=True, budget_trials=None, storage=None, lease_watch=LeaseWatch(out),
    )  # fmt: skip
    with Lease(out), pytest.raises(StudyLocked):
        _own_directory(job)
    _own_directory(job)
    assert len(list(out.parent.iterdir())) == 2
    assert not (out / "study.yaml").exists()
