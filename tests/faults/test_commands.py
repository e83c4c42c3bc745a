"""Every command that reads a study, on every kind of damaged study: its answer or a one-line error, never a traceback.

In process, on copies of one finished study, so that the whole table takes seconds.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from largebatch.studies.cli import command
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.run import run_study

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
        words = [word.format(out=out, folder=out.parent) for word in COMMANDS[name]]
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
