"""Whether Ray still answers: its head, and its daemon on this node. Without either this process cannot go on.

Ray itself would wait a minute for a lost head and then end this process; a lost daemon it would tell trial by trial, as
if each had failed, or end this process at once, with 1 and without a word. So the looks follow each other quickly.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from largebatch.studies.running.interruption import Leaving

LOOK_SECONDS = 0.25
TIMEOUT_SECONDS = 5.0
MAX_REFUSALS = 3
"""So many in a row, and it is gone."""


@contextmanager
def watched_head(leaving: Leaving) -> Iterator[None]:
    """For the time of this ``with``, leave at once when Ray's head or this node's daemon is gone."""
    context = ray.get_runtime_context()
    node = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    watched = {
        "the head of the Ray cluster": context.gcs_address,
        "Ray on this node": f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}",
    }
    refusals = dict.fromkeys(watched, 0)
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            for name, address in watched.items():
                refusals[name] = 0 if _answers(address) else refusals[name] + 1
                if refusals[name] == MAX_REFUSALS:
                    leaving.abandon(f"{name} ({address}) is gone")
                    return

    thread = threading.Thread(target=look, daemon=True, name="head")
    thread.start()
    try:
        yield
    finally:
        over.set()


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True
