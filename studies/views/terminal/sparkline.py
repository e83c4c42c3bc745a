"""A row of numbers as a row of bars, one character each, on a logarithmic scale."""

import math
from collections.abc import Sequence

BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-:=+*#"
"""From low to high; the plain ones where the output has no others."""
_GAP = " "


def sparkline(values: Sequence[float | None], low: float, high: float, encoding: str = "utf-8") -> str:
    """The ``values`` between ``low`` and ``high``, all positive; a gap where there is none."""
    bars = BARS if encoding.lower().startswith("utf") else PLAIN_BARS
    width = math.log(high / low) if high > low else 1.0
    return "".join(
        bars[round(min(max(math.log(value / low) / width, 0.0), 1.0) * (len(bars) - 1))]
        if value is not None and math.isfinite(value) and value > 0
        else _GAP
        for value in values
    )
