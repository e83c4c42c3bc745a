"""What a site asks for, so that it need not be typed: ``largebatch.toml`` here, or a site's own file by its name."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.spaces.nearest import nearest
from largebatch.spaces.problems import first_problem
from largebatch.spaces.user_mistake import UserMistake

FILE = Path("largebatch.toml")
_LISTS = ("prologue", "directives")


def allocation(given: Mapping[str, Any], site: str | None) -> Allocation:
    """What to ask for: ``given`` on the command line, else the folder's file, else the site's; lists are joined.

    Raises:
        UserMistake: for a file that cannot be read, an unknown key or a value that cannot be.
    """
    ours = _of_folder()
    site = site or ours.pop("site", None)
    layers = [*([_of_site(site)] if site is not None else []), ours, given]
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            values[name] = [*values.get(name, []), *value] if name in _LISTS else value
    try:
        return Allocation.model_validate(values)
    except ValidationError as error:
        raise UserMistake(_as_option(first_problem(error))) from error


def _of_folder() -> dict[str, Any]:
    try:
        content = tomllib.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserMistake(f"{FILE} cannot be read: {error}") from error
    return _checked(str(FILE), content.get("cluster", {}), ("site",))


def _of_site(name: str) -> dict[str, Any]:
    folder = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "largebatch" / "sites"
    path = folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        known = sorted(one.stem for one in folder.glob("*.yaml")) if folder.is_dir() else []
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise UserMistake(f"--site {name}: no file {path}; {there}, and docs/sites has examples") from None
    except (OSError, yaml.YAMLError) as error:
        raise UserMistake(f"{path} cannot be read: {error}") from error
    return _checked(str(path), content or {}, ())


def _checked(where: str, content: object, others: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserMistake(f"{where}: must be names and values, as in `queue: gpu`; got {content!r}")
    valid = {*Allocation.model_fields, *others}
    for name, value in content.items():
        if name not in valid:
            raise UserMistake(f"{where}: unknown key {name!r}{nearest(str(name), valid)}")
        if name in _LISTS and not isinstance(value, list):
            raise UserMistake(f"{where}: {name} must be a list of lines; got {value!r}")
    return dict(content)


def _as_option(problem: str) -> str:
    name, colon, rest = problem.partition(": ")
    return f"--{name.replace('_', '-')}: {rest}" if colon and name in Allocation.model_fields else problem
