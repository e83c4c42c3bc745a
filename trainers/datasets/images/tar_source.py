"""Tar archives: ``key.jpg`` beside ``key.cls`` or ``key.json`` (webdataset's convention), or a class from the path.

Without a ``.cls`` or ``.json`` the class is the folder in the archive, or the archive's own name (ImageNet's archive of
each class). Archives must not be compressed: images are read where they lie.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.source import (
    IMAGE_SUFFIXES,
    SPLITS,
    Entry,
    Source,
    is_visible,
    labelled,
    refuse_empty_classes,
)

_JSON_KEYS = ("label", "cls", "class")


def tar_source(files: Sequence[Path], known: tuple[str, ...] | None) -> Source:
    """The images of all archives, in their order."""
    found = [image for file in files for image in _images_of(file)]
    if not found:
        raise UserError(f"{files[0]}{' and the other archives' if len(files) > 1 else ''} hold no images")
    labels = [label for *_, label in found]
    classes, places = labelled(labels, [f"{file}: {name}" for file, name, *_ in found], known)
    if known is None:
        refuse_empty_classes(classes, places, str(files[0].parent))
    entries = [
        Entry(file, offset, size, place) for (file, _, offset, size, _), place in zip(found, places, strict=True)
    ]
    return Source(kind="tar", classes=classes, entries=entries, read=read_members)


def read_members(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes | str]]:
    """The bytes of each image, archive by archive."""
    for entry in sorted(entries, key=lambda one: (one.file, one.first)):
        try:
            with open(entry.file, "rb") as archive:
                archive.seek(entry.first)
                data = archive.read(entry.second)
        except OSError as error:
            yield entry, error.strerror or str(error)
            continue
        yield entry, data if len(data) == entry.second else "the archive ends within it"


def _images_of(file: Path) -> list[tuple[str, str, int, int, int | str]]:
    """File, name, offset, bytes and label of the images of one archive."""
    images: list[tuple[str, int, int]] = []
    labels: dict[str, int | str] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isfile() or not is_visible(*path.parts):
                    continue
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    images.append((member.name, member.offset_data, member.size))
                elif path.suffix in (".cls", ".json"):
                    content = archive.extractfile(member)
                    assert content is not None, "it is a file"
                    labels[str(path.with_suffix(""))] = _label(content.read(), path.suffix, f"{file}: {member.name}")
    except tarfile.ReadError as error:
        raise UserError(f"{file} is no whole, uncompressed tar archive ({error}); unpack or copy it anew") from error
    splits = {SPLITS[part.lower()]: part for name, *_ in images for part in _folders_of(name) if part.lower() in SPLITS}
    if len(splits) > 1:
        raise UserError(f"{file} holds several splits ({', '.join(splits.values())}); make an archive of each")
    return [
        (str(file), name, offset, size, _label_of(PurePosixPath(name), labels, file)) for name, offset, size in images
    ]


def _folders_of(name: str) -> tuple[str, ...]:
    """The folders above a member's own class."""
    return PurePosixPath(name).parts[:-2]


def _label_of(path: PurePosixPath, labels: dict[str, int | str], file: Path) -> int | str:
    if labels:
        key = str(path.with_suffix(""))
        if key not in labels:
            raise UserError(f"{file}: {path} has no label; there must be a {key}.cls or {key}.json beside it")
        return labels[key]
    return path.parent.name or file.stem


def _label(content: bytes, suffix: str, name: str) -> int | str:
    try:
        value = content.decode().strip()
        if suffix == ".json":
            fields = json.loads(value)
            value = next(fields[key] for key in _JSON_KEYS if key in fields)
    except (ValueError, StopIteration, TypeError) as error:
        raise UserError(f"{name} gives no label: a .json must have one of {', '.join(_JSON_KEYS)}") from error
    text = str(value)
    return int(text) if text.removeprefix("-").isdigit() else text
