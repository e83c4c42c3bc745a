"""What the lines of a ledger say of one study, taken one after the other.

The lines are those of Optuna's journal (optuna/storages/journal/_storage.py), so that Optuna and optuna-dashboard open
the file. Its own replay copies what it knows of a trial with each of its lines, and keeps many objects a trial: of
50,000 trials and a million measurements that is minutes and gigabytes. Here a line costs the same, however many came
before it.
"""

from enum import IntEnum
from typing import Any

from pydantic import TypeAdapter

from largebatch.spaces.intermediate import Intermediate
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Trial
from largebatch.studies.record.recorded_trial import recorded_trial

REQUEST = "request "
"""Begins the names of a study's attributes that hold what people asked."""


class Operation(IntEnum):
    """What a line does."""

    CREATE_STUDY = 0
    DELETE_STUDY = 1
    STUDY_ATTRIBUTE = 2
    STUDY_SYSTEM_ATTRIBUTE = 3
    CREATE_TRIAL = 4
    PARAMETER = 5
    STATE = 6
    VALUE = 7
    TRIAL_ATTRIBUTE = 8
    TRIAL_SYSTEM_ATTRIBUTE = 9
    DISCARD_TRIALS = 10


_IGNORED = (
    Operation.STUDY_SYSTEM_ATTRIBUTE, Operation.PARAMETER, Operation.TRIAL_SYSTEM_ATTRIBUTE, Operation.DISCARD_TRIALS,
)  # fmt: skip
"""Of Optuna's own tools: notes of optuna-dashboard, say."""
_VALUE = int(Operation.VALUE)  # most lines are of this kind
_RUNNING, _COMPLETE, _PRUNED, _FAILED, _WAITING = range(5)
_FINISHED = (_COMPLETE, _PRUNED, _FAILED)

_TEXT = TypeAdapter(str)


class _Open:
    """A trial that has not ended."""

    __slots__ = ("attributes", "intermediate", "is_shared", "recipe", "trial_id")

    def __init__(self, trial_id: int, attributes: dict[str, Any]) -> None:
        self.trial_id, self.attributes = trial_id, attributes
        self.recipe = compact(Recipe.model_validate(attributes.pop("recipe")))
        self.intermediate = Intermediate()
        self.is_shared = False  # a trial was built with these values, and they are to change no more

    def measure(self, examples: int, value: float) -> None:
        """Add a value; in place where nobody has seen the others yet, as when a file is read."""
        if self.is_shared or examples <= self.intermediate.last:
            self.intermediate, self.is_shared = self.intermediate.added(examples, value), False
        else:
            self.intermediate.append(examples, value)


