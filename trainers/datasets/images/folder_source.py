"""A folder a class, as ImageNet is often unpacked; deeper folders belong to the class above them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.source import (
    IMAGE_SUFFIXES,
    Entry,
    Source,
    is_visible,
    labelled,
    refuse_empty_classes,
    split_folders,
    visible_folders,
)


def folder_source(path: Path, known: tuple[str, ...] | None) -> Source:
    """The images below ``path``, sorted."""
    folders = [folder.name for folder in visible_folders(path)]
    for name in folders:
        if inner := split_folders(path / name):
            found_inside = ", ".join(folder.name for folder in inner.values())
            raise UserError(
                f"{path / name} would be a class, and holds splits ({found_inside}); splits come before classes: give "
                f"{path / name} where it holds all, else move its images to SPLIT/{name}"
            )
    found = [(name, file) for name in folders for file in _images(path / name)]
    if not found:
        raise UserError(f"{path} holds no images: there must be a folder for each class, or .tar or .parquet files")
    if known is None:
        _, labels = labelled([name for name, _ in found], [file for _, file in found], folders)
        refuse_empty_classes(folders, labels, str(path))
        known = tuple(folders)
    else:
        _, labels = labelled([name for name, _ in found], [file for _, file in found], known)
    entries = [Entry(file, -1, -1, label) for (_, file), label in zip(found, labels, strict=True)]
    return Source(kind="folder", classes=known, entries=entries, read=read_files)


def read_files(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes | str]]:
    """Each file's bytes."""
    for entry in entries:
        try:
            yield entry, Path(entry.file).read_bytes()
        except OSError as error:
            yield entry, error.strerror or str(error)


def _images(folder: Path) -> list[str]:
    found = []
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if is_visible(name)]
        found += [
            os.path.join(where, name)
            for name in names
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and is_visible(name)
        ]
    return sorted(found)
