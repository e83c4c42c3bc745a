"""The nodes of a running Ray cluster: do they agree on the time, on the software, and on the study's directory?"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning

_CONNECT_SECONDS = 180.0
_SKEW_SECONDS = (1.0, 10.0)
"""A warning, a problem: a lease that was not renewed for 30 s by another node's clock is taken over."""
_START = "ray status   # on the head; from a login node: srun --jobid JOB --overlap largebatch doctor --address auto"
Node = Mapping[str, Any]


def cluster_findings(address: str, directory: Path) -> list[Finding]:
    """What was found by asking every node of the cluster at ``address``."""
    command = [sys.executable, "-P", "-m", "largebatch.studies.running.engines.cluster_probe", address, str(directory)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=_CONNECT_SECONDS, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return [problem("cluster", f"--address {address}: no answer in {_CONNECT_SECONDS:g} s", _START)]
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return [problem("cluster", f"--address {address}: {last}", _START)]
    if "mistake" in said:
        return [problem("cluster", said["mistake"], _START)]
    return judged(said["nodes"], directory)


def judged(nodes: Sequence[Node], directory: Path) -> list[Finding]:
    """Findings on what the nodes said; those that did not answer are named first."""
    silent = [node for node in nodes if "error" in node]
    answered = [node for node in nodes if "error" not in node]
    hosts = ", ".join(dict.fromkeys(node["host"] for node in answered))
    measured = f"{len(answered)} of {len(nodes)} nodes answer: {hosts or 'none'}"
    if silent:
        why = "; ".join(f"{node['address']}: {node['error']}" for node in silent)
        mend = f"ssh {silent[0]['address']} 'ls /tmp/ray/session_latest/logs'   # what its raylet says"
        found = [problem("cluster", f"{measured}; {why}", mend)]
    else:
        found = [ok("cluster", measured)]
    return [*found, *(check(answered, directory) for check in (_clocks, _versions, _directory, _locks) if answered)]


def _clocks(nodes: Sequence[Node], directory: Path) -> Finding:
    del directory
    worst = max(nodes, key=lambda node: abs(node["skew_seconds"]))
    skew = abs(worst["skew_seconds"])
    measured = f"{skew:.3f} s apart at most (on {worst['host']}, known to {worst['skew_error_seconds']:.3f} s)"
    warn_seconds, fail_seconds = _SKEW_SECONDS
    if skew < max(warn_seconds, worst["skew_error_seconds"]):
        return ok("clocks", measured)
    report = problem if skew >= fail_seconds else warning
    return report("clocks", measured, "chronyc tracking   # on each node; the site sets the clocks")


def _versions(nodes: Sequence[Node], directory: Path) -> Finding:
    del directory
    names = ("largebatch", "torch", "python", "ray", "numpy", "code")
    differ = {name: dict[str, list[str]]() for name in names}
    for node in nodes:
        for name in names:
            differ[name].setdefault(str(node[name] or "none"), []).append(node["host"])
    apart = [
        f"{'the files of largebatch' if name == 'code' else name}: "
        + ", ".join(f"{version} on {' '.join(dict.fromkeys(hosts))}" for version, hosts in versions.items())
        for name, versions in differ.items()
        if len(versions) > 1
    ]
    mend = f"{sys.executable} -m ray.scripts.scripts start ...   # on each node, from one environment that all see"
    if apart:
        return problem("same software", "; ".join(apart), mend)
    first = nodes[0]
    if first["largebatch"] is None:
        return problem("same software", "no node has largebatch", mend)
    alike = ", ".join(f"{name} {first[name]}" for name in names[:-1])
    return ok("same software", f"{alike} on all {len(nodes)} nodes")


def _directory(nodes: Sequence[Node], directory: Path) -> Finding:
    blind = [node["host"] for node in nodes if node["seen_after_seconds"] is None]
    if blind:
        measured = f"{directory} is not the same folder on {', '.join(dict.fromkeys(blind))}"
        return problem("same directory", measured, "largebatch run STUDY --out DIR   # on the shared file system")
    slowest = max(node["seen_after_seconds"] for node in nodes)
    measured = f"a file in {directory} is seen on all {len(nodes)} nodes after {slowest:.2f} s"
    if slowest > 3:
        return warning("same directory", measured, "mount -o actimeo=3 ...   # by the site; resuming waits for it")
    return ok("same directory", measured)


def _locks(nodes: Sequence[Node], directory: Path) -> Finding:
    through = [node["host"] for node in nodes if node["seen_after_seconds"] is not None and not node["lock_reaches"]]
    if through:
        measured = f"a lock on {directory} does not keep {', '.join(dict.fromkeys(through))} out"
        mend = "run one job at a time on a study's directory; only its lease of 30 s guards it"
        return warning("same locks", measured, mend)
    return ok("same locks", f"a lock on {directory} that is held here keeps the other nodes out")
