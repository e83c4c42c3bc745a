"""What a study costs as it grows: an evaluation, a trial that trains nothing, and `show`, for one build or for two.

    python benchmarks/growth.py --against OTHER/bin/python --json growth.json

The other build is what that Python has installed. CPU is the process's own; the two take turns on the same machine.
Records of that length are made up, then continued: *evaluation* is what the coordinator does with one measurement of a
trial that has 1,000 or 20,000, *trial* a whole trial in process whose limit allows no step, after 100 or 3,000 others
(quasi-random search, no scheduler), *show* the command on 50,000 trials of 20 evaluations, at its peak of memory.
Medians of 60 evaluations and 40 trials.
"""

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

EVALUATIONS, TRIALS, SHOWN = (1_000, 20_000), (100, 3_000), 50_000
REPEATS_EVALUATION, REPEATS_TRIAL = 60, 40
MADE_UP = Path(__file__).parents[1] / "tests" / "dashboard" / "made_up.py"


def made_up() -> ModuleType:
    """What writes records of any length, of the tests of the dashboard."""
    spec = importlib.util.spec_from_file_location("made_up", MADE_UP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def coordinator(path: Path, max_examples: int, more_trials: int) -> Any:
    """Of a study that lies at ``path``, to be continued with so many trials."""
    from largebatch.schedulers.trial.scheduler import NoScheduler
    from largebatch.search.searchers.halton import Halton
    from largebatch.studies.record.checkpoint_store import CheckpointStore
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.record.ledger import Ledger
    from largebatch.studies.running.coordinator import Coordinator
    from largebatch.studies.running.steering import Steering

    directory = StudyDirectory(path)
    study, target = directory.study(), directory.target()
    ledger = Ledger(directory.ledger, study.name, create=True)
    budget = study.budget.model_copy(update={"trials": len(ledger.trials()) + more_trials, "examples": 10**15})
    return Coordinator(
        study=study.model_copy(update={"budget": budget}), target=target, max_examples=max_examples, ledger=ledger,
        curves=directory.curves, checkpoints=CheckpointStore(directory.checkpoints, 10**9), searcher=Halton(),
        scheduler=NoScheduler(), steering=Steering(ledger=ledger, folder=directory.requests), seconds=None,
        devices_for=lambda recipe: 1, checkpoint_bytes=1, owner="benchmark",
    )  # fmt: skip


def evaluation_seconds(path: Path, before: int) -> float:
    """CPU of one measurement of a trial that has ``before``."""
    from largebatch.spaces.trial import Measurement
    from largebatch.studies.record.curves import write_curve

    names = ("val_accuracy", "val_loss", "train_loss", "learning_rate", "evaluation_seconds", "save_seconds")

    def measurement(k: int) -> Measurement:
        values = dict.fromkeys(names, 0.5 / (k + 1))
        return Measurement(step=k, examples=64 * k, seconds=0.1 * k, values=values)

    module = made_up()
    module.write_study(path, trials=1, measurements=2, running=1, curves=False)
    with (path / "ledger.log").open("a") as file:
        for k in range(before):
            point = {"op_code": 7, "worker_id": "made-up", "trial_id": 0, "step": 64 * k, "intermediate_value": 0.1}
            file.write(json.dumps(point, separators=(",", ":")) + "\n")
    write_curve(path / "curves", 0, [measurement(k) for k in range(before)])
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "trial-000000.pt").touch()  # it continues
    study = coordinator(path, 10**9, 0)
    assert study.next_trial().number == 0
    took = []
    for k in range(before, before + REPEATS_EVALUATION):
        began = time.process_time()
        study.measure(0, measurement(k))
        took.append(time.process_time() - began)
    return statistics.median(took)


def trial_seconds(path: Path, before: int) -> float:
    """CPU of one trial in process whose limit allows no step, after ``before`` others."""
    from largebatch.studies.running.engines.in_process import run_in_process
    from largebatch.studies.running.interruption import Leaving

    made_up().write_study(path, trials=before, measurements=5, curves=False)
    study = coordinator(path, 1, REPEATS_TRIAL)
    ends: list[float] = []
    end = study.end

    def timed_end(*arguments: Any) -> None:
        end(*arguments)
        ends.append(time.process_time())

    study.end = timed_end
    run_in_process(study, Leaving())
    assert len(ends) == REPEATS_TRIAL
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(ends))


def show(python: str, path: Path) -> dict[str, float]:
    """CPU and memory of the command."""
    command = [python, "-m", "largebatch", "show", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=one_thread())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return {"seconds": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1e3}


def one_thread() -> dict[str, str]:
    """Threads that wait for one another on a loaded machine would count as CPU."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def measured(python: str, kind: str, before: int) -> float:
    """What another process of this file says."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, __file__, "--only", kind, "--before", str(before), "--folder", folder]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread()).stdout)


def compared(pythons: dict[str, str]) -> dict[str, dict[str, Any]]:
    """All figures of each build."""
    found: dict[str, dict[str, Any]] = {name: {} for name in pythons}
    for kind, sizes in (("evaluation", EVALUATIONS), ("trial", TRIALS)):
        for before in sizes:
            for name, python in pythons.items():
                found[name].setdefault(kind, {})[str(before)] = measured(python, kind, before)
    with tempfile.TemporaryDirectory() as folder:
        made_up().write_study(Path(folder) / "study", trials=SHOWN)
        for name, python in pythons.items():
            found[name]["show"] = show(python, Path(folder) / "study")
    for figures in found.values():
        for kind in ("evaluation", "trial"):
            few, many = figures[kind].values()
            figures[kind]["growth"] = many / few
    return found


def main() -> None:
    """Print the figures, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="PYTHON", help="of an environment with another build")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", choices=["evaluation", "trial"], help=argparse.SUPPRESS)
    parser.add_argument("--before", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only is not None:
        measure = evaluation_seconds if arguments.only == "evaluation" else trial_seconds
        print(measure(arguments.folder / "study", arguments.before))
        return
    pythons = {"this": sys.executable}
    if arguments.against is not None:
        pythons["other"] = arguments.against
    found = compared(pythons)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    for name, figures in found.items():
        for kind in ("evaluation", "trial"):
            few, many, growth = figures[kind].values()
            sizes = list(figures[kind])
            print(
                f"{name:6} {kind:11} after {sizes[0]:>6}: {1000 * few:8.2f} ms   after {sizes[1]:>6}: "
                f"{1000 * many:8.2f} ms   {growth:5.2f} times"
            )
        print(f"{name:6} show        {figures['show']['seconds']:.1f} s   {figures['show']['megabytes']:.0f} MB")


if __name__ == "__main__":
    main()
