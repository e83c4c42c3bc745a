"""The Dash application: the frame round the pages, and the callbacks that all pages share."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from flask import Response

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.control import add_control
from largebatch.studies.views.dashboard.page import Page, Scene
from largebatch.studies.views.dashboard.pages import compare, curves, landscape, laws, overview, scaling, trial, trials
from largebatch.studies.views.dashboard.pages.picked import picked_trial
from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.studies.views.dashboard.received import check_requests
from largebatch.studies.views.dashboard.view import View, address, parse_address
from largebatch.studies.views.report.figures.axes import finite
from largebatch.studies.views.report.figures.drawing import DRAWING
from largebatch.studies.views.report.style import STYLE

TICK_MILLISECONDS = 1000
PAGES = {
    page.name: page
    for page in (
        overview.PAGE, scaling.PAGE, landscape.PAGE, curves.PAGE, trials.PAGE, compare.PAGE, laws.PAGE, trial.PAGE,
    )
}  # fmt: skip
_IN_NAVIGATION = [name for name in PAGES if name != "trial"]
_LACKING = "not found"
"""In the place of a page that is none."""

_DRAWING = "/drawing.js"
_INDEX = """<!DOCTYPE html>
<html lang="en"><head>{%metas%}<title>{%title%}</title><link rel="icon" href="data:,">
<style>STYLE</style>{%css%}</head>
<body>{%app_entry%}<noscript><p>The dashboard needs JavaScript; `largebatch report` does with less.</p></noscript>
<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"""


def make_app(library: Library, token: str | None) -> Dash:
    """The dashboard of a library of studies; without ``token`` it is read-only."""
    app = Dash(
        __name__,
        title="largebatch",
        update_title="",
        suppress_callback_exceptions=True,
        assets_folder="assets",
        external_scripts=[_DRAWING],
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.server.route(_DRAWING)(lambda: Response(DRAWING, mimetype="text/javascript"))
    app.index_string = _INDEX.replace("STYLE", STYLE)
    app.layout = _frame(library)
    _show_pages(app, library, can_control=token is not None)
    _in_the_browser(app)
    if token is not None:
        add_control(app, library, token)
    check_requests(app)
    return app


def _frame(library: Library) -> Any:
    several = len(library.studies) > 1
    options = [{"value": key, "label": key} for key in sorted(library.studies)]
    picker = dcc.Dropdown(
        id="study", options=options, clearable=several, placeholder="all studies", searchable=len(options) > 12
    )
    return html.Div(
        [
            html.A("Skip to the page", href="#page", className="skip"),
            dcc.Location(id="url"),
            dcc.Interval(id="tick", interval=TICK_MILLISECONDS),
            dcc.Store(id="place"),
            dcc.Store(id="version"),
            dcc.Store(id="theme"),
            dcc.Store(id="token", storage_type="session"),
            html.Header(
                [
                    html.Div([dcc.Link("largebatch", href="/"), html.Span(id="state")], className="brand"),
                    html.Nav(id="pages", **parts.aria(label="Pages")),
                    html.Label([html.Span("Study", className="unseen"), picker], className="study"),
                ]
            ),
            html.Main(id="page", tabIndex="-1"),
        ]
    )


def _scene(library: Library, view: View, *, can_control: bool) -> Scene:
    """Where the only study is shown at once, unless another page or study was asked for."""
    key = view.study
    if key is None and len(library.studies) == 1:
        key = next(iter(library.studies))
    live = library.studies.get(key) if key is not None and view.page in PAGES else None
    return Scene(library=library, live=live, can_control=can_control)


def _show_pages(app: Dash, library: Library, *, can_control: bool) -> None:
    @app.callback(
        Output("page", "children"), Output("pages", "children"), Output("place", "data"), Output("study", "value"),
        Output("study", "options"),
        Input("url", "pathname"), Input("url", "search"),
    )  # fmt: skip
    def show_page(pathname: str | None, search: str | None) -> tuple[Any, ...]:
        view = parse_address(pathname, search)
        options = [{"value": name, "label": name} for name in sorted(library.studies)]
        if lacking := _lacking(library, view):
            key = view.study if view.study in library.studies else None
            return _layout_lacking(lacking), _links(_LACKING, key), {"page": _LACKING, "study": key}, key, options
        page = PAGES[view.page]
        scene = _scene(library, view, can_control=can_control)
        key = scene.live.snapshot.key if scene.live is not None else None
        return _layout(page, scene, view.query), _links(page.name, key), {"page": page.name, "study": key}, key, options

    @app.callback(
        Output("url", "href"), Input("study", "value"), State("place", "data"), prevent_initial_call=True,
    )  # fmt: skip
    def other_study(key: str | None, place: Mapping[str, Any] | None) -> Any:
        if place is None or key == place["study"]:
            return no_update
        page = place["page"] if key is not None and place["page"] in _IN_NAVIGATION else "overview"
        return address(page, key)

    @app.callback(
        Output("version", "data"), Output("state", "children"), Output("state", "className"),
        Input("tick", "n_intervals"), Input("place", "data"), State("version", "data"),
    )  # fmt: skip
    def look(_: int, place: Mapping[str, Any] | None, known: Sequence[Any] | None) -> Any:
        key = place["study"] if place is not None else None
        version = [key, library.version(key)]
        if version == known:
            return no_update, no_update, no_update
        return version, *_state(library, key)

    @app.callback(
        Output({"type": "figure", "name": ALL}, "data"),
        Output({"type": "words", "name": ALL}, "children"),
        Input("version", "data"), Input({"type": "choice", "name": ALL}, "value"), Input("place", "data"),
        State({"type": "choice", "name": ALL}, "id"),
        prevent_initial_call=True,
    )  # fmt: skip
    def show(_: Any, values: list[Any], place: Mapping[str, Any] | None, ids: list[dict[str, str]]) -> Any:
        figures, texts = ([one["id"]["name"] for one in outputs] for outputs in ctx.outputs_list)
        if place is None:
            return [no_update] * len(figures), [no_update] * len(texts)
        scene = _scene(library, View(page=place["page"], study=place["study"]), can_control=can_control)
        choices = {one["name"]: value for one, value in zip(ids, values, strict=True)}
        if scene.live is None or scene.live.snapshot.study is None:
            shown = overview.show_all(library)
        else:
            shown = PAGES[place["page"]].show(scene.live, scene, choices)
        drawn = [finite(shown.figures.get(name)) for name in figures]
        return drawn, [shown.words.get(name, "") for name in texts]

    @app.callback(
        Output({"type": "picked", "name": MATCH}, "children"),
        Input({"type": "plot", "name": MATCH}, "clickData"), State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def pick(click: Any, place: Mapping[str, Any] | None) -> Any:
        if place is None:
            return no_update
        scene = _scene(library, View(page=place["page"], study=place["study"]), can_control=can_control)
        return picked_trial(scene, click)


def _layout(page: Page, scene: Scene, query: Mapping[str, str]) -> list[Any]:
    if scene.live is None:
        return overview.layout_all()
    snapshot = scene.live.snapshot
    if snapshot.study is None:
        return [html.H1(snapshot.key), parts.note(snapshot.problem or "The study is being read.", problem=True)]
    try:
        return page.layout(scene, query)
    except UserError as mistake:
        return [html.H1(page.title), parts.note(str(mistake), problem=True)]


def _lacking(library: Library, view: View) -> str | None:
    """What an address asks for and nobody has: a link may be older than what it names."""
    if view.page not in PAGES:
        return f"The dashboard has no page {view.page!r:.100}."
    if view.study is not None and view.study not in library.studies:
        return f"There is no study {view.study!r:.100} here; it may have been moved or renamed since the link was made."
    return None


def _layout_lacking(what: str) -> list[Any]:
    return [html.H1("Not found"), parts.note(printable(what), problem=True), *overview.layout_all()[1:]]


def _links(page: str, key: str | None) -> list[Any]:
    if key is None:
        return []
    return [
        dcc.Link(
            PAGES[name].title,
            href=address(name, key),
            className="here" if page == name or (page == "trial" and name == "trials") else "",
        )
        for name in _IN_NAVIGATION
    ]


def _state(library: Library, key: str | None) -> tuple[str, str]:
    """What the study is doing, for the corner of the frame."""
    if key is None or key not in library.studies:
        running = sum(live.snapshot.state == "running" for live in library.studies.values())
        return f"{len(library.studies)} studies, {running} running", "state"
    snapshot = library.studies[key].snapshot
    if snapshot.read_fraction < 1:
        return f"reading: {100 * snapshot.read_fraction:.0f} %", "state"
    return snapshot.state, f"state {snapshot.state.replace(' ', '-')}"


def _in_the_browser(app: Dash) -> None:
    def here(name: str) -> ClientsideFunction:
        return ClientsideFunction("largebatch", name)

    app.clientside_callback(
        here("paint"),
        Output({"type": "plot", "name": MATCH}, "figure"), Output({"type": "plot", "name": MATCH}, "style"),
        Input({"type": "figure", "name": MATCH}, "data"), Input("theme", "data"),
    )  # fmt: skip
    app.clientside_callback(
        here("remember"),
        Output("theme", "modified_timestamp"),
        Input({"type": "choice", "name": ALL}, "value"), State({"type": "choice", "name": ALL}, "id"),
        prevent_initial_call=True,
    )  # fmt: skip
    app.clientside_callback(here("keepToken"), Output("token", "data"), Input("url", "search"), State("token", "data"))
    app.clientside_callback(
        here("download"),
        Output("place", "modified_timestamp"),
        Input({"type": "csv", "name": ALL}, "n_clicks"),
        State({"type": "figure", "name": ALL}, "data"), State({"type": "csv", "name": ALL}, "id"),
        prevent_initial_call=True,
    )  # fmt: skip
