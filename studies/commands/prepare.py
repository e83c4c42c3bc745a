"""The command that makes or converts the data of tasks: prepare images."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.commands.options import JsonOption

app = typer.Typer()
data = typer.Typer(help="Make or convert a task's data.", no_args_is_help=True)
app.add_typer(data, name="prepare", epilog="Example: largebatch prepare images /data/imagenet --out shards/imagenet")


@data.command(epilog="Example: largebatch prepare images /data/imagenet --out shards/imagenet --processes 16")
def images(
    out: Annotated[Path, typer.Option(help="Where the shards go, a folder for each split.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SRC", help="Folders of classes, .tar or .parquet files; splits by name: train, val."),
    ] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Shrink larger images to this shorter side.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="That read and decode; one a core if not given.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only check the shards in --out, byte by byte.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert images to shards for training: checked, checksummed, shuffled once. The same command resumes."""
    from largebatch.studies.terminal.prepare_progress import PrepareProgress, prepared_json, print_prepared
    from largebatch.trainers.images.prepare import prepare_images, verify_images

    if (source is None) != verify:
        raise UserMistake("SRC must be given, or --verify without it: largebatch prepare images [SRC] --out DIR")
    num_processes = processes or len(os.sched_getaffinity(0))
    with PrepareProgress(quiet=as_json) as progress:
        if source is None:
            made = verify_images(out, told=progress.show, num_processes=num_processes)
        else:
            made = prepare_images(source, out, told=progress.show, num_processes=num_processes, size=size)
    if as_json:
        print(json.dumps(prepared_json(out, made), indent=1))
    else:
        print_prepared(out, made, verified=verify)
