"""How sure the answer is, and why: what was checked, what was repeated, what is only a bound, what was left out."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from largebatch.search.laws.law import Law
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan.finalists import Comparison, compare_finalists
from largebatch.search.plan.plan import Plan
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.best_trials import count, format_number, withheld_notes
from largebatch.studies.answer.law_text import link_words, verdict_words
from largebatch.studies.answer.trial_text import MARKS, outcome_words

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

_LAWS = {"steps": "Law of steps", "learning_rate": "Law of the learning rate", "step_seconds": "Law of a step's time"}


class Ground(NamedTuple):
    """One reason to trust the answer or not, and the law that it is about, where it is about one."""

    what: str
    found: str
    law: Law | StepTimeLaw | None = None


def grounds(trials: Sequence[Trial], laws: "FittedLaws | None", plan: Plan | None) -> list[Ground]:
    """What says how far to trust the answer, the laws first."""
    found = []
    if laws is not None:
        found += [
            Ground(title, _law_words(law), law)
            for title, law in zip(_LAWS.values(), (laws.steps, laws.learning_rate, laws.step_seconds), strict=True)
            if law is not None
        ]
        if laws.step_seconds is not None and laws.step_seconds.links:
            found.append(Ground("Interconnect", f"Measured: {link_words(laws.step_seconds.links)}."))
    if plan is not None:
        found += [Ground("Withheld", note) for note in withheld_notes(plan)]
    if laws is not None:
        found += critical_batch(laws)
        found += _luck(trials, laws)
    found += [Ground("Finalists in pairs", comparison_words(one)) for one in compare_finalists(trials)]
    found += _censored(trials)
    if laws is not None:
        found += _edges(laws)
        found += _left_out(trials, laws)
    return found


def _law_words(law: Law | StepTimeLaw) -> str:
    words = law.reason or verdict_words(law)
    return f"{words[:1].upper()}{words[1:]}."


def critical_batch(laws: "FittedLaws") -> list[Ground]:
    """The measured noise scale beside the fitted knee."""
    fitted, measured = laws.steps.parameters.get("B_crit"), laws.noise_scale
    parts = []
    if fitted is not None:
        low, high = laws.steps.interval["B_crit"]
        interval = f"{format_number(low)} to {format_number(high)}"
        parts.append(f"the steps of the trials say B_crit = {format_number(fitted)} examples ({interval})")
    if measured is not None:
        parts.append(f"the gradients' noise says B_simple = {format_number(measured)} examples near the target")
    if fitted is not None and measured is not None:
        ratio = max(fitted / measured, measured / fitted)
        parts.append(
            f"they differ by a factor of {format_number(ratio, 2)}, and where the theory holds by one of a few; the "
            "second is a prior of the first"
        )
    words = "; ".join(parts)
    return [Ground("Critical batch size", f"{words[0].upper()}{words[1:]}.")] if parts else []


def _luck(trials: Sequence[Trial], laws: "FittedLaws") -> list[Ground]:
    repeats = [trial for trial in trials if trial.repeat_of is not None]
    noise = laws.found.valley.noise
    words = f"The steps of one training scatter by {100 * math.expm1(noise):.0f} % (standard deviation)"
    if repeats:
        again = len({trial.repeat_of for trial in repeats})
        words += f"; {count(len(repeats), 'trial')} repeated {count(again, 'recipe')} with other seeds"
    return [Ground("Luck", f"{words}.")]


def _censored(trials: Sequence[Trial]) -> list[Ground]:
    """Trials that tell a bound or nothing."""
    missed = Counter(outcome_words(trial) for trial in trials if trial.ending is not None and not trial.reached)
    if not missed:
        return []
    kinds = "; ".join(f"{words}: {number:,}" for words, number in missed.most_common())
    words = (
        f"{sum(missed.values()):,} of {count(len(trials), 'trial')} ended before the target ({kinds}): each counts as "
        "having needed more steps than it had"
    )
    words += ", one that diverged as never reaching it." if MARKS[Outcome.DIVERGED].words in missed else "."
    return [Ground("Censored", words)]


def _edges(laws: "FittedLaws") -> list[Ground]:
    edges = [f"{o.global_batch_size} ({o.edge})" for o in laws.optima if o.reached and o.edge is not None]
    none = [f"{o.global_batch_size}" for o in laws.optima if not o.reached]
    found = []
    if edges:
        words = f"At batch size {', '.join(edges)} the best learning rate was the last that was tried on that side"
        found.append(Ground("On the edge", f"{words}: a better one may lie beyond."))
    if none:
        found.append(Ground("Never reached", f"At batch size {', '.join(none)} no trial reached the target."))
    return found


def _left_out(trials: Sequence[Trial], laws: "FittedLaws") -> list[Ground]:
    branches = sum(trial.origin is not None for trial in trials)
    ended = sum(trial.ending is not None and trial.origin is None for trial in trials)
    others = ended - len(laws.found.trials)
    parts = []
    if others:
        parts.append(f"{count(others, 'trial')} of other kinds than the best one, {laws.found.kind}")
    if branches:
        parts.append(f"{count(branches, 'trial')} that branched from others under another recipe")
    return [Ground("Left out of the laws", f"{' and '.join(parts)}.")] if parts else []


def comparison_words(found: Comparison) -> str:
    """A comparison of two finalists in a sentence."""
    low, high = format_number(found.low), format_number(found.high)
    interval = f"90 % interval {low} to {high}" if math.isfinite(found.high) else "one pair alone"
    return (
        f"Batch size {found.global_batch_size}: the recipe of trial {found.second} takes {format_number(found.ratio)} "
        f"times the steps of that of trial {found.first} ({interval}, {found.num_seeds} seeds in pairs)."
    )
