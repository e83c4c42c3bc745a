"""From the record to the answer: laws and plan."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from largebatch.search.laws.fit_laws import FittedLaws, fit_laws
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.plan.finalists import best_trials
from largebatch.search.plan.make_plan import make_plan
from largebatch.search.plan.plan import Plan
from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.open_ledger import read_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the record says. ``problem`` says in a sentence why there is no plan, where there is none."""

    study: Study
    target: Target
    trials: Sequence[Trial]
    laws: FittedLaws | None
    plan: Plan | None
    problem: str | None
    requests: Sequence[Mapping[str, Any]] = ()
    """What people asked of the study while it ran, in the order of asking."""


def read_answer(
    directory: StudyDirectory,
    *,
    workers: Sequence[int] | None = None,
    device_hour_cost: float | None = None,
    seconds_allowed: float | None = None,
    network: Network | None = None,
) -> Answer:
    """Fit the laws to the record and make the plan, for other worker counts than the study's if given."""
    study = directory.study()
    target = directory.target()
    ledger = read_ledger(directory, study)
    trials = ledger.trials()
    profile = directory.profile()
    laws, plan, problem = None, None, None
    try:
        steady = [trial for trial in trials if trial.origin is None]  # a branch's recipe changed on its way
        scales = measured_noise_scales(directory, steady)
        laws = fit_laws(steady, profile, noise_scales=scales, network=network)
        plan = make_plan(
            study=study.name,
            target=str(target),
            trials=steady,
            laws=laws,
            workers=workers or study.workers,
            profile=profile,
            device_hour_cost=device_hour_cost,
            seconds_allowed=seconds_allowed,
        )
    except UserError as mistake:
        problem = str(mistake)
    return Answer(
        study=study, target=target, trials=trials, laws=laws, plan=plan, problem=problem,
        requests=list(ledger.requests().values()),
    )  # fmt: skip


def measured_noise_scales(directory: StudyDirectory, trials: Sequence[Trial]) -> dict[int, float]:
    """The gradient noise scale, in examples, that the best trial of each batch size measured last; by number.

    For optimizers that scale each gradient, that of the scaled gradients. Trials that could not measure it are absent.
    """
    found: dict[int, float] = {}
    for trial in best_trials(trials).values():
        for measurement in read_curve(directory.curves, trial.number):
            values = measurement.values
            scale = values.get("scaled_noise_scale", values.get("noise_scale", math.nan))
            if math.isfinite(scale) and scale > 0:
                found[trial.number] = scale
    return found
