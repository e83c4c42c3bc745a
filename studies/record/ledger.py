"""The record of a study: an Optuna journal file or database, written before anybody acts on what it says.

Each trial is an Optuna trial: searched values are its parameters, the recipe, owner and ending its user attributes,
the target's metric its intermediate values by examples, examples to target its value. ``optuna-dashboard ledger.log``
opens it. One coordinator writes, under the study directory's lease; anybody may read.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter

from largebatch.spaces.domain import Choice, Domain
from largebatch.spaces.printable import printable_values
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Origin, Outcome, Trial
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.record.damage import damage_told
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.fenced_storage import FencedStorage
from largebatch.studies.record.fenced_journal import FencedJournal

REQUEST = "request "
"""Begins the names of a study's attributes that hold what people asked."""

_ENDING, _ORIGIN = TypeAdapter(Ending), TypeAdapter(Origin | None)
_INTERMEDIATE, _NUMBER = TypeAdapter(dict[int, float]), TypeAdapter(int | None)
_STATES = {Outcome.REACHED: TrialState.COMPLETE, Outcome.FAILED: TrialState.FAIL}


class Ledger:
    """Reads; with ``create`` also appends, and makes the study where it is not there: for the holder of the lease.

    Args:
        place: The journal file, or the database.
        study_name: The study's name there.
        create: Whether to own it.
        fence: Of the lease: an owner with a higher one takes over.
        refuse_if_taken_over: Raises where this process holds the lease no longer.
    """

    def __init__(
        self, place: Path | Database, study_name: str, *, create: bool, fence: int = 1,
        refuse_if_taken_over: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Open it.

        Raises:
            UserMistake: if it is damaged, cannot be reached, or holds nothing of that study and is not to be begun.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._place, self._name, self.refuse_if_taken_over = place, study_name, refuse_if_taken_over
        with self._told():
            if create:
                self._storage, self._study = _owned(place, study_name, fence, refuse_if_taken_over)
            else:
                self._storage, self._study = _read(place, study_name)
        self._ids: dict[int, int] = {}
        self._finished: dict[int, Trial] = {}  # they never change, and building them anew would cost

    def _told(self) -> AbstractContextManager[None]:
        return damage_told(self._place, self._read_whole) if isinstance(self._place, Path) else self._place.told()

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers.

        Raises:
            UserMistake: if what is recorded of one is no trial.
        """
        trials = []
        with self._told():
            for frozen in self._storage.get_all_trials(self._study, deepcopy=False):
                trial = self._finished.get(frozen.number) or recorded_trial(frozen)
                if trial.ending is not None:
                    self._finished[trial.number] = trial
                trials.append(trial)
        return trials

    def _read_whole(self, path: Path) -> None:
        """Read the ledger at ``path`` as this one is read, to find out how far it can be."""
        storage = JournalStorage(JournalFileBackend(str(path)))
        for study in storage.get_all_studies():
            if study.study_name == self._name:
                for frozen in storage.get_all_trials(study._study_id, deepcopy=False):
                    recorded_trial(frozen)

    def create(
        self, space: Space, recipe: Recipe, *, num_devices: int, owner: str, why: str = "",
        repeat_of: int | None = None, request: str | None = None, origin: Origin | None = None,
    ) -> Trial:  # fmt: skip
        """Append a running trial, or with ``origin`` a paused one.

        ``why`` says why it was proposed, ``repeat_of`` which trial it repeats, ``request`` what asked for it.
        """
        values = recipe.model_dump()
        active = space.active(values)
        # Optuna's categories are the same in all trials: a human's own value is in the recipe alone.
        searched = {
            name: domain
            for name, domain in space.root.items()
            if name in active and (domain.values() is None or domain.contains(values[name]))
        }
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params={name: values[name] for name in searched},
            distributions={name: _distribution(domain, values[name]) for name, domain in searched.items()},
            user_attrs={
                "recipe": values,
                "num_devices": num_devices,
                "owner": owner,
                "why": why,
                "repeat_of": repeat_of,
                "request": request,
                **({"origin": asdict(origin), "paused_at": origin.examples} if origin is not None else {}),
            },
        )
        trial_id = self._storage.create_new_trial(self._study, template_trial=template)
        number = self._storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return recorded_trial(self._storage.get_trial(trial_id))

    def start_again(self, number: int, owner: str) -> None:
        """Give a trial that its driver left running, or a paused one, to ``owner``."""
        self._storage.set_trial_user_attr(self._id(number), "owner", owner)
        self._storage.set_trial_user_attr(self._id(number), "paused_at", None)

    def pause(self, number: int, examples: int) -> None:
        """Append that the trial waits, its state after ``examples`` saved."""
        self._storage.set_trial_user_attr(self._id(number), "paused_at", examples)

    def measure(self, number: int, measurement: Measurement, metric: str) -> None:
        """Append the target's metric at one evaluation."""
        value = measurement.values[metric]
        self._storage.set_trial_intermediate_value(self._id(number), measurement.examples, value)

    def end(self, number: int, ending: Ending) -> None:
        """Append how the trial ended; after this it is never changed."""
        trial_id = self._id(number)
        self._storage.set_trial_user_attr(trial_id, "ending", _ending_to_json(ending))
        examples = replace(recorded_trial(self._storage.get_trial(trial_id)), ending=ending).examples_to_target
        state = _STATES.get(ending.outcome, TrialState.PRUNED)
        values = None if examples is None else [examples]
        self._storage.set_trial_state_values(trial_id, state, values)

    def record_request(self, name: str, request: Mapping[str, Any]) -> None:
        """Record what somebody asked of the study."""
        self._storage.set_study_user_attr(self._study, REQUEST + name, dict(request))

    def requests(self) -> dict[str, dict[str, Any]]:
        """All that was asked, by name, in the order of asking."""
        attributes = self._storage.get_study_user_attrs(self._study)
        asked = sorted(name for name in attributes if name.startswith(REQUEST))
        return {name.removeprefix(REQUEST): printable_values(attributes[name]) for name in asked}

    def taken_requests(self) -> set[str]:
        """Names of the requests that have become trials."""
        trials = self._storage.get_all_trials(self._study, deepcopy=False)
        return {trial.user_attrs["request"] for trial in trials if trial.user_attrs.get("request") is not None}

    def set_elapsed_seconds(self, seconds: float) -> None:
        """Record how long the study has run, all its sessions together."""
        self._storage.set_study_user_attr(self._study, "elapsed_seconds", seconds)

    def elapsed_seconds(self) -> float:
        """How long the study has run."""
        return float(self._storage.get_study_user_attrs(self._study).get("elapsed_seconds", 0.0))

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._study, number)
        return self._ids[number]


