"""The training loop: virtual workers by gradient accumulation, synchronous over real devices.

A global batch is cut into ``G`` groups of ``n`` examples that share batch statistics. Device ``r`` of ``D`` takes the
groups ``r, r + D, ..``, several to a pass; gradients, batch statistics and loss lie in one flat buffer that is summed
over devices once a step. The update is thus the mean gradient over the global batch for every ``D``.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.trainers.batches import ShuffledStream, num_examples, take
from largebatch.trainers.group_norm import group_batch_norms
from largebatch.trainers.optimizer import make_optimizer
from largebatch.trainers.schedule import learning_rate
from largebatch.trainers.task import Task
from largebatch.trainers.weight_average import PowerAverage

DIVERGENCE_FACTOR = 10.0
"""A training loss of this many times its first value counts as diverged, as does a non-finite one."""


class Training:
    """The state of one training on this process, one of ``num_devices`` that hold the same weights.

    Args:
        task: What to train.
        recipe: How.
        max_examples: Where to give up.
        device: Where this process computes.
        alone: Train without the other processes of its group.
    """

    def __init__(
        self, task: Task, recipe: Recipe, *, max_examples: int, device: torch.device, alone: bool = False
    ) -> None:
        self.task, self.recipe, self.max_examples, self.device = task, recipe, max_examples, device
        self.rank, self.num_devices = 0, 1
        if dist.is_initialized() and not alone:
            self.rank, self.num_devices = dist.get_rank(), dist.get_world_size()
        torch.manual_seed(recipe.seed)
        self.model = task.model().to(device)
        self._norms = group_batch_norms(self.model)
        self.average = PowerAverage(self.model) if recipe.weight_averaging == "power" else None
        self.optimizer = make_optimizer(self.model, recipe)
        self.step = 0
        self.seconds = 0.0
        self.evaluation_seconds = 0.0
        self._stream = ShuffledStream(num_examples(task.train_data), recipe.seed)
        self._sums, self._loss = self._allocate_sums()

    def _allocate_sums(self) -> tuple[Tensor, Tensor]:
        """One flat buffer for all that is summed over devices; gradients and batch statistics are views of it."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        sizes = [p.numel() for p in parameters] + [norm.statistics.numel() for norm in self._norms] + [1]
        sums = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=self.device)
        *views, loss = torch.split(sums, sizes)
        for parameter, view in zip(parameters, views, strict=False):
            parameter.grad = view.view_as(parameter)
        for norm, view in zip(self._norms, views[len(parameters) :], strict=True):
            norm.statistics = view.view(2, -1)
        return sums, loss

    @property
    def examples(self) -> int:
        """Examples trained so far."""
        return self.step * self.recipe.global_batch_size

    @property
    def num_summed_bytes(self) -> int:
        """Bytes that are summed over devices in each step."""
        return self._sums.numel() * self._sums.element_size()

    def train_step(self) -> Tensor:
        """Take one optimizer step and return the mean loss of its global batch, a tensor of one element."""
        recipe = self.recipe
        indices_GN = self._stream.batch(self.step, recipe.global_batch_size).reshape(-1, recipe.group_size)
        mine_GN = indices_GN[self.rank :: self.num_devices]
        groups_per_pass = max(1, self.task.micro_batch_size // recipe.group_size)
        self._sums.zero_()
        self.model.train()
        self._seed_step()
        for start in range(0, len(mine_GN), groups_per_pass):
            self._accumulate(mine_GN[start : start + groups_per_pass])
        if self.num_devices > 1:
            dist.all_reduce(self._sums)
        for norm in self._norms:
            norm.update_running_statistics(recipe.num_groups)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, self.step, self.max_examples)
        self.optimizer.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        return self._loss.clone()

    def _seed_step(self) -> None:
        """Random numbers follow from seed, step and rank, so that resuming needs no random state."""
        seed = (self.recipe.seed << 40) + (self.step << 12) + self.rank
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _accumulate(self, indices_GN: Any) -> None:
        """Add the gradients of some groups; their examples are interleaved, as ``GroupedBatchNorm`` expects."""
        for norm in self._norms:
            norm.num_groups = len(indices_GN)
        inputs, targets = take(self.task.train_data, indices_GN.T.reshape(-1), self.device)
        share = indices_GN.size / self.recipe.global_batch_size
        loss = self.task.loss(self.model(inputs), targets) * share
        loss.backward()
        self._loss += loss.detach()

    @torch.no_grad()
    def evaluate(self, limit: int | None = None) -> dict[str, float]:
        """Every metric of the task over the validation set (its first ``limit`` examples), devices sharing the work."""
        model = self.model if self.average is None or self.step == 0 else self.average.model
        model.eval()
        data = self.task.validation_data
        count = min(num_examples(data), limit or num_examples(data))
        metrics = self.task.all_metrics
        sums = torch.zeros(len(metrics), dtype=torch.float64, device=self.device)
        size = self.task.micro_batch_size
        for start in range(self.rank * size, count, self.num_devices * size):
            indices = torch.arange(start, min(start + size, count)).numpy()
            inputs, targets = take(data, indices, self.device)
            outputs = model(inputs)
            sums += len(indices) * torch.stack([metric.mean(outputs, targets) for metric in metrics.values()])
        if self.num_devices > 1:
            dist.all_reduce(sums)
        return dict(zip(metrics, (sums / count).tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """All that resuming needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``; the data's position and the random numbers follow from the step."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.evaluation_seconds = state["evaluation_seconds"]


def run_to_target(
    training: Training,
    target: Target,
    *,
    on_measurement: Callable[[Measurement], bool],
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
) -> Ending:
    """Train until the target, divergence, the limit of examples, or until ``on_measurement`` returns True.

    Every process of a group calls it, and all leave after the same step: rank 0 alone is asked, and tells the others.
    With ``checkpoint``, training goes on from that file if it exists, and rank 0 writes it again at the first
    evaluation that comes ``checkpoint_seconds`` after the last one.
    """
    recipe = training.recipe
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, map_location=training.device, weights_only=True)
        training.load_state(state["training"])
        previous, initial_loss = Measurement(**state["previous"]), state["initial_loss"]
    else:
        began = time.perf_counter()
        previous = _measure(training, train_loss=math.nan)
        training.evaluation_seconds += time.perf_counter() - began
        initial_loss = math.nan
        if _tell(training, previous, on_measurement):
            return _ending(training, Outcome.STOPPED)
    saved = time.monotonic()
    while training.examples + recipe.global_batch_size <= training.max_examples:
        loss, first_loss = _train_to_next_evaluation(training)
        initial_loss = first_loss if math.isnan(initial_loss) else initial_loss
        if not math.isfinite(loss) or loss > DIVERGENCE_FACTOR * initial_loss:
            return _ending(
                training,
                Outcome.DIVERGED,
                reason=f"training loss {loss:.3g} at step {training.step}, {initial_loss:.3g} at the first",
            )
        began = time.perf_counter()
        measurement = _measure(training, train_loss=loss)
        training.evaluation_seconds += time.perf_counter() - began
        stop = _tell(training, measurement, on_measurement)
        if target.reached(measurement.values[target.metric]):
            return _ending(training, Outcome.REACHED, steps_to_target=first_passage(previous, measurement, target))
        if stop:
            return _ending(training, Outcome.STOPPED)
        previous = measurement
        if checkpoint is not None and _agree(training, time.monotonic() - saved >= checkpoint_seconds):
            if training.rank == 0:
                _save(checkpoint, training, previous, initial_loss)
            saved = time.monotonic()
    return _ending(training, Outcome.EXHAUSTED)


def first_passage(before: Measurement, after: Measurement, target: Target) -> float:
    """The step at which the metric crossed its bound, on the straight line between two evaluations."""
    low, high = before.values[target.metric], after.values[target.metric]
    if not math.isfinite(low) or low == high:
        return float(after.step)
    share = min(max((target.bound - low) / (high - low), 0.0), 1.0)
    return before.step + share * (after.step - before.step)


def _train_to_next_evaluation(training: Training) -> tuple[float, float]:
    """Train to the next multiple of ``evaluation_examples`` or the end; return the mean and the first step's loss."""
    interval = training.task.evaluation_examples
    goal = min((training.examples // interval + 1) * interval, training.max_examples)
    began, first_step = time.perf_counter(), training.step
    first = training.train_step()
    total = first.clone()
    while training.examples < goal and training.examples + training.recipe.global_batch_size <= training.max_examples:
        total += training.train_step()
    mean_loss = total.item() / (training.step - first_step)  # .item() waits for the device
    training.seconds += time.perf_counter() - began
    return mean_loss, first.item()


def _measure(training: Training, *, train_loss: float) -> Measurement:
    values = training.evaluate()
    values["train_loss"] = train_loss
    values["learning_rate"] = learning_rate(training.recipe, max(training.step - 1, 0), training.max_examples)
    return Measurement(step=training.step, examples=training.examples, seconds=training.seconds, values=values)


def _tell(training: Training, measurement: Measurement, on_measurement: Callable[[Measurement], bool]) -> bool:
    return _agree(training, training.rank == 0 and on_measurement(measurement))


def _agree(training: Training, decision: bool) -> bool:
    """Rank 0's decision, on every rank."""
    if training.num_devices == 1:
        return decision
    flag = torch.tensor([float(decision)], device=training.device)
    dist.broadcast(flag, src=0)
    return bool(flag.item())


def _ending(training: Training, outcome: Outcome, *, steps_to_target: float | None = None, reason: str = "") -> Ending:
    return Ending(
        outcome=outcome,
        step=training.step,
        examples=training.examples,
        seconds=training.seconds,
        steps_to_target=steps_to_target,
        reason=reason,
    )


def _save(path: Path, training: Training, previous: Measurement, initial_loss: float) -> None:
    """Write a checkpoint that is either whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    state = {
        "training": training.state(),
        "initial_loss": initial_loss,
        "previous": {
            "step": previous.step,
            "examples": previous.examples,
            "seconds": previous.seconds,
            "values": dict(previous.values),
        },
    }
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
