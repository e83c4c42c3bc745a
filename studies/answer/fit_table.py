"""``fit``: the laws on a user's own numbers, as the JSON of the contract and as a table."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from largebatch.search.laws.batch_size.learning_rate_law import fit_learning_rate_law
from largebatch.search.laws.batch_size.points import Points
from largebatch.search.laws.batch_size.steps_law import Unit, fit_steps_law
from largebatch.search.laws.from_table import (
    TYPICAL_GRADIENT_BYTES,
    TYPICAL_NOISE,
    TYPICAL_STEP_SECONDS,
    Trainings,
    pool,
    time_steps,
)
from largebatch.search.laws.holdout import Withheld, withhold_batch_size, withhold_workers
from largebatch.search.laws.law import Array, Law, no_law, quantile_interval
from largebatch.search.laws.smc import NUM_DRAWS
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.spaces.errors import UserError
from largebatch.studies.answer.measurement_table import OwnRow, OwnTable
from largebatch.studies.answer.table_passages import own_passages
from largebatch.studies.answer.table_rows import fixed_budget, of_one_recipe, timed, with_all

ASSUMED_BATCH = 1024.0
"""Stands for the batch size of a file that tells none: it is the same in every row."""
SHORTEST_STEP = 1e-30
"""In seconds and as a share of the longest: below, a quotient of two numbers of the file may be zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to predict: batch sizes; worker counts, each with its batch size or all with that of the file."""

    batch_sizes: Sequence[int] = ()
    workers: Sequence[int] = ()
    batches: Sequence[int] | None = None


def fit_table(
    table: OwnTable, asked: Asked, *, network: Network | None = None, gradient_bytes: float | None = None
) -> dict[str, Any]:
    """The answer of ``fit --json``: one entry a group.

    Raises:
        UserError: if a group's numbers cannot be fitted, or what is asked cannot be answered.
    """
    _check(asked)
    groups = []
    for name, rows in table.groups.items():
        try:
            groups.append({"group": name, **_Group(rows, table.unit, network, gradient_bytes).answer(asked)})
        except UserError as mistake:
            raise UserError(f"{table.path}{f', group {name!r}' if name else ''}: {mistake}") from mistake
    return {"groups": groups, "notes": list(table.notes)}


def _check(asked: Asked) -> None:
    if asked.batches is not None and len(asked.batches) not in (1, len(asked.workers)):
        raise UserError(
            f"--predict-batch must give one batch size, or one for each of the {len(asked.workers)} worker counts of "
            f"--predict-workers; got {len(asked.batches)}"
        )


class _Group:
    """The rows of one group and what is fitted to them."""

    def __init__(
        self, rows: Sequence[OwnRow], unit: str | None, network: Network | None, gradient_bytes: float | None
    ) -> None:
        self.rows, self.unit = tuple(rows), unit
        self.notes: list[str] = []
        self.kind: Unit = "steps" if unit == "steps" else "examples"
        self.network = network or Network()
        self.num_bytes = gradient_bytes or TYPICAL_GRADIENT_BYTES
        self.rng = np.random.default_rng(0)
        self.points: Points | None = None
        self.rates: Points | None = None
        self.budget: str | None = None
        if unit is not None:
            self._check_amounts(unit)
            rows = with_all(self.rows, "learning_rate", "the laws of steps and of the learning rate", self.notes.append)
            rows = of_one_recipe(rows, self.notes.append)
            self.budget = fixed_budget(rows, unit)
            self.points, self.rates = pool(self._trainings(rows, unit), self.kind)
            self._note_repeats(rows)

    def answer(self, asked: Asked) -> dict[str, Any]:
        """The group's entry."""
        answer: dict[str, Any] = {}
        predictions: list[dict[str, Any]] = []
        withheld: dict[str, Withheld | None] = {}
        if self.points is not None:
            law = fit_steps_law(self.points, rng=self.rng, unit=self.kind)
            withheld["steps"] = withhold_batch_size(self.points, None, self.rng, self.kind)
            if self.budget is not None:  # fitted nonetheless: other laws' random numbers do not depend on it
                law = no_law("hyperbola", self.budget, law.fitted_on)
                withheld["steps"] = None
            answer |= _law_entry(law) | {"unit": self.unit}
            predictions += [self._at_batch(law, size) for size in asked.batch_sizes]
        elif asked.batch_sizes:
            raise UserError("--predict needs a column steps, epochs or examples; this file has times alone")
        if self.rates is not None:
            rate_law = fit_learning_rate_law(self.rates, rng=self.rng)
            told = [_entry("global_batch_size", size, rate_law.predict(size)) for size in asked.batch_sizes]
            answer["learning_rate"] = {**rate_law.to_json(), "predictions": told}
        timings = timed(self.rows, self.notes.append)
        if self.unit is None:
            timings = with_all(timings, "global_batch_size", "the law of step times", self.notes.append)
        if timings:
            step_law, scale, found = self._time_law(timings)
            withheld["step_seconds"] = None if found is None else self._in_seconds(found, scale, timings)
            if scale != 1.0:
                assumed = f"{TYPICAL_STEP_SECONDS} s"
                self.notes.append(
                    f"a step's own seconds are not known; the step-time law is given as if the first took {assumed}"
                )
            answer["step_seconds"] = step_law.to_json()
            if self.points is None:
                answer |= _law_entry(step_law) | {"unit": None}
            predictions += self._at_workers(step_law, scale, timings, asked)
        elif asked.workers:
            raise UserError("--predict-workers needs columns num_workers and seconds (or step_seconds)")
        if self.points is None and not timings:
            raise UserError("no row has both num_workers and a time that a law can use")
        named = {name: asdict(one) for name, one in withheld.items() if one is not None}
        return {**answer, "notes": self.notes, "withheld": named, "predictions": predictions}

    def _note_repeats(self, rows: Sequence[OwnRow]) -> None:
        places = Counter(tuple(sorted(row.values.items())) for row in rows)
        again = sum(count - 1 for count in places.values())
        batches = Counter(row.values["global_batch_size"] for row in rows)
        if again:
            self.notes.append(f"{again} rows are exactly like another; they count as repeats")
        if self.rates is None and max(batches.values()) == 1:
            assumed = f"{100 * TYPICAL_NOISE:.0f} %"
            self.notes.append(
                f"one training a batch size: how much trainings scatter is not known, {assumed} is assumed"
            )

    def _check_amounts(self, unit: str) -> None:
        for row in self.rows:
            for name in (unit, "global_batch_size"):
                if name not in row.values:
                    what = " (for a censored one, what was trained)" if name == unit and row.censored else ""
                    raise UserError(f"line {row.line} has no {name}{what}")

    def _trainings(self, rows: Sequence[OwnRow], unit: str) -> Trainings:
        def column(name: str) -> Array:
            return np.array([row.values[name] for row in rows])

        return Trainings(
            batch_R=column("global_batch_size"),
            amount_R=column(unit),
            reached_R=np.array([not row.censored for row in rows]),
            rate_R=column("learning_rate") if "learning_rate" in rows[0].values else None,
            passages=own_passages(rows, unit, self.notes.append),
        )

    def _at_batch(self, law: Law, size: int) -> dict[str, Any]:
        amount = size if self.kind == "examples" else 1.0
        told = _entry("global_batch_size", size, law.predict(size), amount) | {"unit": self.unit}
        assert self.points is not None
        at = np.flatnonzero(self.points.known & (self.points.batch_K == size))
        if told["value"] is None and len(at):  # no law, but this one was measured
            middle, reach = float(self.points.log_K[at[0]]), 1.645 * float(self.points.width_K[at[0]])
            value, low, high = (amount * math.exp(middle + sign * reach) for sign in (0, -1, 1))
            told |= {"value": value, "low": low, "high": high}
        return told

    def _step_seconds(self, row: OwnRow) -> float:
        """A step's; those to the target over its steps where a step's own are not given."""
        given = row.values.get("step_seconds")
        return row.values["seconds"] / self._steps(row) if given is None else given

    def _steps(self, row: OwnRow) -> float:
        """Steps of a row, for epochs up to the examples of one."""
        if self.unit is None:
            return 1.0 / self._batch(row)
        return row.values[self.unit] / (self._batch(row) if self.kind == "examples" else 1.0)

    def _batch(self, row: OwnRow) -> float:
        return row.values.get("global_batch_size", ASSUMED_BATCH)

    def _time_law(self, timed: Sequence[OwnRow]) -> tuple[StepTimeLaw, float, Withheld | None]:
        """The law of a step's seconds, and what to multiply its seconds by to have the file's."""
        to_target = [row for row in timed if "step_seconds" not in row.values]
        if self.unit is None and len({self._batch(row) for row in to_target}) > 1:
            raise UserError(
                "`seconds` at several batch sizes need a column steps, epochs or examples, for a larger batch needs "
                "fewer steps; without it, give `step_seconds`"
            )
        workers = np.array([row.values["num_workers"] for row in timed])
        seconds = np.array([self._step_seconds(row) for row in timed])
        known = self.unit in ("steps", "examples") or not to_target
        if not known and len(to_target) < len(timed):
            of_steps = len(timed) - len(to_target)
            raise UserError(
                f"`seconds` in {len(to_target)} rows and `step_seconds` in {of_steps}: only a column steps or examples "
                "says what one is of the other; give that, or times of one kind"
            )
        shortest, longest = float(seconds.min()), float(seconds.max())
        if shortest < SHORTEST_STEP * max(1.0, longest):
            raise UserError(f"`seconds`: a step of {shortest:g} beside one of {longest:g} cannot be; check the units")
        scale = 1.0 if known else float(seconds[np.argmin(workers)]) / TYPICAL_STEP_SECONDS
        batches = np.array([self._batch(row) for row in timed])
        timings = time_steps(workers, batches, seconds / scale, self.num_bytes)
        law, found = withhold_workers(timings, self.network, self.rng)
        return law, scale, found

    def _in_seconds(self, found: Withheld, scale: float, timed: Sequence[OwnRow]) -> Withheld:
        """In the file's times: of a step, or to the target in the steps that the withheld row took."""
        rows = [row for row in timed if row.values["num_workers"] == found.at]
        is_step = any("step_seconds" in row.values for row in rows)
        factor = scale * (1.0 if is_step else float(np.median([self._steps(row) for row in rows])))
        told = {name: factor * getattr(found, name) for name in ("measured", "predicted", "low", "high")}
        return replace(found, **told)

    def _at_workers(
        self, law: StepTimeLaw, scale: float, timed: Sequence[OwnRow], asked: Asked
    ) -> list[dict[str, Any]]:
        batches = sorted({self._batch(row) for row in timed})
        if asked.workers and asked.batches is None and len(batches) > 1:
            raise UserError(
                f"the file's batch sizes differ ({', '.join(f'{b:.0f}' for b in batches[:4])}, ..); say those of "
                "--predict-workers with --predict-batch"
            )
        given = list(asked.batches or [int(batches[0])])
        sizes = given * len(asked.workers) if len(given) == 1 else given
        units = [name for name in ("step_seconds", "seconds") if any(_time_unit(row) == name for row in timed)]
        steps_law = self._steps_law() if asked.workers and "seconds" in units else None
        entries = []
        for count, size in zip(asked.workers, sizes, strict=True):
            for unit in units:
                draws = scale * law.draws(count, size / count)
                if unit == "seconds":
                    draws = draws * self._steps_draws(steps_law, float(size))
                low, high = quantile_interval(draws)
                known_size = size if "global_batch_size" in timed[0].values else None
                place = {"num_workers": count, "global_batch_size": known_size}
                entries.append({**place, "value": float(np.median(draws)), "low": low, "high": high, "unit": unit})
        return entries

    def _steps_law(self) -> Law | None:
        """Of few batch sizes, too: then its intervals are mostly the priors', and so wide."""
        if self.points is None:
            return None
        law = fit_steps_law(self.points, rng=self.rng, unit=self.kind, min_points=1)
        if law.verdict == "no-law":
            raise UserError(f"times cannot be predicted: {law.reason}")
        return law

    def _steps_draws(self, law: Law | None, size: float) -> Array:
        """Steps of one training."""
        if law is None or self.points is None:
            return np.full(NUM_DRAWS, 1.0 / size)
        run = np.exp(self.points.noise * self.rng.standard_normal(NUM_DRAWS))
        return law.draws(size) * run


def _time_unit(row: OwnRow) -> str:
    return "step_seconds" if "step_seconds" in row.values else "seconds"


def _law_entry(law: Law | StepTimeLaw) -> dict[str, Any]:
    told = law.to_json()
    return {"law": told.pop("name"), **told}


def _entry(of: str, at: int, told: Any, amount: float = 1.0) -> dict[str, Any]:
    numbers = {"value": told.value, "low": told.low, "high": told.high}
    finite = {name: amount * float(value) for name, value in numbers.items()}
    return {of: at} | {name: value if math.isfinite(value) else None for name, value in finite.items()}
