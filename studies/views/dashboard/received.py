"""What a browser sends to a callback, checked before any callback sees it: anyone may send anything.

A value of another kind than the page's own script sends is answered with 400 and changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from dash import Dash
from flask import Flask, abort, request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter

MOST_BYTES = 16_000_000
"""Of a request: a box that is drawn round all points of a figure sends them all."""
PATH = "/_dash-update-component"

_Text = Annotated[StrictStr, Field(max_length=10_000)]
_Number = Annotated[StrictFloat, Field(allow_inf_nan=False)] | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
_Scalar = _Text | _Number | StrictBool | None


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Place(_Sent):
    page: _Text
    study: _Text | None


class _Point(_Sent):
    x: _Scalar = None
    y: _Scalar = None


class _Click(_Sent):
    points: list[_Point] = []


class _Box(_Sent):
    range: dict[_Text, Annotated[list[_Number | _Text], Field(min_length=2, max_length=2)]] = {}


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: _Text
    name: _Text


class _Item(_Sent):
    id: _Text | _Name
    property: _Text
    value: Any = None


class _Body(_Sent):
    output: _Text
    outputs: _Item | list[_Item | list[_Item]]
    inputs: list[_Item | list[_Item]]
    state: list[_Item | list[_Item]] = []
    changedPropIds: list[_Text] = []


_SENT: Mapping[tuple[str, str], Any] = {
    ("url", "pathname"): _Text | None,
    ("url", "search"): _Text | None,
    ("study", "value"): _Text | None,
    ("place", "data"): _Place | None,
    ("tick", "n_intervals"): _Number | None,
    ("version", "data"): tuple[_Text | None, _Number] | None,
    ("choice", "value"): _Scalar,
    ("choice", "id"): _Name,
    ("plot", "clickData"): _Click | None,
    ("plot", "selectedData"): _Box | None,
    ("wanted-batch", "value"): _Scalar,
    ("wanted-rate", "value"): _Scalar,
    ("token", "data"): _Text | None,
    ("ranges", "data"): dict[_Text, _Text] | None,
    ("enqueue", "n_clicks"): _Number | None,
    ("stop", "n_clicks"): _Number | None,
    ("narrow", "n_clicks"): _Number | None,
}
"""What the page's script sends, by component and property."""
_KINDS: Mapping[tuple[str, str], TypeAdapter[Any]] = {names: TypeAdapter(kind) for names, kind in _SENT.items()}


def check_requests(app: Dash) -> None:
    """Refuse requests that are too large, or that no page of ours sends."""
    server: Flask = app.server
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @server.before_request
    def _refuse_others_values() -> None:
        if request.path != PATH or request.method != "POST":
            return
        try:
            body = _Body.model_validate(request.get_json())
            _check(app, body)
        except (ValueError, LookupError, RecursionError) as error:
            abort(400, f"No page of the dashboard sends this: {str(error).splitlines()[0]:.200}")


def _check(app: Dash, body: _Body) -> None:
    """Whether a callback of ours takes these arguments.

    Raises:
        ValueError: if none does.
    """
    callback = app.callback_map.get(body.output)
    if callback is None:
        raise ValueError("there is no such output")
    for declared, sent in ((callback["inputs"], body.inputs), (callback["state"], body.state)):
        if not _match(declared, sent):
            raise ValueError("its inputs are others")
    if not _match(_outputs(body.output), [body.outputs] if isinstance(body.outputs, _Item) else body.outputs):
        raise ValueError("its outputs are others")
    for item in (*body.inputs, *body.state):
        for one in item if isinstance(item, list) else [item]:
            _KINDS[_names(one)].validate_python(one.value)
    if len({len(one) for one in (*body.inputs, *body.state) if isinstance(one, list)}) > 1:
        raise ValueError("its lists are of different lengths")


def _outputs(name: str) -> list[dict[str, str]]:
    """The outputs of a callback by its key: `a.b`, or `..a.b...c.d..` of several."""
    several = name.startswith("..") and name.endswith("..")
    names = name[2:-2].split("...") if several else [name]
    return [dict(zip(("id", "property"), one.rsplit(".", 1), strict=True)) for one in names]


def _match(declared: Sequence[Mapping[str, Any]], sent: Sequence[_Item | list[_Item]]) -> bool:
    """Whether the components that were sent are those of a callback; of a pattern there may be none on a page."""
    if len(declared) != len(sent):
        return False
    for one, given in zip(declared, sent, strict=True):
        name, prop, is_list = _declared(one)
        items = given if isinstance(given, list) else [given]
        if is_list != isinstance(given, list) or any(_names(item) != (name, prop) for item in items):
            return False
    return True


def _declared(one: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Name, property, and whether it stands for all components of that name."""
    text = str(one["id"])
    if not text.startswith("{"):
        return text, str(one["property"]), False
    name = json.loads(text)
    return name["type"], str(one["property"]), name["name"] == ["ALL"]


def _names(one: _Item) -> tuple[str, str]:
    return (one.id if isinstance(one.id, str) else one.id.type), one.property
