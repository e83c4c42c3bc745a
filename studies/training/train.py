"""``train``: the recipe that the plan gives to a number of workers, trained in full, saved, resumable."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from largebatch.search.plan.plan import PlanRow
from largebatch.spaces.errors import UserError
from largebatch.spaces.files import remove_leftovers, write_whole
from largebatch.spaces.problems import first_problem
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.question.study import Study
from largebatch.studies.record.curves import RunningCurve, forget_curve, read_curve
from largebatch.studies.record.directory import StudyDirectory, set_aside
from largebatch.studies.record.lease.lease import Lease
from largebatch.studies.running.interruption import Leaving, LeftEarly, job_end_time
from largebatch.trainers.checkpoint_path import best_path
from largebatch.trainers.workers.mailbox import Job

OnProgress = Callable[[Measurement, int, Target], None]
"""Told each measurement, the examples of the whole training, and the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTraining:
    """What ``train`` is to do, and where: a folder of its own inside the study's."""

    study: Study
    target: Target
    row: PlanRow
    recipe: Recipe
    max_examples: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """All that going on needs."""
        return self.folder / "last.pt"

    @property
    def result_file(self) -> Path:
        """How it ended."""
        return self.folder / "result.json"


def plan_training(directory: Path, num_workers: int, max_examples: int | None) -> PlannedTraining:
    """The training that the plan of ``directory`` has for ``num_workers``.

    Raises:
        UserError: if there is no plan, or none for so many workers.
    """
    answer = read_answer(StudyDirectory.existing(directory), workers=[num_workers])
    if answer.plan is None:
        raise UserError(answer.problem or "there is no plan")
    row = answer.plan.rows[0]
    recipe = Recipe.model_validate(row.recipe)
    limit = answer.study.budget.examples_per_trial or _limit_of_task(answer.study.task, recipe)
    if max_examples is not None and max_examples < recipe.first_batch_size:
        raise UserError(
            f"--examples: must be at least {recipe.first_batch_size:,}, one step of the planned batch; got "
            f"{max_examples:,}"
        )
    if recipe.horizon_examples is None:  # decays and warm-ups are those of the study's trials, however long it trains
        recipe = recipe.model_copy(update={"horizon_examples": limit})
    return PlannedTraining(
        study=answer.study,
        target=answer.target,
        row=row,
        recipe=recipe,
        max_examples=max_examples or limit,
        folder=directory / "train" / f"workers-{num_workers}",
    )


def _limit_of_task(name: str, recipe: Recipe) -> int:
    from largebatch.trainers.task import load_task

    return load_task(name, recipe.task_options).max_examples


