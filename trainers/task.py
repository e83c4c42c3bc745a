"""What a study trains: model, data, loss, metrics, target.

A task that ships is a function in ``trainers/tasks``; a user's own is named ``package.module:function`` in the study
file, and naming it there imports that module, which runs its code.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from largebatch.spaces.domain import Value
from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.target import Target
from largebatch.spaces.trial import RECORDED
from largebatch.trainers.data.example_random import ExampleRandom
from largebatch.trainers.data.streamed import Kept, Streamed, num_examples
from largebatch.trainers.evaluation_interval import usual_evaluation_examples
from largebatch.trainers.stages import EVERYTHING, Stage
from largebatch.trainers.tasks import TASKS
from largebatch.trainers.workers.failure import contained, describe, fenced

EXTRAS = {
    "datasets": "huggingface",
    "lightning": "lightning",
    "pytorch_lightning": "lightning",
    "transformers": "huggingface",
}
"""Package that a task may need -> the extra that brings it."""
PASSES = 40
"""Over the training data until a trial gives up, where the task does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A validation figure: ``mean(outputs, targets)`` of a batch, between ``low`` and ``high``."""

    mean: Callable[[Any, Any], Tensor]
    low: float = float("-inf")
    high: float = float("inf")


def _of_inputs(model: nn.Module, inputs: Any, targets: Any) -> Any:
    del targets
    return model(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training problem. ``loss(model(inputs), targets)`` is the mean over a batch.

    Items of the data sets are ``(inputs, targets)`` pairs, each a tensor, a number, or a dict or tuple of them, of the
    same shapes in every item; a ``BatchSource`` computes whole batches on the device. An iterable data set is read as
    ``Streamed`` says, one for validation once, into memory.
    ``val_loss``, the loss on the validation set, is a metric of every task; others are a ``Metric``, or just its
    function. ``max_examples`` is where a trial gives up (40 passes over the training data where it is 0),
    ``evaluation_examples`` how many examples lie between two evaluations (where it is 0: evaluating then costs about a
    tenth of training, see ``trainers/evaluation_interval.py``), ``micro_batch_size`` how many go through the model in
    one pass. ``augment(inputs, random)`` changes training inputs on their device; all its random
    numbers must come from ``random``. A data set may augment its items itself, with torch's, numpy's or Python's
    generator, which are seeded before each item. ``stages`` say which parameters are trained when, in a fine-tuning.
    ``forward(model, inputs, targets)`` makes the outputs where ``model(inputs)`` does not. ``notes`` say what the study
    decides in the place of the user's own code.
    """

    model: Callable[[], nn.Module]
    train_data: Dataset[Any]
    validation_data: Dataset[Any]
    loss: Callable[[Any, Any], Tensor]
    target: Target
    max_examples: int = 0
    evaluation_examples: int = 0
    metrics: Mapping[str, Metric | Callable[[Any, Any], Tensor]] = field(default_factory=dict)
    micro_batch_size: int = 256
    augment: Callable[[Any, ExampleRandom], Any] | None = None
    stages: Sequence[Stage] = EVERYTHING
    forward: Callable[[nn.Module, Any, Any], Any] = _of_inputs
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, kind in (("train_data", Streamed), ("validation_data", Kept)):
            if isinstance(data := getattr(self, name), IterableDataset):
                object.__setattr__(self, name, kind(data))
            if not len(getattr(self, name)):
                raise UserError(f"task: {name} must hold examples; it is empty")
        self._refuse_no_step()
        self._refuse_taken_names()
        one_pass = num_examples(self.train_data)
        if self.max_examples == 0:
            object.__setattr__(self, "max_examples", PASSES * one_pass)
        if self.evaluation_examples == 0:
            validation = len(self.validation_data)  # type: ignore[arg-type]
            usual = usual_evaluation_examples(one_pass, validation, self.max_examples)
            object.__setattr__(self, "evaluation_examples", usual)

    def _refuse_no_step(self) -> None:
        """Refuse numbers with which no step could ever be taken, or no evaluation made."""
        for name, least, otherwise in (
            ("max_examples", 0, f"0 means {PASSES} passes over the training data"),
            ("evaluation_examples", 0, "0 leaves it to the trainer"),
            ("micro_batch_size", 1, "examples that go through the model in one pass"),
        ):
            if not getattr(self, name) >= least:  # NaN is not, either
                raise UserError(f"task: {name} must be at least {least} ({otherwise}); got {getattr(self, name)}")
        if not self.stages:
            raise UserError("task: stages must hold at least one stage; leave it out to train everything")
        for number, stage in enumerate(self.stages, start=1):
            if stage.examples is not None and not stage.examples >= 1:
                raise UserError(
                    f"task: stage {number} must last at least 1 example (None: to the end); got {stage.examples}"
                )

    def _refuse_taken_names(self) -> None:
        """Refuse metrics that the record would overwrite with figures of its own."""
        for name in self.metrics:
            if name in RECORDED or (name.startswith("raw_") and name.removeprefix("raw_") in self.all_metrics):
                raise UserError(
                    f"task: a metric must not be called {name!r}, as a figure that every training records; call it "
                    f"'val_{name.removeprefix('raw_')}'"
                )

    @property
    def all_metrics(self) -> dict[str, Metric]:
        """The task's metrics and ``val_loss``."""
        given = {name: one if isinstance(one, Metric) else Metric(mean=one) for name, one in self.metrics.items()}
        return {"val_loss": Metric(mean=self.loss), **given}

    def check_target(self, target: Target) -> None:
        """Refuse a target that names an unknown metric or that no value of its metric can meet.

        Raises:
            UserError: saying which, and what is valid.
        """
        metrics = self.all_metrics
        if target.metric not in metrics:
            raise UserError(f"target.metric: unknown metric {target.metric!r}{nearest(target.metric, metrics)}")
        metric = metrics[target.metric]
        best = metric.high if target.above is not None else metric.low
        if math.isfinite(best) and not target.reached(best):
            raise UserError(
                f"target: {target} can never be reached: {target.metric} lies between {metric.low:g} "
                f"and {metric.high:g}"
            )


