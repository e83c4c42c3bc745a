"""Every optimizer goes through the suite of ``largebatch.testing``; LARS and LAMB equal references; Muon's parts."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, optim

from largebatch.spaces.recipe import OPTIMIZERS, Recipe
from largebatch.testing import OPTIMIZER_CHECKS, check_optimizer
from largebatch.testing.optimizers import Array, Reference, check_reference, rate_at, small_model
from largebatch.trainers.optimizers.optimizer import Optimizer, make_optimizers, second_moment_scales


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
        state["m"] = state["m"] * rate / rate_at(step - 1)
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
    check_reference(make_optimizers, reference, optimizer=optimizer, weight_decay=0.01, **fields)


def test_one_that_differs_from_its_reference_fails() -> None:
    with pytest.raises(AssertionError, match=r"0\.weight must equal the reference's after step 1; they differ by 6"):
        check_reference(
            make_optimizers, lars, optimizer="lars", weight_decay=0.01, momentum=0.7, trust_coefficient=0.02
        )


@pytest.mark.parametrize("check", OPTIMIZER_CHECKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_conformance(optimizer: str, check: str) -> None:
    OPTIMIZER_CHECKS[check](make_optimizers, {"optimizer": optimizer})


class Forgetful(optim.Adam):
    """Its state is not saved."""

    def load_state_dict(self, state: Any) -> None:
        pass


def test_a_faulty_optimizer_fails() -> None:
    def decays_all(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        return [optim.SGD(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)]

    def decays_nothing(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        return [optim.SGD(model.parameters(), lr=recipe.learning_rate)]

    def forgets(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        (adam,) = make_optimizers(model, recipe)
        return [Forgetful(adam.param_groups)]

    for make, message in (
        (decays_all, r"no gradient, 0\.bias must stay; it moved"),
        (decays_nothing, r"no gradient, 0\.weight must decay; it stayed"),
        (forgets, r"resumed from its state after 6 of 12 steps, it must go on bit for bit; 0\.weight differs by 0\."),
    ):
        with pytest.raises(AssertionError, match=message):
            check_optimizer(make, optimizer="adam")


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
    trained = small_model().to(memory_format=memory_format)
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
