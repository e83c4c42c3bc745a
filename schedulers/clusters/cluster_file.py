"""``cluster.json``: where a job's Ray is, for all who may read the folder of the job."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from largebatch.spaces.files import write_whole

FILE_NAME = "cluster.json"
VARIABLE = "LARGEBATCH_CLUSTER"
"""The environment variable that names the file, in the processes of the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFile:
    """``address`` is Ray's and ``control`` the head's launcher's, both HOST:PORT; no ``address``: it is not up yet."""

    system: str
    job: str
    restarts: int
    head: str
    control: str
    token: str
    """The path of the file that holds it."""
    address: str = ""
    nodes: tuple[str, ...] = ()
    """Host names; none until all have joined."""
    end_time: float | None = None
    """Seconds since the epoch."""

    @property
    def ready(self) -> bool:
        """Whether all nodes have joined."""
        return bool(self.nodes)

    def changed(self, **values: object) -> "ClusterFile":
        """The same with other values."""
        return replace(self, **values)  # type: ignore[arg-type]

    def write(self, folder: Path) -> None:
        """Write it whole."""
        write_whole(folder / FILE_NAME, json.dumps(asdict(self), indent=1))

    def environment(self) -> dict[str, str]:
        """The variables that let a process join this Ray."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": self.token, "RAY_ADDRESS": self.address}


def read_cluster_file(path: Path) -> ClusterFile | None:
    """The file's content; None where it is not there, or is not ours."""
    try:
        values = json.loads(path.read_text())
        return ClusterFile(**{**values, "nodes": tuple(values["nodes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
