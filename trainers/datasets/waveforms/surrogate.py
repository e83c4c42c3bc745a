"""NRHybSur3dq8, the surrogate of numerical relativity that the paper's waveforms come from; the user has its file.

Reference: Varma et al. (2019), Phys. Rev. D 99, 064045, arXiv 1812.07865; the file is Zenodo record 3348115. Written
from gwsurrogate 1.2.0's interface and not run: the file could not be had where this was
developed.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.waveforms.parameters import check
from largebatch.trainers.datasets.waveforms.times import PAPER_TIMES, Times


class NRHybSur3dq8:
    """Amplitude and phase as ``Rom`` gives them, a waveform at a time on the CPU; for ``prepare``, not for training.

    Args:
        path: The user's ``NRHybSur3dq8.h5``.
        times: Where the waveforms are sampled; they include the merger.
    """

    name = "NRHybSur3dq8"

    def __init__(self, path: Path, times: Times = PAPER_TIMES) -> None:
        if path.name != "NRHybSur3dq8.h5" or not path.is_file():
            raise UserError(
                f"NRHybSur3dq8: the surrogate's file NRHybSur3dq8.h5 is needed; got {path}, which is not there or "
                f"has another name; download it from Zenodo, record 3348115, or take the reduced-order model"
            )
        try:
            import gwsurrogate
        except ImportError as error:
            raise UserError("NRHybSur3dq8: gwsurrogate is missing; pip install 'largebatch[gw]'") from error
        self.times = times
        self._surrogate = gwsurrogate.LoadSurrogate(str(path))

    def __call__(self, q: Tensor, s1: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude and phase, 0 at the merger, ``(N, T)`` each, of the parameters' device and precision."""
        check(q, s1, s2)
        times = self.times.values()
        waveforms = []
        for ratio, first, second in torch.stack([q, s1, s2], dim=1).tolist():
            _, modes, _ = self._surrogate(
                ratio, [0, 0, first], [0, 0, second], times=times, f_low=0, mode_list=[(2, 2)]
            )  # fmt: skip
            phase = -np.unwrap(np.angle(modes[2, 2]))
            waveforms.append((np.abs(modes[2, 2]), phase - np.interp(0.0, times, phase)))
        amplitude, phase = (torch.from_numpy(np.stack(values)).to(q) for values in zip(*waveforms, strict=True))
        return amplitude, phase
