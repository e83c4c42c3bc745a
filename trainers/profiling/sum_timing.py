"""Timing of bare sums over the processes of this group: within a node, between nodes, and over all.

Within: the workers of a node, all nodes at once, as in a step. Between: one worker of each node, so that nothing but
the network is on the way.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from largebatch.spaces.step_times import AllReduceTime
from largebatch.trainers.profiling.repeats import REPEATS, repeated_seconds

ALL_REDUCE_BYTES = (4, 65_536, 1_048_576, 8_388_608)


def ranks_of_nodes(node: int, device: torch.device) -> list[list[int]]:
    """The ranks on each node; every process calls it with a number that is its node's own."""
    mine = torch.tensor([node], device=device)
    gathered = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, mine)
    nodes: dict[int, list[int]] = {}
    for rank, its in enumerate(gathered):
        nodes.setdefault(int(its.item()), []).append(rank)
    return list(nodes.values())


def time_sums(nodes: Sequence[Sequence[int]], num_bytes: int, device: torch.device) -> tuple[AllReduceTime, ...]:
    """Sums of several sizes, that of a step (``num_bytes``) among them; every process has the same answer."""
    sizes = sorted({*ALL_REDUCE_BYTES, num_bytes})
    per_node, everybody = max(map(len, nodes)), dist.get_world_size()
    sums = _timed(None, everybody, per_node, sizes, device)
    if len(nodes) > 1 and per_node > 1:
        fullest = max(range(len(nodes)), key=lambda index: len(nodes[index]))
        groups = [dist.new_group(list(ranks)) for ranks in nodes]
        own = next(index for index, ranks in enumerate(nodes) if dist.get_rank() in ranks)
        within = _timed(groups[own], len(nodes[own]), len(nodes[own]), sizes, device)
        sums += _told_by(nodes[fullest][0], within, per_node, per_node, sizes, device)
        firsts = [ranks[0] for ranks in nodes]
        group = dist.new_group(firsts)
        between = _timed(group, len(nodes), 1, sizes, device) if dist.get_rank() in firsts else ()
        sums += _told_by(firsts[0], between, len(nodes), 1, sizes, device)
    return sums


def _timed(
    group: Any, num_workers: int, per_node: int, sizes: Sequence[int], device: torch.device
) -> tuple[AllReduceTime, ...]:
    found = []
    for size in sizes if num_workers > 1 else ():
        values = torch.zeros(size // 4, device=device)
        seconds = repeated_seconds(lambda values=values: dist.all_reduce(values, group=group), device, group)  # type: ignore[misc]
        found.append(AllReduceTime(num_workers=num_workers, num_bytes=size, seconds=seconds, workers_per_node=per_node))
    return tuple(found)


def _told_by(
    rank: int, found: Sequence[AllReduceTime], num_workers: int, per_node: int, sizes: Sequence[int],
    device: torch.device,
) -> tuple[AllReduceTime, ...]:  # fmt: skip
    """What the process of that rank timed, at every process."""
    seconds = torch.zeros(len(sizes), REPEATS, dtype=torch.float64, device=device)
    if dist.get_rank() == rank:
        seconds += torch.tensor([time.seconds for time in found], dtype=torch.float64, device=device)
    dist.broadcast(seconds, src=rank)
    return tuple(
        AllReduceTime(num_workers=num_workers, num_bytes=size, seconds=tuple(repeats), workers_per_node=per_node)
        for size, repeats in zip(sizes, seconds.tolist(), strict=True)
    )
