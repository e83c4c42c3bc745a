"""Whether the head of the Ray cluster still answers. Without it Ray waits a minute and then ends this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from largebatch.studies.engine.leaving import Leaving

LOOK_SECONDS = 1.0
MAX_REFUSALS = 3
"""So many in a row, and the head is gone."""


@contextmanager
def watched_head(leaving: Leaving) -> Iterator[None]:
    """For the time of this ``with``, leave at once when the head is gone."""
    address = ray.get_runtime_context().gcs_address
    host, port = address.rsplit(":", 1)
    over = threading.Event()

    def look() -> None:
        refusals = 0
        while refusals < MAX_REFUSALS and not over.wait(LOOK_SECONDS):
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=5 * LOOK_SECONDS).close()
                refusals = 0
            except OSError:
                refusals += 1
        if refusals == MAX_REFUSALS:
            leaving.abandon(f"the head of the Ray cluster at {address} is gone")

    thread = threading.Thread(target=look, daemon=True, name="head")
    thread.start()
    try:
        yield
    finally:
        over.set()
