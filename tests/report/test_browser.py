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
