"""``run``: from a study to its answer. The order of things: validate, own the directory, search, time, fit, report."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.answer import Answer, write_answer
from largebatch.studies.engine.coordinator import Coordinator
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.directory import StudyDirectory, fingerprint, set_aside
from largebatch.studies.record.lease import Lease
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.study import Study

if TYPE_CHECKING:
    from largebatch.schedulers.scheduler import Scheduler
    from largebatch.search.searcher import Searcher
    from largebatch.trainers.task import Task

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
) -> Answer:
    """Run or resume a study in the directory ``out``, then time steps, fit the laws, write plan and report.

    Args:
        study: The question.
        out: Its directory, made if it is not there.
        watch: Shows the progress; nothing does if not given.
        address: A Ray cluster's; None starts Ray on this machine.
        in_process: Train in this process, one trial at a time, without Ray.
        fresh: Set an earlier study in ``out`` aside and start anew.
        budget_trials: Overrides the study file's number of trials, to go on with a finished study.

    Raises:
        UserMistake: for all that the user can mend; nothing is written or lost then.
    """
    _refuse_at_once(out, study, fresh=fresh)
    with ThreadPoolExecutor(max_workers=1) as pool:
        loading = pool.submit(_load, study)  # seconds of imports, while Ray starts
        with nullcontext() if in_process else _ray_cluster(address):
            task, target = loading.result()
            directory = _own_directory(out, fresh=fresh)
            with Lease(directory.path) as lease:
                _open(directory, study, task, target)
                if budget_trials is not None:
                    budget = study.budget.model_copy(update={"trials": budget_trials})
                    study = study.model_copy(update={"budget": budget})
                coordinator = _coordinator(study, task, target, directory, lease)
                if in_process:
                    _run_in_process(coordinator, task, directory, watch)
                else:
                    _run_with_ray(coordinator, directory, watch)
                return write_answer(directory)


def _refuse_at_once(out: Path, study: Study, *, fresh: bool) -> None:
    """Refuse a directory in use, and another study's, before Ray starts: a second Ray may disturb the first."""
    directory = StudyDirectory(out)
    if directory.study_file.exists():
        with Lease(out):
            if not fresh:
                directory.refuse_change(study)


def _ray_cluster(address: str | None) -> AbstractContextManager[None]:
    from largebatch.studies.engine.ray_cluster import ray_cluster

    return ray_cluster(address)


def _load(study: Study) -> tuple["Task", Target]:
    """The study's task and target, checked."""
    from largebatch.trainers.task import load_task

    task = load_task(study.task)
    target = study.target or task.target
    task.check_target(target)
    _check_start(task, study, target)
    return task, target


def _open(directory: StudyDirectory, study: Study, task: "Task", target: Target) -> None:
    """Begin the record of the study, or make sure that it is this one's and whole."""
    data = fingerprint(task.train_data)
    if directory.study_file.exists():
        directory.refuse_other_data(data)
    else:
        directory.freeze(study, target, data)
    Ledger.repair(directory.ledger)


def _coordinator(study: Study, task: "Task", target: Target, directory: StudyDirectory, lease: Lease) -> Coordinator:
    max_examples = study.budget.examples_per_trial or task.max_examples
    return Coordinator(
        study=study,
        target=target,
        max_examples=max_examples,
        ledger=Ledger(directory.ledger, study.name, create=True),
        curves=directory.curves,
        checkpoints=CheckpointStore(directory.checkpoints, study.resources.checkpoint_bytes),
        checkpoint_bytes=_checkpoint_bytes(task, study),
        searcher=_searcher(study, target),
        scheduler=_scheduler(study, target, max_examples),
        num_devices=study.resources.devices_per_trial,
        owner=lease.owner,
    )


def _checkpoint_bytes(task: "Task", study: Study) -> int:
    """The most that a trial of the space may need on disk."""
    from largebatch.trainers.checkpoint import checkpoint_bytes

    model = task.model()
    return max(checkpoint_bytes(model, recipe) for recipe in study.space.grid(1))


