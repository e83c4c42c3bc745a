"""LARS and LAMB step by step against plain references in float64; who decays; Muon's parts."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from largebatch.spaces.recipe import OPTIMIZERS, Recipe
from largebatch.trainers.optimizers.optimizer import make_optimizers, second_moment_scales

STEPS = 12
Array = NDArray[np.float64]
Reference = Callable[[Array, Array, dict[str, Array], float, int], Array]


def model() -> nn.Module:
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


def rates(step: int) -> float:
    return 0.1 * (1 + 0.5 * math.sin(step))


def lars(w: Array, g: Array, state: dict[str, Array], rate: float, step: int, decay: float = 0.01) -> Array:
    """You et al. (2017), algorithm 1, a tensor at a time."""
    small = w.ndim <= 1
    decay = 0.0 if small else decay
    weight_norm, gradient_norm = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
    trust = 1.0
    if not small and weight_norm > 0 and gradient_norm > 0:
        trust = 0.02 * weight_norm / (gradient_norm + decay * weight_norm + 1e-9)
    state["m"] = 0.8 * state.get("m", np.zeros_like(w)) + rate * trust * (g + decay * w)
    return w - state["m"]


def corrected_lars(w: Array, g: Array, state: dict[str, Array], rate: float, step: int) -> Array:
    """Goyal et al. (2017), remark 2: the momentum is scaled by the ratio of rates."""
    if step > 0:
        state["m"] = state["m"] * rate / rates(step - 1)
    return lars(w, g, state, rate, step)


def lamb(w: Array, g: Array, state: dict[str, Array], rate: float, step: int) -> Array:
    """You et al. (2020), algorithm 2, with bias correction, a tensor at a time."""
    small = w.ndim <= 1
    state["m"] = 0.9 * state.get("m", np.zeros_like(w)) + 0.1 * g
    state["v"] = 0.95 * state.get("v", np.zeros_like(w)) + 0.05 * g**2
    update = state["m"] / (1 - 0.9 ** (step + 1)) / (np.sqrt(state["v"] / (1 - 0.95 ** (step + 1))) + 1e-6)
    update = update + (0.0 if small else 0.01) * w
    weight_norm, update_norm = np.sqrt((w**2).sum()), np.sqrt((update**2).sum())
    trust = 1.0 if small or weight_norm == 0 or update_norm == 0 else weight_norm / update_norm
    return w - rate * trust * update


@pytest.mark.parametrize(
    ("optimizer", "reference", "fields"),
    [
        ("lars", lars, {"momentum": 0.8, "trust_coefficient": 0.02}),
        ("lars", corrected_lars, {"momentum": 0.8, "trust_coefficient": 0.02, "momentum_correction": "rate"}),
        ("lamb", lamb, {"beta2": 0.95}),
    ],
)
def test_against_a_plain_reference(optimizer: str, reference: Reference, fields: dict[str, object]) -> None:
    trained = model()
    with torch.no_grad():
        trained[5].weight.zero_()  # a norm of 0: trust 1
    recipe = Recipe.model_validate(
        {"global_batch_size": 1, "learning_rate": 0.1, "optimizer": optimizer, "weight_decay": 0.01, **fields}
    )
    (built,) = make_optimizers(trained, recipe)
    parameters = list(trained.parameters())
    weights = [p.detach().numpy().copy() for p in parameters]
    states: list[dict[str, Array]] = [{} for _ in parameters]
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        gradients = [rng.normal(size=weight.shape) for weight in weights]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        for group in built.param_groups:
            group["lr"] = rates(step)
        built.step()
        columns = zip(weights, gradients, states, strict=True)
        weights = [reference(w, g, state, rates(step), step) for w, g, state in columns]
        for parameter, weight in zip(parameters, weights, strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-12, atol=1e-13)


def stepped(fields: dict[str, object], steps: int = 1) -> tuple[nn.Module, nn.Module]:
    before, after = model(), model()
    recipe = Recipe.model_validate({"global_batch_size": 1, "learning_rate": 0.1, **fields})
    optimizers = make_optimizers(after, recipe)
    for _ in range(steps):
        for parameter in after.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for optimizer in optimizers:
            optimizer.step()
    return before, after


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("decayed", ["matrices", "all"])
def test_biases_and_norms_decay_only_when_asked(optimizer: str, decayed: str) -> None:
    before, after = stepped({"optimizer": optimizer, "weight_decay": 0.1, "decayed_weights": decayed})
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        expected = (old.ndim > 1 or decayed == "all") and bool((old != 0).any())
        assert (not torch.equal(old, new)) == expected, name


def test_heavy_ball_and_nesterov_differ() -> None:
    def train(optimizer: str) -> float:
        weight = nn.Linear(1, 1, bias=False).double()
        nn.init.constant_(weight.weight, 1.0)
        recipe = Recipe(global_batch_size=1, learning_rate=0.1, momentum=0.5, optimizer=optimizer)  # type: ignore[arg-type]
        (built,) = make_optimizers(weight, recipe)
        for _ in range(2):
            weight.weight.grad = weight.weight.detach().clone()
            built.step()
        return float(weight.weight.item())

    # f = w^2 / 2: m <- 0.5 m + w; heavy ball w - 0.1 m; Nesterov w - 0.1 (w + 0.5 m)
    assert train("sgd") == pytest.approx(0.9 - 0.1 * (0.5 + 0.9))
    assert train("nesterov") == pytest.approx(0.85 - 0.1 * (0.85 + 0.5 * (0.5 + 0.85)))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_muon_moves_hidden_matrices_by_orthogonal_steps(memory_format: torch.memory_format) -> None:
    trained = model().to(memory_format=memory_format)
    recipe = Recipe(global_batch_size=1, learning_rate=0.1, optimizer="muon", momentum=0.9)
    muon, others = make_optimizers(trained, recipe)
    assert sum(len(group["params"]) for group in muon.param_groups) == 2
    assert sum(len(group["params"]) for group in others.param_groups) == len(list(trained.parameters())) - 2
    before = trained[2].weight.detach().clone()
    for parameter in trained.parameters():
        parameter.grad = torch.randn_like(parameter)
    for optimizer in (muon, others):
        optimizer.step()
    step = (trained[2].weight.detach() - before).flatten(1)
    singular = torch.linalg.svdvals(step)
    assert singular.min() / singular.max() > 0.5  # Newton-Schulz brings them near one another, not to one value


def test_scales_of_the_second_moment_are_adams_own() -> None:
    trained = nn.Linear(3, 2).double()
    recipe = Recipe(global_batch_size=1, learning_rate=0.1, optimizer="adam")
    optimizers = make_optimizers(trained, recipe)
    assert second_moment_scales(optimizers, recipe) is None
    gradients = [0.5 - torch.rand_like(parameter).round() for parameter in trained.parameters()]
    for parameter, gradient in zip(trained.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizers[0].step()
    scales = second_moment_scales(optimizers, recipe)
    assert scales is not None
    for parameter, gradient in zip(trained.parameters(), gradients, strict=True):
        torch.testing.assert_close(scales[parameter], 1 / (gradient.abs() + 1e-8))
    assert second_moment_scales([], recipe.model_copy(update={"optimizer": "sgd"})) is None
