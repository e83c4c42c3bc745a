"""What a task's model freezes stays as it is, in every stage; what cannot be trained is refused by name."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Measurement
from largebatch.trainers.checkpoint import CheckpointWriter, checkpoint_bytes
from largebatch.trainers.optimizers.matrix_muon import MatrixMuon
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.stages import Stage
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)
OPTIMIZERS = ("sgd", "adamw", "lars", "lamb", "muon")


class KeptNorm(nn.Sequential):
    """Keeps its batch normalisation in evaluation mode, as fine-tuning code does."""

    def train(self, mode: bool = True) -> "KeptNorm":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self


def network(kind: type[nn.Sequential] = nn.Sequential) -> nn.Sequential:
    backbone = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    return kind(*backbone, nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def frozen_backbone() -> nn.Module:
    model = network()
    model[:5].requires_grad_(False)
    return model


def task(model: Callable[[], nn.Module], **changes: object) -> Task:
    fields = {"model": model, "train_data": TensorDataset(X, Y), "validation_data": TensorDataset(X, Y),
              "loss": cross_entropy, "target": Target(metric="val_loss", below=0.01)}  # fmt: skip
    return Task(**{**fields, **changes})  # type: ignore[arg-type]


def training(problem: Task, **changes: object) -> Training:
    fields = {"global_batch_size": 16, "norm_batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.1}
    return Training(
        problem, Recipe.model_validate({**fields, **changes}), max_examples=10_000, device=torch.device("cpu")
    )


def moved(one: Training, steps: int) -> list[str]:
    """Names of the parameters that the steps changed."""
    before = {name: parameter.detach().clone() for name, parameter in one.model.named_parameters()}
    for _ in range(steps):
        one.train_step()
        one.evaluate()
    return [name for name, now in one.model.named_parameters() if not torch.equal(before[name], now)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("averaging", ["power", "lawa"])
def test_what_the_model_freezes_is_never_trained(optimizer: str, averaging: str) -> None:
    one = training(task(frozen_backbone), optimizer=optimizer, weight_averaging=averaging)
    first = copy.deepcopy(one.model)
    assert moved(one, 3) == ["5.weight", "5.bias", "7.weight", "7.bias"]
    assert one.num_summed_bytes == 4 * (8 * 8 + 8 + 8 * 3 + 3 + 2 * 8 + 5)  # trained, statistics, scalars
    assert one.average is not None
    for kept, average in zip(first[:5].parameters(), one.average.model[:5].parameters(), strict=True):  # type: ignore[index]
        assert torch.equal(kept, average)


def test_no_stage_thaws_what_the_model_froze() -> None:
    stages = (Stage(trainable=("7.",), examples=32), Stage(trainable=("",), examples=None))
    one = training(task(frozen_backbone, stages=stages))
    assert moved(one, 2) == ["7.weight", "7.bias"]
    assert moved(one, 2) == ["5.weight", "5.bias", "7.weight", "7.bias"]
    resumed = training(task(frozen_backbone, stages=stages))
    resumed.load_state(one.state())
    assert moved(resumed, 1) == ["5.weight", "5.bias", "7.weight", "7.bias"]
    only_frozen = dataclasses.replace(task(frozen_backbone), stages=(Stage(trainable=("0.",), examples=None),))
    with pytest.raises(UserError, match=r"begins with 0\., of those that the model does not freeze: 5\.weight"):
        training(only_frozen)


def test_muon_moves_the_same_matrices_whatever_is_frozen() -> None:
    one = training(task(frozen_backbone), optimizer="muon")
    assert isinstance(one.optimizers[0], MatrixMuon)
    (matrix,) = one.optimizers[0].param_groups[0]["params"]
    assert matrix.data_ptr() == one.model[5].weight.data_ptr()  # type: ignore[index, union-attr]

    def one_matrix() -> nn.Module:
        model = network().requires_grad_(False)
        model[5].weight.requires_grad_(True)  # type: ignore[union-attr]
        return model

    assert moved(training(task(one_matrix), optimizer="muon"), 2) == ["5.weight"]


def test_a_normalisation_kept_in_evaluation_keeps_its_statistics() -> None:
    """Its running mean is 0.5 and stays so: it has no part in the statistics of batches."""

    def model() -> nn.Module:
        made = network(KeptNorm)
        nn.init.constant_(made[1].running_mean, 0.5)  # type: ignore[arg-type]
        return made

    one = training(task(model))
    moved(one, 3)
    assert not one.has_batch_statistics
    assert one.model[1].running_mean.tolist() == [0.5] * 8  # type: ignore[index, union-attr, operator]


def test_a_checkpoint_holds_no_moments_of_what_is_frozen() -> None:
    adamw = Recipe(global_batch_size=1, learning_rate=1.0, optimizer="adamw", weight_averaging="none")
    parts = [sum(4 * t.numel() for t in module.state_dict().values()) for module in (frozen_backbone(), network()[5:])]
    counts = 8 - 4  # num_batches_tracked has 8 bytes
    assert checkpoint_bytes(frozen_backbone(), adamw) == 2 * (parts[0] + counts) + 2 * parts[1]


def test_a_checkpoint_of_a_version_that_trained_what_is_frozen_is_not_continued(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its frozen weights were moved; the training begins again, from the model's own."""
    path = tmp_path / "last.pt"
    wrong = training(task(network))  # the whole network, as earlier versions took a frozen backbone
    wrong.train_step()
    fresh = training(task(frozen_backbone))
    state = {"recipe": fresh.recipe.model_dump(), "training": wrong.state(), "progress": {}}
    writer = CheckpointWriter()
    writer.save({path: state})
    writer.wait()
    measured: list[int] = []

    def on_measurement(measurement: Measurement) -> Action:
        measured.append(measurement.step)
        return "stop"

    run_to_target(fresh, Target(metric="val_loss", below=1e-9), on_measurement=on_measurement, checkpoint=path)
    assert measured == [0]
    assert "holds other trained parameters" in caplog.text
    own = training(task(frozen_backbone)).model.parameters()
    assert all(torch.equal(one, other) for one, other in zip(fresh.model.parameters(), own, strict=True))


