"""What a site asks for, so that it need not be typed: ``largebatch.toml`` here, or a site's own file by its name."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.os_fault import os_fault
from largebatch.spaces.problems import KeyPath, first_problem
from largebatch.studies.question.yaml_document import NotYamlError, read_yaml

FILE = Path("largebatch.toml")
_LISTS = ("prologue", "directives")
_TEXTS = ("name", "time", "queue", "account", "interface", "container", "site")


def allocation(given: Mapping[str, Any], site: str | None, system: str | None = None) -> Allocation:
    """What to ask for: ``given`` on the command line, else the folder's file, else the site's; lists are joined.

    ``system``: whose job it is to be, for what only one of them reads in another way.

    Raises:
        UserError: for a file that cannot be read, an unknown key or a value that cannot be.
    """
    ours = _of_folder()
    site = site or ours.pop("site", None)
    layers = [*([_of_site(site)] if site is not None else []), ours, given]
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            values[name] = [*values.get(name, []), *value] if name in _LISTS else value
    try:
        return Allocation.model_validate(values, context=system)
    except ValidationError as error:
        raise UserError(_as_option(first_problem(error))) from error


def _of_folder() -> dict[str, Any]:
    try:
        content = tomllib.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise os_fault(error, FILE) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{FILE} cannot be read: {error}") from error
    return _checked(str(FILE), content.get("cluster", {}), ("site",))


def _of_site(name: str) -> dict[str, Any]:
    folder = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "largebatch" / "sites"
    path = folder / f"{name}.yaml"
    try:
        document = read_yaml(path.read_text())
    except FileNotFoundError:
        known = sorted(one.stem for one in folder.glob("*.yaml")) if folder.is_dir() else []
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise UserError(f"--site {name}: no file {path}; {there}, and docs/sites has examples") from None
    except NotYamlError as error:
        raise UserError(f"{path}, line {error.line}: {error}") from error
    except OSError as error:
        raise os_fault(error, path) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    for _, line, problem in document.problems:
        raise UserError(f"{path}, line {line}: {problem}")
    return _checked(str(path), document.data or {}, (), document.lines)


def _checked(
    where: str, content: object, others: tuple[str, ...], lines: Mapping[KeyPath, int] | None = None
) -> dict[str, Any]:
    """The values of a file that are of their kinds; YAML takes `on` for a truth value and 0123 for a number."""
    if not isinstance(content, dict):
        raise UserError(f"{where}: must be names and values, as in `queue: gpu`; got {content!r}")

    def at(*path: str | int) -> str:
        return f"{where}, line {lines[path]}" if lines and path in lines else where

    valid = {*Allocation.model_fields, *others}
    for name, value in content.items():
        if name not in valid:
            raise UserError(f"{at(name)}: unknown key {name!r}{nearest(str(name), valid)}")
        if name in _LISTS:
            if not isinstance(value, list):
                raise UserError(f"{at(name)}: {name} must be a list of lines; got {value!r}")
            for place, one in enumerate(value):
                if not isinstance(one, str):
                    raise UserError(f"{at(name, place)}: {name} must be lines of text in quotes; got {one!r}")
        elif name in _TEXTS and not isinstance(value, str):
            raise UserError(f"{at(name)}: {name} must be text, in quotes; got {value!r}")
        elif isinstance(value, bool) and name not in ("jsrun", *_TEXTS):
            raise UserError(f"{at(name)}: {name} must be a number; got {value!r}")
        elif name != "site":
            _refuse_alone(at(name), name, value)
    return dict(content)


def _refuse_alone(where: str, name: str, value: object) -> None:
    """Refuse a value that its field would not take, at its line and not as an option that nobody typed."""
    try:
        Allocation.model_validate({name: value})
    except ValidationError as error:
        if error.errors()[0]["loc"]:  # else it depends on other values, which another layer may give
            raise UserError(f"{where}: {first_problem(error)}") from error


def _as_option(problem: str) -> str:
    name, colon, rest = problem.partition(": ")
    return f"--{name.replace('_', '-')}: {rest}" if colon and name in Allocation.model_fields else problem
