"""Python a training step outside of forward, loss, backward and optimizer: python benchmarks/step_overhead.py

A model of five weights, 64 examples a step, one thread: what is left of a step is the loop, the batch, the noise scale
and the learning rate. That is told with and without the two torch kernels in it that any loop needs: gathering the
batch's examples, and the copy of the loss. Prints medians and quartiles of 3,000 steps in microseconds.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import TensorDataset

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

STEPS = 3000


def main() -> None:
    torch.set_num_threads(1)
    spent = {"model": 0.0, "kernels": 0.0}

    def timed(function: Callable[..., Any], kind: str = "model") -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **options)
            spent[kind] += time.perf_counter() - start
            return result

        return call

    data = TensorDataset(torch.randn(1000, 4), torch.randn(1000, 1))
    task = Task(
        model=lambda: nn.Linear(4, 1), train_data=data, validation_data=data, loss=timed(mse_loss),
        target=Target(metric="val_loss", below=0.0), max_examples=10**9, evaluation_examples=10**9,
    )  # fmt: skip
    recipe = Recipe(global_batch_size=64, learning_rate=1e-6, weight_averaging="none", norm_batch_size=64)
    training = Training(task, recipe, max_examples=10**9, device=torch.device("cpu"))
    training._forward = timed(training._forward)
    torch.Tensor.backward = timed(torch.Tensor.backward)  # type: ignore[method-assign]
    training.optimizers[0].step = timed(training.optimizers[0].step)  # type: ignore[method-assign]
    torch.Tensor.index_select = timed(torch.Tensor.index_select, "kernels")  # type: ignore[method-assign]
    torch.Tensor.clone = timed(torch.Tensor.clone, "kernels")  # type: ignore[method-assign]
    outside, python, whole = [], [], []
    for _ in range(STEPS):
        spent.update(model=0.0, kernels=0.0)
        start = time.perf_counter()
        training.train_step()
        seconds = time.perf_counter() - start
        outside.append(1e6 * (seconds - spent["model"]))
        python.append(1e6 * (seconds - spent["model"] - spent["kernels"]))
        whole.append(1e6 * seconds)
    for name, values in (("outside", outside), ("without both kernels", python), ("whole step", whole)):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name}: {middle:.0f} us ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
