"""Requests that no page sends, straight to the server: 400 or nothing, never a traceback; and links that are stale."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dash import Dash
from werkzeug.serving import make_server

from largebatch.spaces.errors import UserError
from largebatch.studies.record.requests import read_requests
from largebatch.studies.views.dashboard.app import PAGES, make_app
from largebatch.studies.views.dashboard.guard import guard
from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.studies.views.dashboard.received import MOST_BYTES, PATH
from largebatch.studies.views.dashboard.serve import Handler, serve

TOKEN = "a token"
VALUES = {
    "url.pathname": "/trials", "url.search": "?study=one", "study.value": "one", "tick.n_intervals": 1,
    "place.data": {"page": "trials", "study": "one"}, "version.data": ["one", 3], "choice.value": "",
    "token.data": TOKEN, "plot.clickData": {"points": [{"x": 64, "y": 0.5, "customdata": 1}]},
    "enqueue.n_clicks": 1, "narrow.n_clicks": 1,
    "plot.selectedData": {"points": [], "range": {"x": [64, 256], "y": [0.1, 0.5]}}, "stop.n_clicks": 1,
    "wanted-batch.value": 64, "wanted-rate.value": 0.5, "ranges.data": {"learning_rate": "0.1:0.5"},
}  # fmt: skip
JUNK = [
    None, True, -1, 10**30, 0.5, "", "nope", "9" * 5000, [], [1], [[]], {}, {"points": 1}, {"points": [1]},
    {"page": 1, "study": "one"}, {"page": "trials", "study": []}, {"page": "nope", "study": None}, {"range": {"x": []}},
    {"range": {"x": [1, {}]}}, {"learning_rate": 1}, {"learning_rate": "1:2:3"},
]  # fmt: skip
Served = tuple[Dash, Any, Path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, made_up: ModuleType) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("runs")
    made_up.write_study(root / "one", name="one", trials=20, running=1, measurements=4)
    made_up.write_study(root / "two", name="two", trials=3, measurements=4)
    with Library(root) as library:
        for live in library.studies.values():
            live.refresh()
        app = make_app(library, TOKEN)
        guard(app.server, "127.0.0.1", app.csp_hashes())
        yield app, app.server.test_client(), root


def sent(client: Any, body: object) -> Any:
    return client.post(PATH, json=body, headers={"Host": "127.0.0.1"})


def item(declared: dict[str, Any], name: str) -> Any:
    """A component of a callback with a value that its page sends; a list for a pattern."""
    if not declared["id"].startswith("{"):
        value = VALUES.get(f"{declared['id']}.{declared['property']}")
        return {**declared, "value": value}
    kind = json.loads(declared["id"])
    own = {"type": kind["type"], "name": name if kind["name"] in (["ALL"], ["MATCH"]) else kind["name"]}
    value = own if declared["property"] == "id" else VALUES.get(f"{kind['type']}.{declared['property']}")
    one = {"id": own, "property": declared["property"], "value": value}
    return [one] if kind["name"] == ["ALL"] else one


def request_of(app: Dash, output: str) -> dict[str, Any]:
    callback = app.callback_map[output]
    names = output[2:-2].split("...") if output.startswith("..") else [output]
    outputs = [item(dict(zip(("id", "property"), one.rsplit(".", 1), strict=True)), "landscape") for one in names]
    return {
        "output": output,
        "outputs": outputs if output.startswith("..") else outputs[0],
        "inputs": [item(one, "landscape") for one in callback["inputs"]],
        "state": [item(one, "landscape") for one in callback["state"]],
        "changedPropIds": [],
    }


def of_the_server(app: Dash) -> list[str]:
    return [output for output, callback in app.callback_map.items() if "callback" in callback]


def test_every_callback_answers_its_own_page_and_refuses_other_kinds_of_values(served: Served) -> None:
    app, client, _ = served
    assert len(of_the_server(app)) == 10
    for output in of_the_server(app):
        assert sent(client, request_of(app, output)).status_code in (200, 204), output
        body = request_of(app, output)
        for part in ("inputs", "state"):
            for index, whole in enumerate(body[part]):
                one = whole[0] if isinstance(whole, list) else whole
                kept = one["value"]
                refused = 0
                for junk in JUNK:
                    one["value"] = junk
                    answer = sent(client, body)
                    assert answer.status_code in (200, 204, 400), (output, one, answer.text)
                    refused += answer.status_code == 400
                assert refused >= 5, (output, one)  # at the least what is nested
                one["value"] = kept
                body[part][index] = {**one, "id": "nosuch"}
                assert sent(client, body).status_code == 400
                body[part][index] = whole


@pytest.mark.parametrize(
    "body",
    [[], 1, {}, {"output": "page.children"}, {"output": 1, "outputs": [], "inputs": []},
     {"output": "nope.children", "outputs": [], "inputs": []}],
)  # fmt: skip
def test_no_request_of_a_callback(body: object, served: Served) -> None:
    _, client, _ = served
    assert sent(client, body).status_code == 400
    deep = client.post(PATH, data="[" * 200_000, content_type="application/json", headers={"Host": "127.0.0.1"})
    assert deep.status_code == 400


CHOICES = (
    "x", "y", "colour", "drag", "deadline", "price", "interconnect", "nodes", "value", "across", "group", "outcome",
    "batch", "with", "find", "sort", "from", "trial", "only.optimizer",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_choices_that_a_page_does_not_offer(page: str, served: Served) -> None:
    app, client, _ = served
    (output,) = (one for one in of_the_server(app) if "figure" in one)
    body = request_of(app, output)
    body["inputs"][2]["value"] = {"page": page, "study": "one"}
    for junk in (None, "nope", "²", "9" * 5000, -1, 1e300, 10**18, True, "model_dump"):
        body["inputs"][1] = [
            {"id": {"type": "choice", "name": name}, "property": "value", "value": junk} for name in CHOICES
        ]
        body["state"][0] = [
            {"id": {"type": "choice", "name": name}, "property": "id", "value": {"type": "choice", "name": name}}
            for name in CHOICES
        ]
        answer = sent(client, body)
        assert answer.status_code == 200, (junk, answer.text)
    body["state"][0] = body["state"][0][1:]
    assert sent(client, body).status_code == 400


@pytest.mark.parametrize(
    ("pathname", "search", "said"),
    [
        ("/", "?study=nix", "There is no study 'nix' here"),
        ("/trials", "?study=nix\x1b[2J", "There is no study 'nix\\\\x1b[2J' here"),
        ("/nosuch", "?study=one", "The dashboard has no page 'nosuch'."),
        ("/nosuch", "", "The dashboard has no page 'nosuch'."),
    ],
)
def test_a_stale_link_says_so_and_shows_no_other_study(pathname: str, search: str, said: str, served: Served) -> None:
    app, client, _ = served
    body = request_of(app, next(one for one in of_the_server(app) if one.startswith("..page.children")))
    body["inputs"][0]["value"], body["inputs"][1]["value"] = pathname, search
    shown = sent(client, body).json["response"]
    texts = json.dumps(shown["page"]["children"])
    assert "Not found" in texts
    assert json.dumps(said)[1:-1].replace("\\\\\\\\", "\\\\") in texts
    assert shown["place"]["data"]["page"] not in PAGES
    assert shown["study"]["value"] == ("one" if search == "?study=one" else None)


def test_a_stale_link_of_the_only_study(tmp_path: Path, made_up: ModuleType) -> None:
    made_up.write_study(tmp_path / "only", name="only", trials=3, measurements=4)
    with Library(tmp_path / "only") as library:
        app = make_app(library, None)
        body = request_of(app, next(one for one in of_the_server(app) if one.startswith("..page.children")))
        for search, title in (("?study=nix", "Not found"), ("?study=only", "Trials"), ("", "Trials")):
            body["inputs"][1]["value"] = search
            shown = sent(app.server.test_client(), body).json["response"]
            assert shown["page"]["children"][0]["props"]["children"] == title


def test_a_body_that_is_too_large(served: Served) -> None:
    _, client, _ = served
    large = client.post(
        PATH, data=b" " * (MOST_BYTES + 1), content_type="application/json", headers={"Host": "127.0.0.1"}
    )
    assert large.status_code == 413


@pytest.mark.parametrize("value", ["{", "@x", "\t", "9" * 5000, "[1]"])
def test_a_recipe_that_is_none_is_said_to_be_none(value: str, served: Served) -> None:
    app, client, root = served
    body = request_of(app, "enqueued.children")
    body["state"][1]["value"] = value
    said = sent(client, body).json["response"]["enqueued"]["children"]
    assert said.startswith("Not asked: learning_rate: ")
    asked = [one for one in read_requests(root / "one" / "requests").values() if one.kind == "enqueue"]
    assert {one.recipe.learning_rate for one in asked} <= {0.5}


def test_a_connection_over_which_nothing_comes_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _, _ = served
    assert Handler.timeout == 30
    monkeypatch.setattr(Handler, "timeout", 0.2)
    server = make_server("127.0.0.1", 0, app.server, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as idle:
            assert idle.recv(1) == b""
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["", " ", "0", "0x0", "0.0", "00.0.0.0"])
def test_only_its_full_name_listens_everywhere(host: str, tmp_path: Path) -> None:
    """Refused before anything is read or listened on."""
    with pytest.raises(UserError, match=r"To listen on every address, say so: 0\.0\.0\.0"):
        serve(tmp_path, host=host, port=0, control=False)
