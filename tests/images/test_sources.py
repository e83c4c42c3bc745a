"""Folders, tar archives and Parquet files: the same images and labels from each; one sentence for what is wrong."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from largebatch.spaces.user_mistake import UserMistake
from largebatch.trainers.images.source import open_source

Encode = Callable[..., bytes]


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def contents(path: Path) -> dict[str, tuple[tuple[str, ...], list[tuple[bytes | str, int]]]]:
    return {
        name: (split.classes, sorted((data, entry.label) for entry, data in split.read(split.entries)))
        for name, split in open_source(path).items()
    }


def test_every_format_gives_the_same_images_and_labels(tree: Path, tmp_path: Path) -> None:
    expected = contents(tree)
    assert set(expected) == {"train", "val"}
    assert expected["train"][0] == expected["val"][0] == ("ant", "bee", "cat")
    assert len(expected["train"][1]) == 120
    files = {split: sorted((tree / split).rglob("*.*")) for split in ("train", "val")}
    numbers = {"ant": 0, "bee": 1, "cat": 2}
    names = json.dumps({"info": {"features": {"label": {"names": list(numbers)}}}})
    for split, paths in files.items():
        by_class: dict[str, dict[str, bytes]] = {}
        for path in paths:
            by_class.setdefault(path.parent.name, {})[path.name] = path.read_bytes()
        for name, members in by_class.items():
            write_tar(tmp_path / "class-tars" / split / f"{name}.tar", members)
        in_folders = {str(path.relative_to(tree / split)): path.read_bytes() for path in paths}
        write_tar(tmp_path / "path-tars" / f"set-{split}-0.tar", in_folders)
        web: dict[str, bytes] = {}
        for number, path in enumerate(paths):
            web[f"{number:04d}{path.suffix}"] = path.read_bytes()
            web[f"{number:04d}.json"] = json.dumps({"label": path.parent.name}).encode()
        write_tar(tmp_path / "web" / f"{split}-0.tar", web)
        labels = pa.array([numbers[path.parent.name] for path in paths])
        images = [path.read_bytes() for path in paths]
        struct = pa.array([{"bytes": data, "path": "x"} for data in images])
        folder = tmp_path / "hub" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({"image": struct, "label": labels}).replace_schema_metadata({"huggingface": names})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet", row_group_size=50)
    for kind in ("class-tars", "path-tars", "web", "hub"):
        assert contents(tmp_path / kind) == expected, kind


def test_numbered_labels_and_an_order_that_is_always_the_same(tmp_path: Path, encode: Encode) -> None:
    table = pa.table({"image": [encode(number) for number in range(40)], "label": [n % 4 for n in range(40)]})
    pq.write_table(table, tmp_path / "some.parquet", row_group_size=4)
    source = open_source(tmp_path / "some.parquet")["train"]
    assert source.classes == ("0", "1", "2", "3")
    order = [(entry.first, entry.second) for entry in source.shuffled()]
    assert order == [(entry.first, entry.second) for entry in open_source(tmp_path)["train"].shuffled()]
    assert sorted(order) == [(group, row) for group in range(10) for row in range(4)]
    assert order != sorted(order)
    assert len({group for group, _ in order[:8]}) == 2, "row groups stay whole"


def nothing_there(folder: Path, encode: Encode) -> None:
    folder.mkdir()


def an_empty_class(folder: Path, encode: Encode) -> None:
    (folder / "ant").mkdir(parents=True)
    (folder / "bee").mkdir()
    (folder / "ant" / "1.jpg").write_bytes(encode(1))


def an_unknown_class(folder: Path, encode: Encode) -> None:
    for name in ("train/ant", "val/wasp"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(encode(1))


def a_label_out_of_range(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    for split, labels in (("train", [0, 1]), ("val", [0, 7])):
        pq.write_table(pa.table({"image": [encode(1)] * 2, "label": labels}), folder / f"{split}.parquet")


def a_label_without_images(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    pq.write_table(pa.table({"image": [encode(1)] * 2, "label": [0, 2]}), folder / "train.parquet")


def no_label(folder: Path, encode: Encode) -> None:
    write_tar(folder / "a.tar", {"1.jpg": encode(1), "1.cls": b"3", "2.jpg": encode(2)})


def other_columns(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    pq.write_table(pa.table({"picture": [encode(1)], "label": [0]}), folder / "a.parquet")


def a_cut_archive(folder: Path, encode: Encode) -> None:
    write_tar(folder / "a.tar", {"ant/1.jpg": encode(1)})
    (folder / "a.tar").write_bytes(b"\x1f\x8b" + bytes(600))


def a_cut_table(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"PAR1" + bytes(20))


def only_validation(folder: Path, encode: Encode) -> None:
    write_tar(folder / "val.tar", {"ant/1.jpg": encode(1)})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (nothing_there, "holds no images: there must be a folder for each class"),
        (an_empty_class, "class 'bee' has no image in"),
        (an_unknown_class, "label 'wasp' of"),
        (a_label_out_of_range, "is none of the 2 classes, 0 to 1"),
        (a_label_without_images, "class '1' has no image in"),
        (no_label, "2.jpg has no label; there must be a 2.cls or 2.json"),
        (other_columns, "must have a column image or image.bytes or jpg; it has picture, label"),
        (a_cut_archive, "a.tar is no whole, uncompressed tar archive"),
        (a_cut_table, "a.parquet is no whole Parquet file"),
        (only_validation, "there must be a split named train; found val"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    make: Callable[[Path, Encode], None], expected: str, tmp_path: Path, encode: Encode
) -> None:
    folder = tmp_path / "source"
    make(folder, encode)
    with pytest.raises(UserMistake, match=expected.replace(".", r"\.")) as raised:
        open_source(folder)
    assert "\n" not in str(raised.value)
