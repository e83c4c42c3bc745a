"""What guests of earlier owners left: a new owner writes it down, and takes their checkpoints, before it begins.

An owner may die while others train for it. They go on until their trials are saved, and still write down what they
measure: it is in their folders.
"""

from contextlib import suppress
from pathlib import Path

from largebatch.spaces.trial import Outcome
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.record.curves import RunningCurve, read_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.running.joining.job_folder import GuestFolder, move_checkpoints
from largebatch.studies.running.joining.messages import Answer, Ended, Measured, parse_answer, parse_ask


def settle(folder: Path, fence: int, ledger: Ledger, curves: Path, checkpoints: CheckpointStore, metric: str) -> None:
    """Take over from the guests of all owners before the one with ``fence``."""
    for owner in sorted(folder.iterdir()) if folder.exists() else []:
        if owner.name.isdecimal() and int(owner.name) < fence:
            for guest in sorted(path for path in owner.iterdir() if path.is_dir()):
                _settle_one(GuestFolder(guest), ledger, curves, checkpoints, metric)


def _settle_one(guest: GuestFolder, ledger: Ledger, curves: Path, checkpoints: CheckpointStore, metric: str) -> None:
    mine, answered = set(), 0
    with suppress(ValueError, OSError):  # nobody's message: what came before it counts
        for line in guest.answers.read_all():
            answer = parse_answer(line)
            if answer.refused is not None:
                return  # it was let go, and its trials were taken back then
            answered = answer.number
            mine |= {answer.trial.number} if answer.trial is not None else set()
    running = {trial.number for trial in ledger.trials() if trial.running} & mine
    measured = {number: RunningCurve(curves, number, read_curve(curves, number)) for number in running}
    for number in running:
        move_checkpoints(guest.checkpoints, checkpoints, number)
    with suppress(ValueError, OSError):
        for line in guest.asks.read_all():
            ask = parse_ask(line)
            if ask.number <= answered or not isinstance(ask, Measured | Ended) or ask.trial not in running:
                continue
            if isinstance(ask, Measured) and metric in ask.measurement.values:
                measured[ask.trial].add(ask.measurement)
                ledger.measure(ask.trial, ask.measurement, metric)
            elif isinstance(ask, Ended) and ask.ending.outcome is not Outcome.PREEMPTED:
                measured[ask.trial].end()
                ledger.end(ask.trial, ask.ending)
                running.discard(ask.trial)
                checkpoints.end(ask.trial, ledger.trials())
    for curve in measured.values():
        curve.leave()
    with suppress(OSError):
        guest.answers.append(Answer(number=0, refused="the study has another owner now"))
