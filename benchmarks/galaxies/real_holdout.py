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
from torch.nn.functional import interpolate

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.galaxies.galaxy_files import decode_image

FOLDER = Path("/usr/share/stellarium/nebulae/default")
FIELD_DIAMETERS = 2.0
"""A cut-out shows so many of the galaxy's major axes, as the drawn ones do."""
LEAST_SHARE = 0.25
"""No cut-out is smaller than so much of its picture."""
_GALAXY_TYPES = range(4)
_PREFIXES = ("n", "ic", "m", "p", "u")
"""How files of NGC, IC, Messier, PGC and UGC objects begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Galaxy:
    """Right ascension, declination and major axis are in degrees."""

    hubble_type: str
    place: tuple[float, float]
    major_degrees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where three corners of a picture lie: right ascension and declination in degrees."""

    lower_left: tuple[float, float]
    lower_right: tuple[float, float]
    upper_left: tuple[float, float]

    def square(self, galaxy: _Galaxy) -> list[tuple[float, float]]:
        """From where, and over which share of the picture, a galaxy's cut-out goes: from the top, from the left."""
        (x, y), right, up = (self._from_corner(place) for place in (galaxy.place, self.lower_right, self.upper_left))
        area = right[0] * up[1] - right[1] * up[0]
        across, above = (x * up[1] - y * up[0]) / area, (right[0] * y - right[1] * x) / area
        sides = []
        for middle, whole in ((1 - above, up), (across, right)):
            share = min(1.0, max(LEAST_SHARE, FIELD_DIAMETERS * galaxy.major_degrees / math.hypot(*whole)))
            sides.append((min(max(middle - share / 2, 0.0), 1 - share), share))
        return sides

    def _from_corner(self, place: tuple[float, float]) -> tuple[float, float]:
        right, up = place[0] - self.lower_left[0], place[1] - self.lower_left[1]
        return ((right + 180) % 360 - 180) * math.cos(math.radians(self.lower_left[1])), up


def real_holdout(size: int, folder: Path = FOLDER) -> tuple[Tensor, Tensor]:
    """Images ``(n, 3, size, size)`` of [0, 1] on a black sky, and labels, int64 ``(n,)``, 1 for a spiral.

    Raises:
        UserError: where the package is not installed.
    """
    catalogue, textures = folder / "catalog.dat", folder / "textures.json"
    if not catalogue.is_file() or not textures.is_file():
        raise UserError(
            f"data: the real galaxies lie in {folder}, not there; install them: apt-get install stellarium-data"
        )
    galaxies, frames = _catalogue(gzip.decompress(catalogue.read_bytes())), _frames(textures.read_text())
    images, labels = [], []
    for path in sorted(folder.glob("*.png")):
        name = re.match(r"(ic|[mnup])(\d+)", path.name)
        galaxy = galaxies.get((name[1], int(name[2]))) if name else None
        label = _label(galaxy.hubble_type) if galaxy else None
        if galaxy is None or label is None:
            continue
        images.append(_on_black(_cut_out(path, galaxy, frames.get(path.name), size)))
        labels.append(label)
    return torch.stack(images), torch.tensor(labels)


def _label(hubble_type: str) -> int | None:
    """``SAB(rs)c`` is a spiral, ``cE2`` an elliptical, ``SB0`` neither."""
    if re.match(r"(c|d)?E", hubble_type):
        return 0
    return 1 if re.match(r"(\(R.{0,3}\))?S(?!A?B?0)", hubble_type) else None


def _cut_out(path: Path, galaxy: _Galaxy, frame: _Frame | None, size: int) -> Tensor:
    """The square round the galaxy, as far as the picture goes; all of a picture whose place is not known."""
    fine = 4 * size
    whole = decode_image(path.read_bytes(), str(path), fine)
    if frame is not None and galaxy.major_degrees:
        (top, bottom), (left, right) = (
            (round(start * fine), round((start + share) * fine)) for start, share in frame.square(galaxy)
        )
        whole = whole[:, top:bottom, left:right]
    return interpolate(whole[None], (size, size), mode="area")[0]


def _on_black(image: Tensor) -> Tensor:
    """Without the brightness of the sky, the median of the picture's edge."""
    edge = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], 1)
    return (image - edge.median(1).values[:, None, None]).clamp(min=0)


def _frames(textures: str) -> dict[str, _Frame]:
    """Of each picture; the file is JSON but for stray commas. Corners run from the lower left to the upper left."""
    number = r"\s*(-?[\d.]+)\s*"
    corner = rf"\[{number},{number}\]"
    place = rf'"worldCoords"\s*:\s*\[\[{corner},\s*{corner},\s*\[[^\]]*\],\s*{corner}'
    entry = re.compile(rf'"imageUrl"\s*:\s*"([^"]+)",\s*{place}')
    frames = {}
    for name, *numbers in entry.findall(textures):
        lower_left, lower_right, upper_left = (
            (float(right), float(up)) for right, up in zip(numbers[::2], numbers[1::2], strict=True)
        )
        frames[name] = _Frame(lower_left=lower_left, lower_right=lower_right, upper_left=upper_left)
    return frames


def _catalogue(content: bytes) -> dict[tuple[str, int], _Galaxy]:
    """The galaxies by the beginning of a file's name and the number in it."""
    stream = _Stream(content)
    stream.text(), stream.text()  # version and edition
    galaxies: dict[tuple[str, int], _Galaxy] = {}
    while stream.place < len(content):
        galaxy, numbers = _entry(stream)
        if galaxy is not None:
            galaxies |= {(prefix, number): galaxy for prefix, number in zip(_PREFIXES, numbers, strict=True) if number}
    return galaxies


def _entry(stream: "_Stream") -> tuple[_Galaxy | None, list[int]]:
    """The next object, if it is a galaxy, and its numbers in the catalogues of ``_PREFIXES``."""
    stream.number()
    place = (math.degrees(stream.real()), math.degrees(stream.real()))
    stream.skip(2 * 8)  # magnitudes
    kind, hubble_type, major = stream.number(), stream.text(), stream.real()
    stream.skip(8 + 4 + 6 * 8)  # minor axis, angle, redshift, parallax, distance, their errors
    ngc, ic, messier, *others = [stream.number() for _ in range(14)]
    stream.text()  # a name of Cederblad's
    stream.skip(2 * 4)
    for _ in range(7):
        stream.text()
    stream.skip(5 * 4)
    galaxy = _Galaxy(hubble_type=hubble_type, place=place, major_degrees=major) if kind in _GALAXY_TYPES else None
    return galaxy, [ngc, ic, messier, *others[-2:]]


class _Stream:
    """What Qt's QDataStream has written."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def skip(self, num_bytes: int) -> None:
        self.place += num_bytes

    def number(self) -> int:
        self.skip(4)
        return int.from_bytes(self.content[self.place - 4 : self.place], "big")

    def real(self) -> float:
        self.skip(8)
        (value,) = struct.unpack_from(">d", self.content, self.place - 8)
        return float(value)

    def text(self) -> str:
        length = self.number()
        if length == 0xFFFFFFFF:  # none
            return ""
        self.skip(length)
        return self.content[self.place - length : self.place].decode("utf-16-be")
