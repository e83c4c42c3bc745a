"""Shards as a stream: right pixels, one order for every split, exact resume, crops that belong to examples."""

import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.studies.record.directory import fingerprint
from largebatch.trainers.data.loader import Loader
from largebatch.trainers.datasets.images import image_shards
from largebatch.trainers.datasets.images.crops import central_crop, random_crop
from largebatch.trainers.datasets.images.decode import UnreadableImage, decode, shrink
from largebatch.trainers.datasets.images.image_shards import ImageShards
from largebatch.trainers.datasets.images.prepare import prepare_images

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def shards(tree: Path, tmp_path: Path, told: Callable[[str, int, int], None]) -> Path:
    prepare_images(tree, tmp_path / "out", told=told, rows_per_shard=50)
    return tmp_path / "out"


def test_every_image_comes_once_with_its_label(shards: Path, tree: Path) -> None:
    data = ImageShards(shards / "train", size=32, training=False)
    found = {(inputs.numpy().tobytes(), label) for inputs, label in (data[index] for index in range(len(data)))}
    expected = {
        (central_crop(path.read_bytes(), 32).numpy().tobytes(), label)
        for label, name in enumerate(("ant", "bee", "cat"))
        for path in (tree / "train" / name).iterdir()
    }
    assert len(data) == len(expected) == 120
    assert found == expected
    first = [data[index][1] for index in range(40)]
    assert len(set(first)) == 3, "neighbours are of different classes"
    with pytest.raises(IndexError):
        data[120]


def take(data: ImageShards, start: int, *, ranks: int = 1, processes: int = 0, group: int = 4) -> tuple[Tensor, Tensor]:
    """A step of 24 examples over so many devices, put together in the stream's order."""
    inputs: list[Tensor | None] = [None] * 24
    targets: list[Tensor | None] = [None] * 24
    for rank in range(ranks):
        loader = Loader(data, seed=3, device=torch.device("cpu"), num_processes=processes)
        groups = loader.groups(start, 24, group, rank, ranks)
        loader.read_ahead(groups[index : index + 1] for index in range(len(groups)))
        its_inputs, its_targets = loader.take(groups)
        loader.close()
        for place in range(len(its_targets)):
            position = groups.starts_G[place % len(groups)] - start + place // len(groups)
            inputs[position], targets[position] = its_inputs[place], its_targets[place]
    return torch.stack([one for one in inputs if one is not None]), torch.stack([t for t in targets if t is not None])


@pytest.mark.parametrize("start", [0, 48, 108])
def test_the_same_batch_for_every_split_and_from_any_place(shards: Path, start: int) -> None:
    """Also across the end of an epoch; a new loader that begins there stands for a training that resumes."""
    data = ImageShards(shards / "train", size=32, training=True)
    inputs, targets = take(data, start)
    assert inputs.dtype == torch.uint8
    assert inputs.shape == (24, 3, 32, 32)
    for split in ({"ranks": 2}, {"ranks": 3, "group": 2}, {"processes": 2, "group": 12}):
        other_inputs, other_targets = take(data, start, **split)
        assert torch.equal(inputs, other_inputs), split
        assert torch.equal(targets, other_targets), split
    again, _ = take(data, start + 120)
    assert not torch.equal(inputs, again), "the next epoch has another order"


def test_few_files_are_open_and_another_process_opens_its_own(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_shards, "OPEN_SHARDS", 2)
    data = ImageShards(shards / "train", size=32, training=False)
    expected = [data[index] for index in (0, 60, 110)]
    assert len(data._open) == 2
    copy = pickle.loads(pickle.dumps(data))
    assert not copy._open
    assert all(torch.equal(copy[index][0], one) for index, (one, _) in zip((0, 60, 110), expected, strict=True))


