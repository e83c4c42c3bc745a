"""The launcher without a batch system: its processes are started by hand, as one ``srun`` would, on this machine."""

import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from largebatch.schedulers.clusters.launcher.control import Control, Message, ToHead

from ..processes import descendants, is_alive

RAYLET = Path(importlib.util.find_spec("ray").origin or "").with_name("core") / "src/ray/raylet/raylet"  # type: ignore[union-attr]
LAUNCHER = [sys.executable, "-m", "largebatch.schedulers.clusters.launcher"]
LISTENS = """\
import os, pathlib, signal, sys, time
got = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: got.append(number))
pathlib.Path("ready").write_text(os.environ["LARGEBATCH_CLUSTER"])
while not os.path.exists("enough"):
    time.sleep(0.05)
    pathlib.Path("getting").write_text(" ".join(map(str, got)))
    os.replace("getting", "got")  # whole, whenever it is read
import ray
ray.init(log_to_driver=False, logging_level="error")
pathlib.Path("nodes").write_text(str(len(ray.nodes())))
ray.shutdown()
sys.exit(7)
"""
LOSES_RAY = """\
import os, pathlib, signal, sys, time
for process in pathlib.Path("/proc").glob("[0-9]*"):
    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    if int(parent) == os.getppid() and b"ray." + b"scripts" in (process / "cmdline").read_bytes():
        os.kill(int(process.name), signal.SIGKILL)
time.sleep(1)
sys.exit(1)
"""


def wait_for(done: Callable[[], bool], *processes: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while not done():
        assert all(process.poll() is None for process in processes), [one.communicate()[0] for one in processes]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(folder: Path, work: Path, *words: str, inside: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LARGEBATCH_"))}
    environment["SLURM_JOB_ID"] = "1"
    return subprocess.Popen(
        [*inside, *LAUNCHER, "node", "--folder", folder, "--nodes", "2", "--cpus", "1", *words],
        cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def end(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=60)[0]


@pytest.mark.slow
def test_two_nodes_join_the_command_is_told_once_and_its_code_is_the_job_s(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "job"
    folder.mkdir(mode=0o700)
    nodes = [start(folder, tmp_path, "--", sys.executable, "-c", LISTENS) for _ in range(2)]
    request.addfinalizer(lambda: [os.kill(one, signal.SIGKILL) for node in nodes for one in descendants(node.pid)])
    wait_for((tmp_path / "ready").exists, *nodes)
    cluster = json.loads((folder / "cluster.json").read_text())
    assert ((tmp_path / "ready").read_text(), len(cluster["nodes"])) == (str(folder / "cluster.json"), 2)
    assert Path(cluster["token"]).stat().st_mode & 0o777 == 0o600
    everything = {number: words for node in nodes for number, words in descendants(node.pid).items()}
    head = next(node for node in nodes if any("gcs_server" in words for words in descendants(node.pid).values()))

    head.send_signal(signal.SIGTERM)  # to the launcher alone
    wait_for(lambda: (tmp_path / "got").exists() and (tmp_path / "got").read_text() == "15", *nodes)
    time.sleep(5.5)  # later ones are new signals
    for number in (head.pid, *descendants(head.pid)):  # to all of the job, Ray too
        os.kill(number, signal.SIGTERM)
    subprocess.run([*LAUNCHER, "leave", "--folder", folder], check=True)  # the batch script passes it on, too
    time.sleep(1)
    assert (tmp_path / "got").read_text() == "15 15"

    (tmp_path / "enough").touch()
    said = [end(node) for node in nodes]
    assert (tmp_path / "nodes").read_text() == "2", said
    assert head.returncode == 7
    assert (folder / "exit").read_text() == "7"
    assert not (folder / "cluster.json").exists()
    assert not Path(cluster["token"]).exists()
    assert not [words for number, words in everything.items() if is_alive(number)]
    assert not any(Path(word.split("=")[1]).exists() for words in everything.values() for word in words.split()
                   if word.startswith("--temp-dir="))  # fmt: skip


@pytest.mark.slow
def test_a_job_starts_with_the_nodes_that_came_or_says_how_many(tmp_path: Path) -> None:
    said = {}
    fails, loses_ray = ("sh", "-c", "exit 3"), (sys.executable, "-c", LOSES_RAY)
    cases = {"enough": (["--min-nodes", "1"], fails), "lost": (["--min-nodes", "1"], loses_ray), "short": ([], fails)}
    for name, (words, command) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        node = start(folder, tmp_path, *words, "--start-seconds", "1", "--", *command)
        said[name] = (end(node), node.returncode)
    assert said["enough"][1] == 3
    assert "1 of 2 nodes are ready" in said["enough"][0]
    assert said["lost"][1] == 75, "it may go back into the queue"
    assert "Ray ended before the command" in said["lost"][0]
    assert said["short"][1] == 1
    assert "1 of 2 nodes joined within 1 s" in said["short"][0]
    assert "--min-nodes 1" in said["short"][0]


@pytest.mark.slow
def test_a_node_that_cannot_join_is_not_waited_for(tmp_path: Path) -> None:
    """Neither where the node says why, nor where its Ray hangs: Ray gives that up after 30 s, and the head does not."""
    (tmp_path / "raylet").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "raylet").chmod(0o755)
    hangs = ("unshare", "-m", "sh", "-c", f'mount --bind {tmp_path / "raylet"} {RAYLET} && exec "$@"', "sh")
    brings = {"fails": ((), ("--interface", "none0")), "hangs": (hangs, ())}
    if subprocess.run([*hangs, "true"], capture_output=True, check=False).returncode:
        del brings["hangs"]  # it needs root, and a machine that lets it mount
    heads, others = {}, {}
    for name, (inside, words) in brings.items():
        folder = tmp_path / name
        folder.mkdir()
        heads[name] = start(folder, tmp_path, "--min-nodes", "1", "--", "sh", "-c", "exit 3")
        wait_for((folder / "head").exists, heads[name])
        others[name] = start(folder, tmp_path, *words, inside=inside)
    for name, head in heads.items():
        said = end(head)
        assert head.returncode == 3, said
        assert "1 of 2 nodes are ready" in said
        assert "cannot join: " in said
        end(others[name])
        assert others[name].returncode == 1


def test_who_does_not_have_the_token_is_not_heard() -> None:
    heard: list[Message] = []
    token = secrets.token_hex(8)
    control = Control("127.0.0.1", token, lambda _, message: heard.append(message), lambda _: None)
    stranger = ToHead(control.address, "other", {"leave": True})
    assert stranger.hear() is None
    stranger.close()
    friend = ToHead(control.address, token, {"joined": "n1"})
    deadline = time.monotonic() + 30
    while not heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heard == [{"joined": "n1"}]
    control.close()
    assert friend.hear() is None, "nodes learn of the end at once"
    friend.close()


def test_outside_of_a_job_it_says_so(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SLURM_JOB_ID"}
    ran = subprocess.run([*LAUNCHER, "node", "--folder", tmp_path, "--nodes", "1"], env=environment, text=True,
                         capture_output=True, check=False)  # fmt: skip
    assert (ran.returncode, ran.stderr) == (2, "largebatch: the launcher runs in a job of Slurm, PBS or LSF alone\n")
