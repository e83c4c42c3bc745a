"""Dropout whose mask belongs to the example, so that any split over workers, devices and passes drops the same units.

Reference: Srivastava et al. (2014), JMLR 15:1929.
"""

from torch import Tensor, nn

from largebatch.trainers.data.example_random import ExampleRandom

_CHANNELWISE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class ExampleDropout(nn.Module):
    """Takes the place of a ``Dropout``. An input whose first dimension is not the batch goes to the layer it replaced.

    That layer then draws from torch's generator, as does any other randomness of a model; ``Training`` sees it and
    takes such a model a group at a time.
    """

    def __init__(self, source: nn.Module, random: ExampleRandom) -> None:
        super().__init__()
        self._source, self._random = source, random
        self._channelwise = isinstance(source, _CHANNELWISE)
        self.p: float = source.p  # type: ignore[assignment]  # models read it, for fused attention

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of ``x``, shape ``(batch, ..)``, or whole channels."""
        if not self.training or self.p == 0:
            return x
        if x.shape[0] != len(self._random.keys):
            y: Tensor = self._source(x)
            return y
        shape = (x.shape[1], *(1 for _ in x.shape[2:])) if self._channelwise else x.shape[1:]
        keep = (self._random.uniform(*shape) >= self.p).to(x.dtype)
        return x * keep.mul_(0.0 if self.p == 1 else 1 / (1 - self.p))


def tie_dropout(model: nn.Module, random: ExampleRandom) -> bool:
    """Replace every dropout inside ``model`` by one that draws from ``random``; False if there is none."""
    found = False
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in (nn.Dropout, *_CHANNELWISE):
                parent.add_module(name, ExampleDropout(child, random))
                found = True
    return found
