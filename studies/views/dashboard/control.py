"""Callbacks that steer a study: only with the token, and only through requests that its coordinator takes."""

from collections.abc import Callable, Mapping
from typing import Any

from dash import Dash, Input, Output, State, no_update

from largebatch.spaces.domain import Domain, Range
from largebatch.spaces.errors import UserError
from largebatch.spaces.os_fault import os_fault
from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.record.requests import waiting_recipes
from largebatch.studies.running.steering_requests import (
    ask_for_recipe,
    ask_to_narrow,
    ask_to_stop,
    asked_words,
    offered_batch,
    trials_left,
)
from largebatch.studies.views.dashboard.guard import may_control
from largebatch.studies.views.dashboard.pages.picked import clicked
from largebatch.studies.views.dashboard.reading.library import Library
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy

REFUSED = "Refused: this browser has not the token. Open the address that `largebatch dashboard --control` printed."
_PLOT = {"type": "plot", "name": "landscape"}


def add_control(app: Dash, library: Library, token: str) -> None:
    """Let browsers that have ``token`` ask for recipes, stops and narrower ranges."""

    def asked(given: object, place: Mapping[str, Any] | None, act: Callable[[LiveStudy], str]) -> str:
        if not may_control(token, given):
            return REFUSED
        live = library.studies.get(str((place or {}).get("study")))
        if live is None or live.snapshot.study is None:
            return "There is no such study."
        try:
            return act(live)
        except UserError as mistake:
            return f"Not asked: {mistake}"
        except OSError as error:
            return f"Not asked: {os_fault(error)}"

    _add_enqueue(app, library, asked)
    _add_stop(app, asked)
    _add_narrow(app, library, asked)


Asked = Callable[[object, Mapping[str, Any] | None, Callable[[LiveStudy], str]], str]


def _add_enqueue(app: Dash, library: Library, asked: Asked) -> None:
    @app.callback(
        Output("wanted-batch", "value"), Output("wanted-rate", "value"), Input(_PLOT, "clickData"),
        State({"type": "choice", "name": "x"}, "value"), State({"type": "choice", "name": "y"}, "value"),
        State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def fill(click: Any, x: str, y: str, place: Mapping[str, Any] | None) -> Any:
        """The recipe at the point that was clicked, of a batch size that the study takes."""
        live = library.studies.get(str((place or {}).get("study")))
        if live is None or live.snapshot.study is None:
            return no_update, no_update
        point = clicked(click)
        values = {x: point.get("x"), y: point.get("y")}
        batch, rate = values.get("global_batch_size"), values.get("learning_rate")
        return (
            offered_batch(live.snapshot.study, live.snapshot.trials, batch)
            if isinstance(batch, int | float)
            else no_update,
            float(f"{rate:.4g}") if isinstance(rate, int | float) else no_update,
        )

    @app.callback(
        Output("enqueued", "children"), Input("enqueue", "n_clicks"), State("wanted-batch", "value"),
        State("wanted-rate", "value"), State("token", "data"), State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def enqueue(clicks: int | None, batch: object, rate: object, given: object, place: Mapping[str, Any] | None) -> Any:
        if not clicks:
            return no_update
        texts = {"global_batch_size": batch, "learning_rate": rate}
        named = {name: str(value) for name, value in texts.items() if value is not None}

        def act(live: LiveStudy) -> str:
            study = live.snapshot.study
            assert study is not None
            if not named:
                raise UserError("click a point of the plot, or write a batch size or a learning rate")
            folder, trials = live.directory.requests, live.snapshot.trials
            before = waiting_recipes(folder, live.snapshot.requests, trials)
            return asked_words(ask_for_recipe(folder, study, trials, named), before, trials_left(study, trials))

        return asked(given, place, act)


def _add_stop(app: Dash, asked: Asked) -> None:
    @app.callback(
        Output("stopped", "children"), Input("stop", "n_clicks"), State({"type": "choice", "name": "trial"}, "value"),
        State("token", "data"), State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def stop(clicks: int | None, number: str, given: object, place: Mapping[str, Any] | None) -> Any:
        if not clicks:
            return no_update

        def act(live: LiveStudy) -> str:
            if not str(number).isdecimal() or len(str(number)) > 9:
                raise UserError(f"there is no trial {number!r:.60}")
            return asked_words(ask_to_stop(live.directory.requests, live.snapshot.trials, int(number)))

        return asked(given, place, act)


def _add_narrow(app: Dash, library: Library, asked: Asked) -> None:
    @app.callback(
        Output("ranges", "data"), Output("marked", "children"), Input(_PLOT, "selectedData"),
        State({"type": "choice", "name": "x"}, "value"), State({"type": "choice", "name": "y"}, "value"),
        State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def mark(selected: Any, x: str, y: str, place: Mapping[str, Any] | None) -> Any:
        """The ranges of the box that was drawn, cut to the study's own."""
        live = library.studies.get(str((place or {}).get("study")))
        box = (selected or {}).get("range") or {}
        if live is None or live.snapshot.study is None or not box:
            return no_update, no_update
        found = {
            name: _within(live.snapshot.study.space.root.get(name), box.get(axis))
            for name, axis in ((x, "x"), (y, "y"))
        }
        ranges = {name: text for name, text in found.items() if text}
        if not ranges:
            return None, "The box does not touch the searched ranges."
        told = [f"{name.replace('_', ' ')} {_in_words(text)}" for name, text in ranges.items()]
        return ranges, f"Marked: {', '.join(told)}."

    @app.callback(
        Output("narrowed", "children"), Input("narrow", "n_clicks"), State("ranges", "data"), State("token", "data"),
        State("place", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def narrow(
        clicks: int | None, ranges: Mapping[str, str] | None, given: object, place: Mapping[str, Any] | None
    ) -> Any:
        if not clicks:
            return no_update

        def act(live: LiveStudy) -> str:
            study = live.snapshot.study
            assert study is not None
            if not ranges:
                raise UserError("choose that a drag marks a range to narrow to, and draw a box in the plot")
            return " ".join(map(asked_words, ask_to_narrow(live.directory.requests, study, ranges)))

        return asked(given, place, act)


def _within(domain: Domain | None, ends: object) -> str | None:
    """The part of a domain between the ends of a box, as `largebatch narrow` takes it; None where there is none."""
    if not isinstance(ends, list) or not all(isinstance(end, int | float) for end in ends):
        return None
    low, high = min(ends), max(ends)
    if isinstance(domain, Range):
        low, high = max(low, domain.low), min(high, domain.high)
        return f"{low:.6g}:{high:.6g}" if low < high else None
    kept = [one for one in domain.choices if isinstance(one, int | float) and low <= one <= high] if domain else []
    return ",".join(map(str, kept)) or None


def _in_words(text: str) -> str:
    """``0.1:0.5`` as ``0.1 to 0.5``, ``32,64`` as ``32, 64``."""
    separator, words = (":", " to ") if ":" in text else (",", ", ")
    return words.join(format_number(float(end)) for end in text.split(separator))
