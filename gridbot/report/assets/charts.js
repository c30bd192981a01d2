"use strict";
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const css = getComputedStyle(document.documentElement);
  const color = (name) => css.getPropertyValue("--" + name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  const utc = (s) => uPlot.tzDate(new Date(s * 1e3), "Etc/UTC");
  const plain = (v, unit) => {
    if (v == null) return "–";
    const size = Math.abs(v);
    const digits = unit === "%" ? 2 : size >= 1000 ? 2 : size >= 1 ? 4 : 6;
    return v.toLocaleString("en-US", { maximumFractionDigits: digits }) + " " + unit;
  };
  const LOOK = {
    equity: { color: "accent", width: 2 },
    holding: { color: "second", width: 1.5 },
    nothing: { color: "muted", width: 1, dash: [5, 5] },
    fall: { color: "bad", width: 1.5, fill: "bad-soft" },
    exposure: { color: "accent", width: 1.5, stepped: true, fill: "accent-soft" },
    margin: { color: "second", width: 1.5, stepped: true },
    maintenance: { color: "bad", width: 1.5, stepped: true },
    price: { color: "ink", width: 1.2 },
    mark: { color: "muted", width: 1, dash: [3, 3] },
    long: { color: "good", width: 1.5, stepped: true },
    short: { color: "bad", width: 1.5, stepped: true },
  };
  // Every chart shows the whole span until its reader drags over a part of it.
  const whole = [data.from_ms / 1e3, data.to_ms / 1e3];
  // Of a single point uPlot asks for a year around it.
  const inside = (u, low, high) => u.data[0].length > 1 || (low >= whole[0] && high <= whole[1]);
  const zoomed = (u, low, high) =>
    low != null && high > low && inside(u, low, high) && (low !== u.data[0][0] || high !== u.data[0].at(-1));
  const newest = (u) => u.setLegend({ idx: u.data[0].length - 1 }, false);
  const stepped = uPlot.paths.stepped({ align: 1 });

  const ladder = (rows, t, end) => (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.lineWidth = Math.max(1, devicePixelRatio * 0.8);
    ctx.globalAlpha = 0.45;
    rows.forEach(([at, buys, sells], n) => {
      const from = u.valToPos(t(at), "x", true);
      const to = u.valToPos(n + 1 < rows.length ? t(rows[n + 1][0]) : end, "x", true);
      if (to < left || from > left + width) return;
      for (const [prices, name] of [[buys, "good"], [sells, "bad"]]) {
        ctx.strokeStyle = color(name);
        ctx.beginPath();
        for (const p of prices) {
          const y = u.valToPos(p, "y", true);
          ctx.moveTo(from, y);
          ctx.lineTo(to, y);
        }
        ctx.stroke();
      }
    });
    ctx.restore();
  };

  const marks = (groups, t) => (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const r = 3.4 * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.lineWidth = devicePixelRatio;
    for (const [name, points] of Object.entries(groups)) {
      const up = name.startsWith("buy") ? 1 : -1;
      const opens = name.endsWith("open");
      ctx.strokeStyle = ctx.fillStyle = color(up > 0 ? "good" : "bad");
      ctx.beginPath();
      for (const [at, price] of points) {
        const x = u.valToPos(t(at), "x", true);
        if (x < left - r || x > left + width + r) continue;
        const y = u.valToPos(price, "y", true);
        ctx.moveTo(x, y - up * r);
        ctx.lineTo(x + r, y + up * r);
        ctx.lineTo(x - r, y + up * r);
        ctx.closePath();
      }
      if (opens) ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  };

  const fit = (chart) => (u, low, high) => {
    if (low == null) return [0, 1];
    for (const points of Object.values(chart.fills || {}))
      for (const [, price] of points) {
        low = Math.min(low, price);
        high = Math.max(high, price);
      }
    if (chart.unit === "%" && chart.id !== "fall") low = Math.min(0, low);
    if (chart.id === "fall") high = 0;
    const room = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
    return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
  };

  const draw = (chart, place) => {
    const t = (at) => (data.from_ms + at * data.step_ms) / 1e3;
    const box = place.querySelector(".plot");
    const axis = { stroke: color("muted"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
    const hooks = { drawAxes: [], draw: [], ready: [newest, (u) => (place.dataset.shown = [u.scales.x.min, u.scales.x.max])] };
    if (chart.ladders && chart.ladders.length) hooks.drawAxes.push(ladder(chart.ladders, t, data.to_ms / 1e3));
    if (chart.fills) hooks.draw.push(marks(chart.fills, t));
    const options = {
      width: box.clientWidth,
      height: place.classList.contains("tall") ? Math.min(420, Math.max(280, innerHeight * 0.45)) : 220,
      tzDate: utc,
      fmtDate: (tpl) => uPlot.fmtDate(tpl),
      cursor: { sync: { key: "report" }, drag: { x: true, y: false } },
      legend: { live: true },
      scales: { x: { range: (u, low, high) => (zoomed(u, low, high) ? [low, high] : whole) }, y: { range: fit(chart) } },
      axes: [
        { ...axis, space: 70, values: [
          [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
          [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
          [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        ] },
        { ...axis, size: (u, values) => 18 + 7 * Math.max(4, ...(values || []).map((v) => v.length)),
          values: (u, ticks) => ticks.map((v) => v.toLocaleString("en-US", { maximumFractionDigits: 8 })) },
      ],
      series: [
        { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
        ...chart.series.map((one) => {
          const look = LOOK[one.kind] || LOOK.price;
          return {
            label: one.label, stroke: color(look.color), width: look.width, dash: look.dash,
            fill: look.fill && color(look.fill), paths: look.stepped ? stepped : undefined,
            spanGaps: true, points: { show: one.y.filter((v) => v != null).length < 2 },
            value: (u, v) => plain(v, chart.unit),
          };
        }),
      ],
      hooks,
    };
    const plot = new uPlot(options, [chart.x.map(t), ...chart.series.map((one) => one.y)], box);
    drawn.push({ plot, box });
  };

  const all = () => {
    for (const { plot } of drawn.splice(0)) plot.destroy();
    for (const chart of data.charts) {
      const place = document.getElementById("chart-" + chart.id);
      if (place && chart.x.length) draw(chart, place);
    }
    document.documentElement.dataset.drawn = String(drawn.length);
  };
  all();
  dark.addEventListener("change", all);
  addEventListener("resize", () => {
    for (const { plot, box } of drawn)
      if (Math.abs(plot.width - box.clientWidth) > 1) plot.setSize({ width: box.clientWidth, height: plot.height });
  });
})();
