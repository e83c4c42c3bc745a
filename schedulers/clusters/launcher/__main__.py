"""``python -m largebatch.schedulers.clusters.launcher``: on every node of a job, once.

The node that is first to make the folder ``head`` is the head; the others join it. So no batch system has to number
its nodes, and a node that does not come up is not the one that all wait for. The node of the batch script has a lead:
the job ends with that node anyway, and should not end with another one too.
"""

import os
import socket
import sys
import time
from pathlib import Path

from largebatch.schedulers.clusters.cluster_file import FILE_NAME, read_cluster_file
from largebatch.schedulers.clusters.launcher.batch_job import this_job
from largebatch.schedulers.clusters.launcher.control import ToHead
from largebatch.schedulers.clusters.launcher.head import run_head
from largebatch.schedulers.clusters.launcher.network import NoAddress
from largebatch.schedulers.clusters.launcher.options import options, parser
from largebatch.schedulers.clusters.launcher.process_tree import adopt_orphans
from largebatch.schedulers.clusters.launcher.ray_node import RayFailed
from largebatch.schedulers.clusters.launcher.worker import run_worker

LEAD_SECONDS = 3.0
"""How long other nodes let the batch script's node be the first."""


def main(words: list[str]) -> int:
    """Bring this node up, or tell the head to leave."""
    own, command = _split(words)
    arguments = parser().parse_args(own)
    if arguments.act == "leave":
        return _leave(arguments.folder)
    job = this_job()
    if job is None:
        print("largebatch: the launcher runs in a job of Slurm, PBS or LSF alone", file=sys.stderr)
        return 2
    asked = options(arguments, command)
    adopt_orphans()
    _let_the_batch_host_be_first(asked.folder / "head")
    try:
        (asked.folder / "head").mkdir()
    except FileExistsError:
        return run_worker(asked, job)
    try:
        return run_head(asked, job)
    except (NoAddress, RayFailed, OSError) as error:
        print(f"largebatch: {error}", flush=True)
        return 1


def _let_the_batch_host_be_first(claim: Path) -> None:
    deadline = time.monotonic() + LEAD_SECONDS
    own = os.environ.get("LARGEBATCH_BATCH_HOST") in (None, socket.gethostname())
    while not own and not claim.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Ours, and after ``--`` the command's, which may look like ours."""
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


def _leave(folder: Path) -> int:
    cluster = read_cluster_file(folder / FILE_NAME)
    if cluster is None:
        return 1
    try:
        ToHead(cluster.control, Path(cluster.token).read_text(), {"leave": True}).close()
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
