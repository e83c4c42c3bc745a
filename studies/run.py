"""``run``: from a study to its answer. The order of things: validate, own the directory, search, time, fit, report."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import remove_leftovers
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.studies.answer.answer import Answer, read_answer
from largebatch.studies.question.load_task import load_question, refuse_no_step
from largebatch.studies.question.registry import make_scheduler, make_searcher, make_step_seconds, needs_step_seconds
from largebatch.studies.question.study import Study
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.database.fenced_storage import DatabaseUnavailable
from largebatch.studies.record.directory import StudyDirectory, fingerprint, refuse_another_study, set_aside
from largebatch.studies.record.lease.lease import POLL_SECONDS, Lease, StudyLocked, wait_until_free
from largebatch.studies.record.lease.lease_monitor import FOLDER as LEASES
from largebatch.studies.record.lease.lease_monitor import Holder, LeaseWatch
from largebatch.studies.record.open_ledger import own_ledger, record_storage, refuse_storage
from largebatch.studies.running.coordinator import Coordinator
from largebatch.studies.running.interruption import Leaving, LeftEarly, job_end_time
from largebatch.studies.running.joining.coordinator_server import Host
from largebatch.studies.running.joining.job_folder import guests_of
from largebatch.studies.running.joining.join import is_answered, is_begun, owner_to_join, tell_joining, wait_for_the_end
from largebatch.studies.running.joining.messages import FOLDER as GUESTS
from largebatch.studies.running.joining.recovery import settle
from largebatch.studies.running.joining.remote_coordinator import Guest
from largebatch.studies.running.steering import Steering
from largebatch.studies.running.trial_source import Decider, Watch
from largebatch.studies.training.timed_steps import time_steps
from largebatch.studies.views.report.answer_report import write_answer
from largebatch.trainers.workers.failure import failed

if TYPE_CHECKING:
    from largebatch.trainers.task import Task


def run_study(
    study: Study,
    out: Path,
    *,
    watch: Watch = lambda _: nullcontext(),
    address: str | None = None,
    in_process: bool = False,
    fresh: bool = False,
    budget_trials: int | None = None,
    join: bool = False,
    storage: str | None = None,
) -> Answer:
    """Run or resume a study in the directory ``out``, time steps, fit the laws, write plan and report.

    Args:
        study: The question.
        out: Its directory, made if it is not there.
        watch: Shows the progress; nothing does if not given.
        address: A Ray cluster's; None starts Ray on this machine.
        in_process: Train in this process, one trial at a time, without Ray.
        fresh: Set an earlier study in ``out`` aside and start anew.
        budget_trials: Overrides the study file's number of trials, to go on with a finished study.
        join: Where another process owns the directory, train for it; when it is gone, go on in its place.
        storage: The URL of a database that keeps the ledger instead of a file; the directory remembers it.

    Raises:
        UserError: for all that the user can mend; nothing is written or lost then.
        LeftEarly: if TERM, USR1 or the end of the job made it leave; its trials are saved then.
    """
    if join and fresh:
        raise UserError("--join trains for another job's study, --fresh sets it aside; give one of them")
    job = _Job(
        study=study, out=out, watch=watch, address=address, in_process=in_process, fresh=fresh,
        budget_trials=budget_trials, storage=storage, lease_watch=LeaseWatch(out),
    )  # fmt: skip
    while True:
        with Leaving(job_end_time(os.environ)) as leaving:
            owner = owner_to_join(job.lease_watch, study) if join else None
            if join and owner is None and is_answered(job.lease_watch, study, budget_trials):
                return read_answer(StudyDirectory(out))
            try:
                if owner is None:
                    return _own(job, leaving)
                _lend(job, owner, leaving)
            except StudyLocked:  # another was quicker
                if not join:
                    raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What this job was asked to do."""

    study: Study
    out: Path
    watch: Watch
    address: str | None
    in_process: bool
    fresh: bool
    budget_trials: int | None
    storage: str | None
    lease_watch: LeaseWatch

    @contextmanager
    def ready(self, leaving: Leaving) -> Iterator[tuple["Task", Target]]:
        """For the time of a ``with`` there are devices; and the task and its target."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            loading = pool.submit(load_question, self.study)  # seconds of imports, while Ray starts
            with nullcontext() if self.in_process else _ray_cluster(self.address, leaving):
                leaving.check()
                task, target = loading.result()
                if self.fresh or not StudyDirectory(self.out).study_file.exists():  # one that was begun may end
                    refuse_no_step(self.study, task)
                yield task, target


def _own(job: _Job, leaving: Leaving) -> Answer:
    """Run the study as its owner."""
    study = job.study
    _refuse_at_once(job.lease_watch, study, fresh=job.fresh, storage=job.storage)
    with job.ready(leaving) as (task, target):
        directory = _own_directory(job)
        # What --fresh set aside was watched under this name; the new directory was not.
        with Lease(directory.path, watch=None if job.fresh else job.lease_watch) as lease:
            _open(directory, study, task, target, job.storage)
            if job.budget_trials is not None:
                budget = study.budget.model_copy(update={"trials": job.budget_trials})
                study = study.model_copy(update={"budget": budget})
            if needs_step_seconds(study):
                time_steps(study, directory, lease, in_process=job.in_process)
            coordinator = _coordinator(study, task, target, directory, lease, in_process=job.in_process)
            with Host(coordinator, guests_of(directory.path, lease.fence), lease.tell_jobs):
                _run(coordinator, job, leaving)
            time_steps(study, directory, lease, in_process=job.in_process)
            lease.refuse_if_taken_over()
            answer = write_answer(directory)
            shutil.rmtree(directory.path / GUESTS, ignore_errors=True)
            return answer


def _lend(job: _Job, owner: Holder, leaving: Leaving) -> None:
    """Train for the owner of the study until it is gone."""
    directory, watch = StudyDirectory(job.out), job.lease_watch
    refuse_storage(directory, job.storage, fresh=False)
    tell_joining(job.out, owner)
    with job.ready(leaving) as (task, target):
        if not is_begun(directory, watch, owner.fence):
            return
        directory.refuse_change(job.study)
        directory.refuse_other_data(_fingerprint(job.study, task))
        max_examples = job.study.budget.examples_per_trial or task.max_examples
        with Guest(job.study, target, max_examples, directory, watch, leaving) as guest:
            with job.watch(guest), suppress(LeftEarly):
                _train(guest, leaving, in_process=job.in_process)
            if leaving.asked.is_set() and (leaving.signalled or leaving.abandoned):
                raise leaving.left()
        wait_for_the_end(watch, owner.fence, leaving)


def _refuse_at_once(watch: LeaseWatch, study: Study, *, fresh: bool, storage: str | None) -> None:
    """Refuse a directory in use, and another study's, before Ray starts: a second Ray may disturb the first."""
    if watch.directory.is_dir():
        wait_until_free(watch)
    directory = StudyDirectory(watch.directory)
    if directory.study_file.exists() and not fresh:
        refuse_another_study(directory, study)
    refuse_storage(directory, storage, fresh=fresh)


