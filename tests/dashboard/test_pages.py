"""Every page in a real browser, on a study that is finished, running, empty, broken, or very large."""

import csv
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page

from largebatch.studies.record.lease.lease import Lease

from ..effort import TIMES

PAGES = ("", "scaling", "landscape", "curves", "trials", "compare", "laws", "trial?trial=0")
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].some(plot => plot.data && plot.data.length)"
NASTY = "<img src=x onerror=\"document.title='injected'\"><script>document.title='injected'</script>"


def visit(page: Page, base: str, path: str, study: str) -> str:
    """Open a page of a study; what it says."""
    mark = "&" if "?" in path else "?"
    page.goto(f"{base}/{path}{mark}study={study}")
    page.wait_for_selector("#page h1")
    page.wait_for_function("document.querySelector('#state').innerText != ''")
    return page.inner_text("#page")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, made_up: ModuleType) -> Path:
    """A folder with studies in every state."""
    root = tmp_path_factory.mktemp("runs")
    made_up.write_study(root / "finished", name="finished", trials=60, why=f"why {NASTY}", reason=f"ended {NASTY}")
    made_up.write_study(root / "deeper" / "running", name="running", trials=40, running=2)
    made_up.write_study(root / "empty", name="empty", trials=0)
    for name, text in (("broken-study", "name: [\n"), ("broken-ledger", "no ledger\n")):
        made_up.write_study(root / name, name=name, trials=4)
        (root / name / ("study.yaml" if name == "broken-study" else "ledger.log")).write_text(text)
    made_up.write_study(root / "half", name="half", trials=12)
    (root / "half" / "profile.json").write_text("{")
    shutil.rmtree(root / "half" / "curves")
    (root / "nothing").mkdir()
    return root


@pytest.mark.parametrize("study", ["finished", "deeper/running", "empty", "broken-study", "broken-ledger", "half"])
def test_every_page_of_a_study_in_any_state(serve: Any, page: Page, several: Path, study: str) -> None:
    """Without an error in the console; a page without anything to show says so."""
    with Lease(several / "deeper" / "running"):
        base = serve(several)
        for path in PAGES:
            visit(page, base, path, study)
            page.wait_for_function("document.querySelector('#page').innerText.length > 40")
            if study == "finished":
                page.wait_for_function(DRAWN if path not in ("", "trials") else "document.querySelector('tbody tr')")
            if study.startswith("broken"):
                page.wait_for_selector(".problem")
            if study == "empty" and path in ("scaling", "curves", "laws"):  # no heading of a figure that is not there
                page.wait_for_function("[...document.querySelectorAll('.csv')].every(one => !one.offsetParent)")
        state = page.inner_text("#state")
        assert state == ("running" if study == "deeper/running" else "not running")


def test_the_studies_of_a_folder(serve: Any, page: Page, several: Path) -> None:
    page.goto(serve(several))
    page.wait_for_selector("tbody tr")
    names = page.locator("tbody tr td:first-child").all_inner_texts()
    assert names == ["broken-ledger", "broken-study", "deeper/running", "empty", "finished", "half"]
    page.wait_for_function("document.querySelector('tbody').innerText.includes('what no ledger holds')")
    page.click("text=finished")
    page.wait_for_selector("h1:has-text('Overview')")
    assert page.url.endswith("study=finished")


