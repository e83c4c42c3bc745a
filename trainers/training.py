"""One training: virtual workers by gradient accumulation, synchronous over real devices.

A global batch is cut into ``G`` groups of ``N`` examples that share batch statistics. Device ``r`` of ``D`` takes the
groups ``r, r + D, ..``, several to a pass; gradients, batch statistics and loss are summed over devices once a step.
The update is thus the mean gradient over the global batch for every ``D``, and random numbers belong to examples, so
that ``D`` changes nothing but the order of sums.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.data.evaluation_batches import EvaluationBatches
from largebatch.trainers.data.example_random import ExampleRandom, model_generator
from largebatch.trainers.data.loader import Groups, Loader
from largebatch.trainers.data.passes import Pass, Passes
from largebatch.trainers.data.streamed import num_examples
from largebatch.trainers.evaluation import evaluate
from largebatch.trainers.gradients.lagged_flag import LaggedFlag
from largebatch.trainers.gradients.noise_meter import NoiseMeter
from largebatch.trainers.gradients.noise_scale import NoiseEstimate
from largebatch.trainers.gradients.step_gradients import StepGradients
from largebatch.trainers.layers.example_dropout import tie_dropout
from largebatch.trainers.layers.ghost_batch_norm import BatchStatistics, group_batch_norms
from largebatch.trainers.optimizers.optimizer import make_optimizers, second_moment_scales
from largebatch.trainers.schedules.adascale import gain, grown_batch_size
from largebatch.trainers.schedules.learning_rate import Plateau, make_learning_rate
from largebatch.trainers.stages import set_trainable, stage_at
from largebatch.trainers.suited_model import own_parameters, take
from largebatch.trainers.task import Task
from largebatch.trainers.weight_averaging.make_average import make_average

SCALARS = {"loss": 1, "parts": 1, "leaving": 1, "squares": 2}
"""What is summed over devices behind the batch statistics, and how many numbers."""
_COUNTERS = ("stage", "step", "examples", "position", "batch_size", "seconds", "evaluation_seconds")


class Training:
    """The state of one training on this process, one of ``num_devices`` that hold the same weights.

    Args:
        task: What to train.
        recipe: How.
        max_examples: Where to give up.
        device: Where this process computes.
        execution: How it computes.
        micro_batch_size: Examples that fit in one pass; the task's if not given.
        alone: Train without the other processes of its group.
        leaving: Whether this process was told to leave; asked once a step.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        max_examples: int,
        device: torch.device,
        execution: Execution | None = None,
        micro_batch_size: int | None = None,
        alone: bool = False,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self.task, self.recipe, self.max_examples, self.device = task, recipe, max_examples, device
        self.execution = execution or Execution()
        self.micro_batch_size = micro_batch_size or task.micro_batch_size
        self.rank, self.num_devices = 0, 1
        if dist.is_initialized() and not alone:
            self.rank, self.num_devices = dist.get_rank(), dist.get_world_size()
        self.step, self.examples = 0, 0
        self.position = 0.0  # in the learning rate's schedule
        self.seconds = self.evaluation_seconds = 0.0
        self._leaving = leaving
        self.leave = False
        """Whether any process was told to leave, the same on all of them."""
        self._build_model()
        self.average = make_average(self.model, recipe, max_examples, self._new_model)  # of what any stage trains
        self._begin_stage(0)
        num_train = num_examples(task.train_data)
        self._rate = make_learning_rate(recipe, max_examples=max_examples, num_train_examples=num_train)
        self.plateau = Plateau(recipe.patience_evaluations)
        self.batch_size = recipe.first_batch_size
        self._loader = Loader(task.train_data, recipe.seed, device, self.execution.loader_workers)
        self._passes = Passes(
            task, recipe, self._loader, self._random, needs_keys=self._needs_keys,
            has_batch_statistics=self.has_batch_statistics, micro_batch_size=self.micro_batch_size,
            memory_format=self._format,
        )  # fmt: skip
        self._evaluation = EvaluationBatches(
            task.validation_data, device, size=self.micro_batch_size, rank=self.rank, num_devices=self.num_devices,
            num_processes=self.execution.loader_workers,
        )  # fmt: skip
        self.learning_rate = self._next_rate()[0]
        self._flag = LaggedFlag(device)

    def _build_model(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self._random = ExampleRandom()
        self._needs_keys = self.task.augment is not None
        channels_last = self.execution.memory_format == "channels_last"
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self.model = self._new_model()
        self._own = own_parameters(self.model)
        take(self._own)
        self._statistics = BatchStatistics(self.model)
        self._forward: Any = self.model
        if self.execution.compile != "no":
            self._forward = torch.compile(self.model, mode=self.execution.compile)
        self._autocast: AbstractContextManager[Any] = nullcontext()
        if self.execution.precision == "bfloat16":
            self._autocast = torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _new_model(self) -> nn.Module:
        """A model of the task's, made ready for groups of examples."""
        model = self.task.model()
        own_parameters(model)  # before a lazy one is moved to the device
        model.train()  # before layers are replaced: a model may keep some in evaluation, whatever it is told
        group_batch_norms(model)
        self._needs_keys = tie_dropout(model, self._random) or self._needs_keys
        placed: nn.Module = model.to(self.device, memory_format=self._format)  # type: ignore[call-overload]
        return placed

    def _begin_stage(self, index: int) -> None:
        """Train what a stage of the task says, with fresh optimizers."""
        self.stage = index
        parameters = set_trainable(self._own, self.task.stages[index])
        self._gradients = StepGradients(
            parameters,
            num_extras=self._statistics.size + sum(SCALARS.values()),
            num_devices=self.num_devices,
            compression=self.execution.gradient_compression,
        )
        self._statistics.sums, self._loss, self._num_parts, self._leaving_sum, self._squares = (
            self._gradients.extras.split([self._statistics.size, *SCALARS.values()])
        )
        self.optimizers = make_optimizers(self.model, self.recipe)
        self.noise = NoiseMeter(self._gradients, parameters, adaptive=self.recipe.adaptive != "none")

    @property
    def has_batch_statistics(self) -> bool:
        """Whether examples of a group share statistics."""
        return bool(self._statistics)

    @property
    def num_summed_bytes(self) -> int:
        """Bytes that are summed over devices in each step."""
        return self._gradients.num_summed_bytes

    def train_step(self) -> Tensor:
        """Take one optimizer step and return the mean loss of its global batch, a tensor of one element."""
        if (stage := stage_at(self.task.stages, self.examples)) > self.stage:
            self._begin_stage(stage)
        stop = self.examples + self.batch_size
        groups = self._groups(self.examples)
        if self.execution.loader_workers and not self._loader.reads_ahead:
            self._loader.read_ahead(self._groups_to_come())
        self._gradients.begin()
        adaptive = self.recipe.adaptive != "none"
        measured = self.noise.begin_step(
            self.step,
            natural=self.num_devices > 1 or len(groups) > self._passes.groups_per_pass,
            scales=lambda: second_moment_scales(self.optimizers, self.recipe),
        )
        # An adaptive recipe acts on the noise, so that its parts must be the same in every split: the groups.
        enough = max(1, len(groups)) if adaptive else 2 if measured and self.num_devices == 1 else 1
        for part in self._passes.of_step(groups, at_least=enough):
            if part.is_last and not measured:
                self._gradients.overlap()
            self._accumulate(part)
            if measured:
                self._num_parts += 1
                share = part.num_examples / self.batch_size
                self.noise.end_pass(self._squares, share=share, is_last=part.is_last)
        if self._leaving():
            self._leaving_sum += 1
        self._gradients.finish()
        if measured:
            self.noise.end_step(self._squares, self._num_parts, batch_size=self.batch_size)
        self._statistics.end_step(self.batch_size // self.recipe.group_size)
        self.learning_rate, advance = self._next_rate()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate
            optimizer.step()
        self.step += 1
        self.examples = stop
        self.position += advance
        if self.average is not None:
            self.average.after_step(self.step, self.batch_size)
        self.leave = self._flag.update(self._leaving_sum)
        self._grow()
        loss: Tensor = self._loss.clone()
        return loss

    def _groups(self, start: int) -> Groups:
        """This device's groups of the step that begins at ``start``."""
        return self._loader.groups(start, self.batch_size, self.recipe.group_size, self.rank, self.num_devices)

    def _groups_to_come(self) -> Iterator[Groups]:
        for start in itertools.count(self.examples, self.batch_size):
            groups = self._groups(start)
            yield from (groups[index : index + 1] for index in range(len(groups)))

    def _accumulate(self, part: Pass) -> None:
        """Add the gradients of a pass."""
        self._statistics.begin_pass(part.num_groups)
        generator = model_generator(self.device)
        if self._passes.draws_itself is not False:
            generator.manual_seed(part.seed)
        before = generator.get_state() if self._passes.draws_itself is None else None
        with self._autocast:
            loss = self.task.loss(self.task.forward(self._forward, part.inputs, part.targets), part.targets)
        if before is not None:
            self._passes.draws_itself = not torch.equal(before, generator.get_state())
        if part.num_examples < self.batch_size:
            loss = loss * (part.num_examples / self.batch_size)
        loss.backward()
        self._statistics.end_pass(part.num_groups)
        self._loss += loss.detach()

    def _next_rate(self) -> tuple[float, float]:
        """The learning rate of this step, and by how much it moves on in the schedule."""
        rate = self.recipe.learning_rate * self._rate.factor(self.position, halvings=self.plateau.halvings)
        if self.recipe.adaptive == "none":
            return rate, 1.0
        times = gain(self._noise(), base_batch_size=self.recipe.whole_base_batch_size, batch_size=self.batch_size)
        return rate * times, times

    def _grow(self) -> None:
        if self.recipe.adaptive == "noise-scale":
            limit = self.recipe.global_batch_size
            grown = grown_batch_size(self._noise(), batch_size=self.batch_size, limit=limit)
            if grown != self.batch_size:
                self._loader.close()
            self.batch_size = grown

    def _noise(self) -> NoiseEstimate | None:
        """In the space in which the optimizer is gradient descent."""
        return self.noise.scaled.estimate() or self.noise.raw.estimate()

    @torch.no_grad()
    def evaluate(self, limit: int | None = None) -> dict[str, float]:
        """Every metric of the task over the validation set (its first ``limit`` examples), devices sharing the work.

        Of the average's weights where there is one; where asked also ``raw_`` of the weights.
        """
        self.noise.measure_next = True
        if self.average is None or self.step == 0:
            return self._evaluate(self.model, limit)
        self.average.before_evaluation()
        values = self._evaluate(self.average.model, limit)
        if self.execution.evaluated_weights == "both":
            raw = self._evaluate(self.model, limit)
            values |= {f"raw_{name}": value for name, value in raw.items()}
        return values

    def _evaluate(self, model: nn.Module, limit: int | None) -> dict[str, float]:
        return evaluate(
            model, self._evaluation, self.task, self.device, self._autocast, limit=limit, num_devices=self.num_devices
        )

    def close(self) -> None:
        """End what reads ahead; the training can go on, and reads ahead again."""
        self._loader.close()

    def state(self) -> dict[str, Any]:
        """All that resuming needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average is not None else {},
            "averaging": self.average.state() if self.average is not None else {},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "noise": self.noise.state(),
            "plateau": asdict(self.plateau),
            "draws_itself": self._passes.draws_itself,
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def resumes(self, state: dict[str, Any]) -> bool:
        """Whether ``state`` trained the same parameters; earlier versions also trained those that a model freezes."""
        if state["stage"] != self.stage:
            self._begin_stage(state["stage"])
        own = [[len(group["params"]) for group in one.param_groups] for one in self.optimizers]
        its = [[len(group["params"]) for group in one["param_groups"]] for one in state["optimizers"]]
        if its != own:
            self._begin_stage(0)
        return its == own

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, perhaps of another batch size: places in data and schedule follow from the examples."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
            self.average.load_state(state["averaging"])
        if state["stage"] != self.stage:
            self._begin_stage(state["stage"])
        for optimizer, its_state in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)
        self.noise.load_state(state["noise"])
        self.plateau = Plateau(**state["plateau"])
        self._passes.draws_itself = state["draws_itself"]
        for name in _COUNTERS:
            setattr(self, name, state[name])
        if self.recipe.adaptive == "none":
            self.position *= self.batch_size / self.recipe.global_batch_size
        if self.recipe.adaptive != "noise-scale" or self.batch_size > self.recipe.global_batch_size:
            self.batch_size = self.recipe.global_batch_size
