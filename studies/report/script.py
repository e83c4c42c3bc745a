"""The page's script: draws the figures in the colours of the moment, and again when those or the paper change."""

SCRIPT = r"""
"use strict";
(() => {
  const root = document.documentElement;
  const holders = Array.from(document.querySelectorAll(".plot"));
  const figures = new Map(holders.map(holder =>
    [holder, JSON.parse(document.getElementById(holder.id + "-data").textContent)]));

  // Strings "var(--name)" become the colour that the style sheet gives them now.
  function resolved(node, colour) {
    if (typeof node === "string") return node.startsWith("var(--") ? colour(node.slice(4, -1)) : node;
    if (Array.isArray(node)) return node.map(child => resolved(child, colour));
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, resolved(child, colour)]));
  }

  function house(narrow) {
    const axis = {gridcolor: "var(--grid)", linecolor: "var(--muted)", tickcolor: "var(--muted)", showline: true,
      ticks: "outside", ticklen: 4, zeroline: false, title: {standoff: 8}};
    return {layout: {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {color: "var(--ink)", size: narrow ? 12 : 13.5,
        family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"},
      xaxis: axis, yaxis: axis, legend: {bgcolor: "rgba(0,0,0,0)"},
      hoverlabel: {bgcolor: "var(--card)", bordercolor: "var(--muted)", font: {color: "var(--ink)"}, align: "left"}}};
  }

  function draw(holder, width) {
    const figure = figures.get(holder);
    const style = getComputedStyle(root);
    const narrow = (width || holder.clientWidth) < 560;
    const touch = matchMedia("(pointer: coarse)").matches;
    const layout = {...figure.layout, template: house(narrow), autosize: !width, uirevision: "kept",
      height: figure.layout.height + (narrow ? 70 : 0), dragmode: touch ? false : "zoom"};
    if (width) layout.width = width;
    const data = figure.data.slice();
    const choice = figure.switch && figure.switch[figure.chosen || 0];
    if (choice) {
      choice.x.forEach((x, index) => { data[index] = {...data[index], x}; });
      layout.xaxis = choice.axis;
      layout.uirevision = choice.name;
    }
    const colour = name => style.getPropertyValue(name).trim();
    return Plotly.react(holder, resolved(data, colour), resolved(layout, colour),
      {responsive: true, displayModeBar: false});
  }

  function offerSwitch(holder) {
    const figure = figures.get(holder);
    if (!figure.switch) return;
    const row = document.createElement("div");
    row.className = "switch";
    row.append("Against:");
    const buttons = figure.switch.map((choice, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = choice.name;
      button.setAttribute("aria-pressed", index === 0);
      button.addEventListener("click", () => {
        figure.chosen = index;
        buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
        draw(holder);
      });
      row.append(button);
      return button;
    });
    holder.before(row);
  }

  const drawAll = width => holders.forEach(holder => draw(holder, width));
  holders.forEach(offerSwitch);
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  matchMedia("(max-width: 600px)").addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => { root.classList.add("print"); drawAll(680); });
  addEventListener("afterprint", () => { root.classList.remove("print"); drawAll(); });
})();
"""
