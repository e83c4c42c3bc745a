"""The first node: Ray's head, the roll of the nodes, and the command."""

import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import FrameType

from largebatch.schedulers.clusters.cluster_file import FILE_NAME, VARIABLE, ClusterFile
from largebatch.schedulers.clusters.launcher.batch_job import BatchJob
from largebatch.schedulers.clusters.launcher.control import Control, Message
from largebatch.schedulers.clusters.launcher.network import own_address
from largebatch.schedulers.clusters.launcher.node_share import node_share
from largebatch.schedulers.clusters.launcher.options import Options
from largebatch.schedulers.clusters.launcher.process_tree import end_children
from largebatch.schedulers.clusters.launcher.ray_node import RayNode
from largebatch.spaces.files import write_whole

LEFT_EARLY = 75
"""The exit code of a job that may go back into the queue, as one that was told to leave before its command began."""
SAME_SIGNAL_SECONDS = 5.0
"""Signals that come so soon after each other are one that came on several ways."""
CANARY_SECONDS = 0.3
"""Until a signal that was sent to all has come to all."""
LATE_NODES_SECONDS = 60.0
"""How long nodes that ``--min-nodes`` can do without are waited for."""


class _Roll:
    """Which nodes have joined, by their connections."""

    def __init__(self) -> None:
        self._hosts: dict[int, str] = {}
        self.waiting: list[int] = []  # connections of nodes that wait for Ray's address
        self._starting: set[int] = set()  # connections of nodes that have not joined
        self.num_failed = 0
        self.changed = threading.Condition()
        self.leave = threading.Event()
        self.over = False

    @property
    def hosts(self) -> list[str]:
        return list(self._hosts.values())

    def hear(self, number: int, message: Message) -> None:
        with self.changed:
            if message.get("leave"):
                self.leave.set()
            elif "waits" in message:
                self.waiting.append(number)
                self._starting.add(number)
            elif "joined" in message:
                self._hosts[number] = message["joined"]
                self._starting.discard(number)
                _say(f"{message['joined']} joined, {message['cpus']} CPUs, {message['gpus']} GPUs")
            elif "failed" in message:
                _say(f"{message['host']} cannot join: {message['failed']}")
            self.changed.notify_all()

    def ended(self, number: int) -> None:
        with self.changed:
            if number in self._starting:
                self._starting.discard(number)
                self.num_failed += 1
            host = self._hosts.pop(number, None)
            if host is not None and not self.over:
                _say(f"{host} is gone")
            self.changed.notify_all()


def run_head(options: Options, job: BatchJob) -> int:
    """Start Ray and the command, wait for it, end all; return the exit code of the job."""
    token_path = _new_token(options.folder)
    token = token_path.read_text()
    roll, signals = _Roll(), _Signals()
    address = own_address(options.interface, alone=options.nodes == 1)
    control = Control(address, token, roll.hear, roll.ended)
    cluster = ClusterFile(
        system=job.system, job=job.job, restarts=job.restarts, head=socket.gethostname(), control=control.address,
        token=str(token_path), end_time=job.end_time,
    )  # fmt: skip
    cluster.write(options.folder)
    share = node_share(options.cpus, options.gpus)
    ray = None
    try:
        ray = RayNode(address, share, cluster.token)
        cluster = cluster.changed(address=ray.address)
        _say(f"Ray is up on {cluster.head} ({ray.address}), {share.cpus} CPUs, {share.gpus} GPUs")
        if not _all_joined(roll, control, ray.address, options, signals):
            code = LEFT_EARLY if signals.any else 1
        else:
            cluster = cluster.changed(nodes=(cluster.head, *roll.hosts))
            cluster.write(options.folder)
            _say(f"{len(cluster.nodes)} of {options.nodes} nodes are ready")
            code = _run(options, cluster, roll, signals, ray)
        write_whole(options.folder / "exit", str(code))
        return code
    finally:
        roll.over = True
        (options.folder / FILE_NAME).unlink(missing_ok=True)
        control.close()
        end_children()
        if ray is not None:
            ray.clean_up()
        token_path.unlink(missing_ok=True)


class _Signals:
    """TERM and USR1 that this process got."""

    def __init__(self) -> None:
        self.any = False
        self._pending: list[int] = []
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note)
        signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the command would inherit

    def take(self) -> list[int]:
        """Those that came since the last time."""
        taken, self._pending = self._pending, []
        return taken

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.any = True
        self._pending.append(number)


def _new_token(folder: Path) -> Path:
    """A token of this job alone, that its user alone may read."""
    path = folder / "token"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def _all_joined(roll: _Roll, control: Control, ray_address: str, options: Options, signals: _Signals) -> bool:
    """Tell the nodes where Ray is and wait for them; whether enough came and nobody told us to leave."""
    started = time.monotonic()
    fewest = options.min_nodes or options.nodes
    while True:
        with roll.changed:
            waiting, roll.waiting = roll.waiting, []
            count = 1 + len(roll.hosts)
            all_known = count + roll.num_failed >= options.nodes
        for number in waiting:
            control.tell(number, {"ray": ray_address})
        if signals.any or roll.leave.is_set():
            signals.any = True
            return False
        if count >= options.nodes:
            return True
        waited = time.monotonic() - started
        if (all_known or waited > min(LATE_NODES_SECONDS, options.start_seconds)) and count >= fewest:
            return True
        if all_known or waited > options.start_seconds:
            _say(
                f"{count} of {options.nodes} nodes joined within {waited:.0f} s; look above "
                f"for the others' reasons, or start with fewer: --min-nodes {count}"
            )
            return False
        with roll.changed:
            roll.changed.wait(timeout=0.1)


def _run(options: Options, cluster: ClusterFile, roll: _Roll, signals: _Signals, ray: RayNode) -> int:
    """Run the command, or hold the nodes until a signal; the exit code."""
    if not options.command:
        while signal.SIGTERM not in signals.take() and ray.alive:  # USR1: a study that runs here knows the end itself
            time.sleep(0.1)
        return 0 if ray.alive else 1
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    environment |= {**cluster.environment(), VARIABLE: str(options.folder / FILE_NAME)}
    try:
        command = subprocess.Popen(options.command, env=environment)
    except OSError as error:
        _say(f"{options.command[0]} cannot be run: {error.strerror}")
        return 127
    # Slurm sends a signal to this process alone, or to all that it started, as the site has set it: this one tells.
    canary = subprocess.Popen(["sleep", "infinity"])
    told_at = -SAME_SIGNAL_SECONDS
    lost = False
    while (code := command.poll()) is None:
        asked = signals.take()
        if roll.leave.is_set():
            roll.leave.clear()
            asked.append(signal.SIGUSR1)
        if asked and time.monotonic() - told_at > SAME_SIGNAL_SECONDS:
            told_at = time.monotonic()
            time.sleep(CANARY_SECONDS)
            if canary.poll() is None:
                command.send_signal(asked[0])
            else:
                canary = subprocess.Popen(["sleep", "infinity"])
        if not ray.alive and not lost:
            lost = True
            _say("Ray ended before the command")
        time.sleep(0.05)
    if code and not ray.alive:  # a process that loses its Ray may end with any code
        return LEFT_EARLY
    return code if code >= 0 else 128 - code


def _say(sentence: str) -> None:
    print(f"largebatch: {sentence}", flush=True)
