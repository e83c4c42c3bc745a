"""Study files: YAML in, a ``Study`` or every mistake with its line out. Reading a study file runs nothing."""

import hashlib
import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.os_fault import os_fault
from largebatch.spaces.printable import printable
from largebatch.spaces.problems import KeyPath
from largebatch.studies.question.study import Study
from largebatch.studies.question.validation_messages import plain_words
from largebatch.studies.question.yaml_document import Document, Dumper, NotYamlError, read_yaml


def load_study(path: Path) -> Study:
    """The study of a file.

    Raises:
        UserError: with every mistake in it, each with its line.
    """
    return parse_study(_read(path), str(path))


def find_study(argument: str) -> tuple[str, str]:
    """Name and text of a study file, or of a study that ships.

    Raises:
        UserError: if there is neither.
    """
    path, names = Path(argument), studies_that_ship()
    if argument in names and not path.is_file():  # a folder of that name, as of an earlier run, is no study file
        return f"{argument}.yaml", (_catalog() / f"{argument}.yaml").read_text(encoding="utf-8")
    if _exists(path):
        return str(path), _read(path)
    raise UserError(f"there is no file {argument!r} and no study of that name{nearest(argument, names)}")


def studies_that_ship() -> list[str]:
    """Their names, in order."""
    return sorted(file.name.removesuffix(".yaml") for file in _catalog().iterdir() if file.name.endswith(".yaml"))


def _catalog() -> Traversable:
    return importlib.resources.files("largebatch.studies.question.catalog")


def parse_study(text: str, source: str) -> Study:
    """The study of a YAML text; ``source`` names it in messages.

    Raises:
        UserError: with every mistake in it, each with its line.
    """
    try:
        document = read_yaml(text)
    except NotYamlError as error:
        raise UserError(f"{source}:{error.line}: {error}") from error
    if not isinstance(document.data, dict):
        kind = "a list" if isinstance(document.data, list) else "a single value"
        found = "is empty" if document.data is None else f"is {kind}"
        raise UserError(f"{source}:1: a study file must hold keys and values, as in `name: my-study`; this one {found}")
    problems = document.problems
    study = None
    try:
        study = Study.model_validate(document.data)
    except ValidationError as error:
        problems += [(path, _line(path, document), text) for path, text in plain_words(error, document.lines)]
    wrong = {path for path, _, _ in problems}
    for path in _booleans(document.data, ()):
        if not any(path[:length] in wrong for length in range(1, len(path) + 1)):
            problems.append((path, _line(path, document), "must be a number, not true or false"))
    for path, text in _unprintable(document.data, ()):
        problems.append((path, _line(path, document), f"{text!r:.80} holds a character that cannot be shown"))
    if problems or study is None:
        problems.sort(key=lambda problem: problem[1])
        raise UserError("\n".join(f"{source}:{line}: {_said(path, text)}" for path, line, text in problems))
    return study


def at_its_line(mistake: UserError, text: str, source: str) -> UserError:
    """A mistake that only the task could tell, such as ``target.metric: ..``, with the line of that key in the file.

    A hyper-parameter may be named without its ``space.``.
    """
    key = str(mistake).partition(": ")[0]
    lines = {".".join(map(str, path)): line for path, line in read_yaml(text).lines.items()}
    line = lines.get(key) or lines.get(f"space.{key}")
    return mistake if line is None else UserError(f"{source}:{line}: {mistake}")


def study_text(study: Study) -> str:
    """YAML that parses to ``study``."""
    text: str = yaml.dump(study.to_dict(), Dumper=Dumper, sort_keys=False, default_flow_style=None, width=120)
    return text


def study_diff(old: Study, new: Study) -> str:
    """The fields in which two studies differ, a line each: ``-`` as in ``old``, ``+`` as in ``new``."""
    before, after = _fields(old), _fields(new)
    sections = list(Study.model_fields)
    lines = []
    for name in sorted(before | after, key=lambda name: sections.index(name.split(".")[0])):
        if before.get(name) != after.get(name):
            lines += [f"- {name}: {before[name]}"] if name in before else []
            lines += [f"+ {name}: {after[name]}"] if name in after else []
    return "\n".join(lines)


def fingerprint(study: Study) -> str:
    """16 hex digits of the SHA-256 of the study; equal studies have equal ones."""
    return hashlib.sha256(study.canonical_json().encode()).hexdigest()[:16]


def _read(path: Path) -> str:
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a study file, such as {path / 'study.yaml'}")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {str(path)!r}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: it is not UTF-8 text") from error
    except OSError as error:
        raise os_fault(error, path) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _booleans(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Where a true or false stands for a number; pydantic would take it for 1 or 0. Values of the space say so."""
    if isinstance(value, bool) and (path[0] not in ("space", "first_trials") or path[-1] in ("low", "high")):
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _booleans(inner, (*path, key))


def _unprintable(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Texts with control characters or lone surrogates, which no terminal and no file should be given."""
    if isinstance(value, str) and printable(value) != value:
        yield path, value
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unprintable(inner, (*path, key))


def _line(path: KeyPath, document: Document) -> int:
    """The line of the deepest key of ``path`` that is in the file."""
    while path and path not in document.lines:
        path = path[:-1]
    return document.lines.get(path, 1)


def _said(path: KeyPath, text: str) -> str:
    """A mistake with the key that has it; an unknown key is named by the sentence itself."""
    where = path[:-1] if text.startswith(("unknown key", "unknown hyper-parameter")) else path
    names = ".".join(key if key.isprintable() else repr(key) for key in where if isinstance(key, str))
    return f"{names}: {text}" if names else text


def _fields(study: Study) -> dict[str, str]:
    """Each field in its dotted name; a domain is one field."""
    fields: dict[str, str] = {}
    for name, value in study.to_dict().items():
        if isinstance(value, dict):
            fields |= {f"{name}.{key}": _flow(inner) for key, inner in value.items()}
        else:
            fields[name] = _flow(value)
    return fields


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(inner)}' for key, inner in value.items())}}}"
    return f"[{', '.join(map(_flow, value))}]" if isinstance(value, list) else str(value)