def test_the_fingerprint_is_of_the_data_not_of_the_crops(
    shards: Path, tree: Path, tmp_path: Path, told: Callable[[str, int, int], None]
) -> None:
    train = ImageShards(shards / "train", size=32, training=True)
    assert (
        fingerprint(train) == fingerprint(train) == fingerprint(ImageShards(shards / "train", size=8, training=False))
    )
    (tree / "train/ant/1.jpeg").write_bytes((tree / "train/ant/2.jpeg").read_bytes())
    prepare_images(tree, tmp_path / "other", told=told)
    assert fingerprint(ImageShards(tmp_path / "other" / "train", size=32, training=True)) != fingerprint(train)


def test_a_shard_that_changed_is_named_when_it_is_read(shards: Path) -> None:
    path = shards / "train" / "shard-00000.arrow"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xff\xd8\xff", b"\x00\x00\x00").replace(b"\x89PNG", b"\0\0\0\0"))
    with pytest.raises(UserError, match=r"shard-00000\.arrow was changed after it was prepared: image \d+ is"):
        ImageShards(shards / "train", size=32, training=True)[0]
    path.write_bytes(bytes(len(data)))
    with pytest.raises(UserError, match=r"shard-00000\.arrow is damaged"):
        ImageShards(shards / "train", size=32, training=True)[0]


def test_a_shard_cut_short_while_it_is_read(shards: Path) -> None:
    data = ImageShards(shards / "train", size=32, training=True)
    data[0]
    path = shards / "train" / "shard-00000.arrow"
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="was cut short while it was read"):
        data[49]


def test_decoders_agree_and_know_what_they_cannot_read(encode: Callable[..., bytes]) -> None:
    jpeg, png = encode(1), encode(1, "PNG")
    exact, quick, other = decode(jpeg).astype(int), decode(jpeg, quick=True), decode(png)
    assert exact.shape == other.shape == (48, 64, 3)
    assert np.abs(exact - other).mean() < 4
    assert np.abs(exact - quick).mean() < 8, "these colours are as hard as can be"
    file = io.BytesIO()
    Image.fromarray(other).convert("CMYK").save(file, "JPEG")
    assert np.abs(decode(file.getvalue()).astype(int) - other).mean() < 6
    for broken in (jpeg[: len(jpeg) // 2], b"", b"text", png[:50]):
        with pytest.raises(UnreadableImage):
            decode(broken)


def test_crops_of_smooth_images_are_where_they_should_be() -> None:
    """Red rises to the right and green downwards: each pixel tells where it comes from."""
    down, across = np.mgrid[0:900, 0:1200]
    pixels = np.stack([across * 255 / 1199, down * 255 / 899, np.full_like(down, 128)], axis=-1).astype(np.uint8)
    import simplejpeg

    data = simplejpeg.encode_jpeg(pixels, quality=95, colorsubsampling="444")
    centre = central_crop(data, 224)
    assert centre.shape == (3, 224, 224)
    red, green = centre[0].float(), centre[1].float()
    assert red[:, 0].mean() == pytest.approx((600 - 394) / 1200 * 255, abs=2.5)
    assert red[:, -1].mean() == pytest.approx((600 + 394) / 1200 * 255, abs=2.5)
    assert green[0].mean() == pytest.approx((450 - 394) / 900 * 255, abs=2.5)
    areas, flips = [], 0
    for seed in range(200):
        random.seed(seed)
        crop = random_crop(data, 64).float()
        wide = (crop[0, :, -1].mean() - crop[0, :, 0].mean()).item() / 255
        high = (crop[1, -1].mean() - crop[1, 0].mean()).item() / 255
        assert high > 0
        flips += wide < 0
        areas.append(abs(wide) * high)
        assert 0.7 < abs(wide) * 1200 / (high * 900) < 1.45
    assert 70 < flips < 130
    assert 0.06 < min(areas) < 0.2
    assert 0.4 < np.mean(areas) < 0.6
    small = decode(shrink(data, 300))
    assert small.shape == (300, 400, 3)
    assert shrink(data, 900) is data
