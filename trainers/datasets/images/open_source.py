"""Which reader a source needs, and which of its files belong to which split."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.folder_source import folder_source
from largebatch.trainers.datasets.images.parquet_source import parquet_source
from largebatch.trainers.datasets.images.source import (
    IMAGE_SUFFIXES,
    SPLITS,
    Source,
    is_visible,
    split_folders,
    visible_folders,
)
from largebatch.trainers.datasets.images.tar_source import tar_source

_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLITS)})(?![a-z])")


def open_source(path: Path) -> dict[str, Source]:
    """The splits of a source by name, ``train`` and perhaps ``val``; ``train`` alone where nothing names a split.

    Raises:
        UserError: where there is nothing, a class is empty or the only one, labels do not match, or what lies there
            can be read in two ways.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give a folder a class, tar archives or Parquet files")
    formats: dict[str, Callable[[Sequence[Path], tuple[str, ...] | None], Source]]
    formats = {".parquet": parquet_source, ".tar": tar_source}
    files = {suffix: _files(path, suffix) for suffix in formats}
    if all(files.values()):
        raise UserError(f"{path} holds archives of two kinds, {' and '.join(sorted(files))}; give one kind alone")
    for suffix, some in files.items():
        if some:
            _refuse_images_beside(some[0], path)
            splits = _by_split(some, path)
            return _opened({name: partial(formats[suffix], of_it) for name, of_it in splits.items()})
    if path.is_file():
        raise UserError(f"{path} is no tar archive (.tar) and no Parquet file (.parquet)")
    folders = split_folders(path)
    if folders:
        return _opened({name: partial(folder_source, folder) for name, folder in folders.items()})
    return {"train": folder_source(path, None)}


def _refuse_images_beside(archive: Path, path: Path) -> None:
    """An archive that was left in a tree of images must not stand for all of them; one folder may be of figures."""
    holding = [folder for folder in visible_folders(path) if _holds_image(folder)] if path.is_dir() else []
    if len(holding) > 1:
        raise UserError(
            f"{path} holds images in folders ({holding[0].name}, {holding[1].name}) and in archives ({archive}); move "
            f"one kind away"
        )


def _holds_image(folder: Path) -> bool:
    return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for _, _, names in os.walk(folder) for name in names)


def _files(path: Path, suffix: str) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == suffix else []
    return sorted(file for file in path.rglob(f"*{suffix}") if is_visible(*file.relative_to(path).parts))


def _by_split(files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """Files by the last word of a split in their names; those without any are for training where no name says so."""
    named: dict[str, list[Path]] = {}
    for file in files:
        found = _SPLIT_WORD.findall(str(file.relative_to(root) if file != root else file.name).lower())
        named.setdefault(SPLITS[found[-1]] if found else "", []).append(file)
    unnamed = named.pop("", [])
    if unnamed and "train" in named:
        raise UserError(
            f"{unnamed[0]} names no split, and {named['train'][0]} beside it does; move it away, or put all that is "
            f"for training into a folder train"
        )
    return {**named, "train": unnamed} if unnamed else named


def _opened(splits: Mapping[str, Callable[[tuple[str, ...] | None], Source]]) -> dict[str, Source]:
    """``train`` first: its classes are those of ``val``. A ``test`` split often has no labels, and is left alone."""
    if "train" not in splits:
        raise UserError(f"there must be a split named train; found {', '.join(sorted(splits))}")
    train = splits["train"](None)
    return {"train": train, **({"val": splits["val"](train.classes)} if "val" in splits else {})}