def _ray_cluster(address: str | None, leaving: Leaving) -> AbstractContextManager[None]:
    from largebatch.studies.running.engines.ray_cluster import ray_cluster

    return ray_cluster(address, leaving)


def _fingerprint(study: Study, task: "Task") -> str:
    """Of the training data, which are read by the task's own code."""
    from largebatch.trainers.workers.failure import fenced

    with fenced(study.task):
        return fingerprint(task.train_data)


def _open(directory: StudyDirectory, study: Study, task: "Task", target: Target, storage: str | None) -> None:
    """Begin the record of the study, or make sure that it is this one's and whole."""
    data = _fingerprint(study, task)
    refuse_storage(directory, storage, fresh=False)  # another job may have begun it meanwhile
    if directory.study_file.exists():
        directory.refuse_change(study)
        directory.refuse_other_data(data)
    else:
        directory.freeze(study, target, data)
    record_storage(directory, study, storage)
    for folder in (directory.curves, directory.checkpoints):
        remove_leftovers(folder)


def _coordinator(
    study: Study, task: "Task", target: Target, directory: StudyDirectory, lease: Lease, *, in_process: bool
) -> Coordinator:
    max_examples = study.budget.examples_per_trial or task.max_examples
    seconds = make_step_seconds(study, directory.profile() if needs_step_seconds(study) else None)
    ledger = own_ledger(directory, study, lease)
    checkpoints = CheckpointStore(directory.checkpoints, study.resources.checkpoint_bytes)
    settle(directory.path / GUESTS, lease.fence, ledger, directory.curves, checkpoints, target.metric)
    for number, why in checkpoints.begin(ledger.trials()).items():
        ledger.end(number, failed(why))
    return Coordinator(
        study=study,
        target=target,
        max_examples=max_examples,
        ledger=ledger,
        steering=Steering(
            ledger=ledger,
            folder=directory.requests,
            first=[study.space.completed(values) for values in study.first_trials],
        ),
        curves=directory.curves,
        checkpoints=checkpoints,
        checkpoint_bytes=_checkpoint_bytes(task, study),
        searcher=make_searcher(study, target, max_examples, seconds),
        scheduler=make_scheduler(study, target, max_examples, seconds),
        seconds=seconds,
        devices_for=_one_device if in_process else _devices_of_trials(study),
        owner=lease.owner,
    )


