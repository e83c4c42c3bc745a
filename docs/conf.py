"""The site: `make docs` builds it, warnings as errors, and so does tests/docs/test_site.py. Nothing is downloaded."""

import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import stringify_annotation

import largebatch

project = "largebatch"
copyright = "the largebatch authors, Apache-2.0"
version = release = largebatch.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!largebatch\.).*"),  # of other packages, whose pages are not here
    (r"py:.*", r"largebatch\.studies\.running\..*"),  # no part of what users call
    (r"py:.*", r"largebatch\.spaces\.domain\.(Annotated|_kind)"),  # as pydantic spells the domains of a space
]
default_role = "code"
suppress_warnings = ["myst.header"]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"largebatch {release}"
html_theme_options = {"navigation_with_keys": True}

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "smartquotes"]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"


def write_command_line_page(app: Sphinx) -> None:
    """The reference of the command line, from the command line."""
    del app
    page = Path(__file__).parent / "reference" / "command-line.md"
    ask = [sys.executable, "-m", "typer", "largebatch.studies.cli", "utils", "docs", "--name", "largebatch"]
    page.write_text(subprocess.run(ask, check=True, capture_output=True, text=True).stdout, encoding="utf-8")


def plain_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text: a module's, with its formulas and tables, as it stands; of others all but literals."""
    del app, name, options
    if what == "module":
        lines[:] = ["::", "", *(f"   {line}" for line in lines), ""]
        return
    lines[:] = [_escaped(line) for line in lines]
    if what == "attribute":
        lines.insert(0, "")  # or a colon in the first line would be read as the end of a type
    if isinstance(obj, type) and issubclass(obj, BaseModel):
        lines += ["", *_fields(obj)]


def _escaped(line: str) -> str:
    parts = re.split(r"(``.*?``|`.*?`)", line)
    parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """A table of the fields of a study or recipe: what they take and what they are if not given."""
    documented = ModuleAnalyzer.for_module(model.__module__).find_attr_docs()
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: auto", "")
    yield from ("   * - field", "     - takes", "     - if not given", "     - ")
    for name, field in model.model_fields.items():
        limits = " ".join(filter(None, map(_limit, field.metadata)))
        default = "required" if field.is_required() else f"``{field.default!r}``"
        if not field.is_required() and isinstance(field.default, BaseModel):
            default = "its defaults"
        yield from (f"   * - ``{name}``", f"     - {_type(field.annotation)} {limits}", f"     - {default}")
        yield f"     - {_escaped(' '.join(documented.get((model.__name__, name), [])))}"
    yield ""


def _limit(metadata: object) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return ", ".join(f"{sign} {getattr(metadata, name)}" for name, sign in signs.items() if hasattr(metadata, name))


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = " ".join(filter(None, map(_limit, inside[1:])))
        return f"{_type(inside[0])} {limits}".strip()
    if origin in (Union, types.UnionType):
        return " or ".join(map(_type, inside))
    if origin is Literal:
        return ", ".join(f"``{value}``" for value in inside)
    if origin is tuple:
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return "keys and values"
    return stringify_annotation(annotation, "smart").split(".")[-1].removeprefix("~")


def no_signature_of_models(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, None] | None:
    """A model's fields are in its table."""
    del app, what, name, options, signature, returns
    return ("", None) if isinstance(obj, type) and issubclass(obj, BaseModel) else None


def inline_formula(translator: Any, node: nodes.math) -> None:
    """As MathML, which browsers draw themselves: MathJax would be loaded from the network."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def formula(translator: Any, node: nodes.math_block) -> None:
    """The same for one on a line of its own."""
    drawn = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f"<div style='overflow:auto hidden; padding:.4em 0'>{drawn}</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_command_line_page)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", no_signature_of_models)
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
