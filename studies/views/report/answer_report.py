"""An answer as files: plan.json, the report, its figures and its summary."""

import json
from collections.abc import Mapping
from pathlib import Path

from largebatch.spaces.files import write_whole
from largebatch.spaces.trial import Measurement
from largebatch.studies.answer.answer import Answer, read_answer
from largebatch.studies.record.curves import read_curves
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.views.report.figures.every import Drawn, report_figures
from largebatch.studies.views.report.files.markdown import markdown_report
from largebatch.studies.views.report.page import write_report


def write_answer(directory: StudyDirectory) -> Answer:
    """Write plan.json (where there is a plan) and report.html."""
    answer = read_answer(directory)
    if answer.plan is not None:
        write_whole(directory.plan_file, json.dumps(answer.plan.to_json(), indent=1))
    write_answer_report(directory, answer, directory.report_file)
    return answer


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
