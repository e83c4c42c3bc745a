"""Small sets of real JPEG and PNG files."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("simplejpeg")
pytest.importorskip("cv2")
Image = pytest.importorskip("PIL.Image")


def encoded(seed: int, kind: str = "JPEG", height: int = 48, width: int = 64) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three classes with 40 training images each, every fifth a PNG, and 4 for validation."""
    root = tmp_path / "tree"
    for split, count in (("train", 40), ("val", 4)):
        for label, name in enumerate(("ant", "bee", "cat")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                kind = "PNG" if number % 5 == 0 else "JPEG"
                (folder / f"{number}.{kind.lower()}").write_bytes(encoded(1000 * label + number, kind))
    return root


def nothing(split: str, done: int, total: int) -> None:
    """Hears of the progress."""


@pytest.fixture(scope="session")
def told() -> Callable[[str, int, int], None]:
    return nothing
