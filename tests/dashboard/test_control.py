"""Control: a click becomes a trial of a running study; nothing happens without the token, or from another host."""

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page

from largebatch.studies.dashboard.control import REFUSED
from largebatch.studies.dashboard.guard import is_own_host, may_control
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.requests import read_requests
from largebatch.studies.run import run_study
from largebatch.studies.study_file import parse_study

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


def test_a_click_becomes_a_trial_and_a_new_trial_appears_without_a_reload(
    serve: Any, page: Page, tmp_path: Path
) -> None:
    """The study runs in this process meanwhile."""
    out, over = tmp_path / "small", threading.Event()
    begun = threading.Event()

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
        page.goto(f"{serve(out, TOKEN)}/landscape?token={TOKEN.replace(' ', '+')}")
        page.wait_for_function("!location.search.includes('token')")
        page.wait_for_function(DRAWN)
        count = "document.querySelector('.js-plotly-plot').data.reduce((n, t) => n + (t.customdata || []).length, 0)"
        page.wait_for_function(f"{count} > 0")
        before = page.evaluate(count)
        page.wait_for_function(f"before => {count} > before", arg=before)  # live, without a reload
        box = page.locator(".nsewdrag").first.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.12 * box["height"])
        page.wait_for_function("document.querySelector('#wanted-rate').value !== ''")
        rate, size = float(page.input_value("#wanted-rate")), int(page.input_value("#wanted-batch"))
        assert size in (32, 64, 128)
        page.click("#enqueue")
        page.wait_for_function("document.querySelector('#enqueued').innerText.startsWith('Asked')")
        page.goto(page.url.split("/landscape")[0] + "/trials?find=asked+for+by")
        page.wait_for_selector("tbody tr")
    finally:
        over.set()
        thread.join()
    asked = [one for one in Ledger(out / "ledger.log", "small", create=False).trials() if "asked for" in one.why]
    assert [trial.recipe.global_batch_size for trial in asked] == [size]
    assert asked[0].recipe.learning_rate == pytest.approx(rate)


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
