"""What the nodes of a running cluster say of themselves, printed as JSON by a process of its own.

``python -m largebatch.studies.running.engines.cluster_probe ADDRESS DIRECTORY``. The node's part goes to it by value,
for a node may have another largebatch, or none.
"""

import contextlib
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.studies.running.engines.ray_cluster import ray_cluster

_PINGS = 8
_VISIBLE_SECONDS = 10.0
"""How long a file may take to show on another node: NFS looks again after 3 to 60 s, at once where it is asked for."""
_NODE_SECONDS = 60.0


class Node:
    """An actor that answers for its node. Nothing of this module is there for it but what it imports itself."""

    def facts(self) -> dict[str, Any]:
        """Versions, and a digest of the code that this node would run."""
        import hashlib
        import importlib.metadata
        import importlib.util
        import pathlib
        import platform
        import socket

        said: dict[str, Any] = {"host": socket.gethostname(), "python": platform.python_version()}
        for package in ("largebatch", "torch", "ray", "numpy"):
            try:
                said[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                said[package] = None
        found = importlib.util.find_spec("largebatch")
        digest = hashlib.sha256()
        for root in sorted(found.submodule_search_locations or ()) if found else ():
            for path in sorted(pathlib.Path(root).rglob("*.py")):
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
        said["code"] = digest.hexdigest()[:8]
        return said

    def now(self) -> float:
        """The clock."""
        import time

        return time.time()

    def sees(self, path: str, content: str, seconds: float) -> float | None:
        """Seconds until the file was there with this content; None: never."""
        import pathlib
        import time

        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < seconds:
            try:
                if pathlib.Path(path).read_text() == content:
                    return spent
            except OSError:
                pass
            time.sleep(0.05)
        return None

    def is_refused(self, path: str) -> bool | None:
        """Whether a lock that is held elsewhere keeps this node out; None where there are no locks."""
        import errno
        import fcntl

        try:
            with open(path, "r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return True if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
        return False


def probe(directory: Path) -> list[dict[str, Any]]:
    """One record a node of the cluster that this process is connected to."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.cloudpickle.register_pickle_by_value(sys.modules[Node.__module__])
    actor = ray.remote(num_cpus=0)(Node)
    records = []
    for node in (one for one in ray.nodes() if one["Alive"]):
        here = actor.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        records.append({"address": node["NodeManagerAddress"], "actor": here, "facts": here.facts.remote()})
    said = []
    for record in records:
        try:
            said.append({"address": record["address"], **_ask(record["actor"], record["facts"], directory)})
        except ray.exceptions.RayError as error:
            said.append({"address": record["address"], "error": str(error).strip().splitlines()[-1]})
    return said


def _ask(node: Any, facts: Any, directory: Path) -> dict[str, Any]:
    import ray

    said = dict(ray.get(facts, timeout=_NODE_SECONDS))
    skews = []
    for _ in range(_PINGS):
        before = time.time()
        there = ray.get(node.now.remote(), timeout=_NODE_SECONDS)
        after = time.time()
        skews.append((after - before, there - (before + after) / 2))
    delay_seconds, skew_seconds = min(skews)  # the quickest answer is the surest
    said |= {"skew_seconds": skew_seconds, "skew_error_seconds": delay_seconds / 2}
    return said | _sharing(node, directory)


def _sharing(node: Any, directory: Path) -> dict[str, Any]:
    """Whether the node sees what is written here, and is kept out by a lock that is held here."""
    import fcntl

    import ray

    path = directory / f".largebatch-doctor-{secrets.token_hex(4)}"
    content = secrets.token_hex(16)
    try:
        with path.open("w") as file:
            file.write(content)
            file.flush()
            seen = ray.get(node.sees.remote(str(path), content, _VISIBLE_SECONDS), timeout=_NODE_SECONDS)
            refused = None
            if seen is not None:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX)
                    refused = ray.get(node.is_refused.remote(str(path)), timeout=_NODE_SECONDS)
    finally:
        path.unlink(missing_ok=True)
    return {"seen_after_seconds": seen, "lock_reaches": refused}


def main() -> None:
    """Print the records, or why there are none."""
    address, directory = sys.argv[1:]
    try:
        with ray_cluster(address):
            print(json.dumps({"nodes": probe(Path(directory))}))
    except UserError as mistake:
        print(json.dumps({"mistake": str(mistake)}))
    except Exception as error:  # as by a Ray or Python of another version
        print(json.dumps({"mistake": f"--address {address}: {' '.join(str(error).split())}"}))


if __name__ == "__main__":
    main()
