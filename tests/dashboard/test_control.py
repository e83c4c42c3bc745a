"""Control: a click and a drag steer a running study; nothing happens without the token, or from another host."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page

from largebatch.spaces.trial import Trial
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.requests import read_requests
from largebatch.studies.run import run_study
from largebatch.studies.views.dashboard.control import REFUSED
from largebatch.studies.views.dashboard.guard import is_own_host, may_control

TOKEN = "a token that only the printed address holds"
STUDY = """
name: small
task: digits
workers: [1, 2]
space:
  global_batch_size: {choices: [32, 64, 128]}
  learning_rate: {low: 0.1, high: 1.0, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 400, examples_per_trial: 8000}
"""
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].some(plot => plot.data && plot.data.length)"


class EndedError(Exception):
    """Ends the study of the test."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A study that trains in this process for the length of a test."""
    out, begun, over = tmp_path / "small", threading.Event(), threading.Event()

    def watch(coordinator: Any) -> Any:
        measure = coordinator.measure

        def checked(*arguments: Any) -> Any:
            begun.set()
            if over.is_set():
                raise EndedError
            return measure(*arguments)

        coordinator.measure = checked
        return threading.Lock()  # a context that does nothing

    def train() -> None:
        with pytest.raises(EndedError):
            run_study(parse_study(STUDY, "study.yaml"), out, in_process=True, watch=watch)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        assert begun.wait(120)
        yield out
    finally:
        over.set()
        thread.join()


def trials_of(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials()


def test_a_running_study_is_watched_and_steered_by_the_mouse(serve: Any, page: Page, running: Path) -> None:
    """A new trial appears without a reload; a click becomes a trial; after a drag, trials lie in the box alone."""
    page.goto(f"{serve(running, TOKEN)}/landscape?drag=select&token={TOKEN.replace(' ', '+')}")
    page.wait_for_function("!location.search.includes('token')")
    page.wait_for_function(DRAWN)
    count = "document.querySelector('.js-plotly-plot').data.reduce((n, t) => n + (t.customdata || []).length, 0)"
    page.wait_for_function(f"{count} > 0")
    before = page.evaluate(count)
    page.wait_for_function(f"before => {count} > before", arg=before)
    box = page.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    left, top, width, height = box["x"], box["y"], box["width"], box["height"]

    page.mouse.click(left + 0.5 * width, top + 0.12 * height)
    page.wait_for_function("document.querySelector('#wanted-rate').value !== ''")
    rate, size = float(page.input_value("#wanted-rate")), int(page.input_value("#wanted-batch"))
    assert size == 64
    page.click("#enqueue")
    page.wait_for_function("document.querySelector('#enqueued').innerText.startsWith('Asked')")
    wait_until(lambda: any("asked for" in one.why for one in trials_of(running)))
    (asked,) = (one for one in trials_of(running) if "asked for" in one.why)
    assert asked.recipe.global_batch_size == size
    assert asked.recipe.learning_rate == pytest.approx(rate)

    page.mouse.move(left + 0.3 * width, top + 0.3 * height)
    page.mouse.down()
    page.mouse.move(left + 0.6 * width, top + 0.5 * height, steps=5)
    page.mouse.move(left + 0.9 * width, top + 0.6 * height, steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#marked').innerText.includes('learning rate')")
    page.click("#narrow")
    page.wait_for_function("document.querySelector('#narrowed').innerText.includes('learning_rate')")
    narrow = {one["name"]: one["domain"] for one in recorded(running) if one["kind"] == "narrow"}
    assert narrow["global_batch_size"]["choices"] == [64, 128]
    low, high = narrow["learning_rate"]["low"], narrow["learning_rate"]["high"]
    assert 0.1 < low < high < 1
    known = len(trials_of(running)) + 1  # one may have been proposed meanwhile
    wait_until(lambda: len(trials_of(running)) >= known + 4)
    for trial in trials_of(running)[known:]:
        assert trial.recipe.global_batch_size in (64, 128)
        assert low <= trial.recipe.learning_rate <= high


def recorded(out: Path) -> list[dict[str, Any]]:
    """What the coordinator took, once it took two ranges."""
    ledger = Ledger(out / "ledger.log", "small", create=False)
    wait_until(lambda: sum(one["kind"] == "narrow" for one in ledger.requests().values()) == 2)
    return [dict(one) for one in ledger.requests().values()]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("given", [None, "", "wrong", TOKEN + "x"])
def test_the_server_refuses_control_without_the_token(
    serve: Any, tmp_path: Path, made_up: ModuleType, given: str | None
) -> None:
    """Asked directly, past the page."""
    made_up.write_study(tmp_path / "study", trials=10, running=1)
    base = serve(tmp_path / "study", TOKEN)
    body = {
        "output": "stopped.children", "outputs": {"id": "stopped", "property": "children"},
        "inputs": [{"id": "stop", "property": "n_clicks", "value": 1}], "changedPropIds": ["stop.n_clicks"],
        "state": [
            {"id": {"name": "trial", "type": "choice"}, "property": "value", "value": "9"},
            {"id": "token", "property": "data", "value": given},
            {"id": "place", "property": "data", "value": {"page": "trial", "study": "study"}},
        ],
    }  # fmt: skip
    request = urllib.request.Request(
        f"{base}/_dash-update-component", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)["response"]["stopped"]["children"]
    assert told == REFUSED
    assert read_requests(tmp_path / "study" / "requests") == {}


def test_a_running_trial_is_stopped_with_the_token(serve: Any, page: Page, tmp_path: Path, made_up: ModuleType) -> None:
    made_up.write_study(tmp_path / "study", trials=11, running=1)
    page.goto(f"{serve(tmp_path / 'study', TOKEN)}/trial?trial=10&token={TOKEN.replace(' ', '+')}")
    page.wait_for_function("!location.search.includes('token')")
    page.click("#stop")
    page.wait_for_function("document.querySelector('#stopped').innerText.startsWith('Asked trial 10')")
    (request,) = read_requests(tmp_path / "study" / "requests").values()
    assert request.kind == "stop"
    assert request.trial == 10


def test_without_control_there_is_nothing_to_press(serve: Any, page: Page, tmp_path: Path, made_up: ModuleType) -> None:
    made_up.write_study(tmp_path / "study", trials=10, running=1)
    page.goto(f"{serve(tmp_path / 'study')}/trial?trial=9")
    page.wait_for_function(DRAWN)
    assert page.locator("#stop").count() == 0


def test_another_site_s_name_is_refused(serve: Any, tmp_path: Path, made_up: ModuleType) -> None:
    made_up.write_study(tmp_path / "study", trials=5)
    request = urllib.request.Request(serve(tmp_path / "study"), headers={"Host": "rebound.example:8050"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403
    refused.value.close()


def test_ctrl_c_ends_it_as_every_command(tmp_path: Path, made_up: ModuleType) -> None:
    made_up.write_study(tmp_path / "study", trials=5)
    arguments = [sys.executable, "-m", "largebatch", "dashboard", str(tmp_path / "study"), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_hosts_and_tokens() -> None:
    assert all(is_own_host(host, "box.lan") for host in ("127.0.0.1:8050", "localhost", "[::1]:80", "box.lan:1"))
    assert not any(
        is_own_host(host, "127.0.0.1") for host in ("evil.example", "127.0.0.1.evil.example", "", "[", "a:b:c")
    )
    assert may_control(TOKEN, TOKEN)
    assert not may_control(None, None)
    assert not may_control(TOKEN, None)
