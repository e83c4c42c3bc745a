"""An MLflow tracking server or database: an experiment for each study, a run for each trial."""

import time
from collections.abc import Sequence
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Measurement, Outcome, Trial
from largebatch.studies.exchange.loggers.follow import numbers

_TAG_STUDY, _TAG_TRIAL = "largebatch.study", "largebatch.trial"
_MAX_METRICS = 1000
"""That MLflow takes in one call."""
_STATUS = {Outcome.FAILED: "FAILED", Outcome.STOPPED: "KILLED"}
"""All others are FINISHED; the tag ``outcome`` tells them apart."""


class MlflowSink:
    """Writes to the tracking server at ``uri``. Of a resumed study the ended trials there are left as they are."""

    def __init__(self, uri: str, study_name: str, fingerprint: str) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise UserError("--mlflow needs MLflow: pip install 'largebatch[mlflow]'") from None
        try:
            self._client: Any = MlflowClient(tracking_uri=uri)
        except Exception as error:  # MLflow's own, or that of the database behind it
            raise UserError(f"--mlflow {uri}: {error}") from error
        self._name, self._study = study_name, fingerprint
        self._experiment: str | None = None
        self._runs: dict[int, str] = {}
        self._done: set[int] = set()
        self._began = time.time()

    def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        """Metrics by step."""
        if self._experiment is None:
            self._experiment = self._open()
        if trial.number in self._done:
            return
        run = self._runs.get(trial.number) or self._start(trial)
        metrics = [
            self._metric(name, value, measurement)
            for measurement in measurements
            for name, value in numbers(measurement).items()
        ]
        for start in range(0, len(metrics), _MAX_METRICS):
            self._client.log_batch(run, metrics=metrics[start : start + _MAX_METRICS])
        if trial.ending is not None:
            if trial.steps_to_target is not None:
                self._client.log_metric(run, "steps_to_target", trial.steps_to_target)
            self._client.set_tag(run, "outcome", trial.ending.outcome.value)
            self._client.set_terminated(run, _STATUS.get(trial.ending.outcome, "FINISHED"))

    def close(self) -> None:
        """Every call was answered already."""

    def _open(self) -> str:
        """The experiment; runs there that an earlier session left unfinished are deleted, for they are sent anew."""
        found = self._client.get_experiment_by_name(self._name)
        experiment: str = found.experiment_id if found is not None else self._client.create_experiment(self._name)
        own = f"tags.`{_TAG_STUDY}` = '{self._study}'"
        token = None
        while True:
            page = self._client.search_runs([experiment], filter_string=own, page_token=token)
            for run in page:
                if run.info.status == "RUNNING":
                    self._client.delete_run(run.info.run_id)
                else:
                    self._done.add(int(run.data.tags[_TAG_TRIAL]))
            token = page.token
            if not token:
                return experiment

    def _start(self, trial: Trial) -> str:
        from mlflow.entities import Param

        tags = {_TAG_STUDY: self._study, _TAG_TRIAL: str(trial.number), "why": trial.why}
        run = self._client.create_run(self._experiment, run_name=f"trial {trial.number}", tags=tags)
        self._runs[trial.number] = run.info.run_id
        given = {name: value for name, value in trial.recipe.model_dump().items() if value is not None}
        self._client.log_batch(run.info.run_id, params=[Param(name, str(value)) for name, value in given.items()])
        identity: str = run.info.run_id
        return identity

    def _metric(self, name: str, value: float, measurement: Measurement) -> Any:
        from mlflow.entities import Metric

        return Metric(name, value, int(1000 * (self._began + measurement.seconds)), measurement.step)
