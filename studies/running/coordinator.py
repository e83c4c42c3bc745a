"""The one who decides: which trial comes next, whether a trial goes on, when the study is over.

It knows nothing of Ray. An engine asks it for trials and tells it of measurements and endings; each is in the ledger
before it is answered.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from largebatch.schedulers.trial.scheduler import GO_ON, Branch, Scheduler
from largebatch.search.searcher import Searcher
from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Origin, Outcome, Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.curves import RunningCurve, forget_curve, read_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.running.killed_pauses import killed_pauses
from largebatch.studies.running.proposals import Proposing
from largebatch.studies.running.steering import Steering

MAX_FAILURES = 3
"""So many failed trials in a row end a study: the task is broken, not the recipe."""
BUDGET_SPENT = "the study's budget is spent"


@dataclass(kw_only=True)
class Coordinator:
    """Owns the ledger and the curves of a running study.

    ``max_examples`` is where a trial gives up, ``checkpoint_bytes`` what one may need on disk; ``owner`` names this
    process in the ledger. ``seconds`` are of a step at the plan's worker counts, where the study needs them;
    ``devices_for`` a recipe is how many devices its trial takes.
    """

    study: Study
    target: Target
    max_examples: int
    ledger: Ledger
    curves: Path
    checkpoints: CheckpointStore
    searcher: Searcher
    scheduler: Scheduler
    steering: Steering
    seconds: StepSeconds | None
    devices_for: Callable[[Recipe], int]
    checkpoint_bytes: int
    owner: str
    owns: bool = True
    jobs: int = 1
    _requeued: list[Trial] = field(default_factory=list)
    _live: dict[int, RunningCurve] = field(default_factory=dict)
    _stopped: dict[int, str] = field(default_factory=dict)
    _at_once: dict[str, int] = field(default_factory=dict)
    _spent_examples: int = 0
    _counted: dict[int, int] = field(default_factory=dict)
    _problem: Exception | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        trials = self.trials()
        self.scheduler.rebuild(trials)
        if self.study.scheduler.name == "pbt":  # with no other do trials pause
            for trial in killed_pauses(trials, self.scheduler, self.checkpoints):
                self.ledger.pause(trial.number, trial.examples)
        self._requeued = [trial for trial in self.trials() if trial.running]
        for trial in self.trials():
            self._count(trial)
        self._began = time.monotonic()
        self._elapsed_before = self.ledger.elapsed_seconds()
        self._failures_in_row = 0
        self._proposing = Proposing(
            study=self.study, searcher=self.searcher, steering=self.steering, seconds=self.seconds
        )

    def trials(self) -> list[Trial]:
        """All trials so far."""
        with self._lock:
            return self.ledger.trials()

    @property
    def num_requeued(self) -> int:
        """Trials that an earlier driver left running and that wait to go on."""
        return len(self._requeued)

    def refuse_what_cannot_fit(self, num_running: int, job: str = "") -> None:
        """Refuse so many trials at once where the disk or the budget has no room for their checkpoints.

        Those of other jobs, by the name of each, are counted with them.

        Raises:
            UserError: with both figures.
        """
        with self._lock:
            at_once = self._at_once | {job: num_running}
            num_running = sum(at_once.values())
            if self.study.scheduler.name == "pbt":  # its trials pause, and keep their checkpoints meanwhile
                num_running = max(num_running, self.study.budget.trials or 0)
            self.checkpoints.refuse_what_cannot_fit(bytes_a_trial=self.checkpoint_bytes, num_running=num_running)
            self._at_once = at_once

    def give_up(self, problem: Exception) -> None:
        """Let the next call of this job's engine raise what another job's trials have met."""
        with self._lock:
            self._problem = self._problem or problem

    def _refuse_to_go_on(self) -> None:
        self.ledger.refuse_if_taken_over()
        if self._problem is not None:
            raise self._problem

    @property
    def elapsed_seconds(self) -> float:
        """How long the study has run, earlier sessions included."""
        return self._elapsed_before + time.monotonic() - self._began

    def _count(self, trial: Trial) -> None:
        """Add up what trials have trained: to walk through all of them at each measurement would take ever longer."""
        self._spent_examples += trial.own_examples - self._counted.get(trial.number, 0)
        self._counted[trial.number] = trial.own_examples

    @property
    def budget_spent(self) -> bool:
        """Whether the study's examples or minutes are used up."""
        budget = self.study.budget
        return (budget.examples is not None and self._spent_examples >= budget.examples) or (
            budget.minutes is not None and self.elapsed_seconds >= 60 * budget.minutes
        )

    @property
    def waits(self) -> bool:
        """Whether there may be a next trial once one of the running ones has ended or paused."""
        with self._lock:
            return bool(self._live or self._requeued) and not self.budget_spent

    @property
    def trains(self) -> bool:
        """Whether a trial runs, here or in another job."""
        with self._lock:
            self._refuse_to_go_on()
            return bool(self._live)

    def next_trial(self, job: str | None = None) -> Trial | None:
        """The trial to launch now: one that was left, else a new one, else a paused one; None where there is none.

        ``job`` is to have it, this one if not given.
        """
        with self._lock:
            self._refuse_to_go_on()
            if self.budget_spent:
                for paused in self.trials():
                    if paused.paused_at is not None:
                        self._stop_paused(paused.number, BUDGET_SPENT)
                return None
            if not self._requeued and (new := self._new_trial(job or self.owner)) is not None:
                return self._launch(new, resumes=False)
            if not self._requeued:
                self._requeued = self._unpaused()
            if not self._requeued:
                return None
            trial = self._requeued.pop(0)
            self.ledger.start_again(trial.number, job or self.owner)
            resumes = self.checkpoints.last(trial.number).exists()
            return self._launch(trial, resumes=resumes)

    def _new_trial(self, owner: str) -> Trial | None:
        proposed = self._proposing.propose(self.trials(), self.elapsed_seconds)
        if proposed is None:
            return None
        return self.ledger.create(
            self.study.space, proposed.recipe, num_devices=self.devices_for(proposed.recipe), owner=owner,
            why=proposed.why, repeat_of=proposed.repeat_of, request=proposed.request,
        )  # fmt: skip

    def _launch(self, trial: Trial, *, resumes: bool) -> Trial:
        if not resumes:
            forget_curve(self.curves, trial.number)
        self._live[trial.number] = self._curve(trial.number)
        return trial

    def _curve(self, number: int) -> RunningCurve:
        return RunningCurve(self.curves, number, read_curve(self.curves, number))

    def measure(self, number: int, measurement: Measurement) -> Action:
        """Record a measurement, then decide what the trial is to do.

        Raises:
            UserError: if the target is met before the first step.
        """
        with self._lock:
            self._refuse_to_go_on()
            value = measurement.values[self.target.metric]
            if measurement.step == 0 and self.target.reached(value):
                raise UserError(
                    f"target: {self.target} is met before training ({value:.4g} at step 0); choose a harder target"
                )
            self._live[number].add(measurement)
            self.ledger.measure(number, measurement, self.target.metric)
            if self.target.reached(value) or measurement.step == 0:
                return "go on"
            if number in self._stopped:
                return "stop"
            trial = self.ledger.trial(number)
            self._count(trial)
            decision = GO_ON
            # Repeats run to their end: to stop the unlucky ones would leave the lucky ones to be averaged.
            # What came before the last measurement was decided on.
            if trial.repeat_of is None and measurement.examples == trial.examples:
                decision = self.scheduler.decide(trial, self.ledger.trials())
            self.steering.poll()
            if (why := self.steering.stops(number)) is not None:
                self._stopped[number] = why
            elif decision.action == "stop":
                self._stopped[number] = decision.why
            elif self.budget_spent:
                self._stopped[number] = BUDGET_SPENT
            return "stop" if number in self._stopped else decision.action

    def end(self, number: int, ending: Ending) -> None:
        """Record how a trial ended, or that it left with its state saved.

        Raises:
            UserError: if ``MAX_FAILURES`` trials in a row have failed.
        """
        with self._lock:
            if ending.outcome is Outcome.PREEMPTED:
                self._live.pop(number).leave()
                self.ledger.pause(number, ending.examples)
                if number in self._stopped:
                    self._stop_paused(number, self._stopped[number])
                return
            if (curve := self._live.pop(number, None)) is not None:
                curve.end()
            self._stopped.pop(number, None)
            self.ledger.end(number, ending)
            self.ledger.set_elapsed_seconds(self.elapsed_seconds)
            self._count(self.ledger.trial(number))
            self.checkpoints.end(number, self.ledger.trials())
            self._failures_in_row = self._failures_in_row + 1 if ending.outcome is Outcome.FAILED else 0
            if self._failures_in_row >= MAX_FAILURES:
                raise UserError(f"{MAX_FAILURES} trials in a row failed; the last: {ending.reason}")

    def take_back(self, number: int, job: str) -> None:
        """Let a trial go on elsewhere, for the job that had it is gone; that is no failure of the trial."""
        with self._lock:
            self._at_once.pop(job, None)
            if number in self._stopped:
                self.stop(number)
            elif (curve := self._live.pop(number, None)) is not None:
                curve.leave()
                self._requeued.append(self.ledger.trial(number))

    def stop(self, number: int) -> None:
        """Record that a trial whose stop was decided has left."""
        with self._lock:
            last = self._live[number].measurements[-1]
            ending = Ending(
                outcome=Outcome.STOPPED, step=last.step, examples=last.examples, seconds=last.seconds,
                reason=self._stopped[number],
            )  # fmt: skip
            self.end(number, ending)

    def _unpaused(self) -> list[Trial]:
        """Paused trials that go on now, and the branches that take the place of those that do not.

        All are decided on the same record before any goes on and writes its checkpoint again. A driver that died on
        the way left some of it done; the others are then decided as they were.
        """
        trials = self.ledger.trials()
        paused = [trial for trial in trials if trial.paused_at is not None]
        decisions = [self.scheduler.decide(trial, trials) for trial in paused]
        going = []
        for trial, decision in zip(paused, decisions, strict=True):
            if decision.action == "go on" or (decision.branch and not self._saved(decision.branch.parent)):
                going.append(trial)
            elif decision.branch is not None:
                going += self._replace(trial, decision.branch, decision.why)
        return going

    def _saved(self, number: int) -> bool:
        return self.checkpoints.last(number).exists()

    def _replace(self, trial: Trial, branch: Branch, why: str) -> list[Trial]:
        """End a paused trial and return the branch in its place, unless a driver that died had begun that already."""
        trials = self.ledger.trials()
        parent = trials[branch.parent]
        assert parent.paused_at is not None
        begun = [one for one in trials if one.origin is not None and one.origin.replaces == trial.number]
        if begun:
            child = begun[0]
        else:
            self.checkpoints.branch(parent.number, len(trials), branch.recipe)
            origin = Origin(parent=parent.number, examples=parent.paused_at, replaces=trial.number)
            child = self.ledger.create(
                self.study.space, branch.recipe, num_devices=self.devices_for(branch.recipe), owner=self.owner,
                why=f"branches from trial {parent.number} in the place of trial {trial.number}", origin=origin,
            )  # fmt: skip
        self._stop_paused(trial.number, f"replaced by trial {child.number}: {why}")
        return [] if begun else [child]

    def _stop_paused(self, number: int, why: str) -> None:
        self._live[number], self._stopped[number] = self._curve(number), why
        self.stop(number)
