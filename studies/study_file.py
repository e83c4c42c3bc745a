"""Study files: YAML in, a ``Study`` or every mistake with its line out. A study file is data; reading it runs nothing."""

import difflib
import importlib.resources
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from largebatch.spaces.domain import Choice, Range
from largebatch.spaces.nearest import nearest
from largebatch.spaces.target import Target
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.study import Budget, Resources, Search, Study, TrialScheduler

Key = str | int
KeyPath = tuple[Key, ...]

_SECTIONS: dict[str, type[BaseModel]] = {
    "target": Target,
    "search": Search,
    "scheduler": TrialScheduler,
    "budget": Budget,
    "resources": Resources,
    "range": Range,
    "choice": Choice,
}
_TAGS = ("range", "choice")
_WANTED = {
    "int": "must be a whole number",
    "float": "must be a number",
    "string": "must be text",
    "bool": "must be true or false",
    "model": "must be a mapping of keys to values",
    "dict": "must be a mapping of keys to values",
    "tuple": "must be a list",
    "list": "must be a list",
}


def load_study(path: Path) -> Study:
    """The study of a file.

    Raises:
        UserMistake: with every mistake in it, each with its line.
    """
    return parse_study(_read(path), str(path))


def find_study(argument: str) -> tuple[str, str]:
    """Name and text of a study file, or of a study that ships.

    Raises:
        UserMistake: if there is neither.
    """
    path = Path(argument)
    if path.exists():
        return str(path), _read(path)
    catalog = importlib.resources.files("largebatch.studies.catalog")
    names = [file.name.removesuffix(".yaml") for file in catalog.iterdir() if file.name.endswith(".yaml")]
    if argument in names:
        return f"{argument}.yaml", (catalog / f"{argument}.yaml").read_text()
    raise UserMistake(f"there is no file {argument!r} and no study of that name{nearest(argument, names)}")


def parse_study(text: str, source: str) -> Study:
    """The study of a YAML text; ``source`` names it in messages.

    Raises:
        UserMistake: with every mistake in it, each with its line.
    """
    lines: dict[KeyPath, int] = {}
    problems: list[tuple[int, str]] = []
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise UserMistake(f"{source}:{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise UserMistake(f"{source}:1: a study file must be a mapping of keys to values; it holds {found}")
    assert node is not None
    for key, line, doubled in _walk(node, ()):
        if doubled:
            problems.append((line, f"{_dotted(key)}: the key appears twice; the first is in line {lines[key]}"))
        lines.setdefault(key, line)
    study = None
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        problems += [_explain(detail, lines) for detail in error.errors()]
    if problems or study is None:
        raise UserMistake("\n".join(f"{source}:{line}: {text}" for line, text in sorted(problems)))
    return study


def study_text(study: Study) -> str:
    """YAML that parses to ``study``."""
    return yaml.safe_dump(study.to_dict(), sort_keys=False)


def study_diff(old: Study, new: Study) -> str:
    """The lines in which two studies differ."""
    difference = difflib.unified_diff(study_text(old).splitlines(), study_text(new).splitlines(), lineterm="", n=1)
    return "\n".join(line for line in difference if not line.startswith(("---", "+++", "@@")))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserMistake(f"{path} cannot be read: {reason}") from error


def _walk(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int, bool]]:
    """Each key's path, its line from 1, and whether it stood in the same mapping before."""
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield (*path, index), child.start_mark.line + 1, False
            yield from _walk(child, (*path, index))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, child in node.value:
            key_path = (*path, str(key.value))
            yield key_path, key.start_mark.line + 1, key.value in seen and key.value != "<<"
            seen.add(key.value)
            yield from _walk(child, key_path)


def _explain(detail: ErrorDetails, lines: dict[KeyPath, int]) -> tuple[int, str]:
    """Line and sentence of one of pydantic's errors."""
    where: KeyPath = tuple(key for key in detail["loc"] if key not in _TAGS)
    kind = detail["type"]
    if kind == "value_error":
        message = str(detail["ctx"]["error"])
        named = message.split(":", 1)[0]
        if (*where, named) in lines:  # the check of a whole mapping names the key that is wrong
            where, message = (*where, named), message.split(":", 1)[1].strip()
    elif kind == "extra_forbidden":
        return _line(where, lines), f"unknown key {where[-1]!r}{nearest(str(where[-1]), _valid_keys(detail['loc']))}"
    elif kind == "missing":
        message = "this key is required"
    else:
        wanted = next((text for name, text in _WANTED.items() if kind.startswith(name)), None)
        message = f"{wanted or _lower(detail['msg'])}; got {detail['input']!r}"
    return _line(where, lines), f"{_dotted(where)}: {message}" if where else message


def _valid_keys(location: Sequence[Key]) -> list[str]:
    """The keys that are valid beside an unknown one."""
    for key in reversed(location[:-1]):
        if key in _SECTIONS:
            return list(_SECTIONS[str(key)].model_fields)
    return list(Study.model_fields)


def _line(where: KeyPath, lines: dict[KeyPath, int]) -> int:
    """The line of the deepest key of ``where`` that is in the file."""
    for length in range(len(where), 0, -1):
        if where[:length] in lines:
            return lines[where[:length]]
    return 1


def _dotted(where: KeyPath) -> str:
    return ".".join(str(key) for key in where)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
