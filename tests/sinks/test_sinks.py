"""Others' tools: what they are sent while a study runs, and that none of them can harm it."""

import math
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Measurement, Outcome, Trial
from largebatch.studies.exchange.loggers import follow as follow_module
from largebatch.studies.exchange.loggers.follow import follow
from largebatch.studies.exchange.loggers.mlflow_runs import MlflowSink
from largebatch.studies.exchange.loggers.tensorboard_files import TensorBoardSink


class Study:
    """A record that grows, as the coordinator and the curves of a running study."""

    def __init__(self) -> None:
        self.curves: dict[int, list[Measurement]] = {}
        self.endings: dict[int, Ending] = {}

    def measure(self, number: int, step: int, value: float = 0.5) -> None:
        values = {"val_loss": value, "noise_scale": math.nan}
        point = Measurement(step=step, examples=64 * step, seconds=0.1 * step, values=values)
        self.curves.setdefault(number, []).append(point)

    def end(self, number: int, outcome: Outcome = Outcome.REACHED) -> None:
        last = self.curves[number][-1]
        self.endings[number] = Ending(
            outcome=outcome, step=last.step, examples=last.examples, seconds=last.seconds,
            steps_to_target=9.5 if outcome is Outcome.REACHED else None,
        )  # fmt: skip

    def trials(self) -> list[Trial]:
        return [
            Trial(
                number=number, recipe=Recipe(global_batch_size=64, learning_rate=0.1 * (number + 1)), num_devices=1,
                running=number not in self.endings, intermediate={}, ending=self.endings.get(number), why="to see",
            )
            for number in self.curves
        ]  # fmt: skip

    def curve(self, number: int) -> list[Measurement]:
        return list(self.curves[number])


class Seen:
    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.closed = False

    def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        self.steps += [(trial.number, one.step) for one in measurements]
        self.ended += [trial.number] if trial.ending is not None else []

    def close(self) -> None:
        self.closed = True


class Broken(Seen):
    def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        raise ConnectionError("no such host")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(follow_module, "PERIOD_SECONDS", 0.01)
    study = Study()
    for step in (0, 5, 10):
        study.measure(0, step)
    study.end(0)
    study.measure(1, 0)
    return study


def wait_for(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


@contextmanager
def following(study: Study, told: list[str], **sinks: Any) -> Iterator[None]:
    with follow(sinks, study.trials, study.curve, told.append):
        yield


def test_each_measurement_and_each_end_is_sent_once(study: Study) -> None:
    seen, told = Seen(), list[str]()
    with following(study, told, seen=seen):
        wait_for(lambda: (1, 0) in seen.steps)
        study.measure(1, 5)
        wait_for(lambda: (1, 5) in seen.steps)
        study.measure(1, 10)
        study.end(1)
    assert seen.steps == [(0, 0), (0, 5), (0, 10), (1, 0), (1, 5), (1, 10)]
    assert seen.ended == [0, 1]
    assert seen.closed
    assert told == []


def test_a_sink_that_fails_is_told_of_once_and_harms_nothing(study: Study) -> None:
    seen, told = Seen(), list[str]()
    with following(study, told, broken=Broken(), seen=seen):
        wait_for(lambda: len(seen.steps) == 4)
        study.measure(1, 5)
    assert len(seen.steps) == 5
    assert told == ["broken: ConnectionError: no such host; nothing more is sent there, the study goes on"]


def test_a_sink_that_never_answers_does_not_hold_the_study(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "LAST_SECONDS", 0.05)
    answer, told = threading.Event(), list[str]()

    class Hanging(Seen):
        def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
            answer.wait(60)

    with following(study, told, hanging=Hanging()):
        pass
    answer.set()
    assert len(told) == 1
    assert "no answer" in told[0]


def events(folder: Path) -> list[Any]:
    """The events of TensorBoard's files: each record is its length, a checksum, the event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.glob("events.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += length + 16
    return found


def test_tensorboard(study: Study, tmp_path: Path) -> None:
    told = list[str]()
    with following(study, told, tensorboard=TensorBoardSink(tmp_path / "board")):
        study.measure(1, 7, value=0.25)
    assert told == []
    points = [
        (event.step, value.tag, value.simple_value)
        for event in events(tmp_path / "board" / "trial-000001")
        for value in event.summary.value
    ]
    assert points == [(0, "examples", 0), (0, "val_loss", 0.5), (7, "examples", 448), (7, "val_loss", 0.25)]
    assert any(event.HasField("session_log") for event in events(tmp_path / "board" / "trial-000001"))
    assert events(tmp_path / "board" / "trial-000000" / "recipe")


@pytest.mark.filterwarnings("ignore")  # MLflow's own use of its database library
def test_mlflow_and_a_resumed_study(study: Study, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri, told = f"sqlite:///{tmp_path / 'mlflow.db'}", list[str]()
    with following(study, told, mlflow=MlflowSink(uri, "small", "abc")):
        pass
    study.measure(1, 5)
    study.end(1, Outcome.STOPPED)
    with following(study, told, mlflow=MlflowSink(uri, "small", "abc")):
        pass
    assert told == []
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)
    assert [(run.info.run_name, run.info.status) for run in runs] == [("trial 0", "FINISHED"), ("trial 1", "KILLED")]
    assert runs[0].data.params["learning_rate"] == "0.1"
    assert runs[0].data.metrics["steps_to_target"] == 9.5
    assert [point.step for point in client.get_metric_history(runs[1].info.run_id, "val_loss")] == [0, 5]


def test_where_nothing_can_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another --tensorboard"):
        TensorBoardSink(tmp_path / "file" / "board")
    with pytest.raises(UserError, match="--mlflow ftp://nowhere"):
        MlflowSink("ftp://nowhere", "small", "abc")
