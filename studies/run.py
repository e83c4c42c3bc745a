"""``run``: from a study to its answer. The order of things: validate, own the directory, search, time, fit, report."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.user_mistake import UserMistake
from largebatch.spaces.whole_file import remove_leftovers
from largebatch.studies.answer import Answer, write_answer
from largebatch.studies.engine.coordinator import Coordinator
from largebatch.studies.engine.leaving import Leaving, LeftEarly, job_end_time
from largebatch.studies.engine.steering import Steering
from largebatch.studies.makers import make_scheduler, make_searcher, make_step_seconds, needs_step_seconds
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.directory import StudyDirectory, fingerprint, set_aside
from largebatch.studies.record.lease import Lease, wait_until_free
from largebatch.studies.record.lease_watch import FOLDER as LEASES
from largebatch.studies.record.lease_watch import LeaseWatch
from largebatch.studies.record.opening import own_ledger, record_storage, refuse_storage
from largebatch.studies.study import Study
from largebatch.trainers.failure import failed

if TYPE_CHECKING:
    from largebatch.trainers.task import Task

CHECKED_EXAMPLES, CHECKED_NUMBERS = (64, 512), 2**22
"""On how many validation examples an untrained model is tried: in between, as many as hold so many numbers."""
Watch = Callable[[Coordinator], AbstractContextManager[None]]
"""What shows the progress while trials run."""


def run_study(
    study: Study,
    out: Path,
    *,
    watch: Watch = lambda _: nullcontext(),
    address: str | None = None,
    in_process: bool = False,
    fresh: bool = False,
    budget_trials: int | None = None,
    wait: bool = False,
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
        wait: Where another process owns the directory, wait until it does no more, then go on from its record.
        storage: The URL of a database that keeps the ledger instead of a file; the directory remembers it.

    Raises:
        UserMistake: for all that the user can mend; nothing is written or lost then.
        LeftEarly: if TERM, USR1 or the end of the job made it leave; its trials are saved then.
    """
    leaving, lease_watch = Leaving(job_end_time(os.environ)), LeaseWatch(out)
    _refuse_at_once(lease_watch, study, fresh=fresh, wait=wait, storage=storage)
    with leaving, ThreadPoolExecutor(max_workers=1) as pool:
        loading = pool.submit(_load, study)  # seconds of imports, while Ray starts
        with nullcontext() if in_process else _ray_cluster(address, leaving):
            leaving.check()
            task, target = loading.result()
            directory = _own_directory(out, fresh=fresh)
            # What --fresh set aside was watched under this name; the new directory was not.
            with Lease(directory.path, wait=wait, watch=None if fresh else lease_watch) as lease:
                _open(directory, study, task, target, storage)
                if budget_trials is not None:
                    budget = study.budget.model_copy(update={"trials": budget_trials})
                    study = study.model_copy(update={"budget": budget})
                if needs_step_seconds(study):
                    _time_steps(study, directory, in_process=in_process)
                coordinator = _coordinator(study, task, target, directory, lease, in_process=in_process)
                _run(coordinator, watch, leaving, in_process=in_process)
                _time_steps(study, directory, in_process=in_process)
                lease.refuse_if_taken_over()
                return write_answer(directory)


def _refuse_at_once(watch: LeaseWatch, study: Study, *, fresh: bool, wait: bool, storage: str | None) -> None:
    """Refuse a directory in use, and another study's, before Ray starts: a second Ray may disturb the first."""
    if wait and fresh:
        raise UserMistake("--wait goes on from the record of another job, --fresh sets it aside; give one of them")
    if watch.directory.is_dir():
        wait_until_free(watch, wait=wait)
    directory = StudyDirectory(watch.directory)
    if directory.study_file.exists() and not fresh:
        try:
            directory.refuse_change(study)
        except UserMistake:
            _load(study)  # what differs may be a name that the task does not know, and then that is the mistake
            raise
    refuse_storage(directory, storage, fresh=fresh)


def _ray_cluster(address: str | None, leaving: Leaving) -> AbstractContextManager[None]:
    from largebatch.studies.engine.ray_cluster import ray_cluster

    return ray_cluster(address, leaving)


def _load(study: Study) -> tuple["Task", Target]:
    """The study's task and target, checked."""
    from largebatch.trainers.task import check_options, load_task

    check_options(study.task, study.space.task_options)
    task = load_task(study.task, study.space.typical().task_options)
    target = study.target or task.target
    task.check_target(target)
    _check_start(task, study, target)
    return task, target


