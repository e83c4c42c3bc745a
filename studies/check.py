"""``check``: is a task sound, and what will a study of it cost? Before any of it is paid."""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from largebatch.spaces.domain import Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.studies.new_study import study_of_task
from largebatch.studies.record.directory import fingerprint
from largebatch.studies.study import Study
from largebatch.trainers.soundness.finding import Finding

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Everything that was found; ``cost`` is None where steps could not be timed."""

    task: str
    findings: Sequence[Finding]
    notes: Sequence[str]
    cost: StudyCost | None

    @property
    def num_failed(self) -> int:
        """Checks that did not pass."""
        return sum(not finding.passed for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"passed": self.num_failed == 0, **asdict(self)}


def check_study(study: Study) -> Checked:
    """Check the task of a study in this process, and what the study will cost here.

    Raises:
        UserMistake: if there is no such task, or it cannot be made.
    """
    from largebatch.studies.engine.in_process import device_here
    from largebatch.trainers.soundness.learning import check_metric
    from largebatch.trainers.soundness.resuming import check_resume
    from largebatch.trainers.soundness.splits import check_finite, check_randomness, check_splits
    from largebatch.trainers.task import check_options, load_task

    check_options(study.task, study.space.task_options)
    recipe = study.space.typical()
    options, device = recipe.task_options, device_here()
    task = load_task(study.task, options)
    target = study.target or task.target
    task.check_target(target)
    checks: Mapping[str, Callable[[], Finding | list[Finding]]] = {
        "the data are the same every time": lambda: _check_data(study.task, options, task),
        "losses, gradients and metrics are finite": lambda: check_finite(task, options, device),
        "what is random belongs to examples": lambda: check_randomness(task, options, device),
        "virtual workers are exact": lambda: check_splits(task, options, device),
        f"{target.metric} moves": lambda: check_metric(task, options, target, device),
        "a checkpoint resumes to the bit": lambda: check_resume(task, options, device),
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        findings += _tried(name, check)
    cost: list[StudyCost] = []
    findings += _tried("steps fit and can be timed", lambda: _check_room(study, task, recipe, target, cost))
    return Checked(task=study.task, findings=findings, notes=task.notes, cost=cost[0] if cost else None)


def study_to_check(argument: str) -> Study:
    """The study of a file or of the catalog; for the name of a task, the one that ``new`` would write.

    Raises:
        UserMistake: if there is neither.
    """
    from largebatch.studies.study_file import find_study, parse_study
    from largebatch.trainers.tasks import TASKS

    if ":" in argument or argument in TASKS:
        return study_of_task(argument)
    name, text = find_study(argument)
    return parse_study(text, name)


def _tried(name: str, check: Callable[[], Finding | list[Finding]]) -> list[Finding]:
    """What a check found; that it ended with an error is a finding, too."""
    from largebatch.spaces.user_mistake import UserMistake
    from largebatch.trainers.failure import describe

    try:
        found = check()
    except UserMistake as mistake:
        return [Finding(name=name, passed=False, found="three steps cannot be taken", way_out=str(mistake))]
    except Exception as error:
        return [Finding(name=name, passed=False, found=describe(error), way_out="mend this error in the task first")]
    return found if isinstance(found, list) else [found]


def _check_data(name: str, options: Mapping[str, Value], task: "Task") -> Finding:
    """Every process makes the task for itself: what it draws while doing so must not differ."""
    from largebatch.trainers.soundness.three_steps import as_process
    from largebatch.trainers.task import make_task

    as_process(random.Random(name).randrange(2**31))
    again = make_task(name, options)
    pairs = [(task.train_data, again.train_data), (task.validation_data, again.validation_data)]
    same = [fingerprint(one) == fingerprint(other) for one, other in pairs]
    which = " and ".join(part for part, equal in zip(("train_data", "validation_data"), same, strict=True) if not equal)
    return Finding(
        name="the data are the same every time the task is made",
        passed=all(same),
        found=f"{len(task.train_data):,} training and {len(task.validation_data):,} validation examples"  # type: ignore[arg-type]
        if all(same)
        else f"{which} differ when the task is made a second time, as every worker makes it",
        way_out="" if all(same) else "give a seed to what splits, shuffles or draws them",
    )


def _check_room(study: Study, task: "Task", recipe: Recipe, target: Target, cost: list[StudyCost]) -> Finding:
    """Time small and large steps, with whatever pass fits."""
    from largebatch.studies.engine.in_process import profile_in_process
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
    examples = study.budget.examples_per_trial or task.max_examples
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
        found=f"on {profile.device}" + ("" if whole else f"; {task.micro_batch_size}, as the task says, do not"),
    )


def _evaluation_seconds(task: "Task", recipe: Recipe, study: Study) -> float:
    """Of the whole validation set, timed on a part."""
    import time

    from largebatch.studies.engine.in_process import device_here
    from largebatch.trainers.training import Training

    training = Training(task, recipe, max_examples=task.max_examples, device=device_here(), execution=study.execution)
    total: int = len(task.validation_data)  # type: ignore[arg-type]
    part = min(total, 1024)
    training.evaluate(limit=min(part, 64))
    began = time.perf_counter()
    training.evaluate(limit=part)
    return (time.perf_counter() - began) * total / part
