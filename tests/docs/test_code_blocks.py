"""Every code block of the README and the docs: run where that is quick, else read by what would read it.

- Python runs, the blocks of a page in order, in one namespace and one folder. A block whose first line is the comment
  `# NAME.py` or `# NAME.yaml`, or whose fence says a file's name (as in "text mine.csv"), is that file, too.
- Lines that begin with `largebatch` run where they only read a study, or train in process; the folder holds a finished
  study under every `runs/NAME` that the page speaks of, unless the page runs one itself. All of them, those within
  sentences too, must be what the command line takes.
- YAML must be a study file, or a part of one.
- Scripts, targets of make, and extras that are named must be there.
"""

import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from largebatch.search.laws.step_time.interconnects import INTERCONNECTS
from largebatch.studies.cli import app, command
from largebatch.studies.question.study import Study
from largebatch.studies.question.study_file import find_study, parse_study
from largebatch.studies.run import run_study
from largebatch.trainers.tasks import TASKS

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: str(path)
)
PAGES = [page for page in PAGES if page.name != "command-line.md" and "_build" not in page.parts]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

SHELL = ("sh", "console", "bash", "shell")
READS = ("enqueue", "fit", "history", "list", "narrow", "plan", "report", "show")
"""Commands that need seconds at most."""
PLACEHOLDERS = {"N": "8", "M": "4", "H": "2", "X": "3", "TRIAL": "3"}
"""What stands for a number in a sentence."""
MINE = "global_batch_size,steps\n64,9200\n128,4900\n256,2700\n512,1650\n1024,1100\n"
STUDY = """\
name: quickstart
task: mytask:task
workers: [1, 2, 4, 8]
space:
  global_batch_size: {choices: [64, 128, 256, 512]}
  learning_rate: {low: 0.005, high: 0.03, scale: log}
  optimizer: adamw
  norm_batch_size: 8
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 20}
"""
TRIALS = 8
"""Fewer than the study's, so that recipes can be put into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a page has between two fences; ``line`` is that of its first line."""

    language: str
    file: str | None
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", text, flags=re.MULTILINE | re.DOTALL):
        indent, _, info, inside = found.groups()
        language, _, file = info.strip().partition(" ")
        inside = "".join(line.removeprefix(indent) for line in inside.splitlines(keepends=True))
        named = re.match(r"# (\S+\.(?:py|yaml))\n", inside)
        line = text.count("\n", 0, found.start(4)) + 1
        yield Block(language=language, file=file or (named and named[1]) or None, text=inside, line=line)


