"""The step times of a study: measured once, after its trials or before those that need them."""

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.lease import Lease


def time_steps(study: Study, directory: StudyDirectory, lease: Lease, *, in_process: bool) -> None:
    """Time steps of real workers, as many as the trials have, unless that was done."""
    lease.refuse_if_taken_over()
    if directory.profile_file.exists():
        return
    recipe, sizes = _profile_question(study)
    if in_process:
        from largebatch.spaces.files import write_whole
        from largebatch.studies.running.engines.in_process import profile_in_process

        try:
            profile = profile_in_process(study.task, recipe, sizes, study.execution)
        except UserError as mistake:
            raise UserError(
                f"{mistake}. Steps could not be timed; every trial is recorded, and the same command times them again"
            ) from mistake
        lease.refuse_if_taken_over()
        write_whole(directory.profile_file, profile.model_dump_json(indent=1))
        return
    from largebatch.studies.running.engines.devices import devices_of, threads_per_worker
    from largebatch.studies.running.engines.ray_tune import run_profile

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
