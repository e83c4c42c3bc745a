"""What report and dashboard do alike in a browser: figures in the colours of the moment, their texts, CSV."""

import json

from largebatch.studies.views.report.style import HOUSE

DRAWING = r"""
"use strict";
const largebatch = (() => {
  const HOUSE = HOUSE_TEMPLATE;

  // Strings "var(--name)" become the colour that the style sheet gives them now.
  function resolved(node, colour) {
    if (typeof node === "string") return node.startsWith("var(--") ? colour(node.slice(4, -1)) : node;
    if (Array.isArray(node)) return node.map(child => resolved(child, colour));
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, resolved(child, colour)]));
  }

  // Long labels that would lie aslant on a narrow screen: every second one, the last one kept.
  function thinned(axis) {
    const labels = axis.ticktext;
    if (!labels || labels.join("").length <= 30) return axis;
    const kept = list => list.filter((_, index) => (list.length - 1 - index) % 2 === 0);
    return {...axis, tickvals: kept(axis.tickvals), ticktext: kept(labels)};
  }

  // What plotly is to draw: the house's template, colours looked up, room for a narrow screen's legend.
  function drawn(data, layout, narrow) {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const touch = matchMedia("(pointer: coarse)").matches;
    const whole = {uirevision: "kept", dragmode: touch ? false : "zoom", ...layout, template: HOUSE,
      height: layout.height + (narrow ? 70 : 0)};
    if (narrow) Object.assign(whole, {font: {size: 12}, xaxis: thinned(layout.xaxis || {})});
    return resolved({data, layout: whole}, colour);
  }

  // Labels are a part of HTML: lines end in <br>, and what a study wrote is escaped.
  function words(label) {
    const text = label.replace(/<br>/g, "; ").replace(/<extra>.*$/, "");
    return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  }

  // A cell that a spreadsheet would take for a formula is text.
  function cell(value) {
    if (value === undefined || value === null || Number.isNaN(value)) return "";
    const text = typeof value === "string" ? words(value).replace(/^[=+\-@\t\r]/, "'$&") : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  const csv = rows => rows.map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";

  return {drawn, words, csv};
})();
""".replace("HOUSE_TEMPLATE", json.dumps(HOUSE))
