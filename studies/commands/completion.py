"""What a shell offers after TAB: names that ship, study files and study directories; no engine is loaded for it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

_LEVELS = 2
"""How far below what was typed study directories are looked for: ``runs/NAME`` from nothing typed."""


def study_names(incomplete: str) -> list[str]:
    """Studies that ship, and study files."""
    from largebatch.studies.question.study_file import studies_that_ship

    return _beginning(incomplete, [*studies_that_ship(), *_study_files(incomplete)])


def task_names(incomplete: str) -> list[str]:
    """Tasks that ship."""
    from largebatch.trainers.tasks import TASKS

    return _beginning(incomplete, TASKS)


def checkable(incomplete: str) -> list[str]:
    """Tasks that ship, and study files."""
    return [*task_names(incomplete), *_beginning(incomplete, _study_files(incomplete))]


def interconnects(incomplete: str) -> list[str]:
    """Networks that the step-time law knows."""
    from largebatch.search.laws.step_time.interconnects import INTERCONNECTS

    return _beginning(incomplete, INTERCONNECTS)


def optimizers(incomplete: str) -> list[str]:
    """Optimizers of a recipe."""
    from largebatch.spaces.recipe import OPTIMIZERS

    return _beginning(incomplete, OPTIMIZERS)


def task_kinds(incomplete: str) -> list[str]:
    """Kinds of a new task."""
    from largebatch.studies.question.new_study import KINDS

    return _beginning(incomplete, KINDS)


def study_directories(incomplete: str) -> list[str]:
    """Study directories at and below the folder that was typed."""
    return _beginning(incomplete, map(str, _studies(_folder(incomplete), _LEVELS)))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in sorted(names) if name.startswith(incomplete)]


def _folder(incomplete: str) -> Path:
    return Path(incomplete[: incomplete.rfind("/") + 1])


def _study_files(incomplete: str) -> Iterator[str]:
    return (str(path) for path in _folder(incomplete).glob("*.yaml") if path.is_file())


def _studies(folder: Path, levels: int) -> Iterator[Path]:
    from largebatch.studies.record.directory import is_study

    try:
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # no such folder, or not ours to read: nothing to offer
        return
    for path in inner:
        if is_study(path):
            yield path
        elif levels > 1:
            yield from _studies(path, levels - 1)
