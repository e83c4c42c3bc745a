"""When the training loss has risen so far that the training counts as diverged.

A loss may have any sign: a log-likelihood, a cosine. So the bound is no multiple of the first loss but lies above it by
nine times the loss's scale, which is the largest of three sizes: of the first loss, of the untrained model's on the
validation set (the first is that of one batch, and may be zero by luck), and of how far the loss fell below the first.
A loss that is never negative cannot fall by more than its size: the bound is then ten times the first loss, or the
untrained model's where that is larger. Where all three are zero there is no scale, and no finite loss has diverged.
"""

import math

SCALES_ABOVE = 9.0


def has_diverged(mean: float, *, first: float, untrained: float, lowest: float) -> bool:
    """Whether the mean loss since the last evaluation says so.

    ``first`` is the loss of the first step, ``untrained`` the validation loss before it (NaN if not known), ``lowest``
    that of the best step so far.
    """
    sizes = (abs(first), abs(untrained), first - lowest)
    scale = max((size for size in sizes if math.isfinite(size)), default=0.0)
    return not math.isfinite(mean) or (scale > 0 and mean > first + SCALES_ABOVE * scale)
