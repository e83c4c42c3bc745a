"""What all pages share: one HTML file that holds everything it shows, figures included, and needs no network."""

import html
import json
from pathlib import Path

from largebatch.spaces.files import write_whole
from largebatch.studies.views.report.figures.axes import Figure, finite
from largebatch.studies.views.report.script import SCRIPT
from largebatch.studies.views.report.style import STYLE

HINT = """<noscript><p>The figures need JavaScript; the tables do not.</p></noscript>
<p class="note screen">In the figures, point at a mark to read what it stands for, or go from mark to mark with the
arrow keys; drag to enlarge, double-click to go back, and click a name in the legend to hide what it names.</p>"""


def page_html(title: str, header: str, body: str) -> str:
    """The page around ``header`` and ``body``, which are HTML, as is ``title``."""
    # Only the modules that draw need plotly, and it takes a while to import.
    from plotly.offline import get_plotlyjs

    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="largebatch"><link rel="icon" href="data:,"><title>{title}</title>
<style>{STYLE}</style></head>
<body><main><header>{header}</header>
{body}
<footer>Written by largebatch. The page is complete in itself: it loads nothing.</footer></main>
<script>{get_plotlyjs()}</script>
<script>{SCRIPT}</script></body></html>
"""


def figure_html(name: str, title: str, caption: str, figure: Figure, after: str) -> str:
    """A section with a figure. `<` is escaped in the data, so that no string in it can end the script element."""
    data = json.dumps(finite(figure), allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        data = data.replace(character, f"\\u{ord(character):04x}")
    label, height = html.escape(title, quote=True), figure["layout"]["height"]
    return f"""<section id="{name}-section"><h2>{label}</h2><figure><figcaption>{html.escape(caption)}</figcaption>
<div class="plot" id="{name}" role="figure" tabindex="0" aria-label="{label}"
style="min-height: {height}px"></div></figure>
<script type="application/json" id="{name}-data">{data}</script>{after}</section>"""


def write_page(path: Path, text: str) -> None:
    """A reader sees the old page or the new one, never half of either."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
