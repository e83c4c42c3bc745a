"""The two galaxy tasks."""

from pathlib import Path

import pytest
import torch

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.stages import EVERYTHING
from largebatch.trainers.tasks.galaxies import STAGES, galaxies, galaxies_small
from largebatch.trainers.training import Training


def test_the_stages_train_what_the_reference_trains() -> None:
    with torch.device("meta"):
        names = [name for name, _ in galaxies().model().named_parameters()]
    frozen = [[name for name in names if not name.startswith(prefixes)] for prefixes in STAGES]
    assert [name for name in names if name.startswith(STAGES[0])] == [name for name in names if "head" in name]
    assert frozen[1][-1] == "block4.rep.2.bias"  # the normalisation before the block's second convolution
    assert all(name.split(".")[0] in ("conv1", "bn1", "conv2", "bn2", "block1", "block2", "block3", "block4")
               for name in frozen[1])  # fmt: skip
    assert frozen[2] == ["conv1.weight"]
    for prefixes in STAGES:
        assert all(any(name.startswith(prefix) for name in names) for prefix in prefixes)


def test_training_small_lowers_the_loss() -> None:
    task = galaxies_small()
    recipe = Recipe(global_batch_size=64, learning_rate=2e-3, optimizer="adam")
    training = Training(task, recipe, max_examples=10_000, device=torch.device("cpu"))
    losses = [training.train_step().item() for _ in range(30)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_full_size_draws_images_of_the_reference() -> None:
    task = galaxies(survey="des")
    assert task.train_data[0][0].shape == (3, 224, 224)
    task.check_target(task.target)


def test_real_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("spiral", "elliptical"):
        (tmp_path / name).mkdir()
        for number in range(10):
            image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    task = galaxies(data=str(tmp_path))
    assert len(task.train_data) == 19  # type: ignore[arg-type]
    assert len(task.validation_data) == 1  # type: ignore[arg-type]
    (tmp_path / "spiral/0.png").unlink()
    with pytest.raises(UserError, match="holds 19 galaxies; give at least 20"):
        galaxies(data=str(tmp_path))


def test_fine_tuning_is_a_schedule_of_stages_that_a_study_can_vary() -> None:
    assert galaxies().stages == EVERYTHING
    whole = galaxies(head_epochs=1, late_epochs=20).stages
    assert [(stage.trainable, stage.examples) for stage in whole] == [
        (STAGES[0], 36_620), (STAGES[1], 20 * 36_620), (STAGES[2], None)
    ]  # fmt: skip
    assert [stage.trainable for stage in galaxies(late_epochs=0.5).stages] == list(STAGES[1:])
