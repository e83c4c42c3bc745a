"""Several jobs serve one study: whoever of them leaves, dies or stands still, every trial is done once, and alike."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from largebatch.spaces.errors import UserError
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.lease.lease import versions
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study
from largebatch.studies.running.joining.join import owner_to_join

STUDY = """\
name: shared
task: digits
workers: [1, 2]
target: {metric: val_accuracy, above: 0.95}
space:
  global_batch_size: {choices: [32, 64]}
  learning_rate: {low: 0.05, high: 0.15, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 4, examples_per_trial: 12000}
resources: {checkpoint_seconds: 0.2}
"""
IMPATIENT = """
import sys
from largebatch.studies.record.lease import lease_monitor as lease_watch, heartbeat as presence
lease_watch.EXPIRY_SECONDS, presence.RENEWAL_SECONDS = 3.0, 0.3
sys.argv = ["largebatch", *sys.argv[1:]]
from largebatch.studies.cli import main
main()
"""
PATIENCE_SECONDS = 120


class Jobs:
    """Jobs that run the study in the same directory; what is left of them is killed in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        (folder / "study.yaml").write_text(STUDY)
        self._all: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        arguments = ["-c", IMPATIENT, "run", "study.yaml", "--in-process", "--join", "--out", "out"]
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._all.append(process)
        return process

    def start_at_once(self, count: int) -> tuple["subprocess.Popen[str]", list["subprocess.Popen[str]"]]:
        """So many jobs; the one that owns the study, and the others."""
        started = [self.start() for _ in range(count)]
        self.wait(lambda: any(map(self.owns, started)))
        (owner,) = filter(self.owns, started)
        return owner, [job for job in started if job is not owner]

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, [job.communicate() for job in self._all if job.poll() is not None]
            time.sleep(0.05)

    def owns(self, job: subprocess.Popen[str]) -> bool:
        """Whether that job owns the study, and trains."""
        holder = LeaseWatch(self.out).look()
        return holder is not None and holder.pid == job.pid and any(trial.intermediate for trial in trials(self.out))

    def guest(self, job: subprocess.Popen[str]) -> Path | None:
        return next((self.out / "guests").glob(f"*/*-{job.pid}-*"), None)

    def lends(self, job: subprocess.Popen[str]) -> bool:
        """Whether that job has measured and saved a trial for another."""
        guest = self.guest(job)
        saved = (
            guest is not None and (guest / "checkpoints").exists() and any((guest / "checkpoints").glob("*[0-9].pt"))
        )
        return bool(saved) and guest is not None and "measured" in (guest / "asks").read_text()

    def is_let_go(self, job: subprocess.Popen[str]) -> bool:
        guest = self.guest(job)
        return guest is not None and "serves the study no longer" in (guest / "answers").read_text()

    def close(self) -> None:
        for job in self._all:
            job.kill()
            job.communicate()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path)
    yield made
    made.close()


def trials(out: Path) -> Sequence[Any]:
    return Ledger(out / "ledger.log", "shared", create=False).trials() if (out / "ledger.log").exists() else []


def owners(out: Path) -> list[set[str]]:
    """Who had each trial, in the order of the trials."""
    storage = JournalStorage(JournalFileBackend(str(out / "ledger.log")))
    found: dict[int, set[str]] = {}
    numbers = {trial._trial_id: trial.number for trial in storage.get_all_trials(0)}
    for line in (out / "ledger.log").read_text().splitlines():
        record = json.loads(line)
        owner = record.get("user_attr", record.get("user_attrs", {})).get("owner")
        if owner is not None:
            number = numbers[record["trial_id"]] if "trial_id" in record else len(found)
            found.setdefault(number, set()).add(owner)
    return [found[number] for number in sorted(found)]


