"""A fitted law in words: formula, parameters with their intervals, verdict and reason, as HTML."""

import html

from largebatch.search.laws.law import Law
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.studies.report.answer import format_number

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


def law_html(law: Law | StepTimeLaw, title: str) -> str:
    """A box with all that a reader needs to judge the law."""
    verdict = _VERDICTS.get(law.verdict, law.verdict)
    reason = f" {html.escape(law.reason)}" if law.reason else ""
    formula = _FORMULAS.get(law.name, "") if law.parameters else ""
    return f"""<div class="law"><h3>{html.escape(title)}: {html.escape(law.name)}
<span class="badge {html.escape(law.verdict)}">{html.escape(verdict)}</span></h3>
{f'<p class="formula">{html.escape(formula)}</p>' if formula else ""}
{f"<p>{reason}</p>" if reason else ""}{_parameters(law)}</div>"""


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
