"""Commands for studies that are over: history, export, import."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from largebatch.studies.commands.options import ANSWER, SHARE, DirectoryArgument, JsonOption
from largebatch.studies.record.checkpoint_store import readable

app = typer.Typer()


@app.command(rich_help_panel=ANSWER, epilog="Example: largebatch history runs --where 'task=gw and num_workers>=64'")
def history(
    folder: Annotated[Path, typer.Argument(help="Folder that is searched for studies, with all below it.")],
    where: Annotated[
        str | None,
        typer.Option(help="Condition: comparisons (= != < <= > >= ~) joined by and, or, not, as in the example."),
    ] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by; with a minus the largest first.")] = "-created",
    as_json: JsonOption = False,
) -> None:
    """List past studies with their settings and answers; --json has all columns that --where knows."""
    from largebatch.studies.answer.past_studies.reading import read_history

    found = read_history(folder, where=where, sort=sort)
    if as_json:
        print(json.dumps({"studies": list(found.rows), "damaged": list(found.damaged)}, indent=1))
        return
    from largebatch.studies.views.terminal.show_history import print_history

    print_history(found)


@app.command(
    rich_help_panel=SHARE, epilog="Example: largebatch export runs/quickstart -o quickstart.zip --licence CC-BY-4.0"
)
def export(
    directory: DirectoryArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Zip file to write.")],
    author: Annotated[list[str] | None, typer.Option(help="Author, 'NAME <ORCID>'; may be repeated.")] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", "--license", help="Licence that others may use it under: an SPDX name, as in CC-BY-4.0."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a study as an RO-Crate, one zip to publish: plan, trials, curves, weights, settings, versions."""
    from largebatch.studies.exchange.ro_crate.credits import parse_author, parse_licence

    authors = [parse_author(text) for text in author or []]
    spdx = None if licence is None else parse_licence(licence)
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is found from here
    from largebatch.studies.exchange.ro_crate.exporting import export_study

    done = export_study(directory, out, authors, spdx)
    num_bytes = out.stat().st_size
    if as_json:
        facts = {**asdict(done), "file": str(done.file), "bytes": num_bytes}
        print(json.dumps(facts, indent=1))
        return
    print(f"{out}: {done.num_files} files, {readable(num_bytes)}; {done.num_trials} trials")
    lacking = {
        f"{done.unfinished} trials are unfinished": done.unfinished,
        "there is no plan": not done.has_plan,
        "no --author": not authors,
        "no --licence, so that nobody may use it": spdx is None,
    }
    if told := [what for what, is_so in lacking.items() if is_so]:
        print(f"It says so itself: {'; '.join(told)}")


@app.command("import", rich_help_panel=SHARE, epilog="Example: largebatch import quickstart.zip --out runs/theirs")
def import_(
    file: Annotated[Path, typer.Argument(help="Zip file that `export` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Study directory to make; runs/NAME if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Open the RO-Crate of a shared study: each file is checked, and nothing in it is run."""
    from largebatch.studies.exchange.ro_crate.importing import import_study

    done = import_study(file, out)
    if as_json:
        print(json.dumps({**asdict(done), "directory": str(done.directory)}, indent=1))
        return
    print(f"{done.directory}: study {done.name} of {done.task}, {done.num_files} files as described")
    print(f"By {', '.join(done.authors) or 'nobody named'}. {done.licence}.")
    if done.plan_differs is not None:
        print(f"The plan, made again from the trials: times differ by at most {done.plan_differs:.1%}")
    for path in done.code:
        print(f"The task is the authors' own code, {path}: read it, then put it where you run")
