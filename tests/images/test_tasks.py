"""The tasks on images: what they need, what they say when it is missing, that they train."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.datasets.images.prepare import prepare_images
from largebatch.trainers.layers.normalise import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalise
from largebatch.trainers.task import load_task
from largebatch.trainers.tasks import images_small as small
from largebatch.trainers.tasks.imagenet import imagenet, top_accuracy
from largebatch.trainers.training import Training


def test_imagenet_reads_what_was_prepared(
    tree: Path, tmp_path: Path, told: Callable[[str, int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LARGEBATCH_DATA", raising=False)
    with pytest.raises(UserError, match="LARGEBATCH_DATA is not set; make them once: largebatch prepare images SRC"):
        load_task("imagenet", {})
    monkeypatch.setenv("LARGEBATCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match="imagenet must hold the splits train and val"):
        load_task("imagenet", {})
    prepare_images(tree, tmp_path / "imagenet", told=told)
    task = load_task("imagenet", {})
    assert (task.evaluation_examples, task.max_examples) == (120, 90 * 120)
    task.check_target(task.target)
    model = task.model()
    assert sum(p.numel() for p in model.parameters()) == 25_557_032 - 997 * 2049  # three classes of the 1,000
    inputs, target = imagenet(str(tmp_path / "imagenet")).train_data[0]
    assert (inputs.shape, inputs.dtype, type(target)) == ((3, 224, 224), torch.uint8, int)


def test_top_accuracy() -> None:
    logits = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.3, 0.0], [0.9, 0.1, 0.2, 0.3, 0.4, 0.5]])
    assert top_accuracy(logits, torch.tensor([1, 5]), count=1) == 0.5
    assert top_accuracy(logits, torch.tensor([2, 5]), count=2) == 1.0
    assert top_accuracy(logits, torch.tensor([5, 1]), count=5) == 0.0
    assert top_accuracy(logits[:, :3], torch.tensor([2, 1]), count=5) == 1.0


def test_normalise_is_what_it_says_in_either_memory_format() -> None:
    pixels = torch.randint(0, 256, (4, 3, 5, 6), dtype=torch.uint8)
    mean, deviation = (torch.tensor(one).view(-1, 1, 1) for one in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    expected = (pixels.float() / 255 - mean) / deviation
    normalise = Normalise(IMAGENET_MEAN, IMAGENET_DEVIATION)
    assert torch.allclose(normalise(pixels), expected, atol=1e-5)
    last = normalise(pixels.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(last, expected, atol=1e-5)
    assert not normalise.state_dict()


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def test_images_small_trains_on_idx_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up images whose class is a bright row, in the files' own format."""
    monkeypatch.setenv("LARGEBATCH_DATA", str(tmp_path))
    monkeypatch.setattr(small, "DEBIAN_FOLDER", tmp_path / "nowhere")
    with pytest.raises(UserError, match="apt-get install dataset-fashion-mnist; or, without root"):
        small.images_small()
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", 600), ("t10k", 100)):
        labels = random.integers(0, 10, count)
        pixels = random.integers(0, 100, (count, 28, 28))
        for row in range(2):
            pixels[np.arange(count), 2 * labels + 4 + row] = 255
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    task = small.images_small()
    assert task.train_data[0][0].dtype == torch.uint8
    recipe = Recipe(global_batch_size=32, learning_rate=0.1, warmup_steps=5)
    training = Training(task, recipe, max_examples=10_000, device=torch.device("cpu"), execution=Execution())
    before = training.evaluate()
    for _ in range(60):
        training.train_step()
    after = training.evaluate()
    assert after["val_accuracy"] > before["val_accuracy"] + 0.3
    assert after["val_top5"] >= after["val_accuracy"]
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz is no whole IDX file"):
        small.images_small()
