"""16 bits become 8 in proportion; what 8 bits of red, green and blue leave out is reported; the rest is refused."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from largebatch.studies.cli import app
from largebatch.trainers.datasets.galaxies.galaxy_files import decode_image
from largebatch.trainers.datasets.images.decode import UnreadableImage, decode, reductions, shrink
from largebatch.trainers.datasets.images.pixels import rgb
from largebatch.trainers.datasets.images.prepare import prepare_images

Image = pytest.importorskip("PIL.Image")
RAMP = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)


def saved(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode: str, colour: Any, kind: str = "PNG", **options: Any) -> bytes:
    return saved(Image.new(mode, (8, 6), colour), kind, **options)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_ramp_of_16_bits_is_a_ramp_of_8(kind: str) -> None:
    data = saved(Image.fromarray(RAMP), kind)
    expected = (RAMP / 257).round().astype(np.uint8)
    assert np.array_equal(decode(data), np.stack([expected] * 3, axis=-1))
    assert (decode(data) == 255).mean() < 0.01
    assert reductions(data) == ("16 bits, scaled to 8",)


def test_galaxies_are_scaled_alike() -> None:
    pixels = decode_image(saved(Image.fromarray(RAMP)), "ramp.png", 64)
    assert torch_mean(pixels) == pytest.approx(0.5, abs=0.01)


def torch_mean(pixels: Any) -> float:
    return float(pixels.mean())


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_range_are_refused_by_name(mode: str) -> None:
    data = picture(mode, 1000, "TIFF")
    with pytest.raises(UnreadableImage, match=rf"pixels of mode {mode} \(32 bits\) have no known range"):
        decode(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (picture("RGB", (1, 2, 3)), ()),
        (picture("L", 3), ()),
        (picture("RGB", (1, 2, 3), "JPEG"), ()),
        (picture("RGBA", (1, 2, 3, 255)), ()),
        (picture("RGBA", (1, 2, 3, 9)), ("an alpha channel, left out",)),
        (picture("P", 0, transparency=0), ("an alpha channel, left out",)),
        (
            picture("L", 0, "GIF", save_all=True, append_images=[Image.new("L", (8, 6), 200)]),
            ("further frames, left out",),
        ),
    ],
)
def test_what_is_left_out_is_reported(data: bytes, said: tuple[str, ...]) -> None:
    assert reductions(data) == said
    assert decode(data).shape == (6, 8, 3)


def test_prepare_counts_them(tree: Path, tmp_path: Path, told: Callable[[str, int, int], None]) -> None:
    (tree / "train/ant/0.png").write_bytes(saved(Image.fromarray(RAMP)))
    for number in (5, 10):
        (tree / f"train/bee/{number}.png").write_bytes(picture("RGBA", (1, 2, 3, 9)))
    (tree / "train/cat/0.png").write_bytes(picture("F", 1.0, "TIFF"))
    made = prepare_images(tree, tmp_path / "out", told=told, rows_per_shard=50)["train"]
    assert made.reduced == {"16 bits, scaled to 8": 1, "an alpha channel, left out": 2}
    assert [Path(one.name).name for one in made.unreadable] == ["0.png"]
    asked = ["prepare", "images", str(tree), "--out", str(tmp_path / "other"), "--processes", "1"]
    result = CliRunner().invoke(app, asked)
    assert "  1 images with 16 bits, scaled to 8\n  2 images with an alpha channel, left out\n" in result.output
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert found["splits"]["train"]["reduced"] == made.reduced
    assert decode(shrink(saved(Image.fromarray(RAMP)), 32)).mean() == pytest.approx(127.5, abs=1)


def test_a_palette_with_transparent_colours_keeps_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    data = saved(image, transparency=bytes([0, 128]))
    with Image.open(io.BytesIO(data)) as read:
        assert np.asarray(rgb(read)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert reductions(data) == ("an alpha channel, left out",)
