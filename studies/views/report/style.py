"""The page's style sheet: light, dark, narrow and print. Figures take their colours from its variables."""

from typing import Any

LIGHT = """
color-scheme: light; --paper: #ffffff; --card: #f5f6f8; --ink: #1b1f24; --muted: #5b6570; --rule: #d9dde2;
--faint: rgba(60, 70, 80, .38); --band: rgba(0, 114, 178, .16); --grid: #e8ebee; --accent: #0072b2;
--blue: #0072b2; --vermillion: #d55e00; --orange: #b87f00; --purple: #b3588c; --green: #007a5a;
--v0: #440154; --v1: #482474; --v2: #404286; --v3: #355f8c; --v4: #2a788e;
--v5: #22908c; --v6: #28a883; --v7: #46be6f; --v8: #7cd14f; --v9: #bcdf2a;
"""

DARK = """
color-scheme: dark; --paper: #14171b; --card: #1e2329; --ink: #e7eaee; --muted: #a3adb8; --rule: #39414a;
--faint: rgba(200, 210, 220, .38); --band: rgba(86, 180, 233, .22); --grid: #2a3038; --accent: #56b4e9;
--blue: #56b4e9; --vermillion: #f0803c; --orange: #e69f00; --purple: #d894ba; --green: #2fc198;
--v0: #4b57a0; --v1: #3f6ba3; --v2: #2f7c9a; --v3: #248b8c; --v4: #21a087;
--v5: #32b47b; --v6: #5bc663; --v7: #8dd544; --v8: #c5e02a; --v9: #fde725;
"""

_AXIS: dict[str, Any] = {
    "gridcolor": "var(--grid)", "linecolor": "var(--muted)", "tickcolor": "var(--muted)", "showline": True,
    "ticks": "outside", "ticklen": 4, "zeroline": False, "title": {"standoff": 8},
}  # fmt: skip
HOUSE: dict[str, Any] = {
    "layout": {
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "color": "var(--ink)", "size": 13.5,
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
        },
        "xaxis": _AXIS, "yaxis": _AXIS, "legend": {"bgcolor": "rgba(0,0,0,0)"},
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)", "color": "var(--muted)", "activecolor": "var(--accent)", "orientation": "v",
        },
        "hoverlabel": {
            "bgcolor": "var(--card)", "bordercolor": "var(--muted)", "font": {"color": "var(--ink)"}, "align": "left",
        },
    }
}  # fmt: skip
"""The template of all figures."""

STYLE = f"""
:root {{ {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root:not(.print) {{ {DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }}
main {{ max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: .2rem 0 .3rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.25rem; line-height: 1.3; margin: 2.6rem 0 .4rem; }}
h3 {{ font-size: 1rem; margin: 1rem 0 .25rem; }}
p {{ margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }}
.lead, .note, figcaption {{ color: var(--muted); }}
.note {{ font-size: .92rem; }}
.answer {{ background: var(--card); border-left: 5px solid var(--accent); border-radius: 4px;
  padding: .9rem 1.1rem; margin: 1.1rem 0; }}
.answer p {{ font-size: 1.15rem; max-width: none; margin: 0; }}
.answer.problem {{ border-color: var(--vermillion); }}
.scroll {{ overflow-x: auto; margin: .8rem 0; }}
table {{ border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }}
thead th {{ color: var(--muted); font-weight: 600; vertical-align: bottom; line-height: 1.25; }}
.numbers th, .numbers td {{ text-align: right; white-space: nowrap; }}
.numbers thead th {{ white-space: normal; }}
.numbers .words, .law tbody th {{ text-align: left; }}
.plan .words {{ padding-right: 0; }}
.plan table {{ width: 100%; }}
.plan tbody th {{ position: sticky; left: 0; background: var(--paper); font-weight: 700; }}
.plan tr.knee th, .plan tr.knee td {{ background: var(--card); font-weight: 700; border-bottom-color: var(--ink); }}
.badge {{ display: inline-block; border-radius: 999px; padding: 0 .55em; font-size: .82rem; font-weight: 600;
  border: 1.5px solid currentColor; white-space: nowrap; }}
.measured, .ok {{ color: var(--green); }} .predicted {{ color: var(--blue); border-style: dashed; }}
.flat {{ color: var(--orange); }} .no-law {{ color: var(--vermillion); }}
figure {{ margin: .6rem 0 0; }}
figcaption {{ max-width: 46rem; margin-bottom: .5rem; }}
.plot {{ width: 100%; }}
.plot:focus-visible, .scroll:focus-visible, a:focus-visible, summary:focus-visible, button:focus-visible {{
  outline: 2px solid var(--accent); outline-offset: 2px; }}
a {{ color: var(--accent); }}
.csv {{ font-size: .88rem; }}
.said {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
nav {{ display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .92rem; margin: .6rem 0; }}
.switch {{ display: inline-flex; flex-wrap: wrap; gap: .35rem; align-items: center; font-size: .92rem; }}
.switch button {{ font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--rule);
  border-radius: 4px; padding: .2rem .7rem; cursor: pointer; }}
.switch button[aria-pressed=true] {{ background: var(--accent); border-color: var(--accent); color: var(--paper); }}
.law {{ background: var(--card); border-radius: 4px; padding: .7rem 1rem .8rem; margin-top: .8rem; font-size: .95rem; }}
.law h3 {{ margin: 0 0 .2rem; }}
.law .formula {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .9rem; }}
.law table {{ margin-top: .4rem; }}
.law th {{ font-weight: 500; }}
details {{ border: 1px solid var(--rule); border-radius: 4px; padding: .5rem .9rem; }}
summary {{ cursor: pointer; font-weight: 600; }}
dt {{ font-weight: 600; margin-top: .7rem; }}
dd {{ margin: 0; max-width: 46rem; }}
.facts td {{ overflow-wrap: anywhere; }} .facts th {{ color: var(--muted); font-weight: 500; white-space: nowrap; }}
.grounds td {{ max-width: 52rem; overflow-wrap: anywhere; }}
.grounds th {{ color: var(--muted); font-weight: 600; min-width: 8rem; }}
footer {{ margin-top: 3rem; color: var(--muted); font-size: .88rem; }}
@media (max-width: 600px) {{
  main {{ padding: 1rem .8rem 3rem; }} h1 {{ font-size: 1.4rem; }} .answer p {{ font-size: 1.05rem; }}
  th, td {{ padding: .3rem .45rem; }} .badge {{ white-space: normal; border-radius: .8em; }}
  .law {{ padding: .6rem .7rem; font-size: .88rem; }} .law table {{ font-size: .82rem; }}
}}
@page {{ margin: 14mm; }}
@media print {{
  body {{ font-size: 10.5pt; }} main {{ max-width: none; padding: 0; }}
  .switch, .screen {{ display: none !important; }}
  .scroll {{ overflow: visible; }} .plan table {{ font-size: 7.5pt; }} .plan th, .plan td {{ padding: 2pt 3pt; }}
  .plan .badge {{ font-size: 6.5pt; }}
  figure, .law, .answer, tr {{ break-inside: avoid; }} h2 {{ break-after: avoid; }}
}}
"""
