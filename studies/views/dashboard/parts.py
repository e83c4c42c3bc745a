"""The parts that pages are made of: controls, places for figures and words, and the report's own HTML.

Every text becomes a text node of the browser, never markup: a study's strings cannot inject any.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from dash import dcc, html

_ATTRIBUTES = {"class": "className", "tabindex": "tabIndex", "scope": "scope", "colspan": "colSpan", "href": "href"}
_VOID = {"br"}


def choice_id(name: str) -> dict[str, str]:
    """The id of a control."""
    return {"type": "choice", "name": name}


def select(name: str, label: str, options: Mapping[str, str], query: Mapping[str, str], default: str = "") -> Any:
    """One of ``options`` (what a choice means, by its value); ``default`` where the address names none of them."""
    value = query.get(name, default)
    return _labelled(
        label,
        dcc.Dropdown(
            id=choice_id(name),
            options=[{"value": key, "label": words} for key, words in options.items()],
            value=value if value in options else default,
            clearable=False,
            searchable=len(options) > 12,
        ),
    )


def one_of(value: object, options: Collection[str], default: str) -> str:
    """``value`` where it is one of ``options``: a browser may send anything."""
    return value if isinstance(value, str) and value in options else default


def slider(name: str, label: str, marks: Mapping[float, str], query: Mapping[str, str], default: float) -> Any:
    """A number between the ends of ``marks``, which may be a logarithm of what they say."""
    low, high = min(marks), max(marks)
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = default
    value = min(max(value, low), high) if math.isfinite(value) else default
    return _labelled(
        label,
        dcc.Slider(
            id=choice_id(name), min=low, max=high, step=0.05, value=value, marks=dict(marks), updatemode="drag",
            allow_direct_input=False,
        ),
        wide=True,
    )  # fmt: skip


def text_field(name: str, label: str, query: Mapping[str, str], hint: str) -> Any:
    """Words to look for; taken a moment after the last letter."""
    field = dcc.Input(id=choice_id(name), type="text", value=query.get(name, ""), placeholder=hint, debounce=0.3)
    return _labelled(label, field, wide=True)


def hidden(name: str, query: Mapping[str, str]) -> Any:
    """A choice that links of the page make."""
    return dcc.Input(id=choice_id(name), type="hidden", value=query.get(name, ""))


def controls(*parts: Any) -> Any:
    """A row of controls."""
    return html.Div([part for part in parts if part is not None], className="controls", role="group")


def words(name: str) -> Any:
    """A place for words."""
    return html.Div(id={"type": "words", "name": name})


def plot(name: str, title: str, caption: str = "") -> Any:
    """A place for a figure, with a download of what it shows."""
    return html.Section(
        [
            html.H2(title),
            html.P(caption, className="note") if caption else None,
            dcc.Store(id={"type": "figure", "name": name}),
            html.Div(
                dcc.Graph(
                    id={"type": "plot", "name": name},
                    config={"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d"]},
                    responsive=True,
                ),
                role="group",
                className="plot",
                **aria(label=f"{title} (a figure; its numbers are in the CSV)"),
            ),
            html.Button("CSV", id={"type": "csv", "name": name}, className="csv", title=f"{title}: what is shown"),
            html.Div(id={"type": "picked", "name": name}, className="picked", **aria(live="polite")),
        ],
        className="figure",
    )


def table(
    columns: Sequence[Any], rows: Sequence[Sequence[Any]], *, words_from: int = 0, caption: str | None = None
) -> Any:
    """A table that scrolls sideways where it is wide; columns from ``words_from`` on hold words."""
    side = ["words" if index >= words_from else None for index in range(len(columns))]
    head = [html.Th(name, scope="col", className=side[index]) for index, name in enumerate(columns)]
    body = [html.Tr([html.Td(cell, className=side[index]) for index, cell in enumerate(row)]) for row in rows]
    inner = [html.Caption(caption)] if caption else []
    whole = html.Table([*inner, html.Thead(html.Tr(head)), html.Tbody(body)], className="numbers")
    return html.Div(whole, className="scroll", tabIndex="0")


def note(*parts: Any, problem: bool = False) -> Any:
    """A sentence in a box."""
    return html.Div(html.P(list(parts)), className="answer problem" if problem else "answer")


def from_html(text: str) -> list[Any]:
    """The report's HTML as components: its texts, whatever they hold, stay texts."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return parser.root


def aria(**values: str) -> dict[str, Any]:
    """Attributes for those who do not see the page, by their names without ``aria-``."""
    return {f"aria-{name}": value for name, value in values.items()}


def _labelled(label: str, control: Any, *, wide: bool = False) -> Any:
    return html.Label([html.Span(label), control], className="control wide" if wide else "control")


class _Parser(HTMLParser):
    """Builds components from tags that are known to ``dash.html``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root: list[Any] = []
        self._open: list[tuple[str, dict[str, Any], list[Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = {_ATTRIBUTES[name]: value for name, value in attrs if name in _ATTRIBUTES}
        if tag in _VOID:
            self._add(getattr(html, tag.capitalize())())
        else:
            self._open.append((tag, kept, []))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            name, attributes, children = self._open.pop()
            self._add(getattr(html, name.capitalize())(children, **attributes))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._add(data)

    def _add(self, part: Any) -> None:
        (self._open[-1][2] if self._open else self.root).append(part)
