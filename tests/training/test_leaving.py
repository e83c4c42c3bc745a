"""Two real processes leave a training together, whatever ends it, and none waits in a collective for the other."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Outcome
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.training import Training

from .problems import problem

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


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    endings = {}
    for case in ENDS:
        own = Path(folder) / case
        own.mkdir(exist_ok=True)
        (own / f"pid-{rank}").write_text(str(os.getpid()))
        dist.barrier()
        ending = train(case, rank, own)
        endings[case] = {"outcome": ending.outcome.value, "step": ending.step}
        dist.barrier()
    torch.save(endings, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_both_ranks_leave_after_the_same_step(tmp_path: Path) -> None:
    context = mp.spawn(worker, args=(str(tmp_path),), nprocs=2, join=False)
    deadline = time.monotonic() + 120
    while not context.join(timeout=5):
        if time.monotonic() > deadline:
            for process in context.processes:
                process.kill()
            pytest.fail("a rank hangs")
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
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


def interrupted(folder: Path, after_steps: int) -> tuple[Training, Ending]:
    """A training that is told to leave in the middle of an interval between evaluations."""
    recipe = Recipe(
        global_batch_size=32, norm_batch_size=4, learning_rate=0.05, weight_averaging="ema", optimizer="adam"
    )
    training = Training(problem(), recipe, max_examples=1_600, device=CPU)
    steps = iter(range(after_steps, 0, -1))
    training._leaving = lambda: next(steps, 0) == 1
    target = Target(metric="val_loss", below=1e-9)
    checkpoint = folder / "last.pt"
    return training, run_to_target(training, target, on_measurement=lambda _: "go on", checkpoint=checkpoint)


@pytest.mark.parametrize("after_steps", [1, 7, 10, 23])
def test_told_to_leave_at_any_step_and_resumed_is_bit_identical(after_steps: int, tmp_path: Path) -> None:
    whole, ending = interrupted(tmp_path / "whole", 10**6)
    assert ending.outcome is Outcome.EXHAUSTED
    _, ending = interrupted(tmp_path / "parts", after_steps)
    assert (ending.outcome, ending.step) == (Outcome.PREEMPTED, after_steps)
    resumed, ending = interrupted(tmp_path / "parts", 10**6)
    assert (ending.outcome, ending.step) == (Outcome.EXHAUSTED, 50)
    left, right = whole.state(), resumed.state()
    for part in ("model", "average"):
        assert all(torch.equal(left[part][name], right[part][name]) for name in left[part])
    assert torch.equal(left["noise"]["raw"], right["noise"]["raw"])


def resume_on_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    training, _ = interrupted(Path(folder) / "parts", 10**6)
    torch.save(training.model.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_resuming_on_another_number_of_processes(tmp_path: Path) -> None:
    whole, _ = interrupted(tmp_path / "whole", 10**6)
    interrupted(tmp_path / "parts", 13)
    mp.spawn(resume_on_two, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        for name, tensor in torch.load(tmp_path / f"{rank}.pt", weights_only=True).items():
            torch.testing.assert_close(tensor, whole.model.state_dict()[name], rtol=0, atol=1e-5)