def recorded_trial(frozen: FrozenTrial) -> Trial:
    """The trial that Optuna recorded.

    Raises:
        ValueError: if it is none.
    """
    ending, origin = frozen.user_attrs.get("ending"), frozen.user_attrs.get("origin")
    if frozen.state.is_finished() and ending is None:
        raise ValueError(f"trial {frozen.number} has ended, and nothing says how")
    paused_at = frozen.user_attrs.get("paused_at") if frozen.state is TrialState.RUNNING else None
    return Trial(
        number=frozen.number,
        recipe=Recipe.model_validate(frozen.user_attrs["recipe"]),
        num_devices=int(frozen.user_attrs["num_devices"]),
        running=frozen.state is TrialState.RUNNING and paused_at is None,
        intermediate=_INTERMEDIATE.validate_python(frozen.intermediate_values),
        ending=_ENDING.validate_python(ending) if frozen.state.is_finished() else None,
        why=str(frozen.user_attrs.get("why", "")),
        repeat_of=_NUMBER.validate_python(frozen.user_attrs.get("repeat_of")),
        origin=_ORIGIN.validate_python(origin),
        paused_at=_NUMBER.validate_python(paused_at),
    )


def _owned(place: Path | Database, name: str, fence: int, refuse: Callable[[], None]) -> tuple[BaseStorage, int]:
    if isinstance(place, Database):
        fenced = FencedStorage(place, name, fence, refuse)
        return fenced, fenced.study_id
    storage = JournalStorage(FencedJournal(place, fence, refuse))
    found = _found(storage, name)
    return storage, storage.create_new_study([StudyDirection.MINIMIZE], name) if found is None else found


def _read(place: Path | Database, name: str) -> tuple[BaseStorage, int]:
    storage: BaseStorage
    if isinstance(place, Database):
        storage = place.open(create=False)
    else:
        storage = JournalStorage(JournalFileBackend(str(place)))
    found = _found(storage, name)
    if found is None:
        raise UserMistake(f"{place} holds nothing of {name} yet; `largebatch run` begins it, or goes on")
    return storage, found


def _found(storage: BaseStorage, name: str) -> int | None:
    if isinstance(storage, JournalStorage):  # whose own KeyError might be a damaged file's
        return {study.study_name: study._study_id for study in storage.get_all_studies()}.get(name)
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def copy_ledger(database: Database, name: str, file: Path, name_there: str) -> None:
    """Copy a study from a database into a new journal.

    Raises:
        UserMistake: if the database is away.
    """
    with database.told():
        optuna.copy_study(
            from_study_name=name,
            from_storage=database.open(create=False),
            to_storage=JournalStorage(JournalFileBackend(str(file))),
            to_study_name=name_there,
        )


def _distribution(domain: Domain, value: Any) -> BaseDistribution:
    """What Optuna is told of a domain: wide enough for a value beyond it, for a searcher may move a range."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.choices)
    values = domain.values()
    if values is not None:
        return CategoricalDistribution(tuple(int(value) for value in values))
    low, high = min(domain.low, value), max(domain.high, value)
    return FloatDistribution(low, high, log=domain.scale == "log")


def _ending_to_json(ending: Ending) -> dict[str, Any]:
    return {
        "outcome": ending.outcome.value,
        "step": ending.step,
        "examples": ending.examples,
        "seconds": ending.seconds,
        "steps_to_target": ending.steps_to_target,
        "examples_to_target": ending.examples_to_target,
        "steps_low": ending.steps_low,
        "steps_high": ending.steps_high,
        "examples_low": ending.examples_low,
        "examples_high": ending.examples_high,
        "reason": ending.reason,
    }