def train(
    planned: PlannedTraining,
    *,
    on_progress: OnProgress,
    until_target: bool = False,
    address: str | None = None,
    in_process: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Train, or go on, and return what ``result.json`` says.

    Args:
        planned: What to train.
        on_progress: Told each measurement.
        until_target: End at the target; else at ``max_examples``.
        address: A Ray cluster's; None starts Ray on this machine.
        in_process: Without Ray, on one device.
        fresh: Set an earlier training aside and start anew.

    Raises:
        UserError: if the training failed, with the reason, or if another process trains there.
        LeftEarly: if TERM, USR1 or the end of the job made it leave; it is saved then.
        KeyboardInterrupt: on Ctrl-C; it is saved then, unless it came twice.
    """
    if fresh and planned.folder.exists():
        with Lease(planned.folder):  # another process may train there
            set_aside(planned.folder)
    planned.folder.mkdir(parents=True, exist_ok=True)
    with Lease(planned.folder) as lease:
        remove_leftovers(planned.folder)
        _refuse_another_recipe(planned)
        _refuse_unusable(planned)
        number = planned.recipe.num_workers
        if not planned.checkpoint.exists():
            forget_curve(planned.folder, number)
        curve = RunningCurve(planned.folder, number, read_curve(planned.folder, number))
        job = Job(
            number=number,
            recipe=planned.recipe.model_dump(),
            target=planned.target.model_dump(),
            max_examples=planned.max_examples,
            checkpoint=str(planned.checkpoint.absolute()),
            checkpoint_seconds=planned.study.resources.checkpoint_seconds,
            execution=planned.study.execution.model_dump(),
            recorded_examples=curve.measurements[-1].examples if curve.measurements else -1,
            past_target=not until_target,
        )

        def measured(measurement: Measurement) -> None:
            leaving.heed(job.number, measurement)
            lease.refuse_if_taken_over()
            curve.add(measurement)
            on_progress(measurement, planned.max_examples, planned.target)

        leaving = Leaving(job_end_time(os.environ), saves_on_interrupt=True)
        with leaving, nullcontext() if in_process else _ray_cluster(address, leaving):
            leaving.check()
            if in_process:
                from largebatch.studies.running.engines.in_process import train_in_process

                ending, num_devices = train_in_process(planned.study.task, job, measured, leaving), 1
            else:
                from largebatch.studies.running.engines.ray_train import train_with_ray

                num_groups = planned.recipe.num_groups
                ending, num_devices = train_with_ray(planned.study.task, job, num_groups, measured, leaving)
        if ending.outcome is Outcome.FAILED:
            raise UserError(f"the training failed: {ending.reason}")
        if ending.outcome is Outcome.PREEMPTED:
            if leaving.interrupted:
                raise KeyboardInterrupt
            raise LeftEarly(f"{leaving.why}: saved after {ending.step:,} steps")
        lease.refuse_if_taken_over()
        curve.end()
        result = _result(planned, ending, curve.measurements, num_devices)
        write_whole(planned.result_file, json.dumps(result, indent=1))
    return result


def _ray_cluster(address: str | None, leaving: Leaving) -> Any:
    from largebatch.studies.running.engines.ray_cluster import ray_cluster

    return ray_cluster(address, leaving)


def _refuse_another_recipe(planned: PlannedTraining) -> None:
    """A checkpoint goes on with the recipe that it was begun with: the plan may have moved since."""
    path = planned.folder / "recipe.json"
    if planned.checkpoint.exists() and path.exists():
        try:
            begun = Recipe.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise UserError(
                f"{path} is damaged ({first_problem(error)}): nothing says which recipe the checkpoint beside it has; "
                f"use --fresh to set that training aside"
            ) from error
        then, now = begun.model_dump(), planned.recipe.model_dump()
        changed = sorted(name for name in then | now if then.get(name) != now.get(name))
        if changed:
            values = ", ".join(f"{name} {then.get(name)} then, {now.get(name)} now" for name in changed)
            raise UserError(
                f"{planned.folder} holds a training of another recipe ({values}); use --fresh to set it aside"
            )
    write_whole(path, planned.recipe.model_dump_json(indent=1))


def _refuse_unusable(planned: PlannedTraining) -> None:
    """A long training is not thrown away without a word."""
    from largebatch.trainers.checkpoint import UnusableCheckpoint, refuse_unusable

    if planned.checkpoint.exists():
        try:
            refuse_unusable(planned.checkpoint, planned.recipe)
        except UnusableCheckpoint as error:
            raise UserError(
                f"{error}; put a copy of it back, or use --fresh to set this training aside and begin anew"
            ) from error


def _result(planned: PlannedTraining, ending: Ending, curve: Sequence[Measurement], num_devices: int) -> dict[str, Any]:
    row = planned.row
    finite = [m for m in curve if math.isfinite(m.values[planned.target.metric])]
    best = min(finite, key=lambda m: planned.target.sign * m.values[planned.target.metric], default=None)
    return {
        "study": planned.study.name,
        "target": str(planned.target),
        "num_workers": planned.recipe.num_workers,
        "num_devices": num_devices,
        "recipe": planned.recipe.model_dump(),
        "outcome": ending.outcome.value,
        "reason": ending.reason,
        "steps": ending.step,
        "examples": ending.examples,
        "seconds": ending.seconds,
        "steps_to_target": ending.steps_to_target,
        "steps_low": ending.steps_low,
        "steps_high": ending.steps_high,
        "seconds_to_target": _seconds_at(ending.steps_to_target, curve),
        "seconds_low": _seconds_at(ending.steps_low, curve),
        "seconds_high": _seconds_at(ending.steps_high, curve),
        "predicted": {
            "steps": row.steps, "steps_low": row.steps_low, "steps_high": row.steps_high,
            "seconds_to_target": row.seconds_to_target, "seconds_low": row.seconds_low,
            "seconds_high": row.seconds_high,
        },
        "best": None if best is None else {"step": best.step, **_finite(best.values)},
        "weights": str(best_path(planned.checkpoint)),
        "checkpoint": str(planned.checkpoint),
    }  # fmt: skip


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has neither infinities nor NaN."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _seconds_at(step: float | None, curve: Sequence[Measurement]) -> float | None:
    """Training seconds at a step, on the straight line between two evaluations."""
    if step is None:
        return None
    after = next((m for m in curve if m.step >= step), None)
    before = [m for m in curve if m.step < step]
    if after is None or not before:
        return None if after is None else after.seconds
    share = (step - before[-1].step) / (after.step - before[-1].step)
    return before[-1].seconds + share * (after.seconds - before[-1].seconds) if math.isfinite(share) else after.seconds
