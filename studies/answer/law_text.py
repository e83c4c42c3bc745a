"""A fitted law in words: formula, parameters with their intervals, verdict and reason, as HTML."""

import html
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from largebatch.search.laws.law import Law
from largebatch.search.laws.step_time.links import WITHIN, Link
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.studies.answer.best_trials import format_number

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

_FORMULAS = {
    "hyperbola": "steps = S_min (1 + B_crit / batch)",
    "power law": "steps = S_min (1 + (B_crit / batch)^power)",
    "knee": "steps = S_min (1 + (B_crit / batch)^sharpness)^(1 / sharpness)",
    "minimum": "steps = S_min (1 + B_crit / batch + B_crit B_low / batch^2 + batch / B_high)",
    "saturating": "learning rate = lr_max / (1 + B_noise / batch)",
    "saturating power": "learning rate = lr_max / (1 + (B_noise / batch)^power)",
    "power": "learning rate = lr_one batch^power",
    "surge": "learning rate = 2 lr_max / (sqrt(B_noise / batch) + sqrt(batch / B_noise))",
}
"""What the parameters mean together; a law with another name is told by its name and reason alone."""

_VERDICTS = {
    "ok": "the law fits",
    "flat": "no trend to fit: flat within the noise",
    "no-law": "no law: nothing is predicted from it",
}
_GENERAL = "not measured with several devices: known from machines in general"
_MISSED = "no law: the formula misses the measured times"
"""A step-time law without a verdict predicts nonetheless, from its priors or as widely as it misses."""


def verdict_words(law: Law | StepTimeLaw) -> str:
    """What the verdict means."""
    if isinstance(law, StepTimeLaw) and law.verdict == "no-law":
        return _MISSED if law.synchronised else _GENERAL
    return _VERDICTS.get(law.verdict, law.verdict)


def badge_html(law: Law | StepTimeLaw | None) -> str:
    """The verdict in its colour, and nothing where there is no law."""
    if law is None:
        return ""
    return f'<span class="badge {html.escape(law.verdict)}">{html.escape(verdict_words(law))}</span> '


def law_html(law: Law | StepTimeLaw, title: str) -> str:
    """A box with all that a reader needs to judge the law."""
    reason = f" {html.escape(law.reason)}" if law.reason else ""
    formula = _FORMULAS.get(law.name, "") if law.parameters else ""
    measured = link_words(law.links) if isinstance(law, StepTimeLaw) else ""
    links = f"<p>Measured: {html.escape(measured)}.</p>" if measured else ""
    return f"""<div class="law"><h3>{html.escape(title)}: {html.escape(law.name)}
{badge_html(law)}</h3>
{f'<p class="formula">{html.escape(formula)}</p>' if formula else ""}
{f"<p>{reason}</p>" if reason else ""}{links}{_parameters(law)}</div>"""


def link_words(links: Sequence[Link]) -> str:
    """What joins devices, as it was measured; nothing where nothing was."""
    told = []
    for link in links:
        speed = "" if link.bytes_per_second is None else f", {format_number(link.bytes_per_second / 1e9, 2)} GB/s"
        over = f"{link.num_workers} {'workers' if link.where == WITHIN else 'nodes, one worker each'}"
        told.append(f"{link.where} {format_number(1e6 * link.latency_seconds, 2)} µs a message{speed} ({over})")
    return "; ".join(told)


def rates_html(laws: "FittedLaws") -> str:
    """The law, how far one may miss it, and the laws of what else was varied."""
    reached = [optimum for optimum in laws.optima if optimum.reached]
    below = statistics.median(optimum.learning_rate / optimum.tolerated_low for optimum in reached)
    above = statistics.median(optimum.tolerated_high / optimum.learning_rate for optimum in reached)
    care = (
        f"<p>A learning rate up to {format_number(below, 2)} times too low or {format_number(above, 2)} times too high "
        "costs less than 10 % more steps (median over batch sizes; each one's range is in its hover text).</p>"
    )
    others = "".join(law_html(law, name.replace("_", " ").capitalize()) for name, law in laws.others.items())
    return law_html(laws.learning_rate, "Learning rate") + care + others


def _parameters(law: Law | StepTimeLaw) -> str:
    if not law.parameters:
        return ""
    interval = law.interval
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(name)}</th><td>{format_number(value)}</td>"
        f"<td>{format_number(interval[name][0])} to {format_number(interval[name][1])}</td></tr>"
        for name, value in law.parameters.items()
    )
    head = "<tr><th class='words'>parameter</th><th>best</th><th>90 % interval</th></tr>"
    return f"<div class='scroll'><table class='numbers'><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
