"""YAML text to plain values and the line of every key. Reading runs nothing that the text names."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from largebatch.spaces.problems import KeyPath

MAX_DEPTH, MAX_NODES = 20, 10_000
"""Far above any study file; below what an alias in an alias in an alias would unfold to."""

_TAG = "tag:yaml.org,2002:"
_INT, _FLOAT, _STRING, _TIMESTAMP, _MERGE = (_TAG + kind for kind in ("int", "float", "str", "timestamp", "merge"))
_RESOLVERS = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
"""Numbers that YAML 1.1 takes for text, as they lack the dot or the exponent's sign."""


class NotYamlError(Exception):
    """The text is not YAML, or not of a kind that a study file needs; ``line`` is where."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


class _Values(yaml.constructor.SafeConstructor):
    """YAML 1.1 but for two traps: ``1e-4`` and ``2.0e7`` are numbers, ``2026-11-23`` is text and no date."""

    yaml_implicit_resolvers = _RESOLVERS

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            sentence = f"{str(node.value)[:60]!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, sentence, node.start_mark) from error
        if node.tag in (_INT, _FLOAT) and ":" in node.value:
            sentence = f"YAML 1.1 reads {node.value} as {value}, a number of base 60; write it in quotes"
            raise yaml.constructor.ConstructorError(None, None, sentence, node.start_mark)
        if node.tag == _INT and not -(2**63) <= value < 2**63:
            raise yaml.constructor.ConstructorError(None, None, "a whole number must fit 64 bits", node.start_mark)
        return value


class _Loader(_Values, yaml.SafeLoader):
    """Says best what is wrong."""


class _QuickLoader(_Values, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Three times as fast, where PyYAML was built with libyaml."""


class Dumper(yaml.SafeDumper):
    """Writes what ``read_yaml`` reads back: it quotes a text that would be a number there."""

    yaml_implicit_resolvers = _RESOLVERS


for _reader in (_Loader, _QuickLoader):
    _reader.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))
Dumper.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))


@dataclass(slots=True)
class Document:
    """Plain values, the line (from 1) of each key and list item, and what is wrong with keys."""

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[tuple[KeyPath, int, str]] = field(default_factory=list)
    num_nodes: int = 0


def read_yaml(text: str) -> Document:
    """The one document of ``text``; its data are None where it is empty.

    Raises:
        NotYamlError: where it is not YAML, or nested or aliased beyond reason.
    """
    try:
        return _read(text, _QuickLoader)
    except NotYamlError:
        return _read(text, _Loader)


def _read(text: str, kind: Any) -> Document:
    document = Document()
    try:
        loader = kind(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _walk(node, (), document, base=False)
                document.data = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYamlError(line, f"not valid YAML: the character {chr(error.character)!r} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise NotYamlError(mark.line + 1 if mark is not None else 1, f"not valid YAML: {words}") from error
    except RecursionError as error:
        raise NotYamlError(1, "nested too deep for a study file") from error
    return document


def _walk(node: yaml.Node, path: KeyPath, document: Document, *, base: bool) -> None:
    """Note the line of every key and list item below ``node``, and keys that are no text or stand twice.

    ``base``: what ``<<`` brings in; it yields to keys noted before, and is reported where it stands itself.
    """
    document.num_nodes += 1
    if len(path) > MAX_DEPTH or document.num_nodes > MAX_NODES:
        raise NotYamlError(node.start_mark.line + 1, "nested too deep or too large for a study file")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines.setdefault((*path, index), item.start_mark.line + 1)
            _walk(item, (*path, index), document, base=base)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag != _MERGE and _noted(key, path, document, base=base):
                _walk(value, (*path, key.value), document, base=base)
        for key, value in node.value:
            if key.tag == _MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    _walk(one, path, document, base=True)


def _noted(key: yaml.Node, path: KeyPath, document: Document, *, base: bool) -> bool:
    """Note a key of the mapping at ``path``; whether it is a new one."""
    line = key.start_mark.line + 1
    if key.tag != _STRING:
        shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        if not base:
            document.problems.append((path, line, f"a key must be text; got {shown}"))
        return False
    where = (*path, key.value)
    if where in document.lines:
        if not base:
            first = document.lines[where]
            document.problems.append((where, line, f"the key stands twice; the first is in line {first}"))
        return False
    document.lines[where] = line
    return True