def test_a_model_that_cannot_be_copied_is_made_a_second_time() -> None:
    def model() -> nn.Module:
        made = network()
        torch.nn.utils.weight_norm(made[0])
        return made

    with pytest.warns(FutureWarning, match="weight_norm"):
        one = training(task(model), weight_averaging="power")
    assert "0.weight_g" in moved(one, 3)
    expected = training(task(network), weight_averaging="power")
    assert moved(expected, 3)
    assert one.average is not None
    states = [{**one.model.state_dict()}, {**one.average.model.state_dict()}]
    assert states[0].keys() == states[1].keys()
    assert not torch.equal(states[0]["0.weight_g"], states[1]["0.weight_g"])
    assert one.evaluate()["val_loss"] == pytest.approx(_loss_of(one.average.model), rel=1e-5)


def _loss_of(model: nn.Module) -> float:
    with torch.no_grad():
        return float(cross_entropy(model.eval()(X), Y))


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(3))


REFUSED = {
    "frozen": (lambda: network().requires_grad_(False), "every parameter of the model is frozen (10 with"),
    "none": (nn.ReLU, "the model has no parameters"),
    "lazy": (lazy, "parameter '0.weight' is lazy and has no shape before the first batch"),
    "complex": (lambda: nn.Linear(6, 3, dtype=torch.complex64), "parameter 'weight' is complex (torch.complex64)"),
    "sparse": (lambda: nn.Sequential(nn.Embedding(6, 3, sparse=True)), "0 makes sparse gradients (Embedding with"),
    "no module": (lambda: "a model", "model must return a torch.nn.Module; got a str"),
    "statistics": (lambda: nn.BatchNorm1d(6, track_running_stats=False), "leave out track_running_stats=False"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_a_model_that_cannot_be_trained_is_refused_in_one_line(kind: str) -> None:
    model, said = REFUSED[kind]
    if kind == "statistics":
        inner = model
        model = lambda: nn.Sequential(inner())  # noqa: E731
    with pytest.raises(UserError) as mistake:
        training(task(model))  # type: ignore[arg-type]
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_a_model_that_is_not_made_again_is_refused() -> None:
    """Or the second trial would go on from the weights of the first."""
    only, backbone = network(), nn.Linear(6, 6).requires_grad_(False)
    training(task(lambda: only))
    with pytest.raises(UserError, match=r"must make a new model each time; parameter '0\.weight'"):
        training(task(lambda: only))
    for _ in range(2):  # what is frozen may be shared, and a copy is a new model
        training(task(lambda: nn.Sequential(backbone, nn.Linear(6, 3))))
        training(task(lambda: copy.deepcopy(only)))
