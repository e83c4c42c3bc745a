"""The site is built as `make docs` builds it: warnings are errors, links and names must be there."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "myst_parser", "furo")),
    reason="Sphinx, MyST or furo is not installed: pip install 'largebatch[docs]'",
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """In a copy, for the page of the command line is written beside the others."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "command-line.md"))
    for page in ("CONTRIBUTING.md", "README.md"):
        shutil.copy(ROOT / page, tmp_path / page)
    site = tmp_path / "site"
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", tmp_path / "docs", site]
    built = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "--budget-trials" in (site / "reference" / "command-line.html").read_text()
    assert "norm_batch_size" in (site / "reference" / "python.html").read_text()
    for page in site.rglob("*.html"):
        assert 'src="http' not in page.read_text(), f"{page} loads something from the network"


def test_the_pictures_are_drawn_by_their_script(tmp_path: Path) -> None:
    """The numbers of the laws' draws may differ in their last digits elsewhere; what is drawn may not."""
    subprocess.run([sys.executable, ROOT / "docs" / "pictures" / "draw.py", tmp_path], check=True)
    kept = {path.name: path for path in (ROOT / "docs" / "pictures").glob("*.svg")}
    drawn = {path.name: path for path in tmp_path.glob("*.svg")}
    assert kept.keys() == drawn.keys()
    for name, path in drawn.items():
        assert words(path) == words(kept[name])


def words(picture: Path) -> list[str]:
    """What is written in it, without digits."""
    return [re.sub(r"[\d,.]", "", text.text or "") for text in ElementTree.parse(picture).iter(TEXT)]
