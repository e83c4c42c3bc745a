"""Where images come from: a folder a class, tar archives, or Parquet files; in one set or in splits.

Listing a source reads names and labels only. An ``Entry`` then finds its bytes by itself, so that any process can read
any part of the source in any order.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from largebatch.spaces.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What a folder or a file of a split may be called, in lower case."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image: the file that holds it, offset and bytes (tar) or row group and row (Parquet) there, its label."""

    file: str
    first: int
    second: int
    label: int

    @property
    def name(self) -> str:
        """As a report says it."""
        return self.file if self.second < 0 else f"{self.file} at {self.first}, {self.second}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One split: its classes, its images, and how they are read (an image, or why it cannot be)."""

    kind: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]
    read: Callable[[Sequence[Entry]], Iterator[tuple[Entry, bytes | str]]]

    def shuffled(self) -> list[Entry]:
        """The entries in an order that is random and always the same; the rows of a row group stay together."""
        random = np.random.default_rng(0)
        if self.kind != "parquet":
            return [self.entries[index] for index in random.permutation(len(self.entries))]
        units = [list(unit) for _, unit in groupby(self.entries, lambda entry: (entry.file, entry.first))]
        return [entry for index in random.permutation(len(units)) for entry in units[index]]

    def digest(self, root: Path) -> str:
        """16 hex digits that tell this list of images from any other; ``root`` may move."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for entry in self.entries:
            line = f"{entry.file.removeprefix(str(root))}\0{entry.first}\0{entry.second}\0{entry.label}\n"
            digest.update(line.encode(errors="surrogateescape"))  # a name may hold bytes that are not UTF-8
        return digest.hexdigest()[:16]


def is_visible(*parts: str) -> bool:
    """Whether a path of these parts is no hidden file and in no hidden folder: notebooks and macOS leave such."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def visible_folders(path: Path) -> list[Path]:
    """The folders right below ``path``, sorted; other files are not looked at one by one."""
    with os.scandir(path) as entries:
        return sorted(path / entry.name for entry in entries if is_visible(entry.name) and entry.is_dir())


def split_folders(path: Path) -> dict[str, Path]:
    """The folders of splits below ``path``, by split; none where its folders are classes.

    Raises:
        UserError: where some are of splits and others are not, or two are of one split.
    """
    folders = visible_folders(path)
    splits: dict[str, Path] = {}
    for folder in folders:
        name = SPLITS.get(folder.name.lower())
        if name in splits:
            raise UserError(f"{splits[name]} and {folder} are both the split {name}; keep one")
        if name is not None:
            splits[name] = folder
    others = [folder for folder in folders if folder.name.lower() not in SPLITS]
    if splits and others:
        named = ", ".join(folder.name for folder in splits.values())
        raise UserError(
            f"{path} holds splits ({named}) beside {others[0].name}; move {others[0].name} away, or, where {named} are "
            f"classes, all of them into {path / 'train'}"
        )
    return splits


def labelled(
    raw: Sequence[int | str], names: Sequence[str], known: Sequence[str] | None
) -> tuple[tuple[str, ...], list[int]]:
    """Classes, and the labels as their places: whole numbers count from 0, names are sorted.

    ``names`` says what each label belongs to, for the message; ``known`` are the classes where they are settled.
    """
    kinds = {type(label) for label in raw}
    if len(kinds) > 1:
        numbered = next(name for name, label in zip(names, raw, strict=True) if isinstance(label, int))
        raise UserError(f"labels must be all numbers or all names; {numbered} has a number, others have names")
    if kinds <= {str}:
        classes = tuple(known) if known is not None else tuple(sorted({str(label) for label in raw}))
        places: dict[int | str, int] = {name: place for place, name in enumerate(classes)}
    else:
        largest = max(int(label) for label in raw)
        classes = tuple(known) if known is not None else tuple(str(number) for number in range(largest + 1))
        places = {place: place for place in range(len(classes))}
    for name, label in zip(names, raw, strict=True):
        if label not in places:
            raise UserError(f"label {label!r} of {name} is none of the {len(classes)} classes{_range(classes)}")
    return classes, [places[label] for label in raw]


def refuse_empty_classes(classes: Sequence[str], labels: Sequence[int], where: str) -> None:
    """A class without images is a mistake of the labels, or of the copy; an only one, of where to look for classes.

    Raises:
        UserError: naming the first.
    """
    empty = sorted(set(range(len(classes))) - set(labels))
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise UserError(f"class {classes[empty[0]]!r}{more} has no image in {where}; fill it or leave the class out")
    if len(classes) == 1:
        raise UserError(
            f"{where} holds one class, {classes[0]!r}, and there must be two or more; if that is a folder around the "
            f"classes or splits, give it instead"
        )


def _range(classes: Sequence[str]) -> str:
    return f", {classes[0]} to {classes[-1]}" if classes else ""