class LedgerState:
    """The trials and attributes of the study called ``name``.

    Lines that no ledger has raise the exceptions of ``damage.SIGNS``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._names: list[str] = []
        self.study_id: int | None = None
        """Of the study, None until it is created."""
        self.attributes: dict[str, Any] = {}
        """Of the study."""
        self.taken: set[str] = set()
        """Names of the requests that have become trials."""
        self._numbers: dict[int, int] = {}  # trial id -> number, of those that have not ended
        self._num_trials = 0  # of all studies in the file
        self._open: dict[int, _Open] = {}
        self._trials: list[Trial | None] = []  # None: changed since, and not built again yet
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._trials)

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers; unchanged ones are the same objects as before."""
        for number in sorted(self._changed):
            self.trial(number)
        return list(self._trials)  # type: ignore[arg-type]  # all are built

    def trial(self, number: int) -> Trial:
        """One of them."""
        if number in self._changed:
            self._open[number].is_shared = True
            self._trials[number] = _trial(number, self._open[number], _RUNNING)
            self._changed.discard(number)
        found = self._trials[number]
        assert found is not None
        return found

    def open_id(self, number: int) -> int:
        """The id of a trial that has not ended, by which the lines of the file name it.

        Raises:
            ValueError: if it has ended.
        """
        if number not in self._open:
            raise ValueError(f"trial {number} has already finished and cannot be updated")
        return self._open[number].trial_id

    def apply(self, entry: dict[str, Any]) -> None:
        """Take one line."""
        kind = entry["op_code"]
        if kind == _VALUE:
            self._measure(entry)
        elif kind == Operation.CREATE_TRIAL:
            self._create(entry)
        elif kind == Operation.TRIAL_ATTRIBUTE:
            self._change(entry)
        elif kind == Operation.STATE:
            self._set_state(entry)
        elif kind == Operation.STUDY_ATTRIBUTE:
            if entry["study_id"] == self.study_id:
                self.attributes.update(entry["user_attr"])
        elif kind == Operation.CREATE_STUDY:
            self._create_study(entry["study_name"])
        elif kind == Operation.DELETE_STUDY:
            if entry["study_id"] == self.study_id:
                raise ValueError(f"the study {self._name} was deleted")
        elif kind not in _IGNORED:
            raise ValueError(f"there is no operation {kind}")

    def _create_study(self, name: str) -> None:
        if name == self._name:
            if self.study_id is not None:  # Optuna passes over it, and has each later trial twice
                raise ValueError(f"the study {name} is created a second time: two ledgers, one after the other?")
            self.study_id = len(self._names)
        if name in self._names:
            return
        self._names.append(name)

    def _create(self, entry: dict[str, Any]) -> None:
        """Optuna counts the trials of all studies of a file, we those of ours."""
        if entry["study_id"] not in range(len(self._names)):
            raise ValueError(f"there is no study {entry['study_id']}")
        trial_id, self._num_trials = self._num_trials, self._num_trials + 1
        if entry["study_id"] != self.study_id:
            return
        number, state = len(self._trials), entry["state"]
        row = _Open(trial_id, dict(entry["user_attrs"]))
        if (request := row.attributes.pop("request", None)) is not None:
            self.taken.add(_TEXT.validate_python(request))
        for examples, value in entry.get("intermediate_values", {}).items():
            row.measure(int(examples), value)
        self._numbers[trial_id], self._open[number] = number, row
        self._trials.append(None)
        self._changed.add(number)
        if state in _FINISHED:
            self._end(number, state)

    def _measure(self, entry: dict[str, Any]) -> None:
        number = self._numbers.get(entry["trial_id"])
        step, value = entry["step"], entry["intermediate_value"]
        if number is not None:
            self._open[number].measure(step, value)
            self._changed.add(number)

    def _change(self, entry: dict[str, Any]) -> None:
        number, attributes = self._numbers.get(entry["trial_id"]), entry["user_attr"]
        if number is not None:
            self._open[number].attributes.update(attributes)
            self._changed.add(number)

    def _set_state(self, entry: dict[str, Any]) -> None:
        number, state = self._numbers.get(entry["trial_id"]), entry["state"]
        if state in _FINISHED:
            if number is not None:
                self._end(number, state)
        elif state not in (_RUNNING, _WAITING):
            raise ValueError(f"there is no state {state}")

    def _end(self, number: int, state: int) -> None:
        row = self._open[number]
        self._trials[number] = _trial(number, row, state)
        self._changed.discard(number)
        del self._open[number], self._numbers[row.trial_id]


def compact(recipe: Recipe) -> Recipe:
    """The same recipe in less than half of the memory: what it has in common with others is shared with them."""
    values = recipe.__dict__
    for name, default in _DEFAULTS.items():
        if values[name] == default and type(values[name]) is type(default):
            values[name] = default
    names = frozenset(recipe.__pydantic_fields_set__)
    object.__setattr__(recipe, "__pydantic_fields_set__", _NAMES.setdefault(names, set(names)))
    return recipe


_NAMES: dict[frozenset[str], set[str]] = {}
_DEFAULTS = {name: one.default for name, one in Recipe.model_fields.items() if not one.is_required()}


def _trial(number: int, row: _Open, state: int) -> Trial:
    ended = state in _FINISHED
    return recorded_trial(number, row.recipe, row.attributes, row.intermediate, ended=ended, running=not ended)
