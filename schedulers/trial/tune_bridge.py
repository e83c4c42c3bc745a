"""A trial of ours as Tune's schedulers are told of it. Knows nothing of Ray."""

import math
from typing import NamedTuple

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

WORST = 1e300
"""In the place of what is not finite: Tune takes medians and percentiles, and leaves infinite values out of them."""


class TuneTrial(NamedTuple):
    """What Tune asks of a trial; equal trials are one trial to it."""

    trial_id: str


def tune_trial(trial: Trial) -> TuneTrial:
    """The trial under its number."""
    return TuneTrial(str(trial.number))


def tune_result(trial: Trial, examples: int, target: Target) -> dict[str, float]:
    """One of its measurements, smaller is better."""
    return {"examples": examples, "value": signed_value(trial, examples, target)}


def signed_value(trial: Trial, examples: int, target: Target) -> float:
    """The target's metric after ``examples``, smaller is better and always finite."""
    value = target.sign * trial.intermediate[examples]
    return value if math.isfinite(value) else WORST
