"""The devices of the cluster, and how a study divides them among its trials."""

from dataclasses import dataclass

import ray

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.study import Resources, Study

MOST_CPU_TRIALS = 8
"""Trials at once on CPUs unless the study says otherwise; more CPUs mean more threads a trial. GPUs are all filled."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What a study has: ``units`` are devices, or shares of one where ``share`` trials share a device."""

    units: int
    share: int
    most_trials: int

    @property
    def whole(self) -> int:
        """Devices."""
        return max(1, self.units // self.share)


def devices_of(study: Study) -> Devices:
    """The devices that the study fills, by default all.

    Raises:
        UserMistake: if it asks for more than there are.
    """
    resources, total = study.resources, num_devices_at_hand()
    share, trials = resources.trials_per_device, study.budget.trials or total * resources.trials_per_device
    if resources.examples_per_device is not None:
        return Devices(total, 1, min(resources.concurrent_trials or total, trials))
    each, wanted = resources.devices_per_trial, resources.concurrent_trials
    if each > total:
        raise UserMistake(f"resources.devices_per_trial: {each} devices are asked for; there are {total}")
    if wanted is None:
        wanted = min(total * share // each, trials, total if _num_gpus() else MOST_CPU_TRIALS * share)
    if wanted * each > total * share:
        raise UserMistake(
            f"resources: {wanted} concurrent trials of {each} devices need {wanted * each}; there are {total * share}"
        )
    return Devices(wanted * each, share, wanted)


def devices_for(recipe: Recipe, resources: Resources, total: int) -> int:
    """How many of ``total`` devices a trial of this recipe takes; no more than it has groups for."""
    if resources.examples_per_device is None:
        return resources.devices_per_trial
    wanted = -(-recipe.global_batch_size // resources.examples_per_device)
    return min(wanted, recipe.num_groups, total)


def num_devices_at_hand() -> int:
    """The GPUs of the cluster, else its CPUs."""
    return _num_gpus() or int(ray.cluster_resources().get("CPU", 1))


def threads_per_worker(num_workers: int) -> int:
    """An even share of the CPUs."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)) // num_workers)


def _num_gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))
