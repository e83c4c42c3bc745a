"""Real galaxies of known Hubble type, out of the pictures that Debian's package ``stellarium-data`` installs.

The pictures are of mixed credits and licences: they are read where they are installed and never copied. The package's
catalogue gives types and sizes, as 2022's Stellarium (``NebulaMgr::loadDSOCatalog``) reads it: a stream of Qt's,
big-endian. Lenticular, irregular and untyped galaxies are left out.
"""

import gzip
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from largebatch.spaces.user_mistake import UserMistake
from largebatch.trainers.galaxies.galaxy_files import decode_image

FOLDER = Path("/usr/share/stellarium/nebulae/default")
FIELD_DIAMETERS = 2.0
"""A cut-out shows so many of the galaxy's major axes, as the drawn ones do."""
_GALAXY_TYPES = range(4)
_PREFIXES = ("n", "ic", "m", "p", "u")
"""How files of NGC, IC, Messier, PGC and UGC objects begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Galaxy:
    hubble_type: str
    major_degrees: float


def real_holdout(size: int, folder: Path = FOLDER) -> tuple[Tensor, Tensor]:
    """Images ``(n, 3, size, size)`` of [0, 1] on a black sky, and labels, int64 ``(n,)``, 1 for a spiral.

    Raises:
        UserMistake: where the package is not installed.
    """
    catalogue, textures = folder / "catalog.dat", folder / "textures.json"
    if not catalogue.is_file() or not textures.is_file():
        raise UserMistake(
            f"data: the real galaxies lie in {folder}, which is not there; install them: apt-get install stellarium-data"
        )
    galaxies, widths = _catalogue(gzip.decompress(catalogue.read_bytes())), _widths(textures.read_text())
    images, labels = [], []
    for path in sorted(folder.glob("*.png")):
        name = re.match(r"(ic|[mnup])(\d+)", path.name)
        galaxy = galaxies.get((name[1], int(name[2]))) if name else None
        label = _label(galaxy.hubble_type) if galaxy else None
        if galaxy is None or label is None:
            continue
        images.append(_on_black(_cut_out(path, galaxy, widths.get(path.name), size)))
        labels.append(label)
    return torch.stack(images), torch.tensor(labels)


def _label(hubble_type: str) -> int | None:
    """``SAB(rs)c`` is a spiral, ``cE2`` an elliptical, ``SB0`` neither."""
    if re.match(r"(c|d)?E", hubble_type):
        return 0
    return 1 if re.match(r"(\(R.{0,3}\))?S(?!A?B?0)", hubble_type) else None


def _cut_out(path: Path, galaxy: _Galaxy, width_degrees: float | None, size: int) -> Tensor:
    """The middle of a picture, as far as it goes."""
    whole = decode_image(path.read_bytes(), str(path), 4 * size)
    share = 1.0
    if width_degrees and galaxy.major_degrees:
        share = min(1.0, max(0.25, FIELD_DIAMETERS * galaxy.major_degrees / width_degrees))
    side = round(4 * size * share)
    start = (4 * size - side) // 2
    part = whole[:, start : start + side, start : start + side]
    return torch.nn.functional.interpolate(part[None], (size, size), mode="area")[0]


def _on_black(image: Tensor) -> Tensor:
    """Without the brightness of the sky, the median of the picture's edge."""
    edge = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], 1)
    return (image - edge.median(1).values[:, None, None]).clamp(min=0)


def _widths(textures: str) -> dict[str, float]:
    """Degrees from one upper corner of each picture to the other; the file is JSON but for stray commas."""
    number = r"\s*(-?[\d.]+)\s*"
    entry = re.compile(
        rf'"imageUrl"\s*:\s*"([^"]+)",\s*"worldCoords"\s*:\s*\[\[\[{number},{number}\],\s*\[{number},{number}\]'
    )
    widths = {}
    for name, *corners in entry.findall(textures):
        right0, up0, right1, up1 = (float(corner) for corner in corners)
        across = ((right1 - right0 + 180) % 360 - 180) * math.cos(math.radians((up0 + up1) / 2))
        widths[name] = math.hypot(across, up1 - up0)
    return widths


def _catalogue(content: bytes) -> dict[tuple[str, int], _Galaxy]:
    """The galaxies by the beginning of a file's name and the number in it."""
    stream = _Stream(content)
    stream.text(), stream.text()  # version and edition
    galaxies = {}
    while stream.place < len(content):
        kind, hubble_type, major, numbers = _entry(stream)
        if kind in _GALAXY_TYPES:
            galaxy = _Galaxy(hubble_type=hubble_type, major_degrees=major)
            galaxies |= {(prefix, number): galaxy for prefix, number in zip(_PREFIXES, numbers, strict=True) if number}
    return galaxies


def _entry(stream: "_Stream") -> tuple[int, str, float, list[int]]:
    stream.skip(4 + 4 * 8)  # identifier, place, magnitudes
    kind = stream.number()
    hubble_type = stream.text()
    (major,) = struct.unpack_from(">d", stream.content, stream.place)
    stream.skip(2 * 8 + 4 + 6 * 8)  # axes, angle, redshift, parallax, distance, their errors
    ngc, ic, messier, *others = [stream.number() for _ in range(14)]
    stream.text()  # a name of Cederblad's
    stream.skip(2 * 4)
    for _ in range(7):
        stream.text()
    stream.skip(5 * 4)
    return kind, hubble_type, major, [ngc, ic, messier, *others[-2:]]


class _Stream:
    """What Qt's QDataStream has written."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def skip(self, num_bytes: int) -> None:
        self.place += num_bytes

    def number(self) -> int:
        self.skip(4)
        return int.from_bytes(self.content[self.place - 4 : self.place], "big")

    def text(self) -> str:
        length = self.number()
        if length == 0xFFFFFFFF:  # none
            return ""
        self.skip(length)
        return self.content[self.place - length : self.place].decode("utf-16-be")
