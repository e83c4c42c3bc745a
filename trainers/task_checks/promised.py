"""Whether a data set holds as many examples as it says: the study counts passes, warm-ups and evaluations by that."""

import time
from typing import Any

from torch.utils.data import Dataset

from largebatch.trainers.data.loader import seeded_item
from largebatch.trainers.data.streamed import Kept, Streamed, num_examples
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding

SECONDS = 3.0
"""At most for reading a stream."""


def check_promised(task: Task) -> Finding:
    """Training and validation data."""
    found, compared, outcomes, wrong = [], [], [], []
    for part, data in (("train_data", task.train_data), ("validation_data", task.validation_data)):
        passed, how, said = _promised(data)
        outcomes.append(passed)
        compared.append(f"{part} by {how}")
        found.append(f"{part} {said}")
        wrong += [part] if passed is False else []
    return Finding(
        name="the data hold as many examples as they say",
        passed=False if wrong else None if None in outcomes else True,
        compared="; ".join(compared),
        found="; ".join(found),
        way_out=f"let `__len__` of {' and '.join(wrong)} say what one pass yields" if wrong else "",
    )


def _promised(data: Dataset[Any]) -> tuple[bool | None, str, str]:
    """Whether it keeps its promise, how that was seen, and what was seen."""
    count = num_examples(data)
    if isinstance(data, Streamed):
        until = time.monotonic() + SECONDS
        read = data.num_yielded(count + 1, lambda: time.monotonic() > until)
        if read is None:
            return None, "reading it", f"says {count:,}, which takes more than {SECONDS:g} s to read"
        more = "more" if read > count else f"{read:,}"
        return read == count, "reading one pass", f"says {count:,} and yields {more}"
    if isinstance(data, Kept):
        promised = count if data.promised is None else data.promised
        return promised == count, "reading one pass", f"says {promised:,} and yields {count:,}"
    low, error = _first_missing(data, count)
    if error:
        return False, "reading its last item", f"says {count:,}, and item {low:,} is not there ({error})"
    return True, "reading its last item", f"says {count:,}, and the last is there"


def _first_missing(data: Dataset[Any], count: int) -> tuple[int, str]:
    """The first of the items at the end that cannot be read, by bisection, and why; no reason where all can."""
    error = _unreadable(data, count - 1)
    low, high = 0, count - 1
    while error and low < high:
        middle = (low + high) // 2
        if now := _unreadable(data, middle):
            high, error = middle, now
        else:
            low = middle + 1
    return high, error


def _unreadable(data: Dataset[Any], index: int) -> str:
    try:
        seeded_item(data, index, index)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
