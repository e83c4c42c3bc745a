"""All checks of a node, at once, each with a limit of time: a file system that hangs must not take the doctor along."""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.studies.checks.machine import allocation, folders, network, ray_here, software
from largebatch.studies.checks.machine.cluster import cluster_findings
from largebatch.studies.checks.machine.finding import Finding, problem

Check = Callable[[], Finding]
_SECONDS = 40.0
_IMPORT_SECONDS = 150.0
"""For checks that import torch or Ray in another process, which has a limit of its own below this one."""
_IMPORTING = ("imports", "torch", "Ray", "GPU driver")


def examine(directory: Path, address: str | None) -> list[Finding]:
    """Every check of this node; with ``address`` those of the cluster's nodes too.

    Raises:
        UserError: if there is no such directory.
    """
    found = run_checks(checks(_existing(directory)))
    return found if address is None else [*found, *cluster_findings(address, _existing(directory))]


def checks(directory: Path) -> Mapping[str, Check]:
    """The checks by the names of their findings, in the order of the table."""
    return {
        "Python": software.python,
        "packages": software.packages,
        "imports": software.imports,
        "torch": software.torch,
        "Ray": software.ray_import,
        "GPU driver": software.driver,
        "GPUs": allocation.gpus,
        "CPUs": allocation.cpus,
        "shared memory": allocation.shared_memory,
        "open files": allocation.open_files,
        "temporary files": folders.temp_path,
        "file system": partial(folders.kind_of_file_system, directory),
        "locks": partial(folders.locking, directory),
        "renaming": partial(folders.renaming, directory),
        "space": partial(folders.space, directory),
        "host name": network.host_name,
        "ports": network.ports,
        "proxies": network.proxies,
        "Ray's token": ray_here.authentication,
        "other Rays": ray_here.other_rays,
    }


def run_checks(to_run: Mapping[str, Check], seconds: float = _SECONDS) -> list[Finding]:
    """All at once, each on a thread that is left behind where it does not answer in time."""
    answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()
    for name, check in to_run.items():
        threading.Thread(target=lambda n, c: answers.put(_answer(n, c)), args=(name, check), daemon=True).start()
    begun, found = time.monotonic(), dict[str, Finding]()
    while len(found) < len(to_run):
        waiting = [name for name in to_run if name not in found]
        limit = max(_IMPORT_SECONDS if name in _IMPORTING else seconds for name in waiting)
        try:
            finding = answers.get(timeout=max(0.0, begun + limit - time.monotonic()))
        except queue.Empty:
            spent = time.monotonic() - begun
            found |= {name: problem(name, f"no answer in {spent:.0f} s", _HANGS) for name in waiting}
        else:
            found[finding.name] = finding
    return [found[name] for name in to_run]


_HANGS = "timeout 20 ls -ld . /tmp; timeout 20 getent hosts $(hostname)   # which of them hangs?"


def _answer(name: str, check: Check) -> Finding:
    try:
        return check()
    except Exception as error:
        return problem(
            name, f"cannot be checked: {type(error).__name__}: {error}", f"largebatch list   # without {name}"
        )


def _existing(directory: Path) -> Path:
    """The directory, or the nearest above it that is there: a study makes its own."""
    there = next(one for one in (directory.absolute(), *directory.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        raise UserError(f"--directory {directory}: {there} is a file; give the folder that studies are to lie in")
    return there
