"""The screenshots of README and docs, from a study that was run: python docs/pictures/screens.py runs/quickstart

Reports and dashboard are opened in a headless Chromium; what it sees is written beside this file and above it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
WIDTH = 1280
REPORT: Mapping[str, tuple[int, str]] = {
    "../quickstart": (1420, "window.scrollTo(0, 0)"),
    "report-answer": (645, "window.scrollTo(0, 0)"),
    "report-learning-rate": (700, "document.querySelector('#learning-rate-section h2').scrollIntoView()"),
}
"""Height in pixels, and where to look, by the picture's name."""
DASHBOARD: Mapping[str, tuple[str, int, Literal["light", "dark"]]] = {
    "dashboard-scaling": ("scaling?deadline=-0.3&price=3", 775, "light"),
    "dashboard-landscape": ("landscape", 950, "light"),
    "dashboard-curves": ("curves", 950, "dark"),
}
"""Address, height in pixels and colours, by the picture's name."""
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].some(plot => plot.data && plot.data.length)"
SETTLED_MILLISECONDS = 2_000
"""For fonts and WebGL."""


@contextmanager
def dashboard(study: Path) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "largebatch", "dashboard", str(study), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.kill()


def take(
    browser: Browser, name: str, address: str, height: int, colours: Literal["light", "dark"], look: str = ""
) -> None:
    """One picture."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme=colours)
    page.goto(address)
    page.wait_for_function(DRAWN)
    if look:
        page.evaluate(look)
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    page.screenshot(path=HERE / f"{name}.png")
    page.close()


def main() -> None:
    """Take all of them."""
    study = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, dashboard(study) as address:
        report = Path(folder) / "report.html"
        command = [sys.executable, "-m", "largebatch", "report", str(study), "-o", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, (height, look) in REPORT.items():
            take(browser, name, report.as_uri(), height, "light", look)
        for name, (path, height, colours) in DASHBOARD.items():
            take(browser, name, address + path, height, colours)
        browser.close()


if __name__ == "__main__":
    main()
