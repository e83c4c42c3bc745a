"""The optimizers of a recipe, as torch ships them. Biases and norms (tensors of one dimension) never decay."""

from torch import nn, optim

from largebatch.spaces.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """The recipe's optimizer over ``model``'s parameters; the learning rate is set before every step.

    ``sgd`` uses Nesterov momentum where the momentum is positive (Sutskever et al. 2013). ``adamw`` decouples the
    decay: Loshchilov, Hutter (2019), arXiv 1711.05101.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2))
    return optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
