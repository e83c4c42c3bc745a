"""The fixed seconds of a trial beyond its training: ours, and Ray's documented nesting of Train inside Tune.

    python benchmarks/trial_cost.py            # both; the nesting takes minutes
    python benchmarks/trial_cost.py --trials 50 --nested-trials 4

Both run trials that train nothing. Ours is the whole way: searcher, ledger, Tune, mailbox, a warm Ray Train group, the
evaluation at step 0. The nesting is an empty Ray Train run inside each Tune trial. One line of JSON each, with medians
and quartiles over the gaps between the ends of successive trials; they run one after the other on the same machine.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

STUDY = """
name: trial-cost
task: digits
workers: [1]
space:
  global_batch_size: {{low: 16, high: 1024, scale: log2}}
  learning_rate: {{low: 0.02, high: 5.0, scale: log}}
  norm_batch_size: 16
budget: {{trials: {trials}, examples_per_trial: 1}}
resources: {{concurrent_trials: 1}}
"""


def ours(num_trials: int) -> list[float]:
    """Run a study whose trials have too few examples for a single step; return the seconds of each trial's end."""
    from largebatch.spaces.errors import UserError
    from largebatch.studies.question.study_file import parse_study
    from largebatch.studies.run import run_study
    from largebatch.studies.running import coordinator

    ends: list[float] = []
    end = coordinator.Coordinator.end

    def timed_end(self: Any, *arguments: Any) -> None:
        end(self, *arguments)
        ends.append(time.perf_counter())

    coordinator.Coordinator.end = timed_end  # type: ignore[method-assign]
    study = parse_study(STUDY.format(trials=num_trials), "trial-cost.yaml")
    with tempfile.TemporaryDirectory() as folder, suppress(UserError):
        run_study(study, Path(folder) / "study")
    return ends


def nested(num_trials: int) -> list[float]:
    """Ray's documented way: a Tune trial whose function runs a Ray Train run, here an empty one."""
    import ray
    from ray import tune
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    storage = tempfile.mkdtemp(prefix="nested-")

    def trial(config: dict[str, Any]) -> None:
        del config
        trainer = TorchTrainer(
            lambda: None, scaling_config=ScalingConfig(num_workers=1), run_config=RunConfig(storage_path=storage)
        )
        trainer.fit()
        tune.report({"done": 1})

    ends: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    tune.Tuner(
        tune.with_resources(trial, {"CPU": 1}),
        tune_config=tune.TuneConfig(num_samples=num_trials, max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path=storage, callbacks=[Clock()], verbose=0),
    ).fit()
    ray.shutdown()
    return ends


def main() -> None:
    """Run each in a process of its own, for Ray reads its environment once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--nested-trials", type=int, default=4)
    parser.add_argument("--only", choices=["ours", "nested"])
    arguments = parser.parse_args()
    if arguments.only is None:
        for name in ("ours", "nested"):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", name], check=True)
        return
    ends = ours(arguments.trials) if arguments.only == "ours" else nested(arguments.nested_trials)
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    quartiles = statistics.quantiles(gaps, n=4)
    print(
        json.dumps(
            {
                "way": arguments.only,
                "trials": len(ends),
                "median_seconds": round(statistics.median(gaps), 3),
                "quartiles_seconds": [round(quartiles[0], 3), round(quartiles[2], 3)],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
