"""From the record to the answer: laws, plan, report. Reads a study directory; writes plan.json and the report."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from largebatch.search.laws.fitting import FittedLaws, fit_laws
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.plan import Plan
from largebatch.search.planning import make_plan
from largebatch.search.repeats import best_trials
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.spaces.user_mistake import UserMistake
from largebatch.spaces.whole_file import write_whole
from largebatch.studies.record.curves import read_curve, read_curves
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.opening import read_ledger
from largebatch.studies.report.figures.every import Drawn, report_figures
from largebatch.studies.report.files.markdown import markdown_report
from largebatch.studies.report.page import write_report
from largebatch.studies.study import Study


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
    except UserMistake as mistake:
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


def write_answer_report(directory: StudyDirectory, answer: Answer, path: Path) -> None:
    """Write the HTML report of an answer."""
    write_report(
        path,
        study_name=answer.study.name,
        target=answer.target,
        trials=answer.trials,
        curves=_curves(directory, answer),
        laws=answer.laws,
        plan=answer.plan,
        facts=_facts(directory, answer),
        problem=answer.problem,
        profile=directory.profile(),
    )


def answer_figures(directory: StudyDirectory, answer: Answer) -> list[Drawn]:
    """The figures of the report."""
    curves = _curves(directory, answer)
    return report_figures(answer.target, answer.trials, curves, answer.laws, answer.plan, directory.profile())


def answer_markdown(directory: StudyDirectory, answer: Answer) -> str:
    """The report's summary for a README."""
    return markdown_report(
        study_name=answer.study.name,
        target=answer.target,
        trials=answer.trials,
        laws=answer.laws,
        plan=answer.plan,
        facts=_facts(directory, answer),
        problem=answer.problem,
    )


def _curves(directory: StudyDirectory, answer: Answer) -> Mapping[int, list[Measurement]]:
    return read_curves(directory.curves, [trial.number for trial in answer.trials])


def _facts(directory: StudyDirectory, answer: Answer) -> dict[str, str]:
    profile = directory.profile()
    device = {"device": profile.device} if profile is not None else {}
    return {**directory.provenance(), "target": str(answer.target), **device}


def write_answer(directory: StudyDirectory) -> Answer:
    """Write plan.json (where there is a plan) and report.html."""
    answer = read_answer(directory)
    if answer.plan is not None:
        write_whole(directory.plan_file, json.dumps(answer.plan.to_json(), indent=1))
    write_answer_report(directory, answer, directory.report_file)
    return answer
