"""What a folder of shards says about itself: ``manifest.json``, and a line a finished shard until it is written."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import write_whole
from largebatch.spaces.printable import printable

MANIFEST = "manifest.json"
PROGRESS = "progress.jsonl"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An image of the source that no decoder reads; it is in no shard."""

    name: str
    label: int
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "reason", printable(self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of images. ``reduced``: how many lack something of the source's, by what that is."""

    file: str
    num_rows: int
    num_bytes: int
    sha256: str
    unreadable: tuple[Unreadable, ...] = ()
    reduced: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Shard":
        """The inverse of ``asdict``."""
        return cls(**{**fields, "unreadable": tuple(Unreadable(**one) for one in fields["unreadable"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """From what shards are made, and how; shards of two origins do not mix.

    ``digest`` is the source's list of images; ``size`` the pixels of the shorter side where larger images were shrunk.
    """

    source: str
    kind: str
    digest: str
    size: int | None
    rows_per_shard: int
    block_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole set of shards. ``fingerprint`` is of the images' bytes and labels."""

    version: int
    origin: Origin
    fingerprint: str
    classes: tuple[str, ...]
    shards: tuple[Shard, ...]

    @property
    def num_images(self) -> int:
        """Images in all shards."""
        return sum(shard.num_rows for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def unreadable(self) -> list[Unreadable]:
        """What was left out."""
        return [one for shard in self.shards for one in shard.unreadable]

    @property
    def reduced(self) -> dict[str, int]:
        """How many images lack something of the source's, by what that is."""
        return dict(sum((Counter(shard.reduced) for shard in self.shards), Counter()))

    def write(self, folder: Path) -> None:
        """Write it whole, and forget the progress that led to it."""
        write_whole(folder / MANIFEST, json.dumps(asdict(self), indent=1))
        (folder / PROGRESS).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a finished folder.

        Raises:
            UserError: where there is none, or one of another version.
        """
        try:
            fields = json.loads((folder / MANIFEST).read_text())
        except FileNotFoundError:
            raise UserError(f"{folder} holds no finished image shards; {_way_out(folder)}") from None
        except ValueError as error:
            raise UserError(f"{folder / MANIFEST} is damaged ({error}); {_way_out(folder)}") from error
        if fields.get("version") != VERSION:
            found = fields.get("version")
            raise UserError(f"{folder / MANIFEST} must be of version {VERSION}, not {found}; {_way_out(folder)}")
        return cls(
            version=VERSION,
            origin=Origin(**fields["origin"]),
            fingerprint=fields["fingerprint"],
            classes=tuple(fields["classes"]),
            shards=tuple(map(Shard.from_json, fields["shards"])),
        )

    def check_sizes(self, folder: Path) -> None:
        """Every shard is there, with all its bytes.

        Raises:
            UserError: naming the first that is not.
        """
        for shard in self.shards:
            path = folder / shard.file
            found = path.stat().st_size if path.exists() else None
            if found != shard.num_bytes:
                said = "is missing" if found is None else f"must have {shard.num_bytes:,} bytes; it has {found:,}"
                raise UserError(f"{path} {said}; {_way_out(folder)}")


class Progress:
    """The shards that are finished while others are not, a line each; only the preparing process writes it."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self._path = folder / PROGRESS
        lines = self._lines()
        known = lines[0] if lines else None
        if (folder / MANIFEST).exists():
            manifest = Manifest.read(folder)
            known, self.finished = asdict(manifest.origin), {shard.file: shard for shard in manifest.shards}
        else:
            self.finished = {fields["file"]: Shard.from_json(fields) for fields in lines[1:]}
        if known is not None and known != asdict(origin):
            changed = [name for name, value in asdict(origin).items() if known.get(name) != value and name != "source"]
            if changed:
                raise UserError(
                    f"{folder} holds shards of another source or of other settings ({', '.join(changed)}); choose "
                    f"another --out, or remove it"
                )
        if not lines:
            self._append(asdict(origin))

    def add(self, shard: Shard) -> None:
        """Note a finished shard."""
        self._append(asdict(shard))

    def _append(self, fields: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(fields) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        """Whole lines; a last one that was cut short is dropped."""
        if not self._path.exists():
            return []
        whole = [line for line in self._path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        self._path.write_text("".join(whole))
        return [json.loads(line) for line in whole]


def manifests(out: Path) -> dict[str, Manifest]:
    """The finished splits in a folder that was prepared.

    Raises:
        UserError: where there is none.
    """
    splits = sorted(path.parent.name for path in out.glob(f"*/{MANIFEST}"))
    if not splits:
        raise UserError(f"{out} holds no finished image shards; {_way_out(out / 'train')}")
    return {name: Manifest.read(out / name) for name in splits}


def _way_out(folder: Path) -> str:
    return f"make what is missing: largebatch prepare images SRC --out {folder.parent}"