def _one_device(recipe: Recipe) -> int:
    del recipe
    return 1


def _devices_of_trials(study: Study) -> Callable[[Recipe], int]:
    from largebatch.studies.running.engines.devices import devices_for, devices_of

    return partial(devices_for, resources=study.resources, total=devices_of(study).whole)


def _checkpoint_bytes(task: "Task", study: Study) -> int:
    """The most that a trial of the space may need on disk."""
    from largebatch.trainers.checkpoint import checkpoint_bytes

    model = task.model()
    return max(checkpoint_bytes(model, recipe) for recipe in study.space.grid(1))


def _own_directory(job: _Job) -> StudyDirectory:
    out = job.out
    directory = StudyDirectory(out)
    if job.fresh and directory.study_file.exists():
        with Lease(out, watch=job.lease_watch):  # another may have begun it since it was looked at
            set_aside(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; --out must name a directory")
    if out.is_dir() and any(out.iterdir()) and not directory.study_file.exists() and not (out / LEASES).exists():
        raise UserError(f"{out} holds other files and no study; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made: {error.strerror}; choose another --out") from error
    if not os.access(out, os.W_OK):
        raise UserError(f"{out} is not writable; choose another --out")
    return directory


def _run(coordinator: Coordinator, job: _Job, leaving: Leaving) -> None:
    try:
        with job.watch(coordinator), suppress(LeftEarly):
            _train(coordinator, leaving, in_process=job.in_process)
            while coordinator.trains and not leaving.asked.is_set():  # in other jobs
                leaving.check()
                leaving.asked.wait(POLL_SECONDS)
        if leaving.asked.is_set():
            coordinator.ledger.set_elapsed_seconds(coordinator.elapsed_seconds)
            raise leaving.left()
    except DatabaseUnavailable as away:
        raise LeftEarly(str(away)) from away
    leaving.check()


def _train(decider: Decider, leaving: Leaving, *, in_process: bool) -> None:
    if in_process:
        from largebatch.studies.running.engines.in_process import run_in_process

        run_in_process(decider, leaving)
    else:
        from largebatch.studies.running.engines.ray_tune import run_trials

        run_trials(decider, leaving)
