"""What people ask of a study from outside: checked against it, told in a sentence, and left for its coordinator."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from largebatch.search.plan.finalists import best_trials
from largebatch.spaces.domain import Choice, Domain, Range
from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.problems import first_problem
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.question.yaml_document import NotYamlError, read_yaml
from largebatch.studies.record.requests import Enqueue, Narrow, Stop, asked, narrowed, write_request


def ask_for_recipe(folder: Path, study: Study, trials: Sequence[Trial], texts: Mapping[str, str]) -> Enqueue:
    """Ask for a recipe; what ``texts`` do not name is as in the best trial of the nearest batch size.

    Raises:
        UserError: for values that no recipe can have, or a spent budget.
    """
    recipe = _recipe(study, trials, texts)
    limit = study.budget.trials
    if limit is not None and len(trials) >= limit:
        raise UserError(
            f"budget.trials: all {limit} trials are spent; raise it with `largebatch run .. --budget-trials "
            f"{len(trials) + 1}`, then enqueue"
        )
    examples = study.budget.examples_per_trial
    if examples is not None and recipe.first_batch_size > examples:
        raise UserError(
            f"global_batch_size: a trial ends after the study's budget.examples_per_trial of {examples:,}, less than "
            f"one step of batch {recipe.first_batch_size:,}; ask for a batch of at most {examples:,}"
        )
    request = Enqueue(recipe=recipe, **asked())
    write_request(folder, request)
    return request


def offered_batch(study: Study, trials: Sequence[Trial], wanted: float) -> int:
    """The batch size nearest to ``wanted`` that ``ask_for_recipe`` takes: above ``norm_batch_size`` whole groups."""
    size = max(round(wanted), 1)
    examples = study.budget.examples_per_trial
    size = size if examples is None else min(size, examples)
    norm = _base(study, trials, size).norm_batch_size
    if size <= norm:
        return size
    groups = round(size / norm) if examples is None else min(round(size / norm), examples // norm)
    return groups * norm


def trials_left(study: Study, trials: Sequence[Trial]) -> int | None:
    """How many trials the study's budget leaves, None where it does not count them; branches are not counted."""
    limit = study.budget.trials
    return None if limit is None else max(0, limit - sum(trial.origin is None for trial in trials))


def ask_to_stop(folder: Path, trials: Sequence[Trial], number: int) -> Stop:
    """Ask a running trial to end.

    Raises:
        UserError: if it does not run.
    """
    found = next((one for one in trials if one.number == number), None)
    if found is None:
        raise UserError(f"there is no trial {number}; the study has {len(trials)}, from 0 on")
    if not found.running:
        ended = found.ending.outcome.value if found.ending is not None else "waiting"
        raise UserError(f"trial {number} does not run: {ended}")
    request = Stop(trial=number, **asked())
    write_request(folder, request)
    return request


def ask_to_narrow(folder: Path, study: Study, texts: Mapping[str, str]) -> list[Narrow]:
    """Ask to search only there: ``LOW:HIGH`` of a range, or ``A,B,..`` of choices, by name.

    Raises:
        UserError: for what does not lie in the study's space.
    """
    requests = [Narrow(name=name, domain=_domain(study.space, name, text), **asked()) for name, text in texts.items()]
    narrowed(study.space, list(requests))
    for request in requests:
        write_request(folder, request)
    return requests


def asked_words(request: Enqueue | Stop | Narrow, before: int = 0, left: int | None = None) -> str:
    """What was asked, in a sentence; of a recipe, how many others wait before it, and how many trials are left."""
    match request:
        case Enqueue(recipe=recipe):
            size, rate = recipe.global_batch_size, recipe.learning_rate
            turn = f"after {before} that were asked for before it" if before else "the next trial"
            reached = (
                f", but the study's budget has {left} trials left: it is not reached unless the study goes on with "
                f"`run --budget-trials`"
            )
            ends = reached if left is not None and before >= left else ""
            return f"Asked for batch size {size} at learning rate {rate:g}: {turn}{ends}."
        case Stop(trial=number):
            return f"Asked trial {number} to stop at its next measurement."
        case Narrow(name=name):
            return f"Asked to search {name} only there from the next proposal on."


def _recipe(study: Study, trials: Sequence[Trial], texts: Mapping[str, str]) -> Recipe:
    """The recipe asked for: what it does not name is as in the best trial of the nearest batch size."""
    names = study.space.recipe_names
    for name in texts:
        if name not in names:
            raise UserError(f"{name}: no hyper-parameter is called so{nearest(name, names)}")
    values = {name: _value(name, text) for name, text in texts.items()}
    size = values.get("global_batch_size", study.space.typical().global_batch_size)
    base = _base(study, trials, size)
    if best_trials(trials):
        values.setdefault("global_batch_size", base.global_batch_size)
    try:
        recipe = Recipe.model_validate({**base.model_dump(exclude={"seed"}), **values})
    except ValidationError as error:
        raise UserError(first_problem(error)) from error
    for name, value in values.items():
        if isinstance(value, bool) and not isinstance(getattr(recipe, name), bool):  # pydantic takes true for 1
            raise UserError(f"{name}: must be a number, as in {name}=0.3; got {texts[name]!r:.60}")
    return recipe


def _value(name: str, text: str) -> Any:
    """The value of a text, as a study file would read it."""
    try:
        return read_yaml(text).data
    except NotYamlError as error:
        raise UserError(f"{name}: must be a number or a word, as in {name}=0.3; got {text!r:.60} ({error})") from None


def _base(study: Study, trials: Sequence[Trial], size: Any) -> Recipe:
    """The recipe of the best trial of the batch size nearest to ``size``, or a typical one of the study."""
    best = best_trials(trials)
    if best and isinstance(size, int) and size > 0:
        return best[min(best, key=lambda one: abs(math.log(one / size)))].recipe
    return study.space.typical()


def _domain(space: Space, name: str, text: str) -> Domain:
    """The part of a study's domain that a text names."""
    domain = space.root.get(name)
    if domain is None:
        raise UserError(f"{name}: the study does not search it{nearest(name, space.root)}")
    if isinstance(domain, Choice):
        by_text = {str(choice): choice for choice in domain.choices}
        unknown = [one for one in text.split(",") if one not in by_text]
        if unknown:
            raise UserError(f"{name}: {', '.join(unknown)} is not among the study's choices {', '.join(by_text)}")
        return domain.model_copy(update={"choices": tuple(by_text[one] for one in dict.fromkeys(text.split(",")))})
    assert isinstance(domain, Range)
    low_text, colon, high_text = text.partition(":")
    try:
        low, high = float(low_text), float(high_text) if colon else float(low_text)
    except ValueError:
        raise UserError(
            f"{name}: a range is given as LOW:HIGH, as in {domain.low:g}:{domain.high:g}; got {text!r:.60}"
        ) from None
    if not domain.low <= low <= high <= domain.high:
        raise UserError(
            f"{name}: must lie within the study's {domain.low:g} to {domain.high:g}, the lower end first; got "
            f"{text!r:.60}"
        )
    listed = domain.values()
    if listed is not None:
        kept = tuple(value for value in listed if low <= value <= high)
        if not kept:
            raise UserError(f"{name}: none of {', '.join(f'{value:g}' for value in listed)} lies in {text!r:.60}")
        whole = tuple(int(value) if value.is_integer() else value for value in kept)
        return Choice(choices=whole, when=domain.when)
    if low == high:
        return Choice(choices=(low,), when=domain.when)
    return domain.model_copy(update={"low": low, "high": high})
