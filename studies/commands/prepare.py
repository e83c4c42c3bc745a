"""The commands that make or convert the data of tasks: prepare images, prepare gw."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import START, JsonOption

app = typer.Typer()
data = typer.Typer(help="Make or convert a task's data.", no_args_is_help=True)
app.add_typer(
    data,
    name="prepare",
    rich_help_panel=START,
    epilog="Example: largebatch prepare images /data/imagenet --out shards/imagenet",
)


@data.command(epilog="Example: largebatch prepare images /data/imagenet --out shards/imagenet --processes 16")
def images(
    out: Annotated[Path, typer.Option(help="Folder of the shards, with one for each split.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SRC", help="Folders of classes, .tar or .parquet files; splits are found by name: train, val."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, help="Shorter side that larger images are reduced to, in pixels.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes that read and decode; one for each core if not given."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the shards in --out byte by byte; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert images to checked, shuffled shards for training; the same command resumes."""
    from largebatch.studies.views.terminal.prepare_progress import PrepareProgress, prepared_json, print_prepared
    from largebatch.trainers.datasets.images.prepare import prepare_images, verify_images

    if (source is None) != verify:
        raise UserError("SRC must be given, or --verify without it: largebatch prepare images [SRC] --out DIR")
    num_processes = processes or len(os.sched_getaffinity(0))
    with _room_in(out), PrepareProgress(quiet=as_json) as progress:
        if source is None:
            made = verify_images(out, told=progress.show, num_processes=num_processes)
        else:
            made = prepare_images(source, out, told=progress.show, num_processes=num_processes, size=size)
    if as_json:
        print(json.dumps(prepared_json(out, made), indent=1))
    else:
        print_prepared(out, made, verified=verify)


@data.command(epilog="Example: largebatch prepare gw --out waveforms --part 1/8")
def gw(
    out: Annotated[Path, typer.Option(help="Folder of the shards; with --rebuild, the file of coefficients.")],
    surrogate: Annotated[
        Path | None,
        typer.Option(help="File NRHybSur3dq8.h5 to use; the reduced-order model of IMRPhenomT if not given."),
    ] = None,
    part: Annotated[str, typer.Option(help="Part that this process writes, out of how many, as in 1/8.")] = "1/1",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the reduced-order model again, from phenomxpy.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the waveforms of the paper's grids to shards, to be read and not made in training; resumes."""
    if rebuild and (surrogate is not None or part != "1/1"):
        raise UserError("--rebuild makes the coefficients alone: leave out --surrogate and --part")
    index, num_parts = _part(part)
    from largebatch.studies.views.terminal.prepare_progress import PrepareProgress

    with _room_in(out), PrepareProgress(quiet=as_json) as progress:
        if rebuild:
            from largebatch.trainers.datasets.waveforms.build import rebuild as rebuild_model

            rebuild_model(out, lambda done, total: progress.show("coefficients", done, total))
        else:
            from largebatch.trainers.datasets.waveforms.rom import Rom
            from largebatch.trainers.datasets.waveforms.shards import write_shards
            from largebatch.trainers.datasets.waveforms.surrogate import NRHybSur3dq8
            from largebatch.trainers.datasets.waveforms.times import LONG_TIMES

            write_shards(
                out, Rom(LONG_TIMES) if surrogate is None else NRHybSur3dq8(surrogate), part=index,
                num_parts=num_parts, progress=lambda done, total: progress.show("waveforms", done, total),
            )  # fmt: skip
    print(json.dumps({"out": str(out)}) if as_json else out)


@contextmanager
def _room_in(out: Path) -> Iterator[None]:
    """A disk that fills, or that may not be written to, is a one-line error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        raise UserError(
            f"{error.filename or out} cannot be written: {error.strerror}; make room or choose another --out and give "
            f"the same command again: what is whole is kept"
        ) from error


def _part(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise UserError(f"--part must say which part of how many, as in 1/8; got {text!r}")
    return int(first) - 1, int(last)
