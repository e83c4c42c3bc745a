"""Which files show spirals and which ellipticals: from a folder a class, or a table of paths and votes.

Votes: Galaxy Zoo 1, Lintott et al. (2011), arXiv 1007.3265, table 2 (``P_CS``, ``P_EL``, debiased where given), or
the answers of Galaxy Zoo 2 and later as the package galaxy-datasets names them. The thresholds are those of Khan et
al. (2019), arXiv 1812.02183; galaxies that reach neither are left out.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.source import is_visible, visible_folders

CLASS_NAMES = ("elliptical", "spiral")
"""The name of each label."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_PATHS = ("path", "file_loc", "filename", "file", "image")
_SPIRAL = ("p_cs_debiased", "p_spiral_debiased", "spiral_debiased", "p_cs", "p_spiral")
_ELLIPTICAL = ("p_el_debiased", "p_elliptical_debiased", "elliptical_debiased", "p_el", "p_elliptical")
_SMOOTH, _FEATURED, _ARMS = (
    re.compile(pattern)
    for pattern in (r"smooth-or-featured.*_smooth_fraction", r"smooth-or-featured.*_featured-or-disk_fraction",
                    r"has-spiral-arms.*_yes_fraction")
)  # fmt: skip

Row = dict[str, Any]


def labelled_paths(
    source: Path, *, spiral_above: float = 0.985, elliptical_above: float = 0.926
) -> list[tuple[Path, int]]:
    """Files and their labels, which index ``CLASS_NAMES``.

    Args:
        source: A folder with the folders ``elliptical`` and ``spiral``, or a table, ``.csv`` or ``.parquet``, whose
            paths start from its own folder and whose labels are a column ``label`` (names or 0 and 1) or votes.
        spiral_above: The share of votes that makes a spiral.
        elliptical_above: The share of votes that makes an elliptical.

    Raises:
        UserError: if a label is missing or unknown, a file is not there, or a class is empty.
    """
    if source.is_dir():
        found = _of_folders(source)
    elif source.suffix in (".csv", ".parquet") and source.is_file():
        found = _of_table(source, spiral_above, elliptical_above)
    else:
        raise UserError(f"data: must be a folder, or a table .csv or .parquet; got {source}")
    counts = Counter(label for _, label in found)
    for label, name in enumerate(CLASS_NAMES):
        if not counts[label]:
            raise UserError(
                f"data: {source} holds no {name} ({len(found)} galaxies in all); give images of both classes"
            )
    return found


def _of_folders(source: Path) -> list[tuple[Path, int]]:
    found = []
    for folder in visible_folders(source):
        label = _label(folder.name, f"the folder {folder}")
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES and is_visible(*path.relative_to(folder).parts)
        )
        found += [(path, label) for path in files]
    return found


def _of_table(source: Path, spiral_above: float, elliptical_above: float) -> list[tuple[Path, int]]:
    rows = _rows(source)
    columns = {name.lower(): name for name in (rows[0] if rows else ())}
    path_column = next((columns[name] for name in _PATHS if name in columns), None)
    if path_column is None:
        raise UserError(f"data: {source} has no column of paths; name one of {', '.join(_PATHS)}")
    label_of = _label_reader(source, columns, spiral_above, elliptical_above)
    found = []
    for number, row in enumerate(rows, start=1):
        label = label_of(row, f"row {number} of {source}")
        if label is None:
            continue
        path = source.parent / str(row[path_column])
        if not path.is_file():
            raise UserError(f"data: row {number} of {source} names {path}, which is not there")
        found.append((path, label))
    return found


def _rows(source: Path) -> list[Row]:
    import pyarrow
    from pyarrow import csv, parquet

    try:
        table = csv.read_csv(source) if source.suffix == ".csv" else parquet.read_table(source)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"data: {source} cannot be read as {source.suffix[1:]}: {error}") from error
    rows: list[Row] = table.to_pylist()
    return rows


def _label_reader(
    source: Path, columns: dict[str, str], spiral_above: float, elliptical_above: float
) -> Callable[[Row, str], int | None]:
    if "label" in columns:
        return lambda row, where: _label(row[columns["label"]], where)
    spiral = [columns[name] for name in _SPIRAL if name in columns][:1]
    elliptical = [columns[name] for name in _ELLIPTICAL if name in columns][:1]
    if not (spiral and elliptical):
        spiral = _matching(columns, _FEATURED) + _matching(columns, _ARMS)
        elliptical = _matching(columns, _SMOOTH)
        if len(spiral) != 2 or len(elliptical) != 1:
            raise UserError(
                f"data: {source} has no labels; it needs a column label, or P_CS and P_EL of Galaxy Zoo 1, or the "
                f"fractions of smooth-or-featured and has-spiral-arms of galaxy-datasets"
            )

    def label(row: Row, where: str) -> int | None:
        if _share(row, spiral, where) >= spiral_above:
            return 1
        return 0 if _share(row, elliptical, where) >= elliptical_above else None

    return label


def _matching(columns: dict[str, str], pattern: re.Pattern[str]) -> list[str]:
    return [name for lower, name in columns.items() if pattern.fullmatch(lower)]


def _share(row: Row, names: list[str], where: str) -> float:
    """The product of votes. Nobody is asked for arms where none saw a disk: no answer there counts as no vote."""
    product = 1.0
    for name in names:
        value = row[name]
        if value is None and _ARMS.fullmatch(name.lower()):
            value = 0.0
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"data: {where}: {name} must be a share of votes between 0 and 1; got {value!r}")
        product *= value
    return product


def _label(value: object, where: str) -> int:
    if isinstance(value, int) and value in (0, 1):
        return int(value)
    name = str(value).strip().lower().removesuffix("s")
    if name not in CLASS_NAMES:
        raise UserError(f"data: {where} has the label {value!r}; labels are {' and '.join(CLASS_NAMES)} (0 and 1)")
    return CLASS_NAMES.index(name)
