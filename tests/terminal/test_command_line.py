"""``--help`` by its groups, ``-h``, ``--version``, and what a shell offers after TAB."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from largebatch.spaces.recipe import OPTIMIZERS
from largebatch.studies.cli import app
from largebatch.trainers.tasks import TASKS

STUDIES = ["galaxies", "galaxies-small", "gw", "gw-small", "imagenet", "images-small", "quickstart"]
GROUPS = {
    "Start": ["new", "check", "prepare", "doctor", "list"],
    "Run": ["run", "train", "profile", "benchmark", "enqueue", "stop", "narrow"],
    "Answer": ["show", "plan", "fit", "report", "dashboard", "history"],
    "Share": ["export", "import"],
    "Cluster": ["cluster"],
}


def commands(found: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it, groups of commands too."""
    found = found or typer.main.get_command(app)
    yield path, found
    for name, one in getattr(found, "commands", {}).items():
        yield from commands(one, (*path, name))


ALL = list(commands())
each_command = pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) or "-" for path, _ in ALL])


@each_command
def test_h_is_help(path: tuple[str, ...], command: Any) -> None:
    long, short = (CliRunner().invoke(app, [*path, option]) for option in ("--help", "-h"))
    assert (long.exit_code, short.exit_code) == (0, 0)
    assert "Usage:" in short.output
    assert short.output == long.output
    if path:
        assert command.epilog.startswith(f"Example: largebatch {' '.join(path)} ".rstrip())


@each_command
def test_help_says_what_an_option_is(path: tuple[str, ...], command: Any) -> None:
    """A noun or what is done, as a sentence: neither "That read and decode" nor a question."""
    for option in command.params:
        if "help" not in option.opts and "completion" not in option.name:
            said = option.help or ""
            assert said.endswith("."), f"{path} {option.name}: {said!r}"
            assert said.split()[0] not in ("A", "An", "The", "That", "Which", "What", "Who", "Whose", "Where", "How")


def test_commands_are_shown_in_groups() -> None:
    shown: dict[str, list[str]] = {}
    for name, one in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        shown.setdefault(one.rich_help_panel, []).append(name)
    assert shown == GROUPS
    assert list(shown) == list(GROUPS)
    lines = CliRunner().invoke(app, ["--help"]).output.splitlines()
    panels = [line.strip("╭╮─ ") for line in lines if line.startswith("╭")]
    assert panels == ["Options", *GROUPS]


def test_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"largebatch {importlib.metadata.version('largebatch')}\n")


def offered(*words: str) -> list[str]:
    """What bash is given after ``largebatch`` and these words, the last one not yet whole."""
    asked = {
        "_LARGEBATCH_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["largebatch", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner().invoke(app, [], env=asked, prog_name="largebatch")
    assert done.exit_code == 0
    return done.output.split()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study file, two study directories and what is none."""
    for name in ("runs/first", "runs/second", "runs/empty", "runs/2026/deep", ".hidden/study"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/first", "runs/second", "runs/2026/deep", ".hidden/study"):
        (tmp_path / name / "study.yaml").touch()
        (tmp_path / name / "ledger.log").touch()
    for name in ("mine.yaml", "runs/other.yaml", "mine.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", ""], sorted([*STUDIES, "mine.yaml"])),
        (["run", "gw"], ["gw", "gw-small"]),
        (["run", "runs/"], ["runs/other.yaml"]),
        (["run", "quickstart", "--out", "runs/f"], ["runs/first"]),
        (["profile", ""], sorted(TASKS)),
        (["profile", "digits", "--optimizer", ""], sorted(OPTIMIZERS)),
        (["benchmark", "di"], ["digits"]),
        (["benchmark", "digits", "--study", ""], ["runs/first", "runs/second"]),
        (["check", "im"], ["imagenet", "images-small"]),
        (["check", "m"], ["mine.yaml"]),
        (["new", "--kind", ""], ["huggingface", "lightning", "plain", "train-step"]),
        (["plan", "runs/first", "--interconnect", "ib-"], ["ib-edr", "ib-fdr", "ib-hdr", "ib-ndr"]),
        (["show", ""], ["runs/first", "runs/second"]),
        (["show", "runs/s"], ["runs/second"]),
        (["dashboard", "runs/"], ["runs/2026/deep", "runs/first", "runs/second"]),
        (["show", "nowhere/"], []),
    ],
)
def test_completion_offers_what_there_is(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


@pytest.mark.usefixtures("here")
def test_completion_loads_no_engine() -> None:
    code = (
        "import sys\n"
        "from largebatch.studies.commands import completion\n"
        "for name in ('study_names', 'checkable', 'interconnects', 'optimizers', 'task_kinds', 'study_directories'):\n"
        "    assert getattr(completion, name)(''), name\n"
        "heavy = {'torch', 'ray', 'optuna', 'scipy', 'plotly', 'pyarrow', 'numpy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
