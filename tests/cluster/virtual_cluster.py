"""A real Slurm of two nodes on this machine (``vslurm.sh``), and a study that tells whether anything went wrong."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.ledger import Ledger

SCRIPT = Path(__file__).with_name("vslurm.sh")
NEEDED = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "ip": "iproute2"}
"""Programs and Debian's packages that have them."""
PATIENCE_SECONDS = 150
LARGEBATCH = str(Path(sys.executable).with_name("largebatch"))

STUDY = """\
name: small
task: paced:task
target: {metric: val_accuracy, above: 0.9}
workers: [1, 2]
space:
  global_batch_size: {choices: [32, 64]}
  learning_rate: {low: 0.02, high: 0.06, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 4, examples_per_trial: 8000}
resources: {checkpoint_seconds: 0.5}
"""
TASK = """\
import dataclasses, os, time, torch
from torch.nn.functional import cross_entropy
from largebatch.trainers.tasks.digits import digits


def loss(logits, targets):
    if torch.is_grad_enabled() and os.path.exists(os.environ.get("BRAKE", "")):
        time.sleep(0.25)
    return cross_entropy(logits, targets)


def task():
    return dataclasses.replace(digits(), loss=loss)
"""
"""Digits, and slow while the file that its job names in BRAKE is there: so a test can meet a study in its middle,
however fast the machine, and several studies at once do not want its cores."""
SETTINGS = """\
[cluster]
warning_seconds = 59
requeues = 5
"""


def missing() -> str | None:
    """Why there can be no virtual cluster here, and what would mend it."""
    if os.geteuid() != 0:
        return "it needs root, for namespaces"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    absent = [package for program, package in NEEDED.items() if shutil.which(program, path=path) is None]
    if absent:
        return f"apt-get install --no-install-recommends {' '.join(absent)}"
    probe = subprocess.run(["unshare", "-m", "-u", "-p", "-n", "-f", "true"], capture_output=True, text=True)
    return f"no namespaces are permitted: {probe.stderr.strip()}" if probe.returncode else None


class VirtualCluster:
    """The login node is ``ctl``, the others are ``n1`` and ``n2``, with four CPUs each on paper."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="vslurm-"))
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self._environment |= {"VSLURM_BASE": str(self.base), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}

    def up(self) -> None:
        """Start two nodes.

        Raises:
            CalledProcessError: if they do not come up.
        """
        self._script("up", "2", timeout=60, check=True)

    def down(self) -> None:
        """End all, and remove what was written."""
        self._script("down", timeout=60)
        shutil.rmtree(self.base, ignore_errors=True)

    def lose(self, node: str) -> None:
        """End a node from one moment to the next."""
        self._script("lose", node, timeout=10, check=True)

    def run(
        self, *command: str, node: str = "ctl", cwd: Path | None = None, timeout: float = 120, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on a node."""
        found = self._script("exec", node, *command, cwd=cwd, timeout=timeout)
        if check:
            assert found.returncode == 0, f"{command}: {found.returncode}\n{found.stdout}{found.stderr}"
        return found

    def submit(
        self,
        cwd: Path,
        *command: str,
        options: tuple[str, ...] = (),
        slow: bool = False,
        through: tuple[str, ...] = ("env",),
    ) -> "Job":
        """``largebatch cluster slurm`` on both nodes, one CPU each; without a command, hold; ``slow``: braked.

        ``through`` is what it is typed behind.
        """
        brake = Path(tempfile.mkstemp(prefix="brake-", dir=self.base)[1])
        if not slow:
            brake.unlink()
        asked = ["--nodes", "2", "--cpus-per-node", "1", "--time", "0:10:00", *options]
        tail = ["--", *command] if command else ["--hold"]
        said = self.run(
            *through, "env", f"BRAKE={brake}", LARGEBATCH, "cluster", "slurm", *asked, *tail, cwd=cwd
        ).stdout
        number = next(line.split()[1] for line in said.splitlines() if line.startswith("Job "))
        log = next(line.split(maxsplit=1)[1] for line in said.splitlines() if line.startswith("Log: "))
        return Job(self, number, Path(log), brake)

    def processes(self, node: str) -> list[str]:
        """What runs on a node, but for its own daemons."""
        lines = self.run("ps", "-eo", "args", node=node).stdout.splitlines()[1:]
        own = ("bash ", "slurmd", "slurmctld", "slurmstepd", "ps -eo", "sleep", "[")
        return [line for line in lines if not line.startswith(own)]

    def kill(self, program: str, node: str) -> None:
        """Kill -9 the one process on a node that has this name."""
        (number,) = self.run("ps", "-C", program, "-o", "pid=", node=node).stdout.split()
        self.run("kill", "-9", number, node=node)

    def take_nodes(self) -> None:
        """An urgent job takes both nodes for a moment from all jobs that may be preempted."""
        asked = (
            "--partition=high",
            "--nodes=2",
            "--ntasks-per-node=1",
            "--cpus-per-task=4",
            "--mem=1",
            "--output=none",
        )
        self.run("sbatch", *asked, "--wrap=sleep 1", cwd=self.base)

    def _script(
        self, *arguments: str, timeout: float, cwd: Path | None = None, check: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SCRIPT), *arguments], env=self._environment, cwd=cwd, capture_output=True, text=True, timeout=timeout,
            check=check,
        )  # fmt: skip


