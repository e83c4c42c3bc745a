"""Ray on this node, as a process of ours that is ended with it. ``ray stop`` ends every Ray of the user; we do not."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque

from largebatch.schedulers.clusters.launcher.network import free_port, interface_of
from largebatch.schedulers.clusters.launcher.node_share import NodeShare, temp_folder
from largebatch.schedulers.clusters.ray_settings import SETTINGS

_STARTED = "Ray runtime started"
SHIELDED = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT}
"""Signals that a batch system may send to every process of a job: Ray must outlive them while the command saves."""


class RayFailed(Exception):
    """Ray did not start; the message ends with what it printed."""


class RayNode:
    """Started by the constructor; ``head_address`` None makes it the head.

    Raises:
        RayFailed: if it does not start, or has not when ``give_up`` is set.
    """

    def __init__(
        self,
        own_address: str,
        share: NodeShare,
        token_path: str,
        head_address: str | None = None,
        give_up: threading.Event | None = None,
    ) -> None:
        self._temp = temp_folder()
        self.address = head_address or f"{own_address}:{free_port(own_address)}"
        self._last_lines: deque[str] = deque(maxlen=20)
        self._started = threading.Event()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED)  # inherited by all that Ray starts
        try:
            self._process = subprocess.Popen(
                self._command(own_address, share, head=head_address is None),
                env=_environment(own_address, token_path),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        threading.Thread(target=self._read, daemon=True).start()
        while not self._started.wait(0.2) and not (give_up is not None and give_up.is_set()):
            pass
        if not self.alive or not self._started.is_set():
            shutil.rmtree(self._temp, ignore_errors=True)
            said = "\n".join(self._last_lines)
            raise RayFailed(f"Ray does not start at {self.address}; it printed:\n{said}")

    @property
    def alive(self) -> bool:
        """Whether Ray runs; it ends itself when one of its processes dies."""
        return self._process.poll() is None

    def clean_up(self) -> None:
        """Remove what it wrote, once its processes have ended."""
        shutil.rmtree(self._temp, ignore_errors=True)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._last_lines.append(line.rstrip())
            if _STARTED in line:
                self._started.set()
        self._process.wait()
        self._started.set()

    def _command(self, own_address: str, share: NodeShare, *, head: bool) -> list[str]:
        port = self.address.rpartition(":")[2]
        words = [sys.executable, "-u", "-m", "ray.scripts.scripts", "start", "--block"]
        words += ["--head", f"--port={port}", "--include-dashboard=false"] if head else [f"--address={self.address}"]
        words += [f"--node-ip-address={own_address}", f"--temp-dir={self._temp}"]
        words += [f"--num-cpus={share.cpus}", f"--num-gpus={share.gpus}", f"--memory={share.memory_bytes}"]
        words += [f"--object-store-memory={share.object_store_bytes}"]
        # The fixed ports of Ray's defaults would be taken where another job's Ray is on this node.
        words += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        if head and importlib.util.find_spec("grpc") is not None:  # without it Ray has no client, and refuses its port
            words += [f"--ray-client-server-port={free_port(own_address)}"]
        return words


def _environment(own_address: str, token_path: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if (interface := interface_of(own_address)) is not None:  # else each library guesses one of its own
        environment.setdefault("GLOO_SOCKET_IFNAME", interface)
        environment.setdefault("NCCL_SOCKET_IFNAME", interface)
    return {**environment, **SETTINGS, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token_path}
