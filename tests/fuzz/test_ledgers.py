"""A ledger cut anywhere, with lines garbled, lost, doubled or in another order: an answer, or a sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.errors import UserError
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.fenced_journal import FencedJournal
from largebatch.studies.record.ledger import Ledger

from ..effort import TIMES
from .mangled import mangled_value
from .studies import write_small_study
from .typed import answered, cases


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyDirectory:
    return write_small_study(tmp_path_factory.mktemp("ledgers") / "small")


@pytest.fixture(scope="module")
def whole(study: StudyDirectory) -> bytes:
    return study.ledger.read_bytes()


def finished(path: Path) -> list[object]:
    return [trial for trial in Ledger(path, "small", create=True).trials() if trial.ending is not None]


def test_cut_at_any_byte_it_is_repaired_and_nothing_that_was_whole_is_lost(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a writer leaves it that is killed, or whose disk is full: every line before the cut counts, and it goes on."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # thousands of them are minutes on a busy disk
    path, before = tmp_path / "ledger.log", b""
    wanted: list[object] = []
    ends = {at + near for at, byte in enumerate(whole) if byte == ord("\n") for near in (0, 1, 2)}
    for length in sorted(ends.union(range(0, len(whole), 7 if TIMES == 1 else 1))):
        lines = whole[: whole[:length].rfind(b"\n") + 1]
        if lines != before or length == 0:  # what a line more means is asked of Optuna once
            path.write_bytes(lines)
            wanted, before = finished(path), lines
        path.write_bytes(whole[:length])
        FencedJournal(path, 1, lambda: None)
        assert path.read_bytes() == lines
    assert len(wanted) == 5
    path.write_bytes(whole[:-9])
    ledger = Ledger(path, "small", create=True)
    ledger.pause(5, 64)
    assert [trial for trial in Ledger(path, "small", create=False).trials() if trial.ending is not None] == wanted


def test_a_cut_one_is_shown_as_far_as_it_goes(study: StudyDirectory, whole: bytes) -> None:
    step = max(1, len(whole) // (10 * TIMES))
    for length in range(0, len(whole), step):
        study.ledger.write_bytes(whole[:length])
        answered("show", study.path, "--json")
    study.ledger.write_bytes(whole)
    assert answered("show", study.path, "--json").code == 0


@st.composite
def damaged(draw: st.DrawFn, lines: list[bytes]) -> list[bytes]:
    """One to three mishaps."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["value", "value", "value", "bytes", "swap", "lose", "double", "cut"]))
        if kind == "value":
            try:
                lines[at] = json.dumps(draw(mangled_value(json.loads(lines[at])))).encode()
            except ValueError:
                lines[at] = b"{}"
        elif kind == "bytes":
            lines[at] = draw(st.binary(max_size=30)) + lines[at][draw(st.integers(0, 30)) :]
        elif kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "lose" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[other])
        elif kind == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return lines


@pytest.mark.parametrize("name", ["show", "plan", "report"])
def test_a_damaged_one_is_a_sentence_or_an_answer(
    name: str, study: StudyDirectory, whole: bytes, tmp_path: Path
) -> None:
    lines = whole.splitlines()
    options = {"show": ["--json"], "plan": ["--json"], "report": ["--markdown", tmp_path / "it.md"]}[name]

    @cases(4 if name == "report" else 20)
    @given(damaged(lines))
    def check(damaged_lines: list[bytes]) -> None:
        study.ledger.write_bytes(b"".join(line + b"\n" for line in damaged_lines))
        answered(name, study.path, *options)

    check()
    study.ledger.write_bytes(whole)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda line: b"garbage", "line 7 is damaged"),
        (lambda line: line.replace(b'"op_code":7', b'"op_code":77'), "line 7 is damaged"),
        (lambda line: line.replace(b"intermediate_value", b"value"), "line 7 is damaged"),
    ],
)
def test_the_sentence_says_which_line_and_how_to_go_on(
    damage: Callable[[bytes], bytes], said: str, study: StudyDirectory, whole: bytes, tmp_path: Path
) -> None:
    lines = whole.splitlines(keepends=True)
    lines[6] = damage(lines[6].rstrip()) + b"\n"
    out = tmp_path / "small"
    shutil.copytree(study.path, out)
    ledger = out / "ledger.log"
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(UserError) as told:
        Ledger(ledger, "small", create=False).trials()
    assert said in str(told.value)
    assert f"head -n 6 {ledger}" in str(told.value)
    ledger.write_bytes(b"".join(lines[:6]))  # as it says
    assert answered("show", out, "--json").code == 0
