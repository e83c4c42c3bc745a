"""TensorBoard event files: a folder for each trial, every measured value against the step, recipes as HPARAMS."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.exchange.loggers.follow import numbers


class TensorBoardSink:
    """Writes below ``folder``. A resumed study is written anew there: TensorBoard then drops what it had before."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UserError("--tensorboard needs tensorboardX: pip install 'largebatch[tensorboard]'") from None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be made: {error.strerror}; choose another --tensorboard") from error
        self._folder = folder
        self._new: Any = SummaryWriter
        self._writers: dict[int, Any] = {}
        self._began = time.time()

    def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        """Scalars by step; their time is that of training, so that TensorBoard's relative axis shows it."""
        writer = self._writers.get(trial.number)
        if writer is None:
            writer = self._new(str(self._folder / f"trial-{trial.number:06d}"), purge_step=0)
            self._writers[trial.number] = writer
        for measurement in measurements:
            moment = self._began + measurement.seconds
            for name, value in numbers(measurement).items():
                writer.add_scalar(name, value, measurement.step, walltime=moment)
        if trial.ending is not None:
            given = {name: value for name, value in trial.recipe.model_dump().items() if value is not None}
            known = {name: v if isinstance(v, bool | int | float | str) else str(v) for name, v in given.items()}
            steps = trial.steps_to_target
            writer.add_hparams(known, {} if steps is None else {"steps_to_target": steps}, name="recipe")
            self._writers.pop(trial.number).close()
        else:
            writer.flush()

    def close(self) -> None:
        """Close the files of the trials that have not ended."""
        for writer in self._writers.values():
            writer.close()
