"""The axis of one dimension of a recipe, on the scale on which it is searched."""

import math
from collections.abc import Sequence

from largebatch.spaces.domain import Choice, Domain
from largebatch.studies.views.report.figures.axes import Figure, log_axis

WIDE = 30.0
"""Listed numbers that span more than this factor get a log axis."""
_TITLES = {"global_batch_size": "global batch size (examples a step)", "learning_rate": "learning rate"}


def dimension_title(name: str) -> str:
    """How a dimension is called on an axis, with its unit where it has one."""
    return _TITLES.get(name, name.replace("_", " "))


def dimension_axis(name: str, domain: Domain | None, values: Sequence[object]) -> Figure:
    """The axis for ``values`` of a dimension: log where it is searched so, else linear, or names in order."""
    title = dimension_title(name)
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if isinstance(domain, Choice):
        listed = [v for v in domain.choices if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(listed) < len(domain.choices):
            order = [str(value) for value in domain.choices]
            return {"type": "category", "title": {"text": title}, "categoryorder": "array", "categoryarray": order}
        is_log = min(listed) > 0 and max(listed) / min(listed) > WIDE
        ends = [float(v) for v in listed]
    else:
        is_log = name == "global_batch_size" or (domain is not None and domain.scale in ("log", "log2"))
        ends = [domain.low, domain.high] if domain is not None else []
    if is_log or name == "global_batch_size":
        return log_axis([*numbers, *ends], title, binary=name == "global_batch_size")
    return {"title": {"text": title}}


def positions(axis: Figure, values: Sequence[object]) -> list[object]:
    """``values`` as an axis of that kind takes them."""
    if axis.get("type") == "category":
        return [str(value) for value in values]
    return [value if isinstance(value, int | float) and math.isfinite(value) else None for value in values]
