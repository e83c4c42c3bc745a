"""Commands that steer a study, also while it runs in another process: enqueue, stop, narrow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import RUN, DirectoryArgument, JsonOption

if TYPE_CHECKING:
    from largebatch.spaces.trial import Trial
    from largebatch.studies.question.study import Study
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.record.requests import Enqueue, Narrow, Stop

app = typer.Typer()


@app.command(
    rich_help_panel=RUN, epilog="Example: largebatch enqueue runs/quickstart learning_rate=0.3 global_batch_size=512"
)
def enqueue(
    directory: DirectoryArgument,
    values: Annotated[
        list[str],
        typer.Argument(
            help="Values of the recipe, NAME=VALUE; others are those of the best trial at the nearest batch size."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Add a recipe to a study, running or not; it is trained before what the searcher proposes."""
    from largebatch.studies.record.requests import waiting_recipes
    from largebatch.studies.running.steering_requests import ask_for_recipe, asked_words, trials_left

    existing, study, trials, requests = _read(directory)
    before, left = waiting_recipes(existing.requests, requests, trials), trials_left(study, trials)
    request = ask_for_recipe(existing.requests, study, trials, dict(map(_pair, values)))
    if as_json:
        told = {**request.model_dump(mode="json"), "before": before, "trials_left": left}
        print(json.dumps({"requests": [told]}, indent=1))
    else:
        print(asked_words(request, before, left))


@app.command(rich_help_panel=RUN, epilog="Example: largebatch stop runs/quickstart 17")
def stop(
    directory: DirectoryArgument,
    trial: Annotated[int, typer.Argument(help="Number of the trial.")],
    as_json: JsonOption = False,
) -> None:
    """Stop a running trial at its next measurement; its measurements are kept."""
    from largebatch.studies.running.steering_requests import ask_to_stop

    existing, _, trials, _ = _read(directory)
    _tell([ask_to_stop(existing.requests, trials, trial)], as_json=as_json)


@app.command(rich_help_panel=RUN, epilog="Example: largebatch narrow runs/quickstart learning_rate=0.01:1")
def narrow(
    directory: DirectoryArgument,
    values: Annotated[
        list[str],
        typer.Argument(help="New limits within the study's space: NAME=LOW:HIGH of a range, NAME=A,B,.. of choices."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Narrow the search space from now on; a later `narrow` of the same name replaces an earlier one."""
    from largebatch.studies.running.steering_requests import ask_to_narrow

    existing, study, _, _ = _read(directory)
    _tell(ask_to_narrow(existing.requests, study, dict(map(_pair, values))), as_json=as_json)


def _read(directory: Path) -> tuple["StudyDirectory", "Study", list["Trial"], list[dict[str, Any]]]:
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.record.open_ledger import read_ledger

    existing = StudyDirectory.existing(directory)
    study = existing.study()
    ledger = read_ledger(existing, study)
    return existing, study, ledger.trials(), list(ledger.requests().values())


def _tell(requests: Sequence["Enqueue | Stop | Narrow"], *, as_json: bool) -> None:
    """What was asked; as JSON in the words that `show --json` has later."""
    from largebatch.studies.running.steering_requests import asked_words

    if as_json:
        print(json.dumps({"requests": [request.model_dump(mode="json") for request in requests]}, indent=1))
        return
    for request in requests:
        print(asked_words(request))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UserError(f"values are given as NAME=VALUE, as in learning_rate=0.3; got {text!r}")
    return name, value
