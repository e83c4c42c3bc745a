"""Where the files of a training lie. In a file of its own, for who only asks where must not wait for torch."""

from pathlib import Path


def best_path(last: Path) -> Path:
    """The best weights so far, beside ``last``, all that going on needs."""
    return last.with_suffix(f".best{last.suffix}")


def measured_path(last: Path) -> Path:
    """What was measured before ``last`` was saved, beside it: its record may lack some of that."""
    return last.with_suffix(".measured.jsonl")
