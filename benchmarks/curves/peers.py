"""The peers, each as its documentation says, behind one face: propose, report metrics on the way, finish.

They minimise log(time to target); a trial that did not reach the target is told as its limit and one more. Their space
is the table's: the batch sizes of the study, the index of the rate, optimizer and warm-up. ``resource`` counts up to
``MAX_RESOURCE``. Halton and the Bayesian optimisers run their trials to the end; TPE prunes by successive halving, and
syne-tune's scheduler (CQR with asynchronous successive halving; Salinas et al. 2023, arXiv 2305.03623) by its own.
"""

import contextlib
import datetime
import io
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import optuna
from record import LEARNING_RATES, NORM_BATCH_SIZE, OPTIMIZERS, WARMUP_EPOCHS
from scipy.stats import qmc

from largebatch.spaces.recipe import Recipe

MAX_RESOURCE, GRACE, REDUCTION = 81, 9, 3
Values = dict[str, Any]


class Peer(Protocol):
    """One study of another tool."""

    def propose(self) -> Values:
        """Indices of batch size and rate, names of optimizer and warm-up."""

    def report(self, resource: int, metric: float) -> bool:
        """The metric (smaller is better) after ``resource``; True if the trial is to stop."""

    def finish(self, objective: float) -> None:
        """The trial's end."""


def recipe_of(values: Values, sizes: Sequence[int]) -> Recipe:
    """The recipe that a peer proposes."""
    return Recipe(
        global_batch_size=sizes[int(values["size"])],
        learning_rate=LEARNING_RATES[int(values["rate"])],
        optimizer=values["optimizer"],
        warmup_epochs=WARMUP_EPOCHS[int(values["warmup"])],
        norm_batch_size=NORM_BATCH_SIZE,
    )


class Optuna:
    """A sampler of Optuna's; with ``prunes``, its SuccessiveHalvingPruner."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, num_sizes: int, *, prunes: bool) -> None:
        pruner = (
            optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=REDUCTION)
            if prunes
            else optuna.pruners.NopPruner()
        )
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._num_sizes = num_sizes

    def propose(self) -> Values:
        """See ``Peer``."""
        trial = self._trial = self._study.ask()
        return {
            "size": trial.suggest_int("size", 0, self._num_sizes - 1),
            "rate": trial.suggest_int("rate", 0, len(LEARNING_RATES) - 1),
            "optimizer": trial.suggest_categorical("optimizer", OPTIMIZERS),
            "warmup": trial.suggest_int("warmup", 0, len(WARMUP_EPOCHS) - 1),
        }

    def report(self, resource: int, metric: float) -> bool:
        """See ``Peer``."""
        self._trial.report(metric, resource)
        return self._trial.should_prune()

    def finish(self, objective: float) -> None:
        """See ``Peer``; a pruned trial is told as one that did not reach the target."""
        self._study.tell(self._trial, objective)


class Halton:
    """Scrambled Halton points."""

    def __init__(self, num_sizes: int, seed: int) -> None:
        self._sequence = qmc.Halton(d=4, scramble=True, rng=seed)
        self._num_sizes = num_sizes

    def propose(self) -> Values:
        """See ``Peer``."""
        (at,) = self._sequence.random(1)
        size, rate, optimizer, warmup = at
        return {
            "size": int(size * self._num_sizes),
            "rate": int(rate * len(LEARNING_RATES)),
            "optimizer": OPTIMIZERS[int(optimizer * len(OPTIMIZERS))],
            "warmup": int(warmup * len(WARMUP_EPOCHS)),
        }

    def report(self, resource: int, metric: float) -> bool:
        """See ``Peer``."""
        del resource, metric
        return False

    def finish(self, objective: float) -> None:
        """See ``Peer``."""


class DeepHyper:
    """CBO with its default surrogate (extra trees)."""

    def __init__(self, num_sizes: int, seed: int) -> None:
        from deephyper.hpo import CBO, HpProblem

        problem = HpProblem()
        problem.add_hyperparameter((0, num_sizes - 1) if num_sizes > 1 else [0], "size")
        problem.add_hyperparameter((0, len(LEARNING_RATES) - 1), "rate")
        problem.add_hyperparameter(list(OPTIMIZERS), "optimizer")
        problem.add_hyperparameter((0, len(WARMUP_EPOCHS) - 1), "warmup")
        with contextlib.redirect_stdout(io.StringIO()):
            self._search = CBO(
                problem, random_state=seed, checkpoint_history_to_csv=False, acq_optimizer="sampling", verbose=0
            )

    def propose(self) -> Values:
        """See ``Peer``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (self._values,) = self._search.ask(1)
        return dict(self._values)

    def report(self, resource: int, metric: float) -> bool:
        """See ``Peer``."""
        del resource, metric
        return False

    def finish(self, objective: float) -> None:
        """See ``Peer``: DeepHyper maximises."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._search.tell([(self._values, -objective)])


class SyneTune:
    """ASHACQR: a conformal quantile regression on each rung, trials stopped by successive halving."""

    def __init__(self, num_sizes: int, seed: int) -> None:
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        from syne_tune.config_space import choice, randint
        from syne_tune.optimizer.baselines import ASHACQR

        space = {
            "size": randint(0, num_sizes - 1) if num_sizes > 1 else 0,
            "rate": randint(0, len(LEARNING_RATES) - 1),
            "optimizer": choice(list(OPTIMIZERS)),
            "warmup": randint(0, len(WARMUP_EPOCHS) - 1),
        }
        self._scheduler = ASHACQR(
            space, metric="metric", time_attr="resource", max_t=MAX_RESOURCE, grace_period=GRACE,
            reduction_factor=REDUCTION, random_seed=seed,
        )  # fmt: skip
        self._number = 0
        self._last: Values | None = None

    def propose(self) -> Values:
        """See ``Peer``."""
        from syne_tune.backend.trial_status import Trial

        config = self._scheduler.suggest().config
        self._trial = Trial(trial_id=self._number, config=config, creation_time=datetime.datetime(2026, 1, 1))
        self._number += 1
        self._last = None
        self._scheduler.on_trial_add(self._trial)
        return dict(config)

    def report(self, resource: int, metric: float) -> bool:
        """See ``Peer``."""
        self._last = {"metric": metric, "resource": resource}
        stops = self._scheduler.on_trial_result(self._trial, self._last) == "STOP"
        if stops:
            self._scheduler.on_trial_remove(self._trial)
        self._stopped = stops
        return stops

    def finish(self, objective: float) -> None:
        """See ``Peer``: its metric is what was reported on the way, at a time of the worker count's own."""
        del objective
        if self._last is not None and not self._stopped:
            self._scheduler.on_trial_complete(self._trial, self._last)


def make_peer(name: str, num_sizes: int, seed: int) -> Peer:
    """A peer by name."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if name == "optuna-tpe":
        return Optuna(optuna.samplers.TPESampler(seed=seed), num_sizes, prunes=True)
    if name == "optuna-gp":
        return Optuna(optuna.samplers.GPSampler(seed=seed), num_sizes, prunes=False)
    if name == "deephyper-cbo":
        return DeepHyper(num_sizes, seed)
    if name == "syne-tune":
        np.random.seed(seed)
        return SyneTune(num_sizes, seed)
    return Halton(num_sizes, seed)


PEERS = ("halton", "optuna-tpe", "optuna-gp", "deephyper-cbo", "syne-tune")


def finite(metric: float) -> float:
    """A metric that comparisons can bear."""
    return metric if math.isfinite(metric) else 1e6
