"""What pydantic found wrong with a study, in a user's words: the rule, the value, the way out."""

import re
from collections.abc import Container, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from largebatch.spaces.domain import Choice, Range
from largebatch.spaces.execution import Execution
from largebatch.spaces.nearest import nearest
from largebatch.spaces.problems import KeyPath
from largebatch.spaces.target import Target
from largebatch.studies.question.study import Budget, Resources, Search, Study, TrialScheduler

_SECTIONS: dict[str, type[BaseModel]] = {
    "target": Target,
    "search": Search,
    "scheduler": TrialScheduler,
    "budget": Budget,
    "resources": Resources,
    "execution": Execution,
}
_DOMAINS: dict[str, type[BaseModel]] = {"range": Range, "choice": Choice}

_WANTED = {
    "int_parsing_size": "must be a smaller whole number",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be finite",
    "string": "must be text",
    "bool": "must be a number or text",  # the first branch of a value of any type
    "model": "must be a mapping, as in {{key: value}}",
    "dict": "must be a mapping, as in {{key: value}}",
    "tuple": "must be a list, as in [1, 2]",
    "list": "must be a list, as in [1, 2]",
    "too_short": "must hold at least one value",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be greater than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be less than {lt:g}",
}
"""By the beginning of pydantic's error type; the first that fits."""


def plain_words(error: ValidationError, known: Container[KeyPath]) -> list[tuple[KeyPath, str]]:
    """Key path and sentence of each mistake. ``known`` are the paths that the file has."""
    details = error.errors(include_url=False)
    said: dict[tuple[KeyPath, str], None] = {}
    unions: set[KeyPath] = set()
    misspelt = [(_path(one, known)[:-1], _near(one)) for one in details if one["type"] == "extra_forbidden"]
    for detail in details:
        where = _path(detail, known)
        if detail["type"] == "missing" and any(where[:-1] == at and where[-1] in near for at, near in misspelt):
            continue  # the key is there, misspelt, which is said
        if detail["loc"][-1:] and detail["loc"][-1] in ("bool", "int", "float", "str"):
            if where in unions:
                continue  # another type that a value of any type might have had
            unions.add(where)
            said[where, f"must be a number or text; got {_shown(detail['input'])}"] = None
        elif detail["type"] != "invalid_key":  # said by who read the YAML
            said[where, _sentence(detail, where)] = None
    return list(said)


def _path(detail: ErrorDetails, known: Container[KeyPath]) -> KeyPath:
    """Where the mistake is: pydantic's location without its own marks (union branches and the like)."""
    path: KeyPath = ()
    for key in detail["loc"]:
        if (*path, key) in known:
            path = (*path, key)
    if detail["type"] == "missing":
        return (*path, detail["loc"][-1])
    return path or detail["loc"][:1]


def _sentence(detail: ErrorDetails, where: KeyPath) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "extra_forbidden":
        return _unknown_key(detail, where)
    if kind == "missing":
        if detail["loc"][0] == "space" and where[-1] in ("low", "high"):
            return "a range needs both low and high; for one value write the value itself"
        return "this key is required"
    shown = _shown(detail["input"])
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"unknown value {shown}{nearest(str(detail['input']), names)}"
    if kind.startswith("model") and where[-1] in ("search", "scheduler") and _is_name(detail["input"]):
        return f"must be a mapping; got {shown}; write {{name: {detail['input']}}}"
    wanted = next((words for name, words in _WANTED.items() if kind.startswith(name)), "is not valid")
    return f"{wanted.format(**detail.get('ctx', {}))}; got {shown}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9-]{1,40}", value) is not None


def _unknown_key(detail: ErrorDetails, where: KeyPath) -> str:
    key = str(where[-1])
    if "choice" in detail["loc"][2:3] and key in Range.model_fields:
        return f"choices are listed values, so {key!r} has no meaning here; give choices, or low and high"
    return f"unknown key {key!r}{nearest(key, _valid_keys(detail))}"


def _near(detail: ErrorDetails) -> list[str]:
    """The valid keys that an unknown one may stand for."""
    hint = nearest(str(detail["loc"][-1]), _valid_keys(detail))
    return re.findall(r"did you mean '([^']*)'", hint)


def _valid_keys(detail: ErrorDetails) -> Iterable[str]:
    """The keys that are valid beside an unknown one."""
    first, *rest = detail["loc"]
    if first == "space" and len(rest) > 2:
        return _DOMAINS[str(rest[1])].model_fields
    model = _SECTIONS[str(first)] if rest else Study
    return model.model_fields


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