class Job:
    """A job that was submitted."""

    def __init__(self, cluster: VirtualCluster, number: str, log: Path, brake: Path) -> None:
        self._cluster, self.number, self._log, self._brake = cluster, number, log, brake

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._log.parent

    def limit(self, *, minutes: int | None = None) -> None:
        """Give it another time limit; without a number one that ends in 30 to 90 s, however slow its start was."""
        if minutes is None:
            used = self._cluster.run("squeue", "-h", "-j", self.number, "-o", "%M").stdout.strip().split(":")
            minutes = (60 * int(used[-2]) + int(used[-1]) + 30) // 60 + 1
        self._cluster.run("scontrol", "update", f"JobId={self.number}", f"TimeLimit={minutes}")

    def go(self) -> None:
        """At full speed from now on."""
        self._brake.unlink()

    def state(self) -> str:
        """Slurm's word for it; nothing once it has ended."""
        return self._cluster.run(
            "timeout", "20", "squeue", "-h", "-j", self.number, "-o", "%T", check=False
        ).stdout.strip()

    def wait(self, what: str, done: Callable[[], bool]) -> None:
        """Until ``done``; the job's log where it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"job {self.number}: not {what} in {PATIENCE_SECONDS} s\n{self.log}"
            time.sleep(0.3)

    def end(self) -> str:
        """Wait for its end; how it ended, in Slurm's word: COMPLETED, FAILED, CANCELLED."""
        record = self._cluster.base / "ctl" / "jobcomp.txt"

        def lines() -> list[str]:
            told = record.read_text().splitlines() if record.exists() else []
            return [line for line in told if f"JobId={self.number} " in line]

        self.wait("ended", lambda: not self.state() and bool(lines()))
        return lines()[-1].split("JobState=")[1].split()[0]


def trials(study: Path) -> list[Trial]:
    """What the record holds so far."""
    ledger = StudyDirectory(study).ledger
    try:
        return Ledger(ledger, "small", create=False).trials()
    except (OSError, KeyError):
        return []


def is_training(study: Path) -> bool:
    """Whether some trial has been saved and measured, and none has ended: the middle of a study."""
    found = trials(study)
    checkpoints = list((study / "checkpoints").rglob("*")) if (study / "checkpoints").exists() else []
    return any(len(trial.intermediate) > 1 for trial in found) and any(path.is_file() for path in checkpoints)


def last_save(study: Path) -> int:
    """When a checkpoint was last saved, in nanoseconds."""
    return max((path.stat().st_mtime_ns for path in (study / "checkpoints").rglob("*") if path.is_file()), default=0)


def _unclocked(measurement: Measurement) -> str:
    """Its values as text, in which NaN equals NaN."""
    values = {name: value for name, value in measurement.values.items() if not name.endswith("_seconds")}
    return repr(sorted(values.items()))


def result(study: Path) -> Mapping[int, Any]:
    """All that was trained and measured, by trial, but for what the clock says."""
    directory = StudyDirectory(study)
    found = {}
    for trial in trials(study):
        assert trial.ending is not None, f"trial {trial.number} was lost"
        curve = [(m.step, m.examples, _unclocked(m)) for m in read_curve(directory.curves, trial.number)]
        ending = (trial.ending.outcome, trial.ending.step, trial.ending.steps_to_target)
        found[trial.number] = (trial.recipe, ending, dict(trial.intermediate), curve)
    return found
