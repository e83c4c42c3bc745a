"""What a Ray of our own listens on, while it times steps of two workers: this machine's loopback alone."""

import ipaddress
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..processes import descendants

STORE = "RayTrainWorker"
"""Its first worker has torch's store, which torch binds to every interface (docs/safety.md)."""


def listening() -> dict[int, str]:
    """Address and port of every listening socket of this machine, by its inode."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found[int(fields[9])] = _address(fields[1])
    return found


def _address(field: str) -> str:
    words, port = field.split(":")
    packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return f"{'loopback' if mapped.is_loopback else mapped}:{int(port, 16)}"


def sockets_of(pid: int, known: dict[int, str]) -> set[str]:
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(known.get(int(target[8:-1]), ""))
    except OSError:  # it has ended
        pass
    return found - {""}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="LOUD: no /proc here, so nothing tells who listens")
def test_a_ray_of_our_own_listens_on_loopback_alone(tmp_path: Path) -> None:
    seen: dict[tuple[int, str], set[str]] = {}
    arguments = ["profile", "digits", "--local-batch-sizes", "32", "--workers", "2", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "largebatch", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            known = listening()
            for pid, words in descendants(process.pid).items():
                name = words.partition(".")[0] if words.startswith("ray::") else words
                seen.setdefault((pid, name), set()).update(sockets_of(pid, known))
            time.sleep(0.3)
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    text = "\n".join(f"{words[:80]}: {sorted(where)}" for (_, words), where in seen.items() if where)
    for server in ("gcs_server", "raylet", STORE):
        assert any(server in words and where for (_, words), where in seen.items()), text
    workers = {pid for pid, words in seen if STORE in words}
    open_to_all = {(pid, one) for (pid, _), where in seen.items() for one in where if not one.startswith("loopback")}
    assert len(open_to_all) <= 1, text
    assert {pid for pid, _ in open_to_all} <= workers, text
