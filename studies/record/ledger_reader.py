"""Follows a ledger that another process writes: each look reads the new lines alone.

What it says of trials is what ``Ledger`` says. Optuna's own replay copies a trial's values at each measurement and
keeps a good many objects a trial; of 50,000 trials and a million measurements it takes minutes and gigabytes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from largebatch.spaces.printable import printable_values
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Origin, Outcome, Trial
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.record.ledger import REQUEST

CHUNK_BYTES = 2_000_000

# Operations of Optuna's journal: optuna/storages/journal/_storage.py, JournalOperation.
_CREATE_STUDY, _STUDY_ATTRIBUTE, _CREATE_TRIAL, _STATE, _VALUE, _TRIAL_ATTRIBUTE = 0, 2, 4, 6, 7, 8
_RUNNING, _FINISHED = 0, (1, 2, 3)


@dataclass(slots=True)
class _Row:
    """What the journal has said of one trial so far."""

    recipe: Recipe
    attributes: dict[str, Any]
    state: int
    intermediate: dict[int, float] = field(default_factory=dict)


class LedgerReader:
    """The trials of one ledger, as far as it was read. One thread at a time may read."""

    def __init__(self, path: Path, study_name: str) -> None:
        self._path, self._name = path, study_name
        self._read_bytes = 0
        self._names: list[str] = []
        self._attributes: dict[str, Any] = {}
        self._rows: dict[int, _Row] = {}
        self._numbers: dict[int, int] = {}
        self._num_trials = 0
        self._trials: list[Trial] = []
        self._changed: set[int] = set()

    def read(self) -> Iterator[float]:
        """Read what is new, a chunk at a time, and yield which fraction is read; a half-written last line waits.

        Raises:
            UserMistake: if it is no journal, or another one than before.
        """
        size_bytes = self._path.stat().st_size
        if size_bytes < self._read_bytes:
            raise UserMistake(f"{self._path} has become shorter: it is not the ledger that was opened; open it again")
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            rest = b""
            while chunk := file.read(CHUNK_BYTES):
                whole, end, rest = (rest + chunk).rpartition(b"\n")
                if end:
                    self._take(whole)
                    self._read_bytes += len(whole) + 1
                    yield min(1.0, self._read_bytes / size_bytes)

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers; unchanged ones are the same objects as before."""
        for number in sorted(self._changed):
            trial = _trial(number, self._rows[number])
            if number < len(self._trials):
                self._trials[number] = trial
            else:
                self._trials.append(trial)
            if trial.ending is not None:
                self._rows[number].intermediate = {}  # the trial has them, and they never change
        self._changed.clear()
        return list(self._trials)

    def requests(self) -> list[dict[str, Any]]:
        """All that was asked, in the order of asking."""
        asked = sorted(name for name in self._attributes if name.startswith(REQUEST))
        return [printable_values(self._attributes[name]) for name in asked]

    def elapsed_seconds(self) -> float:
        """How long the study has run, all its sessions together, as far as trials have ended."""
        return float(self._attributes.get("elapsed_seconds", 0.0))

    def _take(self, lines: bytes) -> None:
        try:
            for entry in json.loads(b"[" + lines.replace(b"\n", b",") + b"]"):
                self._apply(entry)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise UserMistake(f"{self._path} holds what no ledger holds ({type(error).__name__}: {error})") from error

    def _apply(self, entry: dict[str, Any]) -> None:
        kind = entry["op_code"]
        if kind == _VALUE:
            number = self._numbers.get(entry["trial_id"])
            if number is not None and self._rows[number].state == _RUNNING:
                self._rows[number].intermediate[entry["step"]] = entry["intermediate_value"]
                self._changed.add(number)
        elif kind == _CREATE_TRIAL:
            self._create(entry)
        elif kind in (_STATE, _TRIAL_ATTRIBUTE):
            self._change(entry)
        elif kind == _CREATE_STUDY:
            self._names.append(entry["study_name"])
        elif kind == _STUDY_ATTRIBUTE and self._is_ours(entry):
            self._attributes |= entry["user_attr"]

    def _is_ours(self, entry: dict[str, Any]) -> bool:
        name: str = self._names[entry["study_id"]]
        return name == self._name

    def _create(self, entry: dict[str, Any]) -> None:
        """Optuna counts the trials of all studies of a file, we those of ours."""
        if self._is_ours(entry):
            attributes = entry["user_attrs"]
            number = len(self._rows)
            self._numbers[self._num_trials] = number
            self._rows[number] = _Row(
                recipe=Recipe.model_validate(attributes.pop("recipe")), attributes=attributes, state=entry["state"]
            )
            self._changed.add(number)
        self._num_trials += 1

    def _change(self, entry: dict[str, Any]) -> None:
        number = self._numbers.get(entry["trial_id"])
        if number is None or self._rows[number].state in _FINISHED:
            return
        if entry["op_code"] == _STATE:
            self._rows[number].state = entry["state"]
        else:
            self._rows[number].attributes |= entry["user_attr"]
        self._changed.add(number)


def _trial(number: int, row: _Row) -> Trial:
    attributes = row.attributes
    ending, origin = attributes.get("ending"), attributes.get("origin")
    paused_at = attributes.get("paused_at") if row.state == _RUNNING else None
    return Trial(
        number=number,
        recipe=row.recipe,
        num_devices=attributes["num_devices"],
        running=row.state == _RUNNING and paused_at is None,
        intermediate=dict(row.intermediate),
        ending=Ending(**{**ending, "outcome": Outcome(ending["outcome"])})
        if row.state in _FINISHED and ending is not None
        else None,
        why=attributes.get("why", ""),
        repeat_of=attributes.get("repeat_of"),
        origin=Origin(**origin) if origin is not None else None,
        paused_at=paused_at,
    )
