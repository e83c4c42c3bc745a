"""One past study as a row: its settings and its answer, read without fitting anything again."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.os_fault import os_fault
from largebatch.spaces.printable import printable
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory, later_version_told
from largebatch.studies.record.lease.lease_monitor import EXPIRY_SECONDS, LeaseWatch, lease_path
from largebatch.studies.record.open_ledger import follow_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStudy:
    """What ``history`` tells of a study, and what ``--where`` may ask for.

    ``num_workers`` is the largest worker count that was asked for. ``global_batch_size`` to ``seconds`` are the plan's
    for ``knee`` workers, beyond which more stop paying; None where there is no plan.
    """

    name: str
    directory: str
    created: str
    """Date, time and zone, as in 2026-11-28 23:05:00 +0000."""
    state: str
    """``finished`` with a plan, ``no plan``, ``running``, or ``unfinished``."""
    task: str
    target: str
    optimizer: str
    """All that were searched, with commas."""
    searcher: str
    scheduler: str
    num_trials: int
    num_reached: int
    examples: int
    """Trained by all trials that ended."""
    num_workers: int
    knee: int | None = None
    global_batch_size: int | None = None
    learning_rate: float | None = None
    steps: float | None = None
    seconds: float | None = None
    seconds_one_worker: float | None = None
    speedup: float | None = None
    device: str | None = None
    version: str | None = None
    """Of largebatch."""


def read_past_study(path: Path) -> PastStudy:
    """The study in ``path``.

    Raises:
        UserError: that says what is damaged.
    """
    directory = StudyDirectory.existing(path)
    try:
        with later_version_told(path):
            study, facts = directory.study(), directory.provenance()
            target = study.target or Target.model_validate_json(facts["target"])
            trials = _trials(directory, study)
            answer = _answer(json.loads(directory.plan_file.read_text())) if directory.plan_file.exists() else {}
            profile = directory.profile()
            state = _state(directory, trials)
    except UserError:
        raise
    except OSError as error:
        raise os_fault(error, path) from error
    except Exception as error:  # whatever a damaged file brings about; the other studies are listed all the same
        said = str(error).splitlines()[0] if str(error) else "no reason given"
        raise UserError(f"{path} is damaged ({type(error).__name__}: {said:.200})") from error
    return PastStudy(
        name=study.name,
        directory=printable(str(path)),
        created=facts.get("created", ""),
        state=state,
        task=study.task,
        target=str(target),
        optimizer=_optimizers(study),
        searcher=study.search.name,
        scheduler=study.scheduler.name,
        num_trials=len(trials),
        num_reached=sum(trial.reached for trial in trials),
        examples=sum(trial.ending.examples for trial in trials if trial.ending is not None),
        num_workers=max(study.workers),
        device=None if profile is None else profile.device,
        version=facts.get("largebatch"),
        **answer,
    )


def _trials(directory: StudyDirectory, study: Study) -> list[Trial]:
    reader = follow_ledger(directory, study)
    for _ in reader.read():
        pass
    return reader.trials()


def _answer(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What plan.json says for the knee, or else for the fastest worker count."""
    rows = {row["num_workers"]: row for row in plan["rows"]}
    knee = plan["knee"]["num_workers"]
    row = rows[knee if knee in rows else plan["choices"]["fastest"]]
    return {
        "knee": knee,
        "global_batch_size": row["global_batch_size"],
        "learning_rate": row["recipe"]["learning_rate"],
        "steps": row["steps"],
        "seconds": row["seconds_to_target"],
        "seconds_one_worker": rows[1]["seconds_to_target"] if 1 in rows else None,
        "speedup": row["speedup"],
    }


def _state(directory: StudyDirectory, trials: list[Trial]) -> str:
    """A lease that is renewed means that somebody runs it; a report is written when a run has come to its end."""
    holder = LeaseWatch(directory.path).look()
    if holder is not None:
        # Of another machine's process one look alone cannot tell, but the time of its last renewal nearly does.
        renewed = lease_path(directory.path, holder.fence).stat().st_mtime
        if holder.lives or time.time() - renewed < EXPIRY_SECONDS:
            return "running"
    if not directory.report_file.exists() or any(trial.running or trial.paused_at is not None for trial in trials):
        return "unfinished"
    return "finished" if directory.plan_file.exists() else "no plan"


def _optimizers(study: Study) -> str:
    domain = study.to_dict()["space"].get("optimizer", Recipe.model_fields["optimizer"].default)
    return ", ".join(domain["choices"]) if isinstance(domain, dict) else str(domain)
