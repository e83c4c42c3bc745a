"""Trials an hour with 1, 2 and 4 warm groups: python benchmarks/groups.py [--trials 24] [--repeats 3].

Real studies of ``digits`` with Ray. On a machine of two CPUs four groups share devices (``trials_per_device: 2``).
Counted from the end of the first trial to the end of the last, so that the start of Ray is left out and that of further
groups is not.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

STUDY = """\
name: groups
task: digits
workers: [1]
space:
  global_batch_size: {{choices: [32, 64, 128]}}
  learning_rate: {{low: 0.2, high: 0.6, scale: log}}
  norm_batch_size: 16
search: {{name: halton, seed: 1}}
scheduler: {{name: none}}
budget: {{trials: {trials}, examples_per_trial: 20000}}
resources: {{concurrent_trials: {groups}, trials_per_device: {share}}}
"""


def trials_an_hour(groups: int, trials: int) -> float:
    """One study."""
    share = -(-groups // (os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as folder:
        study, out = Path(folder) / "groups.yaml", Path(folder) / "out"
        study.write_text(STUDY.format(trials=trials, groups=groups, share=share))
        arguments = [sys.executable, "-m", "largebatch", "run", str(study), "--out", str(out)]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        storage = JournalStorage(JournalFileBackend(str(out / "ledger.log")))
        ended = [trial.datetime_complete for trial in optuna.load_study(study_name="groups", storage=storage).trials]
    times = sorted(time for time in ended if time is not None)
    return 3600 * (len(times) - 1) / (times[-1] - times[0]).total_seconds()


def main() -> None:
    """Print medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    counts = (1, 2, 4)
    found: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(arguments.repeats):  # in turn, so that a slow minute of the machine is shared by all
        for count in counts:
            found[count].append(trials_an_hour(count, arguments.trials))
    print(f"{os.cpu_count()} CPUs, {arguments.trials} trials, {arguments.repeats} studies each")
    for count, rates in found.items():
        print(f"{count} groups: {statistics.median(rates):,.0f} trials/h ({min(rates):,.0f} to {max(rates):,.0f})")


if __name__ == "__main__":
    main()
