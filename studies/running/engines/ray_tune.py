"""The engine with Ray: Tune runs the trials, each on a warm Ray Train group.

Tune's searcher and scheduler here only pass on what the coordinator decides. A trial is an actor without resources
that hands its job to the mailbox and relays what comes back; the groups hold the devices, and nothing else does, so
that trials cannot deadlock on the CPUs of their own drivers.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher as TuneSearcher

from largebatch.schedulers.clusters.cluster_file import VARIABLE
from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import ACTIONS, Action, Ending, Outcome, Trial
from largebatch.studies.running.engines.devices import devices_left, devices_of, on_this_node, threads_per_worker
from largebatch.studies.running.engines.tune_trainable import RelayTrial
from largebatch.studies.running.engines.worker_pool import Groups
from largebatch.studies.running.interruption import Leaving
from largebatch.studies.running.trial_source import Decider
from largebatch.trainers.profiling.step_timing import serve_profile
from largebatch.trainers.workers.failure import failed
from largebatch.trainers.workers.mailbox import PLACES, Event, Job, Mailbox
from largebatch.trainers.workers.worker_group import WarmGroup, serve_trials

MAX_RESTARTS = 100
"""Deaths of workers that one group survives; a recipe that kills them is given up much earlier."""

_NEXT_TO_NOTHING = {"memory": 1}
"""Tune insists on a resource; a byte of memory is on every node and keeps the CPUs for the groups."""


def run_trials(coordinator: Decider, leaving: Leaving) -> None:
    """Run trials on warm groups until the coordinator has no more, or until those that run were saved, to leave.

    Must be called inside ``ray_cluster``.

    Raises:
        UserError: that the coordinator raised.
    """
    devices = devices_of(coordinator.study)
    coordinator.refuse_what_cannot_fit(devices.most_trials)
    mailbox = ray.remote(num_cpus=0, max_concurrency=PLACES, label_selector=on_this_node())(Mailbox).remote()
    with storage_folder() as storage:
        work = {
            "mailbox": mailbox, "task": coordinator.study.task, "threads": threads_per_worker(devices.units),
            "options": coordinator.study.space.typical().task_options,
        }  # fmt: skip

        def open_group(index: int, num_devices: int) -> WarmGroup:
            return WarmGroup(
                f"group-{index}",
                serve_trials,
                {**work, "group": index},
                num_devices=num_devices,
                share=devices.share,
                max_restarts=MAX_RESTARTS,
                storage=storage,
            )

        groups = Groups(partial(devices_left, coordinator.study, devices), open_group, mailbox)
        with leaving.training(mailbox.leave.remote):
            _run_tune(_Proposals(coordinator, groups, leaving), mailbox, storage)
            if not leaving.asked.is_set():  # else Ray's end is theirs
                groups.close()


def run_profile(
    task: str, recipe: Recipe, local_batch_sizes: Sequence[int], num_devices: int, threads: int, execution: Execution,
    path: Path,
) -> None:  # fmt: skip
    """Time steps on ``num_devices`` devices, CPUs with ``threads`` each, and write the profile to ``path``."""
    work = {
        "task": task,
        "recipe": recipe.model_dump(),
        "local_batch_sizes": list(local_batch_sizes),
        "path": str(path.absolute()),
        "threads": threads,
        "execution": execution.model_dump(),
    }
    with storage_folder() as storage:
        group = WarmGroup(
            "profile", serve_profile, work, num_devices=num_devices, share=1, max_restarts=1, storage=storage
        )
        try:
            group.wait()
        except Exception as error:
            reason = str(error).strip().splitlines()[-1].strip()  # Ray's own words come first, the worker's error last
            raise UserError(
                f"task: steps of {task} could not be timed ({reason}); what was recorded is whole, and the same "
                f"command times them again"
            ) from error


@contextmanager
def storage_folder() -> Iterator[Path]:
    """A folder for what Ray writes for its own use; all nodes of a job must see it."""
    job = os.environ.get(VARIABLE)
    storage = Path(tempfile.mkdtemp(prefix="largebatch-", dir=Path(job).parent if job else None))
    try:
        yield storage
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _run_tune(proposals: "_Proposals", mailbox: Any, storage: Path) -> None:
    proposals.prepare()
    decisions = _Decisions(proposals, mailbox)
    seat = tune.PlacementGroupFactory([_NEXT_TO_NOTHING], bundle_label_selector=[on_this_node()])
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(RelayTrial, mailbox=mailbox), seat),
        tune_config=tune.TuneConfig(
            search_alg=proposals,
            scheduler=decisions,
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(storage),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[_Watch(decisions)],
            verbose=0,
        ),
    )
    tuner.fit()
    if decisions.problem is not None:
        raise decisions.problem


class _Unsaved:
    """Tune pickles its searcher and scheduler into a state that we never read; the ledger is the record."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Watch(_Unsaved, tune.Callback):  # type: ignore[misc]
    """What is looked after several times a second, whatever the trials do."""

    def __init__(self, decisions: "_Decisions") -> None:
        self._decisions = decisions

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune is about to wait for an event."""
        self._decisions.look_after()


class _Proposals(_Unsaved, TuneSearcher):  # type: ignore[misc]
    """Tune's searcher: hands on the coordinator's next trial, once it has a seat on the devices."""

    def __init__(self, coordinator: Decider, groups: Groups, leaving: Leaving) -> None:
        super().__init__()
        self.coordinator, self.groups, self.leaving = coordinator, groups, leaving
        self._next: Trial | None = None  # the one that waits for a seat, or for Tune
        self._group: int | None = None  # its seat
        self.numbers: dict[str, int] = {}
        self.begun = False
        self.over = False

    def prepare(self) -> None:
        """Seat the next trial, so that its group starts; before Tune, which takes seconds to start itself."""
        if self._next is None:
            self._next = self.coordinator.next_trial()
        if self._next is not None and self._group is None:
            self._group = self.groups.seat(self._next.number, self._next.num_devices)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next job, or that there is none; one alone until it has begun, so that nothing slows its start."""
        self.leaving.check()  # for Tune may wait here for the trials of other jobs
        if self.over or self.leaving.asked.is_set():
            return str(TuneSearcher.FINISHED)
        if self.numbers and not self.begun:
            return None
        self.prepare()
        trial, group = self._next, self._group
        if trial is None:
            return None if self.coordinator.waits else str(TuneSearcher.FINISHED)
        if group is None:
            return None
        self._next = self._group = None
        self.numbers[trial_id] = trial.number
        self.leaving.running.add(trial.number)
        study = self.coordinator.study
        job = Job(
            number=trial.number,
            recipe=trial.recipe.model_dump(),
            target=self.coordinator.target.model_dump(),
            max_examples=self.coordinator.max_examples,
            checkpoint=str(self.coordinator.checkpoints.last(trial.number).absolute()),
            checkpoint_seconds=study.resources.checkpoint_seconds,
            execution=study.execution.model_dump(),
            recorded_examples=trial.recorded_examples,
            group=group,
        )
        return {"job": asdict(job)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Give the trial's seat back; its ending is recorded by the scheduler, which Tune tells first."""
        self.groups.leave(self.numbers[trial_id])
        self.leaving.running.discard(self.numbers[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class _Decisions(_Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Tune's scheduler: records events through the coordinator and hands on its decisions."""

    def __init__(self, proposals: _Proposals, mailbox: Any) -> None:
        super().__init__()
        self._coordinator, self._proposals = proposals.coordinator, proposals
        self._mailbox, self._leaving = mailbox, proposals.leaving
        self._pausing: set[int] = set()
        self.problem: Exception | None = None

    def look_after(self) -> None:
        """Follow signals and nodes."""
        self._leaving.check()
        if self._leaving.asked.is_set():
            return
        try:
            self._proposals.groups.mend()
        except UserError as problem:  # no device is left
            self._leaving.abandon(str(problem))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Record measurements; stop where the coordinator says so."""
        del tune_controller
        if self.problem is not None:
            return str(TrialScheduler.STOP)
        number = self._proposals.numbers[trial.trial_id]
        try:
            action = self._record(number, result["event"])
            if action == "pause":
                self._mailbox.pause.remote(number)
                self._pausing.add(number)
            if action != "stop":
                return str(TrialScheduler.CONTINUE)
            self._mailbox.cancel.remote(number)
            self._coordinator.stop(number)
        except Exception as problem:
            self._give_up(problem)
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Record the ending (Tune calls this in place of ``on_trial_result`` for a trial's last result)."""
        del tune_controller
        if self.problem is not None or result["event"].ending is None:
            return
        number = self._proposals.numbers[trial.trial_id]
        try:
            self._record(number, result["event"])
            self._end(number, result["event"].ending)
        except Exception as problem:
            self._give_up(problem)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Record the death of a trial's actor."""
        del tune_controller
        if self.problem is None:
            self._end(self._proposals.numbers[trial.trial_id], failed("its Tune actor died"))

    def _end(self, number: int, ending: Ending) -> None:
        """Record an ending. While leaving, a trial that was saved stays unfinished, and so does one that was killed."""
        paused = number in self._pausing
        self._pausing.discard(number)
        if ending.outcome is Outcome.PREEMPTED and not paused:
            self._leaving.saved.add(number)
        elif ending.outcome is not Outcome.FAILED or not self._leaving.asked.is_set():
            self._coordinator.end(number, ending)

    def _record(self, number: int, event: Event) -> Action:
        self._proposals.begun = True
        # All are recorded, whatever the first decides; the strongest decision holds.
        for measurement in event.measurements:
            self._leaving.heed(number, measurement)
        actions = [self._coordinator.measure(number, measurement) for measurement in event.measurements]
        return max(actions, key=ACTIONS.index, default="go on")

    def _give_up(self, problem: Exception) -> None:
        """Let every trial leave, so that Tune returns and the problem can be raised."""
        self.problem = problem
        self._proposals.over = True
