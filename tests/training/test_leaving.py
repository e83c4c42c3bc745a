"""Two real processes leave a training together, whatever ends it, and none waits in a collective for the other."""

import os
import signal
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Outcome
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.training import Training

from .problems import problem
from .processes import in_processes

CPU = torch.device("cpu")
ENDS = ("target", "early stop", "divergence", "limit", "preemption of rank 1")


def train(case: str, rank: int, folder: Path) -> Ending:
    """Only what rank 0 (or, told by a signal, rank 1) knows ends the training."""
    told: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: told.append(True))
    target = Target(metric="val_loss", below=1.0 if case == "target" else 1e-9)
    recipe = Recipe(
        global_batch_size=32, norm_batch_size=4, learning_rate=1e6 if case == "divergence" else 0.1, momentum=0.0,
        weight_averaging="none",
    )  # fmt: skip
    limit = 3_200 if case == "limit" else 100_000

    def on_measurement(measurement: Measurement) -> Action:
        if case == "preemption of rank 1" and rank == 0 and measurement.step >= 30 and not (folder / "sent").exists():
            (folder / "sent").touch()
            os.kill(int((folder / "pid-1").read_text()), signal.SIGUSR1)
        return "stop" if case == "early stop" and measurement.step >= 50 else "go on"

    training = Training(problem(), recipe, max_examples=limit, device=CPU, leaving=lambda: bool(told))
    return run_to_target(training, target, on_measurement=on_measurement, checkpoint=folder / "last.pt")


def train_cases(rank: int, num_processes: int, folder: Path) -> dict[str, dict[str, object]]:
    endings: dict[str, dict[str, object]] = {}
    for case in ENDS:
        own = folder / case
        own.mkdir(exist_ok=True)
        (own / f"pid-{rank}").write_text(str(os.getpid()))
        dist.barrier()
        ending = train(case, rank, own)
        endings[case] = {"outcome": ending.outcome.value, "step": ending.step}
        dist.barrier()
    return endings


@pytest.mark.slow
def test_both_ranks_leave_after_the_same_step(tmp_path: Path) -> None:
    first, second = in_processes(train_cases, 2, tmp_path)
    assert first == second
    assert {case: end["outcome"] for case, end in first.items()} == {
        "target": Outcome.REACHED,
        "early stop": Outcome.STOPPED,
        "divergence": Outcome.DIVERGED,
        "limit": Outcome.EXHAUSTED,
        "preemption of rank 1": Outcome.PREEMPTED,
    }
    assert first["limit"]["step"] == 100
    assert first["early stop"]["step"] == 50
    assert (tmp_path / "preemption of rank 1" / "last.pt").exists()


def interrupted(
    folder: Path, after_steps: int, measured: list[int] | None = None, recorded_examples: int = 10**6,
    stops_at: int | None = None,
) -> tuple[Training, Ending]:  # fmt: skip
    """A training that is told to leave in the middle of an interval between evaluations.

    The steps that it measures after are added to ``measured``; it is told to stop when it tells of step ``stops_at``.
    """
    steps_measured: list[int] = [] if measured is None else measured
    recipe = Recipe(
        global_batch_size=32, norm_batch_size=4, learning_rate=0.05, weight_averaging="ema", optimizer="adam"
    )
    training = Training(problem(), recipe, max_examples=1_600, device=CPU)
    steps = iter(range(after_steps, 0, -1))
    training._leaving = lambda: next(steps, 0) == 1
    target = Target(metric="val_loss", below=1e-9)
    checkpoint = folder / "last.pt"

    def on_measurement(measurement: Measurement) -> Action:
        steps_measured.append(measurement.step)
        return "stop" if measurement.step == stops_at else "go on"

    return training, run_to_target(
        training, target, on_measurement=on_measurement, checkpoint=checkpoint, recorded_examples=recorded_examples
    )


@pytest.mark.parametrize("after_steps", [1, 7, 10, 23, 50])
def test_told_to_leave_at_any_step_and_resumed_is_bit_identical(after_steps: int, tmp_path: Path) -> None:
    at_once: list[int] = []
    in_parts: list[int] = []
    whole, ending = interrupted(tmp_path / "whole", 10**6, at_once)
    assert ending.outcome is Outcome.EXHAUSTED
    _, ending = interrupted(tmp_path / "parts", after_steps, in_parts)
    assert (ending.outcome, ending.step) == (Outcome.PREEMPTED, after_steps)
    resumed, ending = interrupted(tmp_path / "parts", 10**6, in_parts)
    assert (ending.outcome, ending.step) == (Outcome.EXHAUSTED, 50)
    assert in_parts == at_once  # the last one too, where all steps were taken before it left
    left, right = whole.state(), resumed.state()
    for part in ("model", "average"):
        assert all(torch.equal(left[part][name], right[part][name]) for name in left[part])
    assert torch.equal(left["noise"]["raw"], right["noise"]["raw"])


def resume(rank: int, num_processes: int, folder: Path) -> dict[str, torch.Tensor]:
    training, _ = interrupted(folder / "parts", 10**6)
    return training.model.state_dict()


@pytest.mark.slow
def test_resuming_on_another_number_of_processes(tmp_path: Path) -> None:
    whole, _ = interrupted(tmp_path / "whole", 10**6)
    interrupted(tmp_path / "parts", 13)
    for state in in_processes(resume, 2, tmp_path):
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, whole.model.state_dict()[name], rtol=0, atol=1e-5)


def test_what_the_record_lacks_is_told_again_from_the_checkpoint(tmp_path: Path) -> None:
    measured: list[int] = []
    interrupted(tmp_path, 33, measured)
    assert measured == [0, 10, 20, 30]
    for recorded, lacking in ((-1, [0, 10, 20, 30]), (0, [10, 20, 30]), (640, [30]), (960, [])):
        told: list[int] = []
        interrupted(tmp_path, 1, told, recorded_examples=recorded)
        assert told == lacking
    told = []
    _, ending = interrupted(tmp_path, 10**6, told, recorded_examples=0, stops_at=20)
    assert told == [10, 20]
    assert ending.outcome is Outcome.STOPPED
