"""Commands that steer a study, also while it runs in another process: enqueue, stop, narrow."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.commands.options import DirectoryArgument

if TYPE_CHECKING:
    from largebatch.spaces.domain import Domain
    from largebatch.spaces.recipe import Recipe
    from largebatch.spaces.space import Space
    from largebatch.spaces.trial import Trial
    from largebatch.studies.record.requests import Enqueue, Narrow, Stop
    from largebatch.studies.study import Study

app = typer.Typer()


@app.command(epilog="Example: largebatch enqueue runs/quickstart learning_rate=0.3 global_batch_size=512")
def enqueue(
    directory: DirectoryArgument,
    values: Annotated[list[str], typer.Argument(help="NAME=VALUE of a recipe; the rest as in the best trial so far.")],
) -> None:
    """Put a recipe into a study, running or not: it is trained before anything that the searcher proposes."""
    from largebatch.studies.record.requests import Enqueue, asked

    study, trials = _read(directory)
    recipe = _recipe(study, trials, dict(_pair(one) for one in values))
    limit = study.budget.trials
    if limit is not None and len(trials) >= limit:
        raise UserMistake(
            f"budget.trials: all {limit} trials are spent; raise it with `largebatch run .. --budget-trials "
            f"{len(trials) + 1}`, then enqueue"
        )
    _ask(directory, Enqueue(recipe=recipe, **asked()))
    print(f"Asked for batch size {recipe.global_batch_size} at learning rate {recipe.learning_rate:g}: the next trial.")


@app.command(epilog="Example: largebatch stop runs/quickstart 17")
def stop(directory: DirectoryArgument, trial: Annotated[int, typer.Argument(help="The trial's number.")]) -> None:
    """End a running trial at its next measurement; what it measured stays."""
    from largebatch.studies.record.requests import Stop, asked

    _, trials = _read(directory)
    found = next((one for one in trials if one.number == trial), None)
    if found is None:
        raise UserMistake(f"there is no trial {trial}; the study has {len(trials)}, from 0 on")
    if not found.running:
        ended = found.ending.outcome.value if found.ending is not None else "waiting"
        raise UserMistake(f"trial {trial} does not run: {ended}")
    _ask(directory, Stop(trial=trial, **asked()))
    print(f"Asked trial {trial} to stop at its next measurement.")


@app.command(epilog="Example: largebatch narrow runs/quickstart learning_rate=0.01:1")
def narrow(
    directory: DirectoryArgument,
    values: Annotated[list[str], typer.Argument(help="NAME=LOW:HIGH of a range, or NAME=A,B,.. of choices.")],
) -> None:
    """Search only there from now on, within the study's own space; a later one for the same name replaces it."""
    from largebatch.studies.record.requests import Narrow, asked, narrowed

    study, _ = _read(directory)
    requests = [
        Narrow(name=name, domain=_domain(study.space, name, text), **asked()) for name, text in map(_pair, values)
    ]
    narrowed(study.space, list(requests))
    for request in requests:
        _ask(directory, request)
        print(f"Asked to search {request.name} only there from the next proposal on.")


def _read(directory: Path) -> tuple["Study", list["Trial"]]:
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.record.ledger import Ledger

    existing = StudyDirectory.existing(directory)
    study = existing.study()
    return study, Ledger(existing.ledger, study.name, create=False).trials()


def _ask(directory: Path, request: "Enqueue | Stop | Narrow") -> None:
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.record.requests import write_request

    write_request(StudyDirectory(directory).requests, request)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UserMistake(f"values are given as NAME=VALUE, as in learning_rate=0.3; got {text!r}")
    return name, value


def _recipe(study: "Study", trials: list["Trial"], texts: dict[str, str]) -> "Recipe":
    """The recipe asked for: what it does not name is as in the best trial of the nearest batch size."""
    import yaml
    from pydantic import ValidationError

    from largebatch.spaces.nearest import nearest
    from largebatch.spaces.problems import first_problem
    from largebatch.spaces.recipe import Recipe
    from largebatch.studies.report.trial_words import best_trials

    names = study.space.recipe_names
    for name in texts:
        if name not in names:
            raise UserMistake(f"{name}: no hyper-parameter is called so{nearest(name, names)}")
    values: dict[str, Any] = {name: yaml.safe_load(text) for name, text in texts.items()}
    base = study.space.typical()
    best = best_trials(trials)
    size = values.get("global_batch_size", base.global_batch_size)
    if best and isinstance(size, int) and size > 0:
        base = best[min(best, key=lambda one: abs(math.log(one / size)))].recipe
        values.setdefault("global_batch_size", base.global_batch_size)
    try:
        return Recipe.model_validate({**base.model_dump(exclude={"seed"}), **values})
    except ValidationError as error:
        raise UserMistake(first_problem(error)) from error


def _domain(space: "Space", name: str, text: str) -> "Domain":
    """The part of a study's domain that a text names."""
    from largebatch.spaces.domain import Choice, Range
    from largebatch.spaces.nearest import nearest

    domain = space.root.get(name)
    if domain is None:
        raise UserMistake(f"{name}: the study does not search it{nearest(name, space.root)}")
    if isinstance(domain, Choice):
        by_text = {str(choice): choice for choice in domain.choices}
        unknown = [one for one in text.split(",") if one not in by_text]
        if unknown:
            raise UserMistake(f"{name}: {', '.join(unknown)} is not among the study's choices {', '.join(by_text)}")
        return domain.model_copy(update={"choices": tuple(by_text[one] for one in dict.fromkeys(text.split(",")))})
    assert isinstance(domain, Range)
    low_text, colon, high_text = text.partition(":")
    try:
        low, high = float(low_text), float(high_text) if colon else float(low_text)
    except ValueError:
        raise UserMistake(
            f"{name}: a range is given as LOW:HIGH, as in {domain.low:g}:{domain.high:g}; got {text!r}"
        ) from None
    if not domain.low <= low <= high <= domain.high:
        raise UserMistake(
            f"{name}: must lie within the study's {domain.low:g} to {domain.high:g}, the lower end first; got {text}"
        )
    listed = domain.values()
    if listed is not None:
        kept = tuple(value for value in listed if low <= value <= high)
        if not kept:
            raise UserMistake(f"{name}: none of {', '.join(f'{value:g}' for value in listed)} lies in {text}")
        whole = tuple(int(value) if value.is_integer() else value for value in kept)
        return Choice(choices=whole, when=domain.when)
    if low == high:
        return Choice(choices=(low,), when=domain.when)
    return domain.model_copy(update={"low": low, "high": high})
