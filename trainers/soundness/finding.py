"""What one check of a task found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``found`` says what was seen, in numbers where there are some; ``way_out`` what to do where it failed."""

    name: str
    passed: bool
    found: str
    way_out: str = ""
