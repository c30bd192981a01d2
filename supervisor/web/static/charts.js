// Curves over time, drawn by uPlot, which is loaded when the first of them is wanted.
import { html, useEffect, useRef, useState } from "./vendor/htm/standalone.module.js";

let loading;
function uPlotLoaded() {
  loading ??= new Promise((done, fail) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/vendor/uplot/uPlot.min.css" });
    const script = Object.assign(document.createElement("script"), { src: "/static/vendor/uplot/uPlot.iife.min.js", onload: () => done(window.uPlot), onerror: fail });
    document.head.append(style, script);
  });
  return loading;
}

const color = (name) => {
  const probe = document.createElement("span");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};
const shown = (value, digits) => (value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−"));

// Where no cursor is, the legend has the newest values.
const told = (plot) => plot.cursor.idx ?? plot.setLegend({ idx: plot.data[0].length - 1 }, false);

function optionsOf(uPlot, { series, below, points, logarithmic, label }, width) {
  const axis = { stroke: color("dim"), grid: { stroke: color("faint"), width: 1 }, ticks: { stroke: color("faint") }, font: "11px system-ui, sans-serif" };
  const room = (u, low, high) => {
    if (low === null) return [0, 1];
    const more = (high - low) * 0.08 || Math.abs(high) * 0.001 || 1;
    return below ? [low - more, 0] : [low - more, high + more];
  };
  return {
    width, height: 190, tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    cursor: { sync: { key: "strategy" }, drag: { x: true, y: false } },
    scales: { y: logarithmic ? { distr: 3, log: 10 } : { range: room } },
    axes: [
      { ...axis, space: 64, values: [[86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1], [86400, "{MM}-{DD}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", "\n{MM}-{DD}", null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
      { ...axis, size: (u, values) => 16 + 6.5 * Math.max(3, ...(values ?? []).map((value) => value?.length ?? 0)), values: (u, ticks) => ticks.map((value) => (value === null ? "" : shown(value, 6))) },
    ],
    series: [
      { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
      ...series.map(([name, , tone, filled]) => ({
        label: name, stroke: color(tone), width: points ? 0 : 1.6, spanGaps: true, value: (u, value) => shown(value, 2),
        fill: filled ? color(tone).replace("rgb(", "rgba(").replace(")", ", 0.15)") : undefined,
        paths: points ? () => null : uPlot.paths.stepped({ align: 1 }), points: points ? { show: true, size: 4, fill: color(tone) } : { show: series[0][1].length < 2 },
      })),
    ],
    legend: { live: true },
    hooks: { draw: [told] },
  };
}

export function Chart(props) {
  const { id, label, x, series } = props;
  const place = useRef(null), plot = useRef(null);
  const [lost, setLost] = useState(false);
  const data = [x, ...series.map(([, y]) => y)];
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    let over = false;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = async () => {
      const uPlot = await uPlotLoaded().catch(() => setLost(true));
      if (over || !uPlot) return;
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(uPlot, props, Math.max(200, place.current.clientWidth)), newest.current, place.current);
    };
    const watch = new ResizeObserver(([entry]) => plot.current?.setSize({ width: Math.max(200, Math.floor(entry.contentRect.width)), height: 190 }));
    watch.observe(place.current);
    dark.addEventListener("change", draw);
    draw();
    return () => {
      over = true;
      watch.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => {
    plot.current?.setData(data);
  }, [x.length, x.at(-1), x[0]]);
  return html`<figure class="chart"><figcaption>${label}</figcaption><div ref=${place} id=${`chart-${id}`} role="img" aria-label=${`${label}; the table below has the figures`}></div>${lost && html`<p class="warn">The chart could not be loaded.</p>`}</figure>`;
}
