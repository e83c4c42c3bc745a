"""The page of ``benchmark``: the answer, the rows, and the source paper's figures with our points in them."""

import html
from pathlib import Path

from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.answer.law_text import law_html
from largebatch.studies.answer.scaling.published import RESNET_HAL, PaperCurve, paper_curves
from largebatch.studies.answer.scaling.scaling import Scaling
from largebatch.studies.answer.scaling.words import percent, scaling_notes, scaling_sentence, scaling_table
from largebatch.studies.views.report.figures.axes import positive
from largebatch.studies.views.report.figures.workers import workers_figure
from largebatch.studies.views.report.scaling_figure import scaling_figure
from largebatch.studies.views.report.shell import HINT, figure_html, page_html, write_page
from largebatch.studies.views.report.tables import facts_html

_PAPER = "Huerta et al. (2020), Journal of Big Data 7:88"


def write_scaling_page(path: Path, scaling: Scaling) -> None:
    """Write the page to ``path``, whole or not at all."""
    task, curves = html.escape(scaling.task), paper_curves(scaling.task)
    lead = "How much faster more workers train, measured here and predicted beyond"
    beside = f", beside what {_PAPER}, reports of {curves[0].model}" if curves else ""
    sections = [
        f'<section class="answer"><p>{html.escape(scaling_sentence(scaling))}</p></section>',
        _rows(scaling),
        HINT,
        *([_paper_table(scaling, curves), *(_paper_figure(scaling, curve) for curve in curves)] if curves else ()),
        *(() if curves else (_own_figure(scaling),)),
        _target(scaling),
        f"<section><h2>The law of a step's time</h2>{law_html(scaling.law, 'Step time')}</section>",
        f"<section><h2>Where the numbers come from</h2>{facts_html(_facts(scaling))}</section>",
    ]
    header = f'<h1>{task}: scaling</h1><p class="lead">{lead}{html.escape(beside)}.</p>'
    write_page(path, page_html(f"{task}: scaling", header, "\n".join(sections)))


def _rows(scaling: Scaling) -> str:
    table = scaling_table(scaling)
    head = "".join(f"<th{_side(name)} scope=col>{html.escape(name)}</th>" for name in table.columns)
    rows = []
    for first, *middle, basis in table.rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in middle)
        badge = f'<span class="badge {basis}">{basis}</span>'
        rows.append(f'<tr><th scope=row>{first}</th>{cells}<td class="words">{badge}</td></tr>')
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in scaling_notes(scaling))
    return f"""<section class="plan"><h2>Measured and predicted</h2><div class="scroll" tabindex="0">
<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>
<p class="note">A <b>worker</b> is one device like the one that was timed ({html.escape(scaling.device)}).
<span class="badge measured">measured</span> rows were clocked on so many real devices, all training together; their
intervals are the quartiles of the repeats. <span class="badge predicted">predicted</span> rows come from the law below,
with 90 % intervals.</p><ul class="note">{notes}</ul></section>"""


def _side(name: str) -> str:
    return " class=words" if name == "basis" else ""


def _paper_table(scaling: Scaling, curves: tuple[PaperCurve, ...]) -> str:
    names = ("system", "V100 GPUs", "one GPU", "all GPUs", "speed-up", "efficiency", "ours on as many", "90 % interval")
    head = "".join(f"<th{' class=words' if name == 'system' else ''}>{name}</th>" for name in names)
    rows = []
    for curve in curves:
        told = scaling.predict_speedup([curve.num_gpus])
        bound = "≤ " if curve.at_most else ""
        alone = f"{format_number(curve.hours_alone)} h{' (HAL)' if curve.borrowed else ''}"
        cells = (
            *(f"{curve.num_gpus:,}", alone, curve.told_hours),
            *(f"{bound}{format_number(curve.speedup)}", f"{bound}{percent(curve.efficiency)}"),
            format_number(float(told.value[0])),
            f"{format_number(float(told.low[0]))} to {format_number(float(told.high[0]))}",
        )
        inner = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><td class="words">{curve.system}: {curve.machine}</td>{inner}</tr>')
    return f"""<section><h2>What the paper reports of {curves[0].model}</h2><div class="scroll" tabindex="0">
<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>
<p class="note">The paper's speed-ups are of whole trainings on its own machines. Ours are of examples a second on
devices like the one here, as if a larger batch took no more epochs: the two columns say how two machines scale, not
which is better.</p></section>"""


def _paper_figure(scaling: Scaling, curve: PaperCurve) -> str:
    return figure_html(
        curve.key,
        f"{curve.model}: ours beside {curve.system}",
        f"{_ours_words(scaling)} {_paper_words(curve)} They are different machines: compare the shapes, and each with "
        "its own ideal.",
        scaling_figure(scaling, curve),
        "",
    )


def _own_figure(scaling: Scaling) -> str:
    return figure_html(
        "scaling",
        "What more workers bring",
        f"{_ours_words(scaling)} The dotted line is ideal: as many times as fast as there are workers.",
        scaling_figure(scaling, None),
        "",
    )


def _ours_words(scaling: Scaling) -> str:
    counts = [row.num_workers for row in scaling.rows if row.measured]
    measured = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return (
        f"Blue and black are ours: the task {scaling.task} on {scaling.device}, {scaling.local_batch_size} examples a "
        f"worker in {scaling.execution.precision}, measured with {measured} "
        f"worker{'s' if counts[-1] > 1 else ''} and predicted beyond."
    )


def _paper_words(curve: PaperCurve) -> str:
    words = (
        f"Red is the paper's: {curve.model} in full size on V100s of {curve.system} ({curve.machine}), whole trainings"
    )
    if curve.borrowed:
        words += "; its one GPU is one of HAL"
    if curve.at_most:
        words += "; its time is told as just over an hour, so the point is an upper bound"
    if curve is RESNET_HAL:
        words += ". Green is an independent ResNet-50 curve of images a second on the same kind of cluster"
    return f"{words}."


def _target(scaling: Scaling) -> str:
    plan = scaling.plan
    if plan is None or not positive(row.seconds_to_target for row in plan.rows):
        return ""
    return figure_html(
        "workers",
        "Time to target",
        f"Time to {plan.target}, and below it the share of the workers' effort that shortens the training, by the "
        f"study {plan.study}: at the best batch size for each number of workers. Here a larger batch may take more "
        "epochs.",
        workers_figure(plan),
        "",
    )


def _facts(scaling: Scaling) -> dict[str, str]:
    execution = scaling.execution
    source = {"paper": f"{_PAPER}, doi:10.1186/s40537-020-00361-2"} if paper_curves(scaling.task) else {}
    return {
        "task": scaling.task,
        "device": scaling.device,
        "examples a worker and step": f"{scaling.local_batch_size}",
        "examples of an epoch": f"{scaling.num_examples:,}",
        "execution": f"{execution.precision}, {execution.memory_format}, compile: {execution.compile}",
        **source,
    }