NUM_KEPT = 2
"""Tasks that a process keeps in memory: trials that differ in the task's options take turns."""


def load_task(name: str, options: Mapping[str, Value]) -> Task:
    """The task of a name that ships, or of ``package.module:function``, called with ``options`` as keyword arguments.

    Raises:
        UserError: if there is no such task, or its module does not import, or it does not take the options, or it
            raises an error or does not return a ``Task``.
    """
    return _load_task(name, tuple(sorted(options.items())))


def check_options(name: str, options: Iterable[str]) -> None:
    """Refuse options that the task's function does not take.

    Raises:
        UserError: that names the valid ones.
    """
    parameters = inspect.signature(_task_function(name)).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option not in parameters:
            known = nearest(option, parameters) if parameters else "; it takes none"
            raise UserError(f"space.task.{option}: {name} takes no option {option!r}{known}")


@lru_cache(maxsize=NUM_KEPT)
def _load_task(name: str, options: tuple[tuple[str, Value], ...]) -> Task:
    return make_task(name, dict(options))


def make_task(name: str, options: Mapping[str, Value]) -> Task:
    """What ``load_task`` returns, made anew."""
    check_options(name, options)
    function = _task_function(name)
    signature = inspect.signature(function)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise UserError(
            f"task: {name} is called as {function.__name__}{signature} and has {error}; give it a default, or the "
            f"space a task.NAME"
        ) from error
    with fenced(name):
        task = function(**options)
    if not isinstance(task, Task):
        raise UserError(f"task: {name!r} must return a largebatch.Task; got {type(task).__name__}")
    return task


def _task_function(name: str) -> Callable[..., Any]:
    if ":" not in name and name not in TASKS:
        raise UserError(f"task: unknown task {name!r}{nearest(name, TASKS)} or package.module:function")
    module_name, _, function_name = TASKS.get(name, name).partition(":")
    try:
        with contained():
            module = importlib.import_module(module_name)
    except Exception as error:
        way_out = "it must be importable from the folder where largebatch runs"
        if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
            way_out = f"install it: pip install 'largebatch[{EXTRAS[error.name]}]'"
        raise UserError(f"task: the module of {name!r} does not import: {describe(error)}; {way_out}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(f"task: module {module_name!r} has no function {function_name!r}")
    found: Callable[..., Any] = function
    return found
