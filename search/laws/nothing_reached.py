"""Why no law can be fitted: how the trials ended, and what to change, which follows from that."""

import math
from collections import Counter
from collections.abc import Sequence

from largebatch.spaces.trial import Outcome, Trial

_WORDS = {
    Outcome.EXHAUSTED: "used up {} examples",
    Outcome.STOPPED: "stopped early",
    Outcome.DIVERGED: "diverged",
    Outcome.FAILED: "failed",
}


def nothing_reached(ended: Sequence[Trial]) -> str:
    """What is said where none of the trials that ended reached the target."""
    if not ended:
        return "no trial has ended yet; let the study run on"
    outcomes = Counter(trial.ending.outcome for trial in ended if trial.ending is not None)
    counted = ", ".join(
        f"{outcomes[outcome]} {words.format('its' if outcomes[outcome] == 1 else 'their')}"
        for outcome, words in _WORDS.items()
        if outcomes[outcome]
    )
    return f"none of {len(ended)} trials reached the target: {counted}{_seen(ended)}{_failure(ended)}; {_advice(ended)}"


def _seen(ended: Sequence[Trial]) -> str:
    """The target's metric at the end of what was trained."""
    lasts = [trial.intermediate[max(trial.intermediate)] for trial in _trained(ended)]
    if not lasts:
        return ""
    finite = [value for value in lasts if math.isfinite(value)]
    if not finite:
        return "; at their ends the metric was not finite"
    return f"; at their ends the metric lay between {min(finite):.4g} and {max(finite):.4g}"


def _failure(ended: Sequence[Trial]) -> str:
    """The last reason of those that failed."""
    reasons = [trial.ending.reason for trial in _of(ended, Outcome.FAILED) if trial.ending is not None]
    return f"; the last failure: {reasons[-1]}" if reasons else ""


def _advice(ended: Sequence[Trial]) -> str:
    """What to change: of the target and the space nothing is known where nothing was trained."""
    advice = []
    if _of(ended, Outcome.FAILED):
        advice.append("fix what made trials fail (`largebatch check` tries the study's task in seconds)")
    if _of(ended, Outcome.DIVERGED):
        advice.append("search lower learning rates, or a longer warm-up")
    if stuck := [trial for trial in _of(ended, Outcome.EXHAUSTED) if not _steps(trial)]:
        sizes = sorted({trial.recipe.global_batch_size for trial in stuck})
        advice.append(
            f"raise budget.examples_per_trial, of which batch {', '.join(map(str, sizes))} could not take a single step"
        )
    trained = [trial for trial in _of(ended, Outcome.EXHAUSTED) if _steps(trial)]
    values = [trial.intermediate[max(trial.intermediate)] for trial in _trained(trained)]
    if values and not any(map(math.isfinite, values)):
        advice.append("look for a log or a division of zero in the metric")
    elif trained:
        advice.append("choose an easier target, a wider range of learning rates, or more budget.examples_per_trial")
    if _of(ended, Outcome.STOPPED) and not trained:
        advice.append("let trials run longer: a larger scheduler.grace_examples, or scheduler: {name: none}")
    return "; ".join(advice)


def _of(ended: Sequence[Trial], outcome: Outcome) -> list[Trial]:
    return [trial for trial in ended if trial.ending is not None and trial.ending.outcome is outcome]


def _trained(ended: Sequence[Trial]) -> list[Trial]:
    """Those measured after a step."""
    return [trial for trial in ended if max(trial.intermediate, default=0) > 0]


def _steps(trial: Trial) -> int:
    return trial.ending.step if trial.ending is not None else 0
