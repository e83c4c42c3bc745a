"""How well scores rank two classes: the area under the ROC curve with an interval.

Reference: DeLong, DeLong, Clarke-Pearson (1988), doi:10.2307/2531595, for the variance; the interval is symmetric in
the logit, so that it stays within 0 and 1, Pepe (2003), The statistical evaluation of medical tests, section 5.2.
"""

import math
from statistics import NormalDist

from torch import Tensor


def auc_interval(scores: Tensor, labels: Tensor, level: float = 0.95) -> tuple[float, float, float]:
    """The area and the bounds of its interval; ``scores`` and ``labels`` (0 or 1) have shape ``(n,)``.

    Each class needs two examples. A perfect ranking has no variance: its interval has no width and means nothing.
    """
    positive, negative = scores[labels == 1].double(), scores[labels == 0].double()
    wins_PN = (positive[:, None] > negative).double() + (positive[:, None] == negative).double() / 2
    area = wins_PN.mean().item()
    variance = sum((wins_PN.mean(1 - axis).var() / wins_PN.shape[axis]).item() for axis in (0, 1))
    if not 0 < area < 1:
        return area, area, area
    logit = math.log(area / (1 - area))
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-bound)) for bound in (logit - half, logit + half))
    return area, low, high
