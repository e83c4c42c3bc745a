"""What the launcher is told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``command`` is empty where the nodes are held; ``min_nodes`` None: all must come."""

    folder: Path
    nodes: int
    min_nodes: int | None
    cpus: int | None
    gpus: int
    interface: str | None
    start_seconds: float
    command: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    """Of both acts: ``node`` on every node, ``leave`` in the batch script."""
    whole = argparse.ArgumentParser(prog="python -m largebatch.schedulers.clusters.launcher")
    acts = whole.add_subparsers(dest="act", required=True)
    leave = acts.add_parser("leave", help="tell the command of the job to save and leave")
    leave.add_argument("--folder", type=Path, required=True)
    node = acts.add_parser("node", help="bring this node into the job's Ray; the first one runs the command")
    node.add_argument("--folder", type=Path, required=True)
    node.add_argument("--nodes", type=int, required=True)
    node.add_argument("--min-nodes", type=int)
    node.add_argument("--cpus", type=int)
    node.add_argument("--gpus", type=int, default=0)
    node.add_argument("--interface")
    node.add_argument("--start-seconds", type=float, default=300.0)
    node.add_argument("--hold", action="store_true", help="no command: stay until a signal")
    return whole


def options(arguments: argparse.Namespace, command: Sequence[str]) -> Options:
    """The options of ``node``."""
    return Options(
        folder=arguments.folder, nodes=arguments.nodes, min_nodes=arguments.min_nodes, cpus=arguments.cpus,
        gpus=arguments.gpus, interface=arguments.interface, start_seconds=arguments.start_seconds,
        command=tuple(command),
    )  # fmt: skip