def spans(page: Path) -> Iterator[str]:
    """Code within sentences."""
    text = re.sub(r"^( *)(`{3,})[^\n`]*\n.*?^\1\2 *$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"(`+)(.+?)\1", text):
        yield found[2].strip()


def lines(block: Block) -> Iterator[str]:
    """Commands of a block, continuation lines joined, without prompts."""
    prompts = any(line.startswith("$ ") for line in block.text.splitlines())
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ ") or not prompts:
            yield line.removeprefix("$ ").strip()


def ours(line: str) -> list[str] | None:
    """The arguments of ``largebatch`` in a line of a shell."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    begin = next((at for at, word in enumerate(words) if "=" not in word and word not in ("srun", "nohup")), None)
    if begin is None or words[begin] != "largebatch":
        return None
    end = next((at for at, word in enumerate(words) if at > begin and word in ("|", ">", "&", "&&", ";", "||")), None)
    return words[begin + 1 : end]


def read(arguments: Sequence[str]) -> dict[str, Any]:
    """What the command line makes of them; raises what it would tell the user."""
    found: Any = typer.main.get_command(app)
    name, rest, parent = "largebatch", [PLACEHOLDERS.get(one, one) for one in arguments if one != "--help"], None
    while hasattr(found, "resolve_command"):
        if not rest:
            return {}
        parent = found.make_context(name, rest, parent=parent)
        name, found, rest = found.resolve_command(parent, [*parent._protected_args, *parent.args])
    if "--help" in arguments:
        return {}
    values: dict[str, Any] = found.make_context(name, rest, parent=parent).params
    return {**values, "command": name}


def check(arguments: Sequence[str]) -> None:
    values = read(arguments)
    task, network = values.get("task"), values.get("interconnect")
    assert task is None or task in (*TASKS, "TASK") or ":" in task or task.endswith(".yaml"), f"no task {task}"
    assert network is None or network in (*INTERCONNECTS, "NAME"), f"no interconnect {network}"
    if values.get("command") == "run" and not re.fullmatch(r"STUDY|.*\.yaml", values["study"]):
        find_study(values["study"])


@each_page
def test_the_command_line_takes_what_a_page_says(page: Path) -> None:
    said = [(block.line, line) for block in blocks(page) for line in lines(block)]
    said += [(0, span) for span in spans(page) if re.fullmatch(r"largebatch [a-z].* .*", span) and ".." not in span]
    for at, line in said:
        if (arguments := ours(line)) is not None:
            try:
                check(arguments)
            except Exception as error:
                pytest.fail(f"{page.name}:{at}: {line}: {error}")
    for span in spans(page):
        if re.fullmatch(r"largebatch [a-z]+", span):
            assert span.split()[1] in typer.main.get_command(app).commands, f"{page.name}: {span}"  # type: ignore[attr-defined]


@each_page
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    made = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for script in re.findall(r"\b((?:benchmarks|docs|tests)/[\w/]+\.py)\b", text):
        assert (ROOT / script).is_file(), f"{page.name} names {script}"
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        there = page.parent / link
        made_here = there.name == "command-line.md"  # by the build of the site
        assert there.exists() or made_here, f"{page.name} links to {link}"
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in made, f"{page.name} names `make {target}`"
    for extra in re.findall(r"largebatch\[([\w,]+)\]", text):
        assert set(extra.split(",")) <= set(extras), f"{page.name} names the extra {extra}"


@each_page
def test_yaml_is_a_study_file_or_a_part_of_one(page: Path) -> None:
    parts = [(block.line, block.text) for block in blocks(page) if block.language == "yaml"]
    sections = "|".join(Study.model_fields)
    parts += [(0, span) for span in spans(page) if re.match(rf"(?:{sections}): *[\[{{]", span)]
    for at, text in parts:
        given = yaml.safe_load(text)
        base = {} if "task" in given else yaml.safe_load(STUDY)
        space = {**base.get("space", {}), **given.get("space", {})}
        whole = text if "task" in given else yaml.safe_dump({**base, **given, "space": space})
        try:
            parse_study(whole, f"{page.name}:{at}")
        except ValueError as error:
            pytest.fail(str(error))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run: that of docs/how-to/laptop.md with fewer trials."""
    folder = tmp_path_factory.mktemp("docs")
    task = next(block for block in blocks(ROOT / "docs" / "how-to" / "laptop.md") if block.file == "mytask.py")
    (folder / "mytask.py").write_text(task.text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        answer = run_study(
            parse_study(STUDY, "study.yaml"), folder / "quickstart", in_process=True, budget_trials=TRIALS
        )
    sys.modules.pop("mytask")
    assert answer.plan is not None, answer.problem
    return folder / "quickstart"


def runs(page: Path) -> bool:
    return any(block.language in (*SHELL, "python") for block in blocks(page)) and TUTORIALS not in page.parents


@pytest.mark.parametrize("page", list(filter(runs, PAGES)), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(
    page: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.csv").write_text(MINE)
    names = set(re.findall(r"\bruns/([\w-]+)", page.read_text()))
    for name in () if runs_its_own(page) else names:
        shutil.copytree(request.getfixturevalue("finished"), tmp_path / "runs" / name)
    before = set(sys.modules)
    space: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        if block.file is not None and not block.language.startswith("{"):  # no directive of the site
            (tmp_path / block.file).write_text(block.text)
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), space)
        elif block.language in SHELL:
            for line in lines(block):
                if (arguments := ours(line)) is not None and is_quick(arguments):
                    monkeypatch.setattr(sys, "argv", ["largebatch", *arguments])
                    code = command()
                    assert code == 0, f"{page.name}:{block.line}: {line}: {capsys.readouterr().err}"
    for name in set(sys.modules) - before:  # a page's own modules: another page may have one of that name
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def runs_its_own(page: Path) -> bool:
    said = [ours(line) for block in blocks(page) if block.language in SHELL for line in lines(block)]
    return any(arguments and arguments[0] == "run" and is_quick(arguments) for arguments in said)


def is_quick(arguments: Sequence[str]) -> bool:
    return arguments[0] in READS or "--in-process" in arguments
