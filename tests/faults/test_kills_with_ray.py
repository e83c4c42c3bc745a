"""kill -9 of the driver, a worker and the head of Ray at random moments of a study; then the same command again.

``TIMES=17 python -m pytest tests/faults/test_kills_with_ray.py -s`` kills each of the three so often, in half an hour.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..effort import TIMES
from ..processes import alive_after, descendants
from .campaign import KILLED, PLAIN, TASKS, Forked, Undisturbed, finished

TEXT = (
    PLAIN.replace("repeats: 2", "repeats: 1")
    .replace("faulty:sound", "faulty:slow")
    .replace("workers: [1, 2]", "workers: [1, 2]\ntarget: {metric: val_accuracy, above: 0.99}")
)
"""No trial reaches the target, and each takes seconds. What is repeated depends on which trials have ended, and on Ray
several run at once."""
VICTIMS = {"driver": "driver", "worker": "ray::RayTrainWorker", "head": "gcs_server"}
LEFT_EARLY = 75
AGENTS_SECONDS = 180.0
"""Ray's own agents outlive their node by a minute."""


class OnRay:
    """A study on Ray, in a process of its own."""

    def __init__(self, study: Path, out: Path) -> None:
        self._said = out.with_suffix(".said")
        words = [sys.executable, "-m", "largebatch", "run", str(study), "--out", str(out)]
        with self._said.open("w") as file:
            self.process = subprocess.Popen(words, env={**os.environ, **TASKS}, stdout=file, stderr=file)

    @property
    def said(self) -> str:
        return self._said.read_text()


@pytest.fixture(scope="module")
def undisturbed(server: Forked, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(server, tmp_path_factory.mktemp("slow"), TEXT)


@pytest.fixture(scope="module")
def seconds(undisturbed: Undisturbed, server: Forked, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long the study takes on Ray, where it comes to the same end."""
    out, began = tmp_path_factory.mktemp("on-ray") / "small", time.monotonic()
    on_ray = OnRay(undisturbed.study, out)
    assert on_ray.process.wait(600) == undisturbed.ended.code, on_ray.said
    took = time.monotonic() - began
    undisturbed.equals(server.run(undisturbed.study, out), server, out)
    return took


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[int, str]]:
    """All that the tests have seen; none lives long after them."""
    seen: dict[int, str] = {}
    yield seen
    assert {seen[one] for one in alive_after(seen, AGENTS_SECONDS)} == set()


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_it_goes_on_to_the_same_end_and_leaves_no_process(
    victim: str, undisturbed: Undisturbed, seconds: float, processes: dict[int, str], server: Forked, tmp_path: Path
) -> None:
    source = random.Random(victim)
    for number in range(TIMES):
        out = tmp_path / f"small-{number}"
        on_ray = OnRay(undisturbed.study, out)
        moment = time.monotonic() + source.random() * seconds
        pid = None
        while on_ray.process.poll() is None and (pid is None or time.monotonic() < moment):
            found = descendants(on_ray.process.pid)
            processes |= found
            found[on_ray.process.pid] = "driver"
            pid = next((one for one, words in found.items() if VICTIMS[victim] in words), None)
            time.sleep(0.1)
        before = finished(out)
        if pid is not None and on_ray.process.poll() is None:
            os.kill(pid, signal.SIGKILL)
        code = on_ray.process.wait(600)
        print(f"{victim} {number}: {len(before)} trials had ended; exit code {code}", flush=True)
        allowed = {"driver": {KILLED}, "worker": set(), "head": {LEFT_EARLY}}[victim]
        if victim == "head" and not out.exists():  # nothing was begun: Ray did not start, or was quicker than we to end
            allowed = {1, 2}
        assert code in allowed | {undisturbed.ended.code}, on_ray.said
        assert "Traceback" not in on_ray.said, on_ray.said
        undisturbed.equals(server.run(undisturbed.study, out), server, out)
        after = finished(out)
        assert {one: after[one] for one in before} == before
