"""The sinks that a user chose, beside what shows the progress of a run."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from largebatch.studies.exchange.loggers.follow import Sink, follow
from largebatch.studies.question.study import Study
from largebatch.studies.question.study_file import fingerprint
from largebatch.studies.record.curve_reader import CurveReader
from largebatch.studies.running.trial_source import Decider, Watch


def chosen_sinks(study: Study, directory: Path, tensorboard: Path | None, mlflow: str | None) -> dict[str, Sink]:
    """By the option that chose each.

    Raises:
        UserError: if a package is missing or a folder cannot be made.
    """
    sinks: dict[str, Sink] = {}
    if tensorboard is not None:
        from largebatch.studies.exchange.loggers.tensorboard_files import TensorBoardSink

        sinks["--tensorboard"] = TensorBoardSink(tensorboard)
    if mlflow is not None:
        from largebatch.studies.exchange.loggers.mlflow_runs import MlflowSink

        # The directory too: two runs of one study are two sets of trials.
        sinks["--mlflow"] = MlflowSink(mlflow, study.name, f"{fingerprint(study)} {os.path.realpath(directory)}")
    return sinks


def watched(watch: Watch, sinks: Mapping[str, Sink]) -> Watch:
    """``watch``, with the sinks kept up to date meanwhile, by the job that owns the record alone."""

    @contextmanager
    def both(coordinator: Decider) -> Iterator[None]:
        def tell(words: str) -> None:
            print(f"largebatch: {words}", file=sys.stderr)

        mine, curves = sinks if coordinator.owns else {}, CurveReader(coordinator.curves)
        with watch(coordinator), follow(mine, coordinator.trials, curves.measurements, tell):
            yield

    return both
