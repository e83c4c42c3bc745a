"""Examples a second of our training step, all its measurements on, over those of a bare PyTorch loop, in one run.

    python benchmarks/step.py                # one process against a bare loop
    python benchmarks/step.py --devices 2    # two processes against bare DistributedDataParallel
    python benchmarks/step.py --against unmeasured --batch 32 --norm 16 --micro 16    # what the noise scale costs

Both train the same model on the same tensors with the same fused optimizer; ours also shuffles, keeps groups apart,
measures the noise scale, averages weights where ``--averaging`` says so, and asks whether to leave. The two take turns
in blocks of steps, in random order within each pair; the ratio of a pair is not moved by a machine that slows down.
The median over pairs is printed with its quartiles.

``resnet50`` is ResNet-50 at 64 pixels, ``digits`` the quick start's network, whose step is mostly overhead.
"""

import argparse
import dataclasses
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.device_name import device_name
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training

Step = Callable[[], object]


def resnet50(device: torch.device) -> Task:
    size, count = (224, 2048) if device.type == "cuda" else (64, 256)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 3, size, size, generator=generator)
    targets = torch.randint(0, 1000, (count,), generator=generator)
    return Task(
        model=lambda: ResNet(blocks=(3, 4, 6, 3), width=64, num_classes=1000),
        train_data=TensorDataset(inputs, targets),
        validation_data=TensorDataset(inputs[:8], targets[:8]),
        loss=cross_entropy,
        target=Target(metric="val_loss", below=0.0),
        max_examples=10**9,
        evaluation_examples=10**9,
        micro_batch_size=1024,
    )


def ours(task: Task, recipe: Recipe, execution: Execution, device: torch.device) -> Step:
    return Training(task, recipe, max_examples=10**9, device=device, execution=execution).train_step


def bare(task: Task, recipe: Recipe, execution: Execution, device: torch.device) -> Step:
    """What one writes by hand: shuffle, index, forward, backward, fused SGD."""
    num_devices = dist.get_world_size() if dist.is_initialized() else 1
    rank = dist.get_rank() if dist.is_initialized() else 0
    torch.manual_seed(0)
    channels_last = execution.memory_format == "channels_last"
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model = task.model().to(device, memory_format=memory_format).train()
    forward = model if num_devices == 1 else DistributedDataParallel(model, gradient_as_bucket_view=True)
    if execution.compile != "no":
        forward = torch.compile(forward, mode=None if execution.compile == "default" else execution.compile)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True, fused=True)
    inputs, targets = (tensor.to(device) for tensor in task.train_data.tensors)  # type: ignore[attr-defined]
    local = recipe.global_batch_size // num_devices
    order: list[Tensor] = []
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=execution.precision == "bfloat16")

    def step() -> Tensor:
        if not order:
            shuffled = torch.randperm(len(inputs), device=device)[rank::num_devices]
            order.extend(shuffled[: len(shuffled) // local * local].split(local))
        indices = order.pop()
        optimizer.zero_grad(set_to_none=True)
        batch = inputs[indices].contiguous(memory_format=memory_format)
        with autocast:
            loss = cross_entropy(forward(batch), targets[indices])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def unmeasured(task: Task, recipe: Recipe, execution: Execution, device: torch.device) -> Step:
    """Ours without the noise scale."""
    training = Training(task, recipe, max_examples=10**9, device=device, execution=execution)
    training.noise.begin_step = lambda *_, **__: False  # type: ignore[method-assign]
    return training.train_step


OTHERS = {"bare": bare, "unmeasured": unmeasured}


def seconds(step: Step, steps: int, device: torch.device) -> float:
    if dist.is_initialized():
        dist.barrier()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def compare(rank: int, options: argparse.Namespace, meet: str) -> None:
    device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu":
        torch.set_num_threads(options.threads or max(1, (os.cpu_count() or 1) // options.devices))
    if options.devices > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=f"file://{meet}", rank=rank, world_size=options.devices)
    task = resnet50(device) if options.task == "resnet50" else load_task(options.task, {})
    recipe = Recipe(
        global_batch_size=options.batch * options.devices, learning_rate=1e-3, weight_averaging=options.averaging,
        norm_batch_size=options.norm or options.batch, optimizer="nesterov", weight_decay=1e-4,
    )  # fmt: skip
    execution = Execution(
        precision=options.precision, memory_format=options.memory_format, compile=options.compile,
        gradient_compression=options.gradient_compression,
    )  # fmt: skip
    other = options.against
    if options.micro:
        task = dataclasses.replace(task, micro_batch_size=options.micro)
    steps = {"ours": ours(task, recipe, execution, device), other: OTHERS[other](task, recipe, execution, device)}
    for step in steps.values():
        seconds(step, options.warm_up, device)
    order, ratios, times = random.Random(0), [], {"ours": [], other: []}  # type: ignore[var-annotated]
    for _ in range(options.pairs):
        pair = {name: seconds(steps[name], options.steps, device) for name in order.sample(sorted(steps), 2)}
        ratios.append(pair[other] / pair["ours"])
        for name, value in pair.items():
            times[name].append(value)
    if rank == 0:
        low, middle, high = statistics.quantiles(ratios, n=4)
        result = {
            "task": options.task, "devices": options.devices, "local_batch_size": options.batch,
            "ratio": round(middle, 4), "quartiles": [round(low, 4), round(high, 4)], "pairs": options.pairs,
            **{f"{name}_seconds": round(statistics.median(value), 6) for name, value in times.items()},
            "examples_per_second": round(recipe.global_batch_size / statistics.median(times["ours"]), 1),
            "device": device_name(device),
            "execution": execution.model_dump(),
        }  # fmt: skip
        print(json.dumps(result))
    if dist.is_initialized():
        dist.barrier()
        del steps
        dist.destroy_process_group()


KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
"""As our workers have it: glibc keeps freed memory, or page faults drown what is compared, for both sides."""


def main() -> None:
    if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="resnet50", help="resnet50, or a task that ships")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16, help="examples a device and step")
    parser.add_argument("--norm", type=int, default=0, help="norm_batch_size; the local batch if not given")
    parser.add_argument("--micro", type=int, default=0, help="examples a pass; all of them if not given")
    parser.add_argument("--against", default="bare", choices=sorted(OTHERS))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads a process")
    parser.add_argument("--averaging", default="none", choices=["none", "power", "ema"])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="steps a block: one of 8 measures the noise scale")
    parser.add_argument("--warm-up", type=int, default=3)
    for name, field in Execution.model_fields.items():
        if isinstance(field.default, str):
            parser.add_argument(f"--{name.replace('_', '-')}", default=field.default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        meet = str(Path(folder) / "meet")
        if options.devices == 1:
            compare(0, options, meet)
        else:
            mp.spawn(compare, args=(options, meet), nprocs=options.devices)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
