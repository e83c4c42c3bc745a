"""What a study will cost on a device like this: steps and evaluations, timed."""

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from largebatch.spaces.recipe import Recipe
from largebatch.studies.question.study import Study
from largebatch.trainers.task_checks.finding import Finding

if TYPE_CHECKING:
    from largebatch.trainers.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCost:
    """What a study will take on one device like this, at most: trials that reach the target or are stopped take less.

    ``batch_sizes`` are the smallest and the largest, ``example_seconds`` a training example's of each; a trial's
    seconds include its evaluations.
    """

    device: str
    micro_batch_size: int
    batch_sizes: tuple[int, int]
    example_seconds: tuple[float, float]
    evaluation_seconds: float
    examples_per_trial: int
    trials: int
    trial_seconds: tuple[float, float]
    study_seconds: float
    checkpoint_bytes: int


def check_room(study: Study, task: "Task", recipe: Recipe, examples: int, cost: list[StudyCost]) -> Finding:
    """Time small and large steps, with whatever pass fits."""
    from largebatch.studies.running.engines.in_process import profile_in_process
    from largebatch.trainers.checkpoint import checkpoint_bytes

    sizes = study.space.batch_sizes
    ends = (sizes[0], sizes[-1])
    group = recipe.norm_batch_size
    most = max(group, task.micro_batch_size // group * group)  # larger steps take several such passes
    timed = tuple(min(size, most) for size in ends)
    profile = profile_in_process(study.task, recipe, sorted(set(timed)), study.execution)
    seconds = {one.local_batch_size: statistics.median(one.seconds) / one.local_batch_size for one in profile.compute}
    example_seconds = (seconds[timed[0]], seconds[timed[1]])
    evaluation_seconds = _evaluation_seconds(task, recipe, study)
    evaluations = (examples // task.evaluation_examples + 1) * evaluation_seconds
    trial_seconds = (examples * example_seconds[0] + evaluations, examples * example_seconds[1] + evaluations)
    trials = study.budget.trials or 0
    study_seconds = trials * sum(trial_seconds) / 2
    limits = [study_seconds] if trials else []
    limits += [60 * study.budget.minutes] if study.budget.minutes is not None else []
    if study.budget.examples is not None:
        limits.append(study.budget.examples * sum(trial_seconds) / 2 / examples)
    fitting = profile.micro_batch_size or task.micro_batch_size
    cost.append(
        StudyCost(
            device=profile.device, micro_batch_size=fitting, batch_sizes=ends,
            example_seconds=example_seconds, evaluation_seconds=evaluation_seconds, examples_per_trial=examples,
            trials=trials, trial_seconds=trial_seconds, study_seconds=min(limits),
            checkpoint_bytes=checkpoint_bytes(task.model(), recipe),
        )
    )  # fmt: skip
    whole = fitting == task.micro_batch_size
    return Finding(
        name=f"passes of {fitting} examples fit",
        passed=True,
        compared=f"steps of {' and '.join(f'{size:,}' for size in sorted(set(timed)))} examples, on one device",
        found=f"on {profile.device}" + ("" if whole else f"; {task.micro_batch_size}, as the task says, do not"),
    )


def _evaluation_seconds(task: "Task", recipe: Recipe, study: Study) -> float:
    """Of the whole validation set, timed on a part."""
    import time

    from largebatch.studies.running.engines.in_process import device_here
    from largebatch.trainers.training import Training

    training = Training(task, recipe, max_examples=task.max_examples, device=device_here(), execution=study.execution)
    total: int = len(task.validation_data)  # type: ignore[arg-type]
    part = min(total, 1024)
    training.evaluate(limit=min(part, 64))
    began = time.perf_counter()
    training.evaluate(limit=part)
    return (time.perf_counter() - began) * total / part
