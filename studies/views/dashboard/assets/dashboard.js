"use strict";
// What runs in the browser: figures, the address bar, the token, and CSV files. `largebatch` is the report's own script.
(() => {
  // Many points of a trial share one text: it travels once, under the trial's number.
  function withTexts(trace) {
    if (!trace.texts) return trace;
    const {texts, ...rest} = trace;
    return {...rest, hovertext: rest.customdata.map(number => texts[number] || "")};
  }

  function numbers(column) {
    if (column === undefined || column === null) return [];
    if (!column.bdata) return column;
    const bytes = Uint8Array.from(atob(column.bdata), letter => letter.charCodeAt(0));
    return Array.from(column.dtype === "f4" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer));
  }

  function axisTitle(layout, anchor, letter) {
    const axis = layout[letter + "axis" + (anchor || letter).slice(1)];
    return (axis && axis.title && axis.title.text) || letter;
  }

  function csv(figure) {
    const rows = [["series", "x is", "x", "y is", "y", "low", "high", "trial", "what"]];
    for (const trace of figure.data.map(withTexts)) {
      if (trace.type === "heatmap" || trace.fill || trace.x === undefined) continue;
      const x = numbers(trace.x), y = numbers(trace.y), bars = trace.error_y || {};
      x.forEach((at, k) => {
        if (at === null || y[k] === null || Number.isNaN(at) || Number.isNaN(y[k])) return;
        const up = numbers(bars.array), down = numbers(bars.arrayminus);
        rows.push([trace.name, axisTitle(figure.layout, trace.xaxis, "x"), at,
          axisTitle(figure.layout, trace.yaxis, "y"), y[k], down.length ? y[k] - down[k] : "",
          up.length ? y[k] + up[k] : "", trace.customdata ? trace.customdata[k] : "",
          Array.isArray(trace.hovertext) ? trace.hovertext[k] : trace.hovertext]);
      });
    }
    return largebatch.csv(rows);
  }

  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
    link.download = name + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const redraw = () => dash_clientside.set_props("theme", {data: Date.now()});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("(max-width: 600px)").addEventListener("change", redraw);

  window.dash_clientside = Object.assign({}, window.dash_clientside, {largebatch: {
    paint(figure) {
      if (!figure) return [{data: [], layout: {}}, {display: "none"}];
      const narrow = document.documentElement.clientWidth < 600;
      const {data, layout} = largebatch.drawn(figure.data.map(withTexts), figure.layout, narrow);
      const {height, ...rest} = layout;
      return [{data, layout: rest}, {height: height + "px"}];
    },
    // The address bar says what is shown, without a new page for each move of a slider.
    remember(values, ids) {
      const query = new URLSearchParams(location.search);
      query.delete("token");
      ids.forEach((id, k) => {
        const value = values[k];
        if (value === null || value === undefined || value === "") query.delete(id.name);
        else query.set(id.name, value);
      });
      const text = query.toString();
      history.replaceState(history.state, "", location.pathname + (text ? "?" + text : ""));
      return dash_clientside.no_update;
    },
    // The token leaves the address at once, so that a copied link does not carry it.
    keepToken(search, known) {
      const query = new URLSearchParams(search || "");
      const given = query.get("token");
      if (!given) return dash_clientside.no_update;
      query.delete("token");
      const text = query.toString();
      history.replaceState(history.state, "", location.pathname + (text ? "?" + text : ""));
      return given;
    },
    download(clicks, figures, ids) {
      const name = dash_clientside.callback_context.triggered_id;
      const at = ids.findIndex(id => name && id.name === name.name);
      if (at >= 0 && clicks[at] && figures[at]) save(ids[at].name, csv(figures[at]));
      return dash_clientside.no_update;
    },
  }});
})();
