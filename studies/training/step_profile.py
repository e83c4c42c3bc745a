"""``profile``: seconds of a training step over local batch sizes and real workers, on the devices at hand."""

import itertools
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from largebatch.search.laws.step_time.links import Link, measured_links
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.answer.law_text import link_words
from largebatch.studies.views.terminal.narrow import table_that_fits

INPUT_LIMITS = 0.7
"""Steps that take examples this much as fast as they can be had wait for them."""


def profile_question(recipe: dict[str, Any], execution: dict[str, Any]) -> tuple[Recipe, Execution]:
    """What the command line asks to time.

    Raises:
        UserError: for a value that does not exist.
    """
    try:
        sizes = {"global_batch_size": 1, "learning_rate": 1e-6}
        return Recipe.model_validate({**sizes, **recipe}), Execution.model_validate(execution)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{option}: {first['msg']}; got {first['input']!r}") from error


def profile_task(
    task: str, *, workers: Sequence[int] | None, local_batch_sizes: Sequence[int], recipe: Recipe,
    execution: Execution, address: str | None, in_process: bool,
) -> dict[str, Any]:  # fmt: skip
    """Time steps of ``task``; ``workers`` are 1, 2, 4, .. up to the devices at hand if not given.

    Raises:
        UserError: if more workers are asked for than there are devices, or a local batch does not suit the groups.
    """
    refuse_unsuited("--local-batch-sizes", local_batch_sizes, recipe)

    def counts(total: int) -> Sequence[int]:
        chosen = workers or [2**power for power in range(total.bit_length())]
        if max(chosen) > total:
            raise UserError(f"--workers: {max(chosen)} workers are asked for; there are {total} devices")
        return chosen

    profiles = time_workers(
        task, counts, local_batch_sizes, recipe, execution, address=address, in_process=in_process
    )  # fmt: skip
    return _as_json(task, profiles)


def refuse_unsuited(option: str, local_batch_sizes: Sequence[int], recipe: Recipe) -> None:
    """Refuse local batches that cannot be cut into whole groups.

    Raises:
        UserError: that names them and the option.
    """
    group = recipe.norm_batch_size
    unsuited = [size for size in local_batch_sizes if size > group and size % group]
    if unsuited:
        raise UserError(
            f"{option}: a local batch above norm_batch_size ({group}) must be a multiple of it; got "
            f"{', '.join(map(str, unsuited))}"
        )


def time_workers(
    task: str, counts: Callable[[int], Sequence[int]], local_batch_sizes: Sequence[int], recipe: Recipe,
    execution: Execution, *, address: str | None, in_process: bool,
) -> dict[int, StepTimeProfile]:  # fmt: skip
    """Profiles by number of workers; ``counts`` chooses these numbers, given how many devices there are."""
    if in_process:
        from largebatch.studies.running.engines.in_process import profile_in_process

        return {1: profile_in_process(task, recipe, local_batch_sizes, execution)}
    from largebatch.studies.running.engines.ray_cluster import ray_cluster

    profiles = {}
    with ray_cluster(address), tempfile.TemporaryDirectory() as folder:
        # Not before: they import Ray, which reads its token and where to listen when it is imported.
        from largebatch.studies.running.engines.devices import num_devices_at_hand, threads_per_worker
        from largebatch.studies.running.engines.ray_tune import run_profile

        chosen = counts(num_devices_at_hand())
        threads = threads_per_worker(max(chosen))  # the same for all counts, or they would not compare
        for count in chosen:
            path = Path(folder) / f"profile-{count}.json"
            run_profile(task, recipe, local_batch_sizes, count, threads, execution, path)
            profiles[count] = StepTimeProfile.model_validate_json(path.read_text())
    return profiles


def joined(profiles: Mapping[int, StepTimeProfile]) -> StepTimeProfile:
    """One profile of those by number of workers: the compute of the fewest, and what several did together."""
    return profiles[min(profiles)].model_copy(
        update={
            "steps": tuple(time for profile in profiles.values() for time in profile.steps),
            "all_reduce": tuple(time for profile in profiles.values() for time in profile.all_reduce),
        }
    )


def _as_json(task: str, profiles: dict[int, StepTimeProfile]) -> dict[str, Any]:
    rows, sums = [], []
    for count, profile in profiles.items():
        for time in profile.compute if count == 1 else profile.steps:
            low, middle, high = statistics.quantiles(time.seconds, n=4)
            rows.append(
                {
                    "num_workers": count,
                    "local_batch_size": time.local_batch_size,
                    "global_batch_size": count * time.local_batch_size,
                    "step_seconds": middle,
                    "step_seconds_low": low,
                    "step_seconds_high": high,
                    "examples_per_second": count * time.local_batch_size / middle,
                }
            )
        sums += [
            {
                "num_workers": time.num_workers,
                "workers_per_node": time.workers_per_node,
                "num_bytes": time.num_bytes,
                "seconds": statistics.median(time.seconds),
            }
            for time in profile.all_reduce
        ]
    any_profile = next(iter(profiles.values()))
    return {
        "task": task,
        "device": any_profile.device,
        "micro_batch_size": any_profile.micro_batch_size,
        "num_summed_bytes": any_profile.num_bytes,
        "input_examples_per_second": _input_rate(any_profile),
        "rows": rows,
        "all_reduce": sums,
        "links": [asdict(link) for link in measured_links(timings_of_profile(joined(profiles)))],
    }


def _input_rate(profile: StepTimeProfile) -> float | None:
    """Examples a second that one worker can have."""
    if profile.input is None:
        return None
    return profile.input.local_batch_size / statistics.median(profile.input.seconds)


def print_profile(found: dict[str, Any]) -> None:
    """The profile as a table; the spread is that between quartiles of the repeats."""
    console = Console(highlight=False, markup=False)
    console.print(f"{found['task']} on {found['device']}; at most {found['micro_batch_size']} examples in a pass")
    headings = ("workers", "local batch", "step", "quartiles", "examples/s")
    rows = []
    for row in found["rows"]:
        low, high = (format_seconds(row[f"step_seconds_{end}"]) for end in ("low", "high"))
        rows.append(
            (
                str(row["num_workers"]), str(row["local_batch_size"]), format_seconds(row["step_seconds"]),
                f"{low} to {high}", f"{row['examples_per_second']:,.0f}",
            )
        )  # fmt: skip
    console.print(table_that_fits(headings, rows, console.width, ("quartiles", "examples/s")))
    if found["input_examples_per_second"] is not None:
        fastest = max(row["examples_per_second"] / row["num_workers"] for row in found["rows"])
        limits = "; it limits the steps" if fastest > INPUT_LIMITS * found["input_examples_per_second"] else ""
        console.print(
            f"input alone: {found['input_examples_per_second']:,.0f} examples/s a worker, steps at most "
            f"{fastest:,.0f}{limits}"
        )
    for over, times in itertools.groupby(found["all_reduce"], _over):
        told = ", ".join(f"{time['num_bytes']:,} bytes {format_seconds(time['seconds'])}" for time in times)
        console.print(f"summing over {over}: {told}", soft_wrap=True)
    if found["links"]:
        links = [Link(**link) for link in found["links"]]
        console.print(f"what joins the devices: {link_words(links)}", soft_wrap=True)


def _over(time: dict[str, Any]) -> str:
    num_workers, per_node = time["num_workers"], time["workers_per_node"]
    if per_node >= num_workers:
        return f"{num_workers} workers of a node"
    if per_node == 1:
        return f"{num_workers} nodes, one worker each"
    return f"{num_workers} workers, up to {per_node} a node"
