"""Words that may not come back: where the field has a term, or English a plain word, a private one is not used.

Held in the README, the pages of the documentation, CONTRIBUTING and ``--help`` of every command; what a program prints
and names in code are left out. The package's own source (its messages, docstrings and comments) is added when its words
have been replaced, in a later session.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from largebatch.studies.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
CODE = re.compile(
    r"^( *)(`{3,})(?!\{)[^\n]*\n.*?^\1\2 *$|(?<!`)(``?)(?!`)(?:(?!\n\n).)+?(?<!`)\3(?!`)", re.MULTILINE | re.DOTALL
)
"""Blocks but for Sphinx's own, and code within sentences."""

WORDS = {
    r"told|tells": "reports, passes, is asked to, prints: who says what to whom",
    r"foretold|foretells?": "predicted",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again, or from the beginning",
    r"so many": "N, that many, a number of",
    r"whoever": "anyone who",
    r"(go|goes|going|gone|went) on": "continue, resume",
    r"begun": "started",
    r"(is|was|with|by|and) a sentence|(refused|reported) in a sentence|a sentence that": "a one-line error",
    r"(cannot be|is not|are not) told from": "is statistically indistinguishable from",
    r"guests?|heirs?|bereaved|lending|lends|lent": "joined job, replacement, joining",
    r"soundness|skeletons?": "task checks, template",
    r"UserMistake|TakenOver|DatabaseAway": "UserError, LeaseLost, DatabaseUnavailable",
}
"""A word, as a regular expression between two boundaries, and what is said instead."""


def found(text: str) -> list[str]:
    """Each word of the list that is in a text, with what to say instead."""
    return [
        f"{hit[0]!r}: {instead}"
        for word, instead in WORDS.items()
        for hit in re.finditer(rf"(?<!\w)(?:{word})(?!\w)", text, re.IGNORECASE)
    ]


def helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every command below one, with all that its ``--help`` says."""
    options = [option.help or "" for option in command.params]
    yield name, "\n".join([command.help or "", command.epilog or "", *options])
    for inner, one in getattr(command, "commands", {}).items():
        yield from helps(one, f"{name} {inner}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_none_of_them(page: Path) -> None:
    assert found(CODE.sub("", page.read_text())) == []


def test_the_help_of_no_command_has_one() -> None:
    said = dict(helps(typer.main.get_command(app), "largebatch"))
    assert "largebatch cluster slurm" in said
    assert {name: hits for name, text in said.items() if (hits := found(text))} == {}


def test_the_list_finds_them_and_leaves_plain_words_alone() -> None:
    text = "The study is told to go on; mended, it begins anew after so many steps. It is refused with a sentence."
    assert [hit.split(":")[0] for hit in found(text)] == [
        "'told'",
        "'mended'",
        "'anew'",
        "'so many'",
        "'go on'",
        "'with a sentence'",
    ]
    assert found("As many as asked for; the answer in a sentence of ten words. A goes only one way. Recommended.") == []


def test_what_a_program_prints_is_left_out() -> None:
    page = "Before\n\n```text\nthe same command goes on\n```\n\nand `so many` after\n"
    assert found(CODE.sub("", page)) == []
    assert len(found(CODE.sub("", f"{page} so many"))) == 1
    assert len(found(CODE.sub("", "```{note}\nso many\n```\n"))) == 1
