"""What one check of this machine found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``measured`` says what was seen; ``mend`` is the line that mends it, empty where all is well.

    A *problem* will make studies fail here, or make them wrong; a *warning* will under conditions that it names.
    """

    name: str
    level: Literal["ok", "warning", "problem"]
    measured: str
    mend: str = ""


def ok(name: str, measured: str) -> Finding:
    """Nothing to mend."""
    return Finding(name=name, level="ok", measured=measured)


def warning(name: str, measured: str, mend: str) -> Finding:
    """It may fail."""
    return Finding(name=name, level="warning", measured=measured, mend=mend)


def problem(name: str, measured: str, mend: str) -> Finding:
    """It will fail."""
    return Finding(name=name, level="problem", measured=measured, mend=mend)
