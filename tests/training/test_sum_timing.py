"""Sums timed within a node and between nodes: the processes are real, and which node each is on is said to them."""

from pathlib import Path
from typing import Any

import torch

from largebatch.spaces.execution import Execution
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.trainers.profiling.step_timing import profile_steps

from .problems import problem, recipe
from .processes import in_processes

CPU = torch.device("cpu")
NODES = (7, 7, 5)
"""Two workers on one node, one on another."""


def profile(rank: int, num_processes: int, folder: Path) -> Any:
    del num_processes, folder
    node = NODES[rank]
    found = profile_steps("least-squares", problem(), recipe(), [4], CPU, Execution(), node)
    return found.model_dump_json()


def test_sums_within_a_node_and_between_nodes_are_told_apart(tmp_path: Path) -> None:
    profiles = [StepTimeProfile.model_validate_json(text) for text in in_processes(profile, 3, tmp_path)]
    found = profiles[0]
    assert [(time.num_workers, time.workers_per_node) for time in found.steps] == [(3, 2)]
    groups = {(time.num_workers, time.workers_per_node) for time in found.all_reduce}
    assert groups == {(3, 2), (2, 2), (2, 1)}, "over all, within a node, between nodes"
    for group in groups:
        sizes = [time.num_bytes for time in found.all_reduce if (time.num_workers, time.workers_per_node) == group]
        assert sizes[0] == 4
        assert found.num_bytes in sizes, "a gradient's own size is among them"
    within = [[time for time in each.all_reduce if time.workers_per_node == 2] for each in profiles]
    assert [t for t in within[2] if t.num_workers == 2] == [t for t in within[0] if t.num_workers == 2], (
        "a worker alone on its node tells what the others timed"
    )


def test_workers_of_one_node_are_timed_once(tmp_path: Path) -> None:
    found = StepTimeProfile.model_validate_json(in_processes(profile, 2, tmp_path)[0])
    assert {(time.num_workers, time.workers_per_node) for time in found.all_reduce} == {(2, 2)}
    sizes = [time.num_bytes for time in found.all_reduce]
    assert sizes == sorted(set(sizes))
