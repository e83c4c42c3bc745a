"""``--where``: a few comparisons joined by and, or, not. Parsed by hand into an expression of pyarrow; nothing is run.

condition  = all { "or" all }
all        = one { "and" one }
one        = "not" one | "(" condition ")" | column operator value
operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"        ~ is: contains, in any case
value      = number | word | "text" | 'text'
"""

import math
import re

import pyarrow as pa
import pyarrow.compute as pc

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign><=|>=|!=|==|[=<>~()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s"'<>=!~()]+))"""
)
MAX_DEPTH = 50


def parse_condition(text: str, schema: pa.Schema) -> pc.Expression:
    """The expression of a condition on the columns of ``schema``.

    Raises:
        UserError: with what was expected instead, and where.
    """
    return _Parser(text, schema).whole()


class _Parser:
    def __init__(self, text: str, schema: pa.Schema) -> None:
        self._text, self._schema, self._at, self._depth = text, schema, 0, 0
        self._tokens: list[tuple[str, str, int]] = []
        """Kind, text, and where it begins."""
        end = 0
        while text[end:].strip():
            found = _TOKEN.match(text, end)
            if found is None:
                raise self._mistake(
                    "a column, an operator or a value", end + len(text[end:]) - len(text[end:].lstrip())
                )
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind], found.start(kind)))
            end = found.end()

    def whole(self) -> pc.Expression:
        expression = self._any()
        if self._at < len(self._tokens):
            raise self._mistake("and, or, or the end")
        return expression

    def _any(self) -> pc.Expression:
        expression = self._all()
        while self._take("or"):
            expression = expression | self._all()
        return expression

    def _all(self) -> pc.Expression:
        expression = self._one()
        while self._take("and"):
            expression = expression & self._one()
        return expression

    def _one(self) -> pc.Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UserError(f"--where: nested deeper than {MAX_DEPTH}")
        if self._take("not"):
            expression = ~self._one()
        elif self._take("("):
            expression = self._any()
            if not self._take(")"):
                raise self._mistake("`)`")
        else:
            expression = self._comparison()
        self._depth -= 1
        return expression

    def _comparison(self) -> pc.Expression:
        column = self._next("word", "a column")
        if column not in self._schema.names:
            raise UserError(f"--where: unknown column {column!r}{nearest(column, self._schema.names)}")
        sign = self._next("sign", "one of = != < <= > >= ~")
        kind, text, _ = self._tokens[self._at] if self._at < len(self._tokens) else ("", "", 0)
        if kind not in ("word", "double", "single"):
            raise self._mistake(f"a value for {column}")
        self._at += 1
        field = pc.field(column)
        if sign == "~":
            if self._schema.field(column).type != pa.string():
                raise UserError(f"--where: ~ is for text, and {column} holds numbers; use = < <= > >= or !=")
            return pc.match_substring(field, text, ignore_case=True)
        value = self._number(column, text) if self._schema.field(column).type != pa.string() else text
        compared = {
            "=": field.__eq__, "==": field.__eq__, "!=": field.__ne__, "<": field.__lt__, "<=": field.__le__,
            ">": field.__gt__, ">=": field.__ge__,
        }  # fmt: skip
        if sign not in compared:
            self._at -= 2
            raise self._mistake("one of = != < <= > >= ~")
        return compared[sign](pc.scalar(value))

    def _number(self, column: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            raise UserError(f"--where: {column} holds numbers; got {text!r}")
        return value

    def _take(self, text: str) -> bool:
        here = self._at < len(self._tokens) and self._tokens[self._at][0] in ("word", "sign")
        taken = here and self._tokens[self._at][1].lower() == text
        self._at += taken
        return taken

    def _next(self, kind: str, expected: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise self._mistake(expected)
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _mistake(self, expected: str, at: int | None = None) -> UserError:
        if at is None:
            at = self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text)
        got = repr(self._text[at:][:20]) if at < len(self._text) else "its end"
        return UserError(
            f"--where: expected {expected} where {got} is, in {self._text!r:.200}; as in: task=gw and num_workers>=64"
        )
