"""Characterise black-hole mergers: mass ratio and spins from a gravitational wave, by a WaveNet.

Reference: Khan, Huerta, Das (2020), Phys. Lett. B 808, 135628, arXiv 2004.09524: model, labels, grids and loss.
We depart from it in the waveforms: IMRPhenomT's, computed on the training device, as NRHybSur3dq8's take the user's
file and a disk (``largebatch prepare gw``). They begin at -5,000 M, not at -10,000 M, and their step is 0.0506 M, not
0.1 M, so that they have as many samples and a step costs as much. The phase is 0 at the merger.
"""

import math
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import Dataset

from largebatch.spaces.target import Target
from largebatch.trainers.datasets.waveforms.detector import Detector
from largebatch.trainers.datasets.waveforms.overlap import Overlap
from largebatch.trainers.datasets.waveforms.parameters import TRAIN, VALIDATION, VALIDATION_SAMPLE
from largebatch.trainers.datasets.waveforms.rom import Rom
from largebatch.trainers.datasets.waveforms.shards import Shards, shard_times
from largebatch.trainers.datasets.waveforms.times import LONG_TIMES, ROM_TIMES
from largebatch.trainers.datasets.waveforms.waveforms import Waveforms
from largebatch.trainers.task import Metric, Task


def gw_small(
    *,
    signal_to_noise: float = math.inf,
    whiten: bool = False,
    missing_fraction: float = 0.0,
    scaled_targets: bool = True,
) -> Task:
    """11,638 training waveforms of 128 samples, 4 M apart, and 512 for validation; six blocks of width 8.

    The target, a mean overlap of 0.96, takes some ten seconds on a core with a good recipe; it is for clean
    waveforms and scaled labels.

    Args:
        signal_to_noise: Optimal ratio of every example's noise, new in every epoch; infinite for none.
        whiten: Divide spectra by the noise's root.
        missing_fraction: Share of the samples, in one stretch, that are zero.
        scaled_targets: Learn labels between -1 and 1, where S_eff and q do not outweigh the others.
    """
    times = ROM_TIMES.last(128, stride=2)
    rom = Rom(times)
    detector = Detector(
        step=times.step, signal_to_noise=signal_to_noise, whiten=whiten, missing_fraction=missing_fraction
    )
    return Task(
        model=_small_wavenet,
        train_data=Waveforms(TRAIN.every(q=4, spin=6), rom, scaled_targets=scaled_targets),
        validation_data=Waveforms(VALIDATION.every(q=6, spin=9), rom, detector=detector, scaled_targets=scaled_targets),
        loss=loss,
        metrics={"val_overlap": Metric(mean=Overlap(rom=rom, scaled_targets=scaled_targets), low=0.0, high=1.0)},
        target=Target(metric="val_overlap", above=0.96),
        max_examples=250_000,
        evaluation_examples=2_048,
        augment=None if detector.changes_nothing else detector,
    )


def gw(
    *,
    shards: str | None = None,
    signal_to_noise: float = math.inf,
    whiten: bool = False,
    missing_fraction: float = 0.0,
    scaled_targets: bool = False,
) -> Task:
    """1,580,128 training waveforms of 101,300 samples, 7,260 for validation; the paper's model and loss.

    The target, a mean overlap of 0.99 on the times of the reduced-order model, is ours. A pass of 16 waveforms takes
    some 35 GB.

    Args:
        shards: A folder that ``largebatch prepare gw`` has filled, to train on it instead.
        signal_to_noise: Optimal ratio of every example's noise, new in every epoch; infinite for none.
        whiten: Divide spectra by the noise's root.
        missing_fraction: Share of the samples, in one stretch, that are zero.
        scaled_targets: Learn labels between -1 and 1, where S_eff and q do not outweigh the others.
    """
    times = LONG_TIMES if shards is None else shard_times(Path(shards))
    detector = Detector(
        step=times.step, signal_to_noise=signal_to_noise, whiten=whiten, missing_fraction=missing_fraction
    )
    train: Dataset[Any]
    validation: Dataset[Any]
    if shards is None:
        rom = Rom(times)
        train = Waveforms(TRAIN, rom, scaled_targets=scaled_targets)
        validation = Waveforms(VALIDATION_SAMPLE, rom, detector=detector, scaled_targets=scaled_targets)
    else:
        train = Shards(Path(shards), "train", scaled_targets=scaled_targets)
        validation = Shards(Path(shards), "validation", detector=detector, scaled_targets=scaled_targets)
    return Task(
        model=_wavenet,
        train_data=train,
        validation_data=validation,
        loss=loss,
        metrics={"val_overlap": Metric(mean=Overlap(rom=Rom(), scaled_targets=scaled_targets), low=0.0, high=1.0)},
        target=Target(metric="val_overlap", above=0.99),
        max_examples=100 * len(TRAIN),
        evaluation_examples=len(TRAIN) // 4,
        micro_batch_size=16,
        augment=None if detector.changes_nothing else detector,
    )


def _wavenet() -> nn.Module:
    from largebatch.trainers.models.wavenet import WaveNet

    return WaveNet()


def _small_wavenet() -> nn.Module:
    from largebatch.trainers.models.wavenet import WaveNet

    return WaveNet(width=8, dilations=(1, 2, 4, 8, 16, 32), last_samples=64, head_width=64, norm_momentum=0.1)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean square error of q and that of the other four labels, added up."""
    return mse_loss(outputs[:, :1], targets[:, :1]) + mse_loss(outputs[:, 1:], targets[:, 1:])
