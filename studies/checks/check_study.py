"""``check``: is a task sound, and what will a study of it cost? Before any of it is paid."""

import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from largebatch.spaces.domain import Value
from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.studies.checks.check_cost import StudyCost, check_room
from largebatch.studies.question.new_study import study_text_of_task
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import fingerprint
from largebatch.trainers.task_checks.finding import Finding

if TYPE_CHECKING:
    from largebatch.trainers.task import Task

Told = Callable[[Finding | str], None]
"""Receives each finding, and each note, as soon as there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Everything that was found; ``cost`` is None where steps could not be timed."""

    task: str
    findings: Sequence[Finding]
    notes: Sequence[str]
    cost: StudyCost | None

    @property
    def num_failed(self) -> int:
        """Checks that failed; one that compared nothing did not, and did not pass."""
        return sum(finding.passed is False for finding in self.findings)

    @property
    def num_not_compared(self) -> int:
        """Checks that prove nothing of this task."""
        return sum(finding.passed is None for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "passed": self.num_failed == 0,
            "num_failed": self.num_failed,
            "num_not_compared": self.num_not_compared,
            **asdict(self),
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A study to check, and the text that it comes from, whose lines mistakes are named by."""

    study: Study
    text: str
    source: str

    def placed(self, mistake: UserError) -> UserError | None:
        """A mistake of the study file at its line; None for one of the task."""
        from largebatch.studies.question.study_file import at_its_line

        found = at_its_line(mistake, self.text, self.source)
        return None if found is mistake or str(mistake).startswith("task: ") else found


def question_of(argument: str) -> Question:
    """The study of a file or of the catalog; for the name of a task, the one that ``new`` would write.

    Raises:
        UserError: if there is neither.
    """
    from largebatch.studies.question.study_file import find_study, parse_study
    from largebatch.trainers.tasks import TASKS

    if ":" in argument or argument in TASKS:
        source, text = "the new study", study_text_of_task(argument)
    else:
        source, text = find_study(argument)
    return Question(study=parse_study(text, source), text=text, source=source)


def check_study(question: Question, told: Told = lambda _: None) -> Checked:
    """Check the task of a study in this process, and what the study will cost here.

    Raises:
        UserError: if there is no such task, or it cannot be made.
    """
    from largebatch.studies.question.study_file import at_its_line

    try:
        return _checked(question, told)
    except UserError as mistake:
        raise at_its_line(mistake, question.text, question.source) from None


def _checked(question: Question, told: Told) -> Checked:
    from largebatch.studies.question.load_task import refuse_no_step
    from largebatch.studies.running.engines.in_process import device_here
    from largebatch.trainers.data.micro_batch import MicroBatch
    from largebatch.trainers.data.streamed import Streamed
    from largebatch.trainers.task import check_options, load_task
    from largebatch.trainers.task_checks.batch_sizes import check_batch_sizes
    from largebatch.trainers.task_checks.evaluating import check_evaluation
    from largebatch.trainers.task_checks.first_evaluation import check_first_evaluation
    from largebatch.trainers.task_checks.inputs import check_inputs
    from largebatch.trainers.task_checks.learning import check_metric, check_start
    from largebatch.trainers.task_checks.parameters import check_frozen, check_parameters
    from largebatch.trainers.task_checks.promised import check_promised
    from largebatch.trainers.task_checks.resuming import check_resume
    from largebatch.trainers.task_checks.splits import check_finite, check_randomness, check_splits

    study = question.study
    check_options(study.task, study.space.task_options)
    recipe = study.space.typical()
    options, device = recipe.task_options, device_here()
    task = load_task(study.task, options)
    target = study.target or task.target
    task.check_target(target)
    max_examples = study.budget.examples_per_trial or task.max_examples
    cost: list[StudyCost] = []
    notes = list(task.notes)

    def batch_sizes() -> Finding:
        refuse_no_step(study, task)
        recipes = _recipes(study, rates=False)
        return check_batch_sizes(study.task, task, recipes, max_examples, device, study.execution)

    def first_evaluation() -> Finding:
        micro_batch_size = MicroBatch(study.task, task, device, study.execution).size
        return check_first_evaluation(
            task, target, _recipes(study, rates=True), max_examples, device, study.execution, micro_batch_size,
            cost[0].example_seconds[1],
        )  # fmt: skip

    run = _Run(question, told)
    count, model = "the data hold as many examples as they say", "the parameters can be trained"
    steps, twice = "losses, gradients and metrics are finite", "evaluating twice gives the same"
    kept, drawn = "the model leaves its inputs as they are", "what is random belongs to examples"
    ahead, sizes, timed = "the target lies ahead", "every batch size can take a step", "steps can be timed"
    items = (model,) if isinstance(task.train_data, Streamed) else (model, count)  # a short stream lacks no item
    run.check("the data are the same every time", lambda: _check_data(study.task, options, task))
    run.check(count, lambda: check_promised(task))
    run.check(model, lambda: check_parameters(task, options, device))
    run.check(kept, lambda: check_inputs(task, device), *items)
    run.check(twice, lambda: check_evaluation(task, options, device), kept)
    run.check(steps, lambda: check_finite(task, options, device, notes), kept)
    run.check("frozen parameters stay frozen", lambda: check_frozen(task, options, device), steps)
    run.check(drawn, lambda: check_randomness(task, options, device), steps)
    run.check("virtual workers are exact", lambda: check_splits(task, options, device), steps, drawn)
    run.check(ahead, lambda: check_start(task, options, target, device), kept)
    run.check(f"{target.metric} moves", lambda: check_metric(task, options, target, device), steps, twice)
    run.check("a checkpoint resumes to the bit", lambda: check_resume(task, options, device), steps, drawn)
    run.check(sizes, batch_sizes, steps)
    run.check(timed, lambda: check_room(study, task, recipe, max_examples, cost), sizes)
    run.check("the target is not met before the first evaluation", first_evaluation, ahead, timed)
    for note in notes:
        told(note)
    return Checked(task=study.task, findings=run.findings, notes=notes, cost=cost[0] if cost else None)


@dataclass(slots=True)
class _Run:
    """Checks one after the other, each told as it ends."""

    question: Question
    told: Told
    findings: list[Finding] = field(default_factory=list)
    _failed: dict[str, str] = field(default_factory=dict)
    """Check -> the name of what it found, where that is no pass because of a failure."""
    _errors: dict[Any, str] = field(default_factory=dict)
    """Kind and place of an error -> the check that it ended."""

    def check(self, name: str, check: Callable[[], Finding], *needs: str) -> None:
        """Check, unless another that it ``needs`` failed: then it would only say the same again."""
        missing = next((need for need in needs if need in self._failed), None)
        if missing is not None:
            found = Finding(name=name, passed=None, found=f"{self._failed[missing]!r} did not pass")
        else:
            found = self._tried(name, check)
        if found.passed is False:
            self._failed[name] = found.name
        elif missing is not None:
            self._failed[name] = self._failed[missing]
        self.findings.append(found)
        self.told(found)

    def _tried(self, name: str, check: Callable[[], Finding]) -> Finding:
        """What a check found; that it ended with an error is a finding, too, the first time."""
        from largebatch.trainers.workers.failure import contained, describe

        failed = Finding(name=name, passed=False, found="")
        try:
            with contained():
                return check()
        except UserError as mistake:
            error: Any = str(mistake)
            placed = self.question.placed(mistake)
            found = "steps cannot be taken" if placed is None else "the study file asks for what cannot be"
            failed = replace(failed, found=found, way_out=str(placed or mistake))
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            error = (type(problem), last.filename, last.lineno)
            failed = replace(failed, found=describe(problem), way_out="fix this error in the task first")
        if error in self._errors:
            return Finding(name=name, passed=None, found=f"it ends with the error of {self._errors[error]!r}")
        self._errors[error] = name
        return failed


def _recipes(study: Study, *, rates: bool) -> list[Recipe]:
    """The middle of the space at each batch size, the smallest first; with ``rates`` at several learning rates."""
    pairs = [{"global_batch_size": size, "norm_batch_size": norm} for size, norm in study.space.batches]
    domain = study.space.root["learning_rate"]
    listed = domain.grid(3)
    chosen = dict.fromkeys([listed[len(listed) // 2], listed[-1], listed[0]] if rates else [listed[len(listed) // 2]])
    return [study.space.completed({**pair, "learning_rate": rate}) for rate in chosen for pair in pairs]


def _check_data(name: str, options: Mapping[str, Value], task: "Task") -> Finding:
    """Every process makes the task for itself: what it draws while doing so must not differ."""
    from largebatch.trainers.task import make_task
    from largebatch.trainers.task_checks.three_steps import as_process

    as_process(random.Random(name).randrange(2**31))
    again = make_task(name, options)
    pairs = {
        "train_data": (task.train_data, again.train_data),
        "validation_data": (task.validation_data, again.validation_data),
    }
    counts = f"{len(task.train_data):,} training and {len(task.validation_data):,} validation examples"  # type: ignore[arg-type]
    differing = [part for part, (one, other) in pairs.items() if fingerprint(one) != fingerprint(other)]
    shared = [part for part, (one, other) in pairs.items() if _is_shared(one, other)]
    found = Finding(
        name="the data are the same every time the task is made",
        passed=True,
        compared="the task's data, made twice in this process with generators seeded apart: tensors whole, of others "
        "the first 64 items",
        found=counts,
    )
    if differing:
        return replace(
            found, passed=False, way_out="give a seed to what splits, shuffles or draws them",
            found=f"{' and '.join(differing)} differ when the task is made a second time, as every worker makes it",
        )  # fmt: skip
    if shared:
        return replace(
            found, passed=None, found=f"{counts}; the second task has the {' and '.join(shared)} of the first, made "
            f"when its module was imported or kept by a cache: made in the task's function, they are compared",
        )  # fmt: skip
    return found


def _is_shared(one: Any, other: Any) -> bool:
    """Whether two data sets are one, or views of one memory."""
    tensors = list(zip(getattr(one, "tensors", ()), getattr(other, "tensors", ()), strict=False))
    if tensors:
        return all(a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr() for a, b in tensors)
    return one is other
