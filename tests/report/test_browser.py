import csv
import html
import io
import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome was found to open the page in")
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_browser_draws_every_figure_without_a_complaint(write, tmp_path, scheme):
    path = write()
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"),
        *(
            "--virtual-time-budget=8000",
            "--enable-logging=stderr",
            "--v=0",
            f"--blink-settings=preferredColorScheme={scheme}",
        ),
        *("--dump-dom", path.as_uri()),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    complaints = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    # Plotly draws each figure as three layers of this class.
    assert len(re.findall(r'<svg class="main-svg"', result.stdout)) >= 8
    assert all(f'id="{name}"' in result.stdout for name in ("learning-rate", "steps", "workers", "curves"))
    num_figures = path.read_text(encoding="utf-8").count('class="plot"')
    assert len(re.findall(r'class="plot js-plotly-plot"', result.stdout)) == num_figures


_TRY = """<script>
const blobs = [];
URL.createObjectURL = blob => { blobs.push(blob); return "data:,"; };
addEventListener("load", () => setTimeout(async () => {
  const holder = document.getElementById("steps");
  for (let i = 0; i < 3; i++) holder.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  document.querySelector("#steps-section .csv").click();
  const tried = document.createElement("pre");
  tried.id = "tried";
  tried.textContent = JSON.stringify({said: document.querySelector("#steps-section .said").textContent,
    csv: await blobs[0].text()});
  document.body.append(tried);
}, 500));
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome was found to open the page in")
def test_arrow_keys_tell_a_mark_and_a_figure_downloads_as_csv(write, example, tmp_path):
    evil = example.trial(63, 64, 0.4, reason='=1+2, "quoted" <b>')
    path = write(trials=[*example.trials(), evil])
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", _TRY), encoding="utf-8")
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom", path.as_uri()),
    ]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    tried = json.loads(html.unescape(re.search(r'<pre id="tried">(.*?)</pre>', page, re.DOTALL)[1]))
    assert re.match(r"trial \d+: batch 16, learning rate", tried["said"])
    head, *rows = csv.reader(io.StringIO(tried["csv"]))
    assert head == ["series", "panel", "global batch size (examples a step)", "value", "low", "high", "note"]
    best = {int(row[2]): row for row in rows if row[0].startswith("fewest steps of a batch size")}
    assert set(best) == set(example.SIZES) - {1024}
    assert float(best[64][4]) < float(best[64][3]) < float(best[64][5])
    assert any('"quoted" <b>' in row[-1] for row in rows)
    assert {len(row) for row in rows} == {7}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome was found to open the page in")
def test_a_screenshot_shows_the_figures_as_the_installed_plotly_draws_them(write, tmp_path):
    """Pixels, where another release of plotly could leave figures empty whose elements are all there."""
    image = pytest.importorskip("PIL.Image")
    chops = pytest.importorskip("PIL.ImageChops")
    page = write()
    hidden = tmp_path / "hidden.html"
    style = "<style>.main-svg { visibility: hidden }</style></body>"
    hidden.write_text(page.read_text(encoding="utf-8").replace("</body>", style), encoding="utf-8")
    shots = []
    for path in (page, hidden):
        shot = path.with_suffix(".png")
        command = [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars"),
            *("--window-size=1000,4000", "--virtual-time-budget=8000", f"--screenshot={shot}", path.as_uri()),
        ]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        shots.append(image.open(shot).convert("L"))
    drawn = sum(chops.difference(*shots).histogram()[17:])
    assert drawn > 20_000, "marks, lines and letters of the figures"
