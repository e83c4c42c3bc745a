"""Paths and labels from folders and tables, and what is refused."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch
from pyarrow import csv, parquet

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.galaxies.galaxy_files import GalaxyFiles
from largebatch.trainers.datasets.galaxies.labelled_paths import labelled_paths

Image = pytest.importorskip("PIL.Image")


def pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (255, 51 * number, 0)).save(folder / name)


def table(folder: Path, columns: dict[str, list[object]], name: str = "table.csv") -> Path:
    write = csv.write_csv if name.endswith(".csv") else parquet.write_table
    write(pa.table(columns), folder / name)
    return folder / name


def found(source: Path, **thresholds: float) -> dict[str, int]:
    return {path.name: label for path, label in labelled_paths(source, **thresholds)}


def test_a_folder_a_class(tmp_path: Path) -> None:
    pictures(tmp_path, "Spirals/a.png", "spirals/deep/b.JPG", "elliptical/c.png")
    (tmp_path / "elliptical/notes.txt").write_text("no image")
    pictures(tmp_path, ".ipynb_checkpoints/d.png", "elliptical/.ipynb_checkpoints/c-checkpoint.png")
    assert found(tmp_path) == {"a.png": 1, "b.JPG": 1, "c.png": 0}


FILES = ["a.png", "b.png", "c.png", "d.png"]
TABLES: dict[str, dict[str, list[object]]] = {
    "names": {"path": FILES[:2], "label": ["spiral", "elliptical"]},
    "numbers": {"file": FILES[:2], "label": [1, 0]},
    "galaxy-zoo-1": {"Path": FILES, "P_EL": [0.01, 0.93, 0.05, 0.9], "P_CS": [0.99, 0.0, 0.98, 0.0]},
    "debiased": {
        "path": FILES, "P_EL": [1.0] * 4, "P_CS": [0.0] * 4,
        "P_EL_DEBIASED": [0.01, 0.93, 0.05, 0.9], "P_CS_DEBIASED": [0.99, 0.0, 0.98, 0.0],
    },
    "galaxy-datasets": {
        "file_loc": FILES,
        "smooth-or-featured-gz2_smooth_fraction": [0.0, 0.95, 0.05, 0.9],
        "smooth-or-featured-gz2_featured-or-disk_fraction": [0.995, 0.05, 0.99, 0.1],
        "has-spiral-arms-gz2_yes_fraction": [0.995, None, 0.8, 0.0],
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_tables(tmp_path: Path, kind: str, name: str) -> None:
    pictures(tmp_path, *FILES)
    assert found(table(tmp_path, TABLES[kind], name)) == {"a.png": 1, "b.png": 0}


def test_thresholds(tmp_path: Path) -> None:
    pictures(tmp_path, *FILES)
    source = table(tmp_path, TABLES["galaxy-zoo-1"])
    assert found(source, spiral_above=0.98, elliptical_above=0.9) == dict(zip(FILES, (1, 0, 1, 0), strict=True))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": FILES, "label": ["spiral"] * 4}, r"holds no elliptical \(4 galaxies"),
        ({"path": FILES, "label": ["spiral", "elliptical", "merger", "spiral"]}, "row 3 of .* label 'merger'"),
        ({"path": FILES, "label": [1, 0, None, 1]}, "row 3 of .* label None"),
        ({"path": FILES, "redshift": [0.1] * 4}, "has no labels; it needs"),
        ({"label": [1, 0]}, "has no column of paths"),
        ({"path": ["a.png", "z.png"], "label": [1, 0]}, "row 2 of .* names .*z.png, which is not there"),
        ({"path": FILES, "P_CS": [0.1, 1.2, 0.0, 1.0], "P_EL": [0.5] * 4}, "row 2 of .*P_CS must be a share .* 1.2"),
    ],
)
def test_what_a_table_must_not_hold(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    pictures(tmp_path, *FILES)
    with pytest.raises(UserError, match=message):
        labelled_paths(table(tmp_path, columns, "table.parquet"))


def test_what_a_source_must_not_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be a folder, or a table"):
        labelled_paths(tmp_path / "nothing")
    pictures(tmp_path, "spiral/a.png", "ring/b.png")
    with pytest.raises(UserError, match=r"folder .*ring has the label 'ring'"):
        labelled_paths(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"broken\.parquet cannot be read as parquet"):
        labelled_paths(tmp_path / "broken.parquet")


def test_images_come_at_the_size_asked_for(tmp_path: Path) -> None:
    pictures(tmp_path, "one.png", "two.png")
    image, label = GalaxyFiles([(tmp_path / "one.png", 0), (tmp_path / "two.png", 1)], 5)[1]
    assert label == 1
    assert torch.allclose(image, torch.tensor([1.0, 0.2, 0.0])[:, None, None].expand(3, 5, 5))


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    for broken in (b"", b"not an image", content[: len(content) // 2]):
        (tmp_path / "broken.png").write_bytes(broken)
        with pytest.raises(UserError, match=r"broken.png is no whole image .*; replace or remove it"):
            GalaxyFiles([(tmp_path / "broken.png", 0)], 5)[0]
