"""What every optimizer promises, on a small model in float64."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from largebatch.spaces.recipe import Recipe
from largebatch.testing.expect import expect
from largebatch.trainers.optimizers.optimizer import Optimizer

Array = NDArray[np.float64]
MakeOptimizers = Callable[[nn.Module, Recipe], Sequence[Optimizer]]
Reference = Callable[[Array, Array, dict[str, Array], float, int], Array]
"""Weights after a step, of one tensor: from weights, gradient, its state, the learning rate and the step's number."""
_STEPS = 12


def check_optimizer(make: MakeOptimizers, **values: Any) -> None:
    """Put the optimizers that ``make`` returns for a model and a recipe through all of ``OPTIMIZER_CHECKS``.

    ``values`` are of the recipe, such as ``optimizer="lars"``.
    """
    for check in OPTIMIZER_CHECKS.values():
        check(make, values)


def small_model() -> nn.Module:
    """Convolutions, a batch normalisation, linear layers; the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 6, 3),
            nn.Flatten(),
            nn.Linear(24, 8),
            nn.Linear(8, 3),
        )
    return nn.Sequential(*layers).double()


def rate_at(step: int) -> float:
    """The learning rate that the suite sets before a step."""
    return 0.1 * (1 + 0.5 * math.sin(step))


def check_reference(make: MakeOptimizers, reference: Reference, **values: Any) -> None:
    """For optimizers with a plain reference: 12 steps, rates changing, equal it to rounding at each."""
    model = small_model()
    with torch.no_grad():
        model.get_parameter("5.weight").zero_()  # a norm of 0: trust 1
    built = make(model, _recipe(values))
    named = dict(model.named_parameters())
    weights = [parameter.detach().numpy().copy() for parameter in named.values()]
    states: list[dict[str, Array]] = [{} for _ in named]
    rng = np.random.default_rng(0)
    for step in range(_STEPS):
        gradients = [rng.normal(size=weight.shape) for weight in weights]
        _step(built, model, gradients, step)
        columns = zip(weights, gradients, states, strict=True)
        weights = [reference(w, g, state, rate_at(step), step) for w, g, state in columns]
        for (name, parameter), weight in zip(named.items(), weights, strict=True):
            found = parameter.detach().numpy()
            apart = float(np.max(np.abs(found - weight)))
            expect(
                np.allclose(found, weight, rtol=1e-12, atol=1e-13),
                f"{name} must equal the reference's after step {step}; they differ by {apart:.3g}",
            )


def _recipe(values: Mapping[str, Any]) -> Recipe:
    return Recipe.model_validate({"global_batch_size": 1, "learning_rate": 0.1, **values})


def _step(optimizers: Sequence[Optimizer], model: nn.Module, gradients: Sequence[Array], step: int) -> None:
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        optimizer.step()


def _check_decay(decayed: str) -> Callable[[MakeOptimizers, Mapping[str, Any]], None]:
    def check(make: MakeOptimizers, values: Mapping[str, Any]) -> None:
        before, after = small_model(), small_model()
        optimizers = make(after, _recipe({**values, "weight_decay": 0.1, "decayed_weights": decayed}))
        _step(optimizers, after, [np.zeros(parameter.shape) for parameter in after.parameters()], 0)
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
            expected = (old.ndim > 1 or decayed == "all") and bool((old != 0).any())
            moved = not torch.equal(old, new)
            expect(
                moved == expected,
                f"with weight_decay 0.1, decayed_weights {decayed!r} and no gradient, {name} must "
                f"{'decay' if expected else 'stay'}; it {'moved' if moved else 'stayed'}",
            )

    check.__doc__ = f"Without a gradient, what decays is what ``decayed_weights: {decayed}`` says."
    return check


def _check_resumed(make: MakeOptimizers, values: Mapping[str, Any]) -> None:
    """From ``state_dict`` another one goes on bit for bit."""
    rng = np.random.default_rng(0)
    gradients = [[rng.normal(size=p.shape) for p in small_model().parameters()] for _ in range(_STEPS)]
    recipe = _recipe(values)
    straight, first, second = small_model(), small_model(), small_model()
    for steps, model in ((_STEPS, straight), (_STEPS // 2, first)):
        optimizers = make(model, recipe)
        for step in range(steps):
            _step(optimizers, model, gradients[step], step)
    second.load_state_dict(first.state_dict())
    resumed = make(second, recipe)
    for optimizer, saved in zip(resumed, optimizers, strict=True):
        optimizer.load_state_dict(saved.state_dict())
    for step in range(_STEPS // 2, _STEPS):
        _step(resumed, second, gradients[step], step)
    for (name, once), again in zip(straight.named_parameters(), second.parameters(), strict=True):
        apart = (once - again).abs().max().item()
        what = f"resumed from its state after {_STEPS // 2} of {_STEPS} steps"
        expect(apart == 0, f"{what}, it must go on bit for bit; {name} differs by {apart:.3g}")


OPTIMIZER_CHECKS: Mapping[str, Callable[[MakeOptimizers, Mapping[str, Any]], None]] = {
    "biases and norms do not decay": _check_decay("matrices"),
    "all weights decay when asked": _check_decay("all"),
    "it is resumed from its state": _check_resumed,
}