def _open(directory: StudyDirectory, study: Study, task: "Task", target: Target, storage: str | None) -> None:
    """Begin the record of the study, or make sure that it is this one's and whole."""
    data = fingerprint(task.train_data)
    if directory.study_file.exists():
        directory.refuse_change(study)  # another job may have begun it meanwhile
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
    from largebatch.studies.engine.devices import devices_for, devices_of

    return partial(devices_for, resources=study.resources, total=devices_of(study).whole)


def _checkpoint_bytes(task: "Task", study: Study) -> int:
    """The most that a trial of the space may need on disk."""
    from largebatch.trainers.checkpoint import checkpoint_bytes

    model = task.model()
    return max(checkpoint_bytes(model, recipe) for recipe in study.space.grid(1))


def _check_start(task: "Task", study: Study, target: Target) -> None:
    """Refuse a target that the untrained model meets, on a few validation examples."""
    import torch

    from largebatch.trainers.batches.batch_tree import collated, tensors
    from largebatch.trainers.failure import describe
    from largebatch.trainers.training import Training

    recipe = Recipe(global_batch_size=study.space.batch_sizes[0], learning_rate=1.0)
    try:
        training = Training(task, recipe, max_examples=1, device=torch.device("cpu"))
        size = sum(tensor.numel() for tensor in tensors(collated([task.validation_data[0]])[0]))
        fewest, most = CHECKED_EXAMPLES
        limit = min(max(CHECKED_NUMBERS // max(1, size), fewest), most)  # for this runs on the processor
        value = training.evaluate(limit=limit)[target.metric]
    except Exception as error:
        raise UserMistake(f"task: {study.task} cannot be evaluated: {describe(error)}") from error
    if target.reached(value):
        raise UserMistake(
            f"target: {target} is met before training (an untrained model has {target.metric} {value:.4g}); "
            f"choose a harder target"
        )


def _own_directory(out: Path, *, fresh: bool) -> StudyDirectory:
    directory = StudyDirectory(out)
    if fresh and directory.study_file.exists():
        set_aside(out)
    if out.exists() and not out.is_dir():
        raise UserMistake(f"{out} is a file; --out must name a directory")
    if out.is_dir() and any(out.iterdir()) and not directory.study_file.exists() and not (out / LEASES).exists():
        raise UserMistake(f"{out} holds other files and no study; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(f"{out} cannot be made: {error.strerror}; choose another --out") from error
    if not os.access(out, os.W_OK):
        raise UserMistake(f"{out} is not writable; choose another --out")
    return directory


def _run(coordinator: Coordinator, watch: Watch, leaving: Leaving, *, in_process: bool) -> None:
    with watch(coordinator), suppress(LeftEarly):
        if in_process:
            from largebatch.studies.engine.in_process import run_in_process

            run_in_process(coordinator, leaving)
        else:
            from largebatch.studies.engine.tune_engine import run_trials

            run_trials(coordinator, leaving)
    if leaving.asked.is_set():
        coordinator.ledger.set_elapsed_seconds(coordinator.elapsed_seconds)
        raise leaving.left()


def _time_steps(study: Study, directory: StudyDirectory, *, in_process: bool) -> None:
    """Time steps of real workers, as many as the trials have, unless that was done."""
    if directory.profile_file.exists():
        return
    recipe, sizes = _profile_question(study)
    if in_process:
        from largebatch.spaces.whole_file import write_whole
        from largebatch.studies.engine.in_process import profile_in_process

        profile = profile_in_process(study.task, recipe, sizes, study.execution)
        write_whole(directory.profile_file, profile.model_dump_json(indent=1))
        return
    from largebatch.studies.engine.devices import devices_of, threads_per_worker
    from largebatch.studies.engine.tune_engine import run_profile

    workers = devices_of(study).whole
    threads = threads_per_worker(workers)
    run_profile(study.task, recipe, sizes, workers, threads, study.execution, directory.profile_file)


def _profile_question(study: Study) -> tuple[Recipe, list[int]]:
    """A recipe of the space to time, and the local batches that the plan may ask for."""
    space = study.space
    recipe = space.typical().model_copy(update={"learning_rate": 1e-9})  # any would do
    local = {
        size // count
        for size in space.batch_sizes
        for count in study.workers
        if recipe.model_copy(update={"global_batch_size": size}).num_groups % count == 0
    }
    # Workers for whom no searched batch is large enough have one group each.
    return recipe, sorted(local | {recipe.group_size})
