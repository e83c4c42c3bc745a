"""Folders, tar archives and Parquet files: the same images and labels from each; one sentence for what is wrong."""

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.open_source import open_source

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


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "Validation"), ("TRAIN", "Valid")])
def test_hidden_folders_are_not_looked_at_and_splits_are_named_in_any_case(
    names: tuple[str, str], tree: Path, encode: Encode
) -> None:
    expected = contents(tree)
    for name in (".ipynb_checkpoints", "__MACOSX", "train/.ipynb_checkpoints", "train/ant/.ipynb_checkpoints"):
        (tree / name).mkdir()
        (tree / name / "1-checkpoint.jpg").write_bytes(encode(9))
    write_tar(tree / ".cache" / "train.tar", {"ant/1.jpg": encode(1)})
    for old, new in zip(("train", "val"), names, strict=True):
        (tree / old).rename(tree / new)
    assert contents(tree) == expected


def test_a_test_split_is_left_alone(tree: Path) -> None:
    (tree / "train").rename(tree / "Training")
    (tree / "val").rename(tree / "Testing")
    splits = open_source(tree)
    assert {name: (split.classes, len(split.entries)) for name, split in splits.items()} == {
        "train": (("ant", "bee", "cat"), 120)
    }


def test_hidden_members_of_an_archive_are_not_looked_at(tmp_path: Path, encode: Encode) -> None:
    members = (
        "./ant/1.jpg",
        "bee/1.jpg",
        ".ipynb_checkpoints/1.jpg",
        "ant/.ipynb_checkpoints/1.jpg",
        "__MACOSX/ant/._1.jpg",
    )
    write_tar(tmp_path / "a.tar", {name: encode(1) for name in members})
    source = open_source(tmp_path)["train"]
    assert (source.classes, [entry.label for entry in source.entries]) == (("ant", "bee"), [0, 1])


def nothing_there(folder: Path, encode: Encode) -> None:
    folder.mkdir()


def an_empty_class(folder: Path, encode: Encode) -> None:
    (folder / "ant").mkdir(parents=True)
    (folder / "bee").mkdir()
    (folder / "ant" / "1.jpg").write_bytes(encode(1))


def an_unknown_class(folder: Path, encode: Encode) -> None:
    for name in ("train/ant", "train/bee", "val/wasp"):
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


def a_folder_beside_splits(folder: Path, encode: Encode) -> None:
    for name in ("train/ant", "train/bee", "val/ant", "previews"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(encode(1))


def a_wrapper(folder: Path, encode: Encode) -> None:
    for name in ("data/ant", "data/bee"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(encode(1))


def a_wrapper_beside_another_folder(folder: Path, encode: Encode) -> None:
    for name in ("data/Train/ant", "data/Val/ant", "figures"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(encode(1))


def two_folders_of_one_split(folder: Path, encode: Encode) -> None:
    for name in ("train/ant", "val/ant", "Validation/ant"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(encode(1))


def one_class_in_tar(folder: Path, encode: Encode) -> None:
    write_tar(folder / "train.tar", {"1.jpg": encode(1)})


def one_class_in_parquet(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    pq.write_table(pa.table({"image": [encode(1)] * 2, "label": ["ant", "ant"]}), folder / "train.parquet")


def splits_in_one_archive(folder: Path, encode: Encode) -> None:
    write_tar(folder / "all.tar", {f"set/{name}/1.jpg": encode(1) for name in ("Train/ant", "Train/bee", "val/ant")})


def an_archive_beside_splits(folder: Path, encode: Encode) -> None:
    folder.mkdir()
    for name in ("train-0", "validation-0", "previews"):
        pq.write_table(pa.table({"image": [encode(1)] * 2, "label": [0, 1]}), folder / f"{name}.parquet")


def archives_of_two_kinds(folder: Path, encode: Encode) -> None:
    an_archive_beside_splits(folder, encode)
    write_tar(folder / "train.tar", {"ant/1.jpg": encode(1), "bee/1.jpg": encode(2)})


def an_archive_in_a_tree(folder: Path, encode: Encode) -> None:
    a_folder_beside_splits(folder, encode)
    write_tar(folder / "backup.tar", {"ant/1.jpg": encode(1), "bee/1.jpg": encode(2)})


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
        (a_folder_beside_splits, "holds splits (train, val) beside previews; move previews away, or"),
        (a_wrapper, "holds one class, 'data', and there must be two or more; if that is a folder around"),
        (a_wrapper_beside_another_folder, "data would be a class, and holds splits (Train, Val); splits come before"),
        (two_folders_of_one_split, "val are both the split val; keep one"),
        (one_class_in_tar, "holds one class, 'train', and there must be two or more"),
        (one_class_in_parquet, "holds one class, 'ant', and there must be two or more"),
        (splits_in_one_archive, "all.tar holds several splits (Train, val); make an archive of each"),
        (an_archive_beside_splits, "previews.parquet names no split, and"),
        (an_archive_in_a_tree, "holds images in folders (previews, train) and in archives ("),
        (archives_of_two_kinds, "holds archives of two kinds, .parquet and .tar; give one kind alone"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    make: Callable[[Path, Encode], None], expected: str, tmp_path: Path, encode: Encode
) -> None:
    folder = tmp_path / "source"
    make(folder, encode)
    with pytest.raises(UserError, match=re.escape(expected)) as raised:
        open_source(folder)
    assert "\n" not in str(raised.value)
