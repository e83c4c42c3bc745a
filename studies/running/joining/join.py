"""``run --join``: what a job does whose study another job owns."""

import sys
import time
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory, refuse_another_study
from largebatch.studies.record.lease.lease import POLL_SECONDS, StudyLocked, versions, wait_until_free
from largebatch.studies.record.lease.lease_monitor import Holder, LeaseWatch
from largebatch.studies.record.open_ledger import read_ledger
from largebatch.studies.running.interruption import Leaving


def owner_to_join(watch: LeaseWatch, study: Study) -> Holder | None:
    """Who owns the study; None where nobody does.

    Raises:
        UserError: if this job may not serve it with its owner, and with the difference.
    """
    if not watch.directory.is_dir():
        return None
    try:
        wait_until_free(watch)
        return None
    except StudyLocked:
        holder = watch.look()
    directory = StudyDirectory(watch.directory)
    if directory.study_file.exists():
        refuse_another_study(directory, study)
    if holder is not None:
        for name, mine in versions().items():
            if (theirs := holder.versions.get(name, mine)) != mine:
                raise UserError(
                    f"{watch.directory} is in use by {holder} with {name} {theirs}; this job has {mine}, and all jobs "
                    f"of a study must have the same: use that one, or choose another --out"
                )
    return holder


def is_answered(watch: LeaseWatch, study: Study, budget_trials: int | None) -> bool:
    """Whether the last owner did all that there was to do, and this job is asked for no more."""
    directory = StudyDirectory(watch.directory)
    if not (watch.finished and directory.report_file.exists()):
        return False
    trials = [trial for trial in read_ledger(directory, study).trials() if trial.origin is None]
    return len(trials) >= (budget_trials or len(trials))


def is_begun(directory: StudyDirectory, watch: LeaseWatch, fence: int) -> bool:
    """Wait until the owner with this ``fence`` has begun the record; False where it went before."""
    while not (directory.study_file.exists() and directory.begun):
        holder = watch.look()
        if holder is None or holder.fence != fence:
            return False
        time.sleep(POLL_SECONDS)
    return watch.fence == fence


def wait_for_the_end(watch: LeaseWatch, fence: int, leaving: Leaving) -> None:
    """Wait until the owner with this ``fence`` is gone: it may die before it has written the answer."""
    while (holder := watch.look()) is not None and holder.fence == fence:
        leaving.check()
        time.sleep(POLL_SECONDS)


def tell_joining(directory: Path, holder: Holder) -> None:
    """Say whose study it is."""
    print(f"{directory} is in use by {holder}: this job's devices train for it", file=sys.stderr, flush=True)
