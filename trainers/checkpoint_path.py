"""Where the two files of a training lie. In a file of its own, for who only asks where must not wait for torch."""

from pathlib import Path


def best_path(last: Path) -> Path:
    """The best weights so far, beside ``last``, all that going on needs."""
    return last.with_suffix(f".best{last.suffix}")
