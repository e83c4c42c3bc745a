"""Writes docs/reference/study-file.md from the models of a study file: ``python docs/reference/study_file.py``."""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from largebatch.spaces.domain import Choice, Range
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.rule import RULES
from largebatch.spaces.target import Target
from largebatch.studies.question.study import SCHEDULERS, SEARCHERS, Budget, Resources, Search, Study, TrialScheduler

PAGE = Path(__file__).with_name("study-file.md")
SECTIONS: dict[str, type[BaseModel]] = {
    "target": Target, "search": Search, "scheduler": TrialScheduler, "budget": Budget, "resources": Resources,
    "execution": Execution,
}  # fmt: skip
NAMES = {("search", "name"): SEARCHERS, ("scheduler", "name"): SCHEDULERS, ("search", "learning_rate_rule"): RULES}
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
SYMBOLS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def page() -> str:
    """The page."""
    parts = [
        "# Study files",
        "A study file is YAML. Unknown keys are errors. This page is made from the models that read the file, by "
        "`python docs/reference/study_file.py`.",
        "## The file",
        _table(Study, {name: f"[below](#{name})" for name in (*SECTIONS, "space")}),
    ]
    for name, model in SECTIONS.items():
        parts += [f"## {name}", _summary(model), _table(model, {}, section=name)]
    parts += [
        "## space",
        "Each key is a hyper-parameter of the table further down, or `task.NAME`, a keyword argument of the task's "
        "function. Its value is one value, a range, or choices. `global_batch_size` and `learning_rate` must be "
        "there; of the others the default holds.",
        _summary(Range),
        _table(Range, {}),
        _summary(Choice),
        _table(Choice, {}),
        "Hyper-parameters:",
        _table(Recipe, {}, leave_out=("num_workers",)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(model: type[BaseModel], links: dict[str, str], *, section: str = "", leave_out: tuple[str, ...] = ()) -> str:
    said = _attribute_docs(model)
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        if name in leave_out:
            continue
        given = NAMES.get((section, name))
        value = links.get(name) or (_or(given) if given else _type(info.annotation, info.metadata))
        default = "required" if info.is_required() else _default(info)
        rows.append(f"| `{name}` | {value} | {default} | {_markdown(said.get(name, ''))} |")
    return "\n".join(rows)


def _attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        before.target.id: after.value.value
        for before, after in zip(body.body, body.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }  # fmt: skip


def _summary(model: type[BaseModel]) -> str:
    return _markdown(inspect.getdoc(model) or "")


def _markdown(text: str) -> str:
    listed = {"``SEARCHERS``": _or(SEARCHERS), "``SCHEDULERS``": _or(SCHEDULERS)}
    for name, names in listed.items():
        text = text.replace(f"One of {name}.", "").replace(name, names)
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _or(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _type(annotation: Any, metadata: Any) -> str:
    """What a value may be, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(one, metadata) for one in arguments if one is not type(None)))
    if origin is Literal:
        return _or(arguments)
    if origin in (tuple, list):
        return f"list of {_type(arguments[0], [])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    bounds = [
        f"{symbol} {getattr(one, name):g}"
        for given in metadata
        for one in (given.metadata if isinstance(given, FieldInfo) else [given])
        for name, symbol in SYMBOLS.items()
        if isinstance(getattr(one, name, None), int | float)
    ]
    return " ".join([WORDS.get(annotation, "text"), " and ".join(bounds)]).strip()


def _default(info: FieldInfo) -> str:
    default = info.default
    if isinstance(default, BaseModel):
        return "as below"
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(str(one) for one in default)}]`"
    return f"`{default:.4g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
