"""The page's script: draws the figures in the colours of the moment, and again when those or the paper change.

Below each figure it offers what the figure shows as CSV; with the arrow keys one goes from mark to mark.
"""

from largebatch.studies.views.report.figures.drawing import DRAWING

SCRIPT = (
    DRAWING
    + r"""
(() => {
  const {words} = largebatch;
  const root = document.documentElement;
  const holders = Array.from(document.querySelectorAll(".plot"));
  const figures = new Map(holders.map(holder =>
    [holder, JSON.parse(document.getElementById(holder.id + "-data").textContent)]));

  function draw(holder, width) {
    const figure = figures.get(holder);
    const narrow = (width || holder.clientWidth) < 560;
    const layout = {...figure.layout, autosize: !width};
    if (width) layout.width = width;
    const data = figure.data.slice();
    const choice = figure.switch && figure.switch[figure.chosen || 0];
    if (choice) {
      choice.x.forEach((x, index) => { data[index] = {...data[index], x}; });
      layout.xaxis = choice.axis;
      layout.uirevision = choice.name;
    }
    const drawn = largebatch.drawn(data, layout, narrow);
    return Plotly.react(holder, drawn.data, drawn.layout, {responsive: true, displayModeBar: false});
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

  function axisTitle(figure, letter, name) {
    const axis = figure.layout[letter + "axis" + (name || "").slice(1)];
    return axis && axis.title ? axis.title.text : letter;
  }

  // One row a mark; a band becomes low and high; cells of a valley are not among what was measured, and left out.
  function table(figure) {
    const choice = figure.switch && figure.switch[figure.chosen || 0];
    const panels = [...new Set(figure.data.map(trace => trace.yaxis || "y"))].sort();
    const x = choice ? choice.axis.title.text : axisTitle(figure, "x", "");
    const rows = [["series", "panel", x, "value", "low", "high", "note"]];
    figure.data.forEach((trace, index) => {
      if (trace.type === "heatmap") return;
      const panel = axisTitle(figure, "y", panels.length > 1 ? trace.yaxis : "");
      const xs = choice && choice.x[index] || trace.x, ys = trace.y, name = trace.name;
      if (trace.fill === "toself") {
        for (let i = 0; i < xs.length / 2; i++)
          rows.push([name, panel, xs[i], "", ys[ys.length - 1 - i], ys[i], ""]);
        return;
      }
      const bars = trace.error_y && trace.error_y.array ? trace.error_y : null;
      xs.forEach((at, i) => {
        if (at === null || ys[i] === null) return;
        const note = Array.isArray(trace.hovertext) ? trace.hovertext[i] : trace.hovertext;
        rows.push([name, panel, at, ys[i], bars ? ys[i] - bars.arrayminus[i] : "", bars ? ys[i] + bars.array[i] : "",
          note]);
      });
    });
    return rows;
  }

  function offerTable(holder) {
    const link = document.createElement("a");
    link.className = "csv screen";
    link.href = "#" + holder.id;
    link.textContent = "Download the data (CSV)";
    link.download = holder.id + ".csv";
    link.addEventListener("click", () => {
      const url = URL.createObjectURL(new Blob([largebatch.csv(table(figures.get(holder)))], {type: "text/csv"}));
      link.href = url;
      setTimeout(() => { URL.revokeObjectURL(url); link.href = "#" + holder.id; }, 1000);
    });
    holder.after(link);
  }

  // The arrow keys go through the marks that have a text, by series and from left to right.
  function offerKeys(holder) {
    const said = document.createElement("div");
    said.className = "said";
    said.setAttribute("aria-live", "polite");
    holder.after(said);
    let at = -1;
    holder.addEventListener("keydown", event => {
      const ways = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1};
      if (event.key === "Escape") { Plotly.Fx.unhover(holder); said.textContent = ""; return; }
      if (!(event.key in ways)) return;
      event.preventDefault();
      const stops = [];
      figures.get(holder).data.forEach((trace, curve) => {
        if (trace.type === "heatmap" || !Array.isArray(trace.hovertext)) return;
        trace.x.map((x, point) => point).filter(point => trace.x[point] !== null && trace.y[point] !== null)
          .sort((one, other) => trace.x[one] - trace.x[other])
          .forEach(point => stops.push({curve, point, text: words(trace.hovertext[point])}));
      });
      if (!stops.length) return;
      at = (at + ways[event.key] + stops.length) % stops.length;
      const stop = stops[at], panel = (figures.get(holder).data[stop.curve].yaxis || "y");
      Plotly.Fx.hover(holder, [{curveNumber: stop.curve, pointNumber: stop.point}], ["x" + panel]);
      said.textContent = stop.text;
    });
  }

  const drawAll = width => holders.forEach(holder => draw(holder, width));
  holders.forEach(offerSwitch);
  drawAll();
  holders.forEach(offerTable);
  holders.forEach(offerKeys);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  matchMedia("(max-width: 600px)").addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => { root.classList.add("print"); drawAll(680); });
  addEventListener("afterprint", () => { root.classList.remove("print"); drawAll(); });
})();
"""
)
