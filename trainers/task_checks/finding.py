"""What one check of a task found."""

from dataclasses import asdict, dataclass
from typing import Any

OUTCOMES = {True: "passed", False: "failed", None: "not compared"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of ``check``: ``passed`` is None where nothing was compared, which proves nothing.

    ``compared`` says what was compared with what, the limits of the proof; ``found`` what was seen, in numbers where
    there are some, or why nothing was compared; ``way_out`` what to do where it failed.
    """

    name: str
    passed: bool | None
    found: str
    compared: str = ""
    way_out: str = ""

    @property
    def outcome(self) -> str:
        """``passed``, ``failed`` or ``not compared``."""
        return OUTCOMES[self.passed]

    def to_json(self) -> dict[str, Any]:
        """As plain values; ``passed`` is null where nothing was compared."""
        return {**asdict(self), "outcome": self.outcome}
