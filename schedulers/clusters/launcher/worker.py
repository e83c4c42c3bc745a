"""The other nodes: Ray joined to the head's, until the head ends."""

import contextlib
import signal
import socket
import threading
import time
from pathlib import Path

from largebatch.schedulers.clusters.cluster_file import FILE_NAME, ClusterFile, read_cluster_file
from largebatch.schedulers.clusters.launcher.batch_job import BatchJob
from largebatch.schedulers.clusters.launcher.control import ToHead
from largebatch.schedulers.clusters.launcher.network import NoAddress, own_address
from largebatch.schedulers.clusters.launcher.node_share import node_share
from largebatch.schedulers.clusters.launcher.options import Options
from largebatch.schedulers.clusters.launcher.process_tree import end_children
from largebatch.schedulers.clusters.launcher.ray_node import RayFailed, RayNode


def run_worker(options: Options, job: BatchJob) -> int:
    """Join, stay until the head has ended, end; 0 unless this node could not join or lost its Ray."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the head decides: its command may be saving on this node
    host = socket.gethostname()
    found = _connect(options, job)
    if found is None:
        print(f"largebatch: {host}: no head in {options.folder} within {options.start_seconds:.0f} s", flush=True)
        return 1
    cluster, head = found
    ray = None
    try:
        told = head.hear()
        if told is None:
            return 0
        address = head.own_address if options.interface is None else own_address(options.interface, alone=False)
        share = node_share(options.cpus, options.gpus)
        over = _end_of(head)
        ray = RayNode(address, share, cluster.token, told["ray"], give_up=over)
        head.tell({"joined": host, "cpus": share.cpus, "gpus": share.gpus})
        return _until_the_end(over, ray)
    except (RayFailed, NoAddress, OSError) as error:
        with contextlib.suppress(OSError):  # the head may have ended
            head.tell({"failed": str(error), "host": host})
        return 1
    finally:
        end_children()
        if ray is not None:
            ray.clean_up()


def _connect(options: Options, job: BatchJob) -> tuple[ClusterFile, ToHead] | None:
    """Find this job's head, and not one that an earlier run of it left behind."""
    deadline = time.monotonic() + options.start_seconds
    while time.monotonic() < deadline:
        cluster = read_cluster_file(options.folder / FILE_NAME)
        if cluster is not None and (cluster.job, cluster.restarts) == (job.job, job.restarts):
            try:
                return cluster, ToHead(cluster.control, Path(cluster.token).read_text(), {"waits": True})
            except OSError:
                pass
        time.sleep(0.1)
    return None


def _end_of(head: ToHead) -> threading.Event:
    """Set once the head has ended."""
    over = threading.Event()

    def hear() -> None:
        while head.hear() is not None:
            pass
        over.set()

    threading.Thread(target=hear, daemon=True).start()
    return over


def _until_the_end(over: threading.Event, ray: RayNode) -> int:
    while not over.wait(0.2):
        if not ray.alive:
            print(f"largebatch: Ray ended on {socket.gethostname()}", flush=True)
            return 1
    return 0