def test_no_string_of_a_study_becomes_markup(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    for path in PAGES:
        visit(page, base, path, "finished")
        page.wait_for_function(DRAWN if path not in ("", "trials") else "document.querySelector('tbody tr')")
        assert page.locator("#page img, #page script").count() == 0
        assert page.title() == "largebatch"
    page.wait_for_function("document.querySelector('#page').innerText.includes('<script>')")
    visit(page, base, "landscape", "finished")
    page.wait_for_function(DRAWN)
    texts = page.evaluate(
        "document.querySelector('.js-plotly-plot').data.flatMap(t => Array.isArray(t.hovertext) ? t.hovertext : [])"
    )
    assert any("&lt;img" in text for text in texts)
    assert not any("<img" in text for text in texts)


def test_a_link_reproduces_the_view(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    visit(page, base, "trials?batch=256&outcome=reached&sort=-steps", "finished")
    page.wait_for_selector("tbody tr")
    batches = page.locator("tbody tr td:nth-child(2)").all_inner_texts()
    steps = [float(text.replace(",", "")) for text in page.locator("tbody tr td:nth-child(4)").all_inner_texts()]
    assert set(batches) == {"256"}
    assert steps == sorted(steps, reverse=True)
    page.fill("input[type=text]", "adamw")
    page.wait_for_function("location.search.includes('find=adamw')")
    page.wait_for_function("[...document.querySelectorAll('tbody tr')].every(r => r.innerText.includes('adamw'))")
    shown = page.locator("tbody").inner_text()
    page.goto(page.url)
    page.wait_for_selector("tbody tr")
    page.wait_for_function("text => document.querySelector('tbody').innerText === text", arg=shown)


def test_sliders_move_the_plan_at_once(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    visit(page, base, "scaling", "finished")
    page.wait_for_function(DRAWN)
    before = page.inner_text(".answer")
    sliders = page.get_by_role("slider")
    sliders.nth(0).focus()
    page.keyboard.press("Home")  # the shortest deadline, by the keyboard alone
    page.wait_for_function("text => document.querySelector('.answer').innerText !== text", arg=before)
    assert "within" in page.inner_text(".answer").lower()
    page.wait_for_function("location.search.includes('deadline=')")
    sliders.nth(1).focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('#page .plan').innerText.includes('cost')")
    plan = page.inner_text("#page .plan")
    page.goto(page.url + "&interconnect=ethernet-1g")
    page.wait_for_function(
        "text => document.querySelector('#page .plan') && document.querySelector('#page .plan').innerText !== text",
        arg=plan,
    )


def test_a_csv_holds_what_a_figure_shows(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    visit(page, base, "landscape?outcome=reached", "finished")
    page.wait_for_function(DRAWN)
    with page.expect_download() as found:
        page.click("button.csv")
    with open(found.value.path(), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["series"] == "reached the target"]
    drawn = page.evaluate(
        "document.querySelector('.js-plotly-plot').data.find(t => t.name === 'reached the target').x.length"
    )
    assert len(rows) == drawn > 10
    assert rows[0]["x is"] == "global batch size (examples a step)"
    assert rows[0]["trial"].isdigit()
    assert "<br>" not in rows[0]["what"]


def test_dark_narrow_and_by_keyboard(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    visit(page, base, "landscape", "finished")
    page.wait_for_function(DRAWN)
    page.wait_for_selector(".xtick text", state="attached")
    ink = "getComputedStyle(document.querySelector('.xaxislayer-above text, .xtick text')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => {ink} !== light", arg=light)
    page.set_viewport_size({"width": 420, "height": 900})
    for path in PAGES:
        visit(page, base, path, "finished")
        page.wait_for_load_state("networkidle")
        page.wait_for_function("document.documentElement.scrollWidth <= 420")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the page"


def test_axes_have_plain_labels_and_units(serve: Any, page: Page, several: Path) -> None:
    base = serve(several)
    visit(page, base, "landscape", "finished")
    page.wait_for_function(DRAWN)
    texts = "[...document.querySelectorAll('.xtick text')].map(text => text.textContent)"
    page.wait_for_function(f"['64', '128', '256'].every(label => {texts}.includes(label))")
    assert page.locator(".xtitle").first.text_content() == "global batch size (examples a step)"


def test_ten_thousand_trials(serve: Any, page: Page, tmp_path: Path, made_up: ModuleType) -> None:
    """With 20 measurements each; ``make test-long`` asks for fifty thousand trials, a million measurements."""
    trials = 10_000 if TIMES == 1 else 50_000
    made_up.write_study(tmp_path / "big", name="big", trials=trials, running=3)
    base = serve(tmp_path / "big")
    page.goto(base)
    page.wait_for_selector("#page h1")  # painted while the ledger is being read
    page.wait_for_function(
        "ended => document.querySelector('.facts') && document.querySelector('.facts').innerText.includes(ended)",
        arg=f"{trials - 3:,}",
    )
    for path in PAGES:
        visit(page, base, path, "big")
        page.wait_for_function(DRAWN if path not in ("", "trials", "compare") else "document.querySelector('#page h1')")
    visit(page, base, "trials?batch=256", "big")
    page.wait_for_selector("tbody tr")
    assert set(page.locator("tbody tr td:nth-child(2)").all_inner_texts()) == {"256"}
    assert page.locator("tbody tr").count() == 50
