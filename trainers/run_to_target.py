"""From the first step to the end of a training: measure, decide together, save, leave together.

Every process of a group calls ``run_to_target`` and all leave after the same step. Rank 0 alone is asked whether to
stop, and tells the others; that a process was told to leave is summed with each step's gradients.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from largebatch.spaces.measurement_log import MeasurementLog, add_measurement, read_measurements
from largebatch.spaces.target import Target
from largebatch.spaces.trial import ACTIONS, Action, Ending, Measurement, Outcome
from largebatch.trainers.checkpoint import CheckpointWriter, UnusableCheckpoint, copied, load_checkpoint
from largebatch.trainers.checkpoint_path import best_path, measured_path
from largebatch.trainers.divergence import has_diverged
from largebatch.trainers.training import Training


@dataclass(slots=True, kw_only=True)
class _Progress:
    """What a checkpoint holds besides the training: the last measurement and what came after it."""

    previous: Measurement
    initial_loss: float = math.nan
    untrained_loss: float = math.nan
    lowest_loss: float = math.inf
    interval_loss: float = 0.0
    interval_steps: int = 0
    steps_to_target: float | None = None
    examples_to_target: float | None = None
    steps_low: float | None = None
    steps_high: float | None = None
    examples_low: float | None = None
    examples_high: float | None = None
    best: float = math.inf


def run_to_target(
    training: Training,
    target: Target,
    *,
    on_measurement: Callable[[Measurement], Action],
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    past_target: bool = False,
    recorded_examples: int | None = None,
) -> Ending:
    """Train until the target, divergence, the limit of examples, or until ``on_measurement`` says to stop or pause.

    With ``checkpoint``, training goes on from that file if it exists and can be used; rank 0 writes it again whenever
    ``checkpoint_seconds`` have passed and when the training is told to pause or leave, and keeps the best weights
    beside it. ``past_target`` trains on to the limit.

    A training may run ahead of its record, whose keeper may die: what the checkpoint says was measured after more than
    ``recorded_examples`` is told again before training goes on.
    """
    run = _Run(training, target, on_measurement, checkpoint, checkpoint_seconds, past_target, recorded_examples)
    try:
        return run.run()
    finally:
        training.close()
        run.close()


class _Run:
    def __init__(
        self, training: Training, target: Target, on_measurement: Callable[[Measurement], Action],
        checkpoint: Path | None, checkpoint_seconds: float, past_target: bool,
        recorded_examples: int | None,
    ) -> None:  # fmt: skip
        self._training, self._target, self._on_measurement = training, target, on_measurement
        self._checkpoint = checkpoint if training.rank == 0 else None
        self._source = checkpoint
        self._checkpoint_seconds, self._past_target = checkpoint_seconds, past_target
        self._recorded_examples = recorded_examples
        self._saved = time.monotonic()
        self._best_weights: Any = None
        self._log: MeasurementLog | None = None  # of what was measured: its record may lack some
        self._logged: list[Measurement] = []  # before this process, until the log is begun
        self._unlogged: list[Measurement] = []
        self.writer = CheckpointWriter()

    def run(self) -> Ending:
        training, interval = self._training, self._training.task.evaluation_examples
        if (ending := self._begin()) is not None:
            return ending
        progress = self._progress
        loss = torch.full((1,), progress.interval_loss, device=training.device)
        lowest = torch.full((1,), progress.lowest_loss, device=training.device)
        # A checkpoint may lie between the last steps and their measurement.
        while progress.interval_steps or training.examples + training.batch_size <= training.max_examples:
            goal = min((progress.previous.examples // interval + 1) * interval, training.max_examples)
            began = time.perf_counter()
            while training.examples < goal and training.examples + training.batch_size <= training.max_examples:
                first = training.step == 0
                step_loss = training.train_step()
                loss, lowest = loss + step_loss, torch.minimum(lowest, step_loss)
                progress.interval_steps += 1
                if first:
                    progress.initial_loss = step_loss.item()
                if training.leave or self._due():
                    progress.interval_loss = loss.item()  # waits for the device
                    progress.lowest_loss = lowest.item()
                    training.seconds += time.perf_counter() - began
                    self._save()
                    began = time.perf_counter()
                    if training.leave:
                        return self._ending(Outcome.PREEMPTED, reason="told to leave; the checkpoint goes on from here")
            mean_loss = loss.item() / progress.interval_steps
            progress.lowest_loss = lowest.item()
            training.seconds += time.perf_counter() - began
            if has_diverged(
                mean_loss, first=progress.initial_loss, untrained=progress.untrained_loss, lowest=progress.lowest_loss
            ):
                reason = (
                    f"training loss {mean_loss:.3g} at step {training.step}, {progress.initial_loss:.3g} at the first"
                )
                return self._ending(Outcome.DIVERGED, reason=reason)
            action = self._measure(mean_loss)
            loss = torch.zeros_like(loss)
            if progress.steps_to_target is not None and not self._past_target:
                return self._ending(Outcome.REACHED)
            if action == "stop":
                return self._ending(Outcome.STOPPED)
            if action == "pause" or self._due():
                self._save()
            if action == "pause":
                return self._ending(Outcome.PREEMPTED, reason="paused; the checkpoint goes on from here")
        return self._ending(Outcome.EXHAUSTED if progress.steps_to_target is None else Outcome.REACHED)

    def _begin(self) -> Ending | None:
        """Go on from the checkpoint, or measure the untrained model."""
        training = self._training
        if (state := self._saved_state()) is not None:
            training.load_state(state["training"])
            progress = state["progress"]
            previous = Measurement(**progress.pop("previous"))
            measured = [Measurement(**one) for one in progress.pop("measurements", [])]  # of earlier versions
            self._progress = _Progress(previous=previous, **progress)
            return self._tell_again(measured)
        self._progress = _Progress(previous=Measurement(step=0, examples=0, seconds=0.0, values={}))
        return self._ending(Outcome.STOPPED) if self._measure(math.nan) == "stop" else None

    def _tell_again(self, measured: list[Measurement]) -> Ending | None:
        """What the record lacks; how that ends the training, if it does."""
        action: Action = "go on"
        if self._checkpoint is not None:
            try:
                measured = read_measurements(measured_path(self._checkpoint), measured)
            except (OSError, ValueError) as error:
                why = "%s cannot be read (%s); what the record lacks of that is not recorded"
                logging.getLogger(__name__).warning(why, measured_path(self._checkpoint), error)
            # Later ones are measured again.
            self._logged = [one for one in measured if one.examples <= self._progress.previous.examples]
            recorded = self._recorded_examples
            for one in self._logged:
                if recorded is not None and one.examples > recorded and action == "go on":
                    action = self._on_measurement(one)
        action = _agree(self._training, action)
        if action == "stop":
            return self._ending(Outcome.STOPPED)
        if action == "pause":
            return self._ending(Outcome.PREEMPTED, reason="paused; the checkpoint goes on from here")
        return None

    def _saved_state(self) -> Any:
        """What to go on from, None where not all processes can read it."""
        if self._source is None:
            return None
        state = None
        try:
            state = load_checkpoint(self._source, self._training.device, self._training.recipe)
        except FileNotFoundError:
            pass
        except UnusableCheckpoint as error:
            logging.getLogger(__name__).warning("%s; the training begins anew", error)
        if state is not None and not self._training.resumes(state["training"]):
            why = "%s holds other trained parameters than this model has; the training starts again"
            logging.getLogger(__name__).warning(why, self._source)
            state = None
        return state if _all(self._training, state is not None) else None

    def _measure(self, train_loss: float) -> Action:
        """Evaluate, tell, and return what to do."""
        training, progress = self._training, self._progress
        began = time.perf_counter()
        values = training.evaluate()
        training.evaluation_seconds += time.perf_counter() - began
        values |= training.noise.values()
        values |= {"train_loss": train_loss, "learning_rate": training.learning_rate,
                   "evaluation_seconds": training.evaluation_seconds,
                   "save_seconds": self.writer.longest_seconds}  # fmt: skip
        if training.recipe.adaptive == "noise-scale":
            values["global_batch_size"] = float(training.batch_size)
        now = Measurement(step=training.step, examples=training.examples, seconds=training.seconds, values=values)
        value = values[self._target.metric]
        signed = self._target.sign * value
        training.plateau.update(signed)
        if training.step == 0:
            progress.untrained_loss = values["val_loss"]
        is_best = math.isfinite(signed) and signed < progress.best
        if is_best and self._checkpoint is not None:
            weights = training.model if training.average is None else training.average.model
            self._best_weights = copied({"weights": weights.state_dict(), "step": now.step, "values": values})
        progress.best = signed if is_best else progress.best
        if self._target.reached(value) and progress.steps_to_target is None:
            share = passage_share(progress.previous, now, self._target)
            progress.steps_to_target = _between(progress.previous.step, now.step, share)
            progress.examples_to_target = _between(progress.previous.examples, now.examples, share)
            progress.steps_low, progress.steps_high = progress.previous.step, now.step
            progress.examples_low, progress.examples_high = progress.previous.examples, now.examples
        progress.previous, progress.interval_loss, progress.interval_steps = now, 0.0, 0
        if self._checkpoint is not None:
            self._unlogged.append(now)
        return _agree(training, self._on_measurement(now) if training.rank == 0 else "go on")

    def _due(self) -> bool:
        return self._checkpoint is not None and time.monotonic() - self._saved >= self._checkpoint_seconds

    def _save(self) -> None:
        if self._checkpoint is not None:
            recipe = self._training.recipe.model_dump()
            state = {"recipe": recipe, "training": self._training.state(), "progress": asdict(self._progress)}
            measured, self._unlogged = self._unlogged, []
            first = partial(self._log_measured, measured_path(self._checkpoint), measured)
            self.writer.save({self._checkpoint: state, **self._best()}, first)
            self._saved = time.monotonic()

    def _log_measured(self, path: Path, measured: list[Measurement]) -> None:
        """Append what was measured before a checkpoint; in the writer's thread."""
        for one in measured:
            add_measurement(self._logged, one)
        if self._log is None:
            self._log = MeasurementLog(path, self._logged)
        else:
            self._log.append(self._logged)
        self._logged.clear()

    def close(self) -> None:
        """Wait until all is on disk."""
        self.writer.wait()
        if self._log is not None:
            self._log.close()

    def _best(self) -> dict[Path, Any]:
        """The best weights, if they are not on disk yet."""
        if self._best_weights is None or self._checkpoint is None:
            return {}
        weights, self._best_weights = self._best_weights, None
        return {best_path(self._checkpoint): weights}

    def _ending(self, outcome: Outcome, *, reason: str = "") -> Ending:
        training, progress = self._training, self._progress
        if outcome in (Outcome.REACHED, Outcome.EXHAUSTED):
            if self._past_target:
                self._save()  # more examples may be asked for later
            elif best := self._best():
                self.writer.save(best)
        ending = Ending(
            outcome=outcome, step=training.step, examples=training.examples, seconds=training.seconds, reason=reason
        )
        if outcome in (Outcome.REACHED, Outcome.PREEMPTED):
            return replace(
                ending, steps_to_target=progress.steps_to_target, examples_to_target=progress.examples_to_target,
                steps_low=progress.steps_low, steps_high=progress.steps_high,
                examples_low=progress.examples_low, examples_high=progress.examples_high,
            )  # fmt: skip
        return ending


def passage_share(before: Measurement, after: Measurement, target: Target) -> float:
    """Where the metric crossed its bound, on the straight line from one evaluation (0) to the next (1)."""
    low, high = before.values.get(target.metric, math.nan), after.values[target.metric]
    if not math.isfinite(low) or low == high:
        return 1.0
    return min(max((target.bound - low) / (high - low), 0.0), 1.0)


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)


def _agree(training: Training, action: Action) -> Action:
    """What rank 0 was told to do, on every rank."""
    if training.num_devices == 1:
        return action
    flag = torch.tensor([float(ACTIONS.index(action))], device=training.device)
    dist.broadcast(flag, src=0)
    return ACTIONS[int(flag.item())]


def _all(training: Training, true: bool) -> bool:
    """Whether it is true on every rank."""
    if training.num_devices == 1:
        return true
    flag = torch.tensor([float(true)], device=training.device)
    dist.all_reduce(flag, op=dist.ReduceOp.MIN)
    return bool(flag.item())
