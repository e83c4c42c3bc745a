"""A LightningModule as a task: its own figures, and a refusal of what a study cannot honour."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.adapters.lightning_module import lightning_task
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

lightning = pytest.importorskip(
    "lightning.pytorch", reason="lightning is not installed", exc_type=ImportError
)  # pip install 'largebatch[lightning]'

X = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long()


class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        loss = cross_entropy(self(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        scores = self(x)
        self.log_dict({"val_loss": cross_entropy(scores, y), "val_acc": (scores.argmax(1) == y).float().mean()})

    def configure_optimizers(self) -> Any:
        raise AssertionError("the study's optimizer is taken")


class Data(lightning.LightningDataModule):  # type: ignore[misc,name-defined]
    options: dict[str, Any] = {}  # noqa: RUF012

    def setup(self, stage: str) -> None:
        self.data = TensorDataset(X, Y)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.data, **{"batch_size": 7, "shuffle": True, **self.options})

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.data, batch_size=50)


TARGET = Target(metric="val_acc", above=0.95)


def trained(task: Task, steps: int = 60, micro_batch_size: int = 256) -> Training:
    recipe = Recipe(global_batch_size=32, norm_batch_size=8, learning_rate=0.1)
    training = Training(task, recipe, max_examples=10**5, device=torch.device("cpu"), micro_batch_size=micro_batch_size)
    for _ in range(steps):
        training.train_step()
    return training


def test_it_learns_and_every_split_is_the_same() -> None:
    whole, split = (trained(lightning_task(Module, Data(), target=TARGET), micro_batch_size=size) for size in (256, 8))
    found = whole.evaluate()
    assert set(found) == {"val_loss", "val_acc"}
    assert found["val_acc"] > 0.9
    for name, parameter in whole.model.state_dict().items():
        torch.testing.assert_close(parameter, split.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_its_figures_are_those_of_lightnings_trainer() -> None:
    """One figure by two routes: our evaluation, and Lightning's own validation of the same weights."""
    import warnings

    training = trained(lightning_task(Module, Data(), target=TARGET))
    training.average = None
    ours = training.evaluate()
    module = Module()
    # running statistics live in our grouped layers under the same names
    module.load_state_dict(training.model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        (theirs,) = trainer.validate(module, datamodule=Data(), verbose=False)
    assert ours == pytest.approx(dict(theirs), rel=1e-5)


class HandsItOn(Module):
    def training_step(self, *args: Any) -> Tensor:
        return super().training_step(*args)


class WithoutIndex(Module):
    def training_step(self, batch: Any) -> Tensor:  # type: ignore[override]
        return super().training_step(batch, 0)

    def validation_step(self, batch: Any) -> None:  # type: ignore[override]
        super().validation_step(batch, 0)


class ByKeyword(Module):
    def training_step(self, batch: Any, *, batch_idx: int) -> Tensor:  # type: ignore[override]
        return super().training_step(batch, batch_idx)


class Outer(lightning.LightningModule):  # type: ignore[misc,name-defined]
    """An inner module takes the steps and logs, as in a fine-tuning that wraps another."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"inner": Module()})

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.parts["inner"].training_step(batch, batch_idx)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.parts["inner"].validation_step(batch, batch_idx)


@pytest.mark.parametrize("module", [HandsItOn, WithoutIndex, ByKeyword, Outer])
def test_steps_of_every_signature_and_of_an_inner_module_train_alike(module: Any) -> None:
    def weights_and_figures(kind: Any) -> tuple[list[Tensor], Any]:
        training = trained(lightning_task(kind, Data(), target=TARGET), steps=3)
        return [tensor.float() for tensor in training.model.state_dict().values()], training.evaluate()

    expected, found = weights_and_figures(Module), weights_and_figures(module)
    assert found[1] == pytest.approx(expected[1])
    for theirs, ours in zip(expected[0], found[0], strict=True):
        torch.testing.assert_close(ours, theirs)


class ByHand(Module):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


class Clipping(Module):
    def configure_gradient_clipping(self, *arguments: Any, **options: Any) -> None:
        return


class AsksTheTrainer(Module):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (1 + self.current_epoch)


class SkipsEverySecond(Module):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return None if batch_idx % 2 else super().training_step(batch, batch_idx)  # type: ignore[return-value]


class LooksAtTheFirst(Module):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            return
        super().validation_step(batch, batch_idx)


class AsksForOptimizers(Module):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.optimizers().zero_grad()
        return super().training_step(batch, batch_idx)


class ReadsItself(Module):
    def training_step(self, dataloader_iter: Any) -> Tensor:  # type: ignore[override]
        return super().training_step(next(dataloader_iter), 0)


class LogsASum(Module):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_acc", torch.ones(()), reduce_fx="sum")


class LogsAnObject(Module):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_acc", object())


class NoValidation(lightning.LightningModule):  # type: ignore[misc,name-defined]
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return torch.zeros(())


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (ByHand, "ByHand optimizes by hand .* return the loss from training_step instead"),
        (Clipping, "Clipping has configure_gradient_clipping, which would never be called here"),
        (AsksTheTrainer, "asks its trainer for `current_epoch`, and there is none here"),
        (SkipsEverySecond, "the module uses batch_idx, and there is none here"),
        (LooksAtTheFirst, "the module uses batch_idx, and there is none here"),
        (AsksForOptimizers, r"the module calls self\.optimizers\(\), and the optimizer and its steps are the study's"),
        (ReadsItself, "a step that takes dataloader_iter reads its batches itself"),
        (LogsASum, "val_acc is logged with reduce_fx='sum', and a study takes the mean over all examples"),
        (LogsAnObject, "val_acc must be a number, the mean over the examples of a batch; got a object"),
        (NoValidation, "NoValidation must have a validation_step"),
        (nn.Identity, "takes a subclass of LightningModule; got Identity"),
    ],
)
def test_modules_that_a_study_cannot_honour(module: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trained(lightning_task(module, Data(), target=TARGET), steps=1).evaluate()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"collate_fn": list}, "train_dataloader has its own collate_fn"),
        ({"shuffle": False, "sampler": WeightedRandomSampler([1.0] * 200, 50)}, "has its own sampler"),
    ],
)
def test_loaders_that_do_more_than_read(options: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Data, "options", options)
    with pytest.raises(UserError, match=said):
        lightning_task(Module, Data(), target=TARGET)