def _searcher(study: Study, target: Target) -> "Searcher":
    if study.search.name == "grid":
        from largebatch.search.grid import Grid

        return Grid(study.search.points_per_range)
    if study.search.name == "halton":
        from largebatch.search.halton import Halton

        return Halton()
    from largebatch.search.tpe import OptunaTPE

    return OptunaTPE(target, study.search.learning_rate_rule)


def _scheduler(study: Study, target: Target, max_examples: int) -> "Scheduler":
    options, seed = study.scheduler, study.search.seed
    grace_examples = options.grace_examples or max(1, max_examples // options.reduction_factor**2)
    match options.name:
        case "none":
            from largebatch.schedulers.scheduler import NoScheduler

            return NoScheduler()
        case "asha":
            from largebatch.schedulers.asha import Asha

            return Asha(
                target=target, grace_examples=grace_examples, reduction_factor=options.reduction_factor,
                max_examples=max_examples,
            )  # fmt: skip
        case "hyperband":
            from largebatch.schedulers.hyperband import Hyperband

            return Hyperband(
                target=target, grace_examples=grace_examples, reduction_factor=options.reduction_factor,
                max_examples=max_examples, seed=seed,
            )  # fmt: skip
        case "median":
            from largebatch.schedulers.median import Median

            return Median(target=target, grace_examples=grace_examples, min_samples=options.min_samples)
        case "pbt":
            from largebatch.schedulers.pbt import Pbt

            return Pbt(
                target=target, space=study.space, seed=seed, max_examples=max_examples,
                perturbation_examples=options.perturbation_examples or max(1, max_examples // 8),
            )  # fmt: skip
    raise AssertionError(options.name)


def _check_start(task: "Task", study: Study, target: Target) -> None:
    """Refuse a target that the untrained model meets, on a few validation examples."""
    import torch

    from largebatch.trainers.failure import describe
    from largebatch.trainers.training import Training

    recipe = Recipe(global_batch_size=study.space.batch_sizes[0], learning_rate=1.0)
    try:
        training = Training(task, recipe, max_examples=1, device=torch.device("cpu"))
        value = training.evaluate(limit=512)[target.metric]
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
    if out.is_dir() and any(out.iterdir()) and not directory.study_file.exists() and not (out / "lease").exists():
        raise UserMistake(f"{out} holds other files and no study; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(f"{out} cannot be made: {error.strerror}; choose another --out") from error
    if not os.access(out, os.W_OK):
        raise UserMistake(f"{out} is not writable; choose another --out")
    return directory


def _run_in_process(coordinator: Coordinator, task: "Task", directory: StudyDirectory, watch: Watch) -> None:
    from largebatch.studies.engine.in_process import profile_in_process, run_in_process
    from largebatch.studies.record.directory import write_atomically

    with watch(coordinator):
        run_in_process(coordinator, task)
    if not directory.profile_file.exists():
        recipe, sizes = _profile_question(coordinator)
        profile = profile_in_process(coordinator.study.task, recipe, sizes, coordinator.study.execution)
        write_atomically(directory.profile_file, profile.model_dump_json(indent=1))


def _run_with_ray(coordinator: Coordinator, directory: StudyDirectory, watch: Watch) -> None:
    from largebatch.studies.engine.tune_engine import run_profile, run_trials, threads_per_worker

    with watch(coordinator):
        num_devices = run_trials(coordinator)
    if not directory.profile_file.exists():
        recipe, sizes = _profile_question(coordinator)
        study = coordinator.study
        threads = threads_per_worker(1, num_devices)
        run_profile(study.task, recipe, sizes, num_devices, threads, study.execution, directory.profile_file)


def _profile_question(coordinator: Coordinator) -> tuple[Recipe, list[int]]:
    """A recipe of the space to time, and the local batches that the plan may ask for."""
    space = coordinator.study.space
    recipe = space.from_unit(dict.fromkeys(space.root, 0.5)).model_copy(update={"learning_rate": 1e-9})  # any would do
    local = {
        size // count
        for size in space.batch_sizes
        for count in coordinator.study.workers
        if recipe.model_copy(update={"global_batch_size": size}).num_groups % count == 0
    }
    return recipe, sorted(local)
