"""Seconds from a trial's entry in the ledger to its appearance on a page that is open in a browser.

    python benchmarks/dashboard_delay.py --trials 20

A real study trains in one process, `largebatch dashboard` serves it from another, and a headless Chromium has one page
of it open, which is never loaded again. The ledger has the moment at which a trial began; the page is looked at every
20 ms for numbers of trials that it did not show. One line of JSON a page.
"""

import argparse
import datetime
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

STUDY = """
name: delay
task: digits
workers: [1, 2]
space:
  global_batch_size: {choices: [32, 64, 128, 256]}
  learning_rate: {low: 0.1, high: 1.0, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 5000, examples_per_trial: 8000}
"""
_IN_TABLE = "[...document.querySelectorAll('tbody td:first-child a')].map(link => Number(link.innerText))"
PAGES = {
    "": _IN_TABLE,
    "trials?sort=-trial": _IN_TABLE,
    "landscape": "[...document.querySelectorAll('.js-plotly-plot')]"
    ".flatMap(plot => (plot.data || []).flatMap(trace => trace.customdata || []))",
}
"""What the numbers of the trials on a page are, by its address."""
FIRST = 5
"""Trials that have ended before a page is opened: there are laws then, to be fitted again with each that ends."""


def began(ledger: Path) -> dict[int, float]:
    """Seconds since the epoch at which each trial was written down, by its number."""
    entries = (json.loads(line) for line in ledger.read_text().splitlines() if line.startswith("{") and line[-1] == "}")
    starts = [entry["datetime_start"] for entry in entries if entry["op_code"] == 4]
    return {number: datetime.datetime.fromisoformat(text).timestamp() for number, text in enumerate(starts)}


def delays(page: Page, address: str, numbers: str, ledger: Path, num_trials: int) -> list[float]:
    """Seconds for each of the next trials."""
    page.goto(address)
    page.wait_for_function(f"({numbers}).length > {FIRST - 1}")
    page.evaluate(
        f"""() => {{ window.seen = {{}};
        setInterval(() => ({numbers}).forEach(number => {{ window.seen[number] ??= Date.now() / 1000; }}), 20); }}"""
    )
    time.sleep(1)  # what is there already is no news
    known = set(page.evaluate("window.seen"))
    page.wait_for_function(f"Object.keys(window.seen).length >= {len(known) + num_trials}", timeout=300_000)
    seen = {int(number): at for number, at in page.evaluate("window.seen").items() if number not in known}
    written = began(ledger)
    return [at - written[number] for number, at in sorted(seen.items())][:num_trials]


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "largebatch", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Measure each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="new trials that each page waits for")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study, out = Path(folder) / "delay.yaml", Path(folder) / "delay"
        study.write_text(STUDY)
        with started("run", study, "--out", out, "--in-process"):
            while not (out / "ledger.log").exists() or len(began(out / "ledger.log")) < FIRST + 1:
                time.sleep(0.2)
            with started("dashboard", out, "--port", 0) as dashboard, sync_playwright() as playwright:
                assert dashboard.stdout is not None
                found = re.search(r"http://\S+", dashboard.stdout.readline())
                assert found is not None
                browser = playwright.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
                for path, numbers in PAGES.items():
                    page = browser.new_page()
                    took = sorted(delays(page, found[0] + path, numbers, out / "ledger.log", asked.trials))
                    page.close()
                    low, middle, high = statistics.quantiles(took, n=4)
                    figures = {"median": middle, "quartiles": [low, high], "most": took[-1]}
                    rounded = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 2))
                    print(json.dumps({"page": path or "overview", "trials": len(took), "seconds": rounded}))
                browser.close()


if __name__ == "__main__":
    main()
