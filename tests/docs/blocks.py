"""Runs the code blocks of a Markdown file, in order, in an empty folder.

``python`` and ``yaml`` blocks whose first line is a comment with a file's name become that file; other ``python``
blocks are run. ``sh`` blocks are run by bash. In a ``console`` block each line after ``$`` is run, and the lines below
must be among what it prints, apart from numbers and spaces; ``..`` stands for lines left out. A block after
``<!-- not run: why -->`` is skipped, and so are all other languages.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<skip><!-- not run: .+ -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\b")
SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A code block that is run; ``line`` is that of its fence."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    """The blocks that are run, in order."""
    return [
        Block(language=found["language"], text=found["text"], line=markdown[: found.start()].count("\n") + 1)
        for found in FENCE.finditer(markdown)
        if not found["skip"] and found["language"] in ("python", "yaml", "sh", "console")
    ]


def run_document(document: Path, folder: Path) -> int:
    """Run all blocks of a document inside ``folder``; return how many."""
    found = blocks(document.read_text(encoding="utf-8"))
    for block in found:
        where = f"{document.name}:{block.line}"
        named = FILE.match(block.text)
        if named and block.language in ("python", "yaml"):
            (folder / named[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            _run([sys.executable, "-c", block.text], folder, where)
        elif block.language == "sh":
            _run(["bash", "-ec", block.text], folder, where)
        elif block.language == "console":
            for command, expected in _sessions(block.text):
                _refuse_other(_run(["bash", "-ec", command], folder, where), expected, where)
    return len(found)


def _run(command: list[str], folder: Path, where: str) -> str:
    here = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{where}: {command[-1]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _sessions(text: str) -> list[tuple[str, list[str]]]:
    """Commands, each with the lines that it is said to print."""
    sessions: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            sessions.append((line[2:], []))
        elif line.strip() and line.strip() != ".." and sessions:
            sessions[-1][1].append(line)
    return sessions


def _refuse_other(printed: str, expected: list[str], where: str) -> None:
    lines = {_without_numbers(line) for line in printed.splitlines()}
    for line in expected:
        assert _without_numbers(line) in lines, f"{where}: not printed: {line}\nprinted:\n{printed}"


def _without_numbers(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*(?:e[+-]?\d+)?", "0", line)).strip()
