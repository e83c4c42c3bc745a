"""Which models can be trained here: a model of another kind is refused by name before its first step.

Gradients are summed as dense real numbers over passes and devices; see ``gradients/step_gradients.py``.
"""

from torch import nn
from torch.nn.parameter import is_lazy

from largebatch.spaces.errors import UserError

_TAKEN = "_largebatch_taken"


def own_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a task's model leaves to be trained, by name: what it froze itself stays so.

    Raises:
        UserError: where there is none, or one that cannot be trained.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"task: model must return a torch.nn.Module; got a {type(model).__name__}")
    for name, module in model.named_modules():
        if getattr(module, "sparse", False) and isinstance(module, nn.Embedding | nn.EmbeddingBag):
            raise UserError(
                f"task: {name or 'the model'} makes sparse gradients ({type(module).__name__} with sparse=True), and "
                f"gradients are summed as dense ones; leave sparse=True out"
            )
    everything = dict(model.named_parameters())
    if not everything:
        raise UserError("task: the model has no parameters, so that there is nothing to train; give it some")
    for name, parameter in everything.items():
        if is_lazy(parameter):
            raise UserError(
                f"task: parameter {name!r} is lazy and has no shape before the first batch; call the model once on a "
                f"batch in the task's model function, or give its layer the number of inputs"
            )
    trained = {name: parameter for name, parameter in everything.items() if parameter.requires_grad}
    if not trained:
        raise UserError(
            f"task: every parameter of the model is frozen ({len(everything)} with requires_grad=False), so that there "
            f"is nothing to train; leave some of them trainable"
        )
    for name, parameter in trained.items():
        if parameter.is_complex():
            raise UserError(
                f"task: parameter {name!r} is complex ({parameter.dtype}), and optimizers and averages here take real "
                f"ones; keep real and imaginary part as two parameters, and join them with torch.complex"
            )
    return trained


def take(trained: dict[str, nn.Parameter]) -> None:
    """Remember that a training has these parameters, which no other may begin with.

    Raises:
        UserError: if another one has.
    """
    for name, parameter in trained.items():
        if hasattr(parameter, _TAKEN):
            raise UserError(
                f"task: model must make a new model each time; parameter {name!r} is one that an earlier training "
                f"trained; build the model inside of the function"
            )
        setattr(parameter, _TAKEN, True)
