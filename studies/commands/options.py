"""Arguments and options that several commands share, and the groups that `--help` shows commands in."""

from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.completion import interconnects, study_directories, study_names, task_names

START, RUN, ANSWER, SHARE, CLUSTER = "Start", "Run", "Answer", "Share", "Cluster"
"""The groups of `--help`, in order."""

StudyArgument = Annotated[
    str,
    typer.Argument(help="Study file, or the name of a study that ships (see `list`).", autocompletion=study_names),
]
DirectoryArgument = Annotated[
    Path, typer.Argument(help="Study directory: the --out of a `run`.", autocompletion=study_directories)
]
TaskArgument = Annotated[
    str,
    typer.Argument(help="Task that ships (see `list`), or package.module:function.", autocompletion=task_names),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AddressOption = Annotated[
    str | None, typer.Option(help="Address of a Ray cluster, HOST:PORT or auto; a Ray of its own if not given.")
]
InterconnectOption = Annotated[
    str | None,
    typer.Option(help="Network between nodes, as in ib-edr or ethernet-10g; see `list`.", autocompletion=interconnects),
]
WorkersPerNodeOption = Annotated[
    int | None, typer.Option(min=1, help="Number of devices of a node; if unknown, --interconnect joins all devices.")
]


def go_to_cluster(address: str | None) -> None:
    """Where ``--address auto`` is a job's Ray and this is its login node: run this command on the job's first node."""
    if address is not None:
        from largebatch.schedulers.clusters.address import go_to_cluster

        go_to_cluster(address)


MOST_NUMBERS, LARGEST_NUMBER = 10_000, 10**12
"""Of a list on the command line; a plan takes a row for each."""


def counts(option: str, text: str | None) -> list[int] | None:
    """Whole numbers in rising order, each once."""
    numbers = listed(option, text)
    return None if numbers is None else sorted(set(numbers))


def listed(option: str, text: str | None) -> list[int] | None:
    """Whole numbers as they were given; 1-8 stands for all from 1 to 8."""
    if text is None:
        return None
    ranges = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            ranges.append(range(int(first), int(last or first) + 1))
        except ValueError:
            ranges.append(range(0))
    if any(not some or some[0] < 1 or some[-1] > LARGEST_NUMBER for some in ranges):
        raise UserError(
            f"{option} must be whole numbers from 1 on (at most {LARGEST_NUMBER:,}), as in 1,2,4 or 1-8; got "
            f"{text!r:.60}"
        )
    if sum(map(len, ranges)) > MOST_NUMBERS:
        raise UserError(
            f"{option} takes at most {MOST_NUMBERS:,} numbers; {text:.60} has more: give those that matter, as in 1,2,4"
        )
    return [number for some in ranges for number in some]