def result(out: Path) -> dict[int, Any]:
    """All that was trained and measured, but for what the clock says."""
    found = {}
    for trial in trials(out):
        assert trial.ending is not None, f"trial {trial.number} was lost"
        values = [
            (
                m.step,
                {name: value for name, value in m.values.items() if "_seconds" not in name and math.isfinite(value)},
            )
            for m in read_curve(out / "curves", trial.number)
        ]
        ending = (trial.ending.outcome, trial.ending.step, trial.ending.steps_to_target)
        best = (out / "checkpoints" / f"trial-{trial.number:06d}.best.pt").exists()
        found[trial.number] = (trial.recipe, ending, dict(trial.intermediate), values, best)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """What one job finds, left alone."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_study(parse_study(STUDY, "study.yaml"), out, in_process=True)
    return result(out)


def test_two_jobs_share_the_trials_and_strange_files_disturb_nobody(jobs: Jobs, whole: dict[int, Any]) -> None:
    strange = jobs.out / "guests" / "000001"
    for name, text in (("a", b"[" * 100_000 + b"\n"), ("b", b"\xff\x00\n{}\n"), ("c", b"x" * 2_000_000), ("d", b"1\n")):
        (strange / name).mkdir(parents=True)
        (strange / name / "asks").write_bytes(text)
        (strange / name / "presence").write_bytes(text[:1000])
    told = {"number": 1, "kind": "ended", "trial": 0}
    told["ending"] = {"outcome": "reached", "step": 1, "examples": 32, "seconds": 0.1, "steps_to_target": 1}
    (strange / "e" / "asks").mkdir(parents=True)
    (strange / "f").mkdir()
    (strange / "f" / "asks").write_text(json.dumps(told) + "\n")
    (strange / "g").write_text("no folder")
    (jobs.out / "leases").mkdir()  # as if somebody had begun here: what lies there is no other's
    first = jobs.start()
    jobs.wait(lambda: jobs.owns(first))
    second = jobs.start()
    jobs.wait(lambda: jobs.lends(second))
    for job in (first, second):
        output, errors = job.communicate(timeout=PATIENCE_SECONDS)
        assert job.returncode == 0, errors
        assert "The report: out/report.html" in output
    assert f"in use by process {first.pid} on " in errors
    assert "this job's devices train for it" in errors
    assert result(jobs.out) == whole
    assert len(set.union(*owners(jobs.out))) == 2, "both trained"
    assert all(len(one) == 1 for one in owners(jobs.out)), "no trial was done twice"
    assert not (jobs.out / "guests").exists()
    late = jobs.start()  # all is done
    assert late.wait(PATIENCE_SECONDS) == 0
    assert [path.name for path in (jobs.out / "leases").iterdir() if path.name.isdecimal()] == ["000001"]


def test_a_guest_may_leave_die_or_stand_still(jobs: Jobs, whole: dict[int, Any]) -> None:
    owner, (left, killed, stopped) = jobs.start_at_once(4)
    for guest, number in ((left, signal.SIGTERM), (killed, signal.SIGKILL), (stopped, signal.SIGSTOP)):
        jobs.wait(lambda guest=guest: jobs.lends(guest))
        guest.send_signal(number)
    _, errors = left.communicate(timeout=PATIENCE_SECONDS)
    assert left.returncode == 75, errors
    assert "SIGTERM came: saved 1 running trial; the same command goes on" in errors
    for guest in (left, killed, stopped):
        jobs.wait(lambda guest=guest: jobs.is_let_go(guest))
    stopped.send_signal(signal.SIGCONT)
    _, errors = stopped.communicate(timeout=PATIENCE_SECONDS)
    assert stopped.returncode == 2, errors
    assert "this job serves the study no longer: it stood still for too long" in errors
    _, errors = owner.communicate(timeout=PATIENCE_SECONDS)
    assert owner.returncode == 0, errors
    assert result(jobs.out) == whole


def test_a_guest_goes_on_in_the_place_of_an_owner_that_died(jobs: Jobs, whole: dict[int, Any]) -> None:
    owner, (interrupted, heir) = jobs.start_at_once(3)
    jobs.wait(lambda: jobs.lends(interrupted))
    interrupted.send_signal(signal.SIGINT)
    jobs.wait(lambda: jobs.lends(heir) and jobs.is_let_go(interrupted))
    owner.kill()
    _, errors = heir.communicate(timeout=PATIENCE_SECONDS)
    assert heir.returncode == 0, errors
    assert interrupted.wait(PATIENCE_SECONDS) == 130
    assert result(jobs.out) == whole
    assert (jobs.out / "plan.json").exists()


def test_a_job_with_other_versions_or_another_study_is_refused(tmp_path: Path) -> None:
    study = parse_study(STUDY, "study.yaml")
    watch = LeaseWatch(tmp_path)
    assert owner_to_join(watch, study) is None
    (tmp_path / "leases").mkdir()
    facts = {"host": "far", "machine": "m", "pid": 7, "locked": True, "versions": {**versions(), "torch": "1.0"}}
    path = tmp_path / "leases" / "000001"
    path.write_text(json.dumps(facts))
    watch.look()
    path.write_text(json.dumps({**facts, "renewals": 1}))
    with pytest.raises(UserError, match=re.escape("process 7 on far with torch 1.0; this job has ")):
        owner_to_join(watch, study)
    path.write_text(json.dumps({**facts, "versions": versions(), "renewals": 2}))
    holder = owner_to_join(watch, study)
    assert holder is not None
    assert holder.fence == 1
    (tmp_path / "study.yaml").write_text(STUDY.replace("trials: 4", "trials: 5"))
    with pytest.raises(UserError, match=r"holds another study"):
        owner_to_join(watch, study)
