"""The devices of the cluster, and how a study divides them among its trials."""

from dataclasses import dataclass

import ray

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.studies.question.study import Resources, Study

MOST_CPU_TRIALS = 8
"""Trials at once on CPUs unless the study says otherwise; more CPUs mean more threads a trial. GPUs are all filled."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What a study has: ``units`` are devices, or shares of one where ``share`` trials share a device."""

    units: int
    share: int
    most_trials: int
    total_units: int
    """What the cluster has, of which the study may use less."""
    on_gpus: bool

    @property
    def whole(self) -> int:
        """Devices."""
        return max(1, self.units // self.share)


def devices_of(study: Study) -> Devices:
    """The devices that the study fills, by default all.

    Raises:
        UserError: if it asks for more than there are.
    """
    resources, total = study.resources, num_devices_at_hand()
    share, trials = resources.trials_per_device, study.budget.trials or total * resources.trials_per_device
    if resources.examples_per_device is not None:
        return Devices(total, 1, min(resources.concurrent_trials or total, trials), total, _num_gpus() > 0)
    each, wanted = resources.devices_per_trial, resources.concurrent_trials
    if each > total:
        raise UserError(f"resources.devices_per_trial: {each} devices are asked for; there are {total}")
    if wanted is None:
        wanted = min(total * share // each, trials, total if _num_gpus() else MOST_CPU_TRIALS * share)
    if wanted * each > total * share:
        raise UserError(
            f"resources: {wanted} concurrent trials of {each} devices need {wanted * each}; there are {total * share}"
        )
    return Devices(wanted * each, share, wanted, total * share, _num_gpus() > 0)


def devices_left(study: Study, begun: Devices) -> Devices:
    """What a study that has begun fills now that nodes were lost or joined: all that is left, if it asked for more.

    Raises:
        UserError: if nothing is left of the kind that it began with.
    """
    if not ray.cluster_resources().get("GPU" if begun.on_gpus else "CPU", 0):
        raise UserError("no device of the cluster is left")
    try:
        return devices_of(study)
    except UserError:
        total = num_devices_at_hand() * begun.share
        return Devices(total, begun.share, max(1, total // study.resources.devices_per_trial), total, begun.on_gpus)


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


def on_this_node() -> dict[str, str]:
    """For what must not be lost with another node: the label of the one where the study runs."""
    return {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
