// The ladder as a picture: what the price did, the levels, and the orders of both legs beside each other.
//
//   time ──────────────► │ long ◄── price ──► short
//
// Nothing is told by colour alone, and the table beside it says the same in words.
import { html } from "./vendor/htm/standalone.module.js";
import { LEGS, apart, labelled, scaleOf, timeTicks, waitingBands } from "./ladder.js";
import { priced, short } from "./words.js";

const BOTTOM = 24, LINE = 14, FRESH_MS = 15000;

// `above` and `below`: lines of text about what is out of sight.
function frame(width, rows, above, below) {
  const top = 30 + LINE * above, foot = BOTTOM + LINE * below;
  const spine = 16 + 7 * Math.max(8, ...rows.map((row) => priced(row.price).length));
  const trail = Math.round((width - spine) * (width < 620 ? 0.34 : 0.5));
  const lane = (width - spine - trail) / 2;
  const height = top + foot + Math.min(900, Math.max(380, rows.length * 17));
  const middle = trail + lane + spine / 2;
  return { width, height, top, trail, lane, spine, middle, bottom: height - foot, long: middle - spine / 2, short: middle + spine / 2 };
}

function Bar({ cell, leg, y, thick, box, most, texts }) {
  if (!cell) return null;
  const from = box[leg], way = leg === "long" ? -1 : 1;
  const anchor = way < 0 ? "end" : "start";
  const parts = [];
  let end = from + way * 4;
  if (cell.qty !== null) {
    const room = box.lane - (texts ? 62 : 22);
    const length = Math.max(5, (cell.qty / most) * room);
    const rect = (share, name) =>
      html`<rect class=${name} x=${way < 0 ? from - 2 - length * share : from + 2} y=${y - thick / 2} width=${length * share} height=${thick} rx="1.5" />`;
    parts.push(rect(1, `bar ${cell.side.toLowerCase()} ${cell.closes ? "closes" : "opens"} ${cell.rests ? "" : "away"}`));
    if (cell.filled > 0) parts.push(rect(Math.min(1, cell.filled / cell.qty), "done"));
    end = from + way * (length + 6);
    if (texts) parts.push(html`<text class="qty" x=${end} y=${y} text-anchor=${anchor}>${cell.qtyText}${cell.more ? ` +${cell.more}` : ""}${cell.mark ? ` ${cell.mark}` : ""}</text>`);
  }
  if (cell.mark && (cell.qty === null || !texts)) {
    parts.push(html`<text class="mark ${cell.weight}" x=${end} y=${y} text-anchor=${anchor}>${cell.weight === "held" ? "▲" : ""}${cell.mark}</text>`);
  }
  return parts;
}

function triangle(x, y, up, size) {
  const way = up ? 1 : -1;
  return `M${x} ${y}l${size} ${way * size * 1.7}h${-2 * size}z`;
}

function Trail({ prices, fills, box, scale, from, to }) {
  const x = (at) => ((at - from) / (to - from)) * (box.trail - 8);
  const path = prices.filter(([at]) => at >= from && at <= to).map(([at, price], n) => `${n ? "L" : "M"}${x(at).toFixed(1)} ${scale.y(price).toFixed(1)}`);
  return html`
    ${timeTicks(from, to, Math.max(1, Math.floor(box.trail / 75))).map(
      ([at, text]) => html`<g class="time"><line x1=${x(at)} x2=${x(at)} y1=${box.top} y2=${box.bottom} /><text x=${x(at)} y=${box.bottom + 15} text-anchor=${x(at) < 28 ? "start" : "middle"}>${text}</text></g>`,
    )}
    <g clip-path="url(#trail)">
      ${path.length > 1 && html`<path class="trail" d=${path.join("")} />`}
      ${fills.filter((fill) => fill.at >= from && fill.at <= to).map((fill) => html`
        <path key=${fill.id} class="fill ${fill.side.toLowerCase()} ${fill.closes ? "closes" : "opens"}" d=${triangle(x(fill.at), scale.y(fill.price), fill.side === "Buy", 4.5)} />
        ${to - fill.at < FRESH_MS && html`<circle key=${`${fill.id} new`} class="fresh ${fill.side.toLowerCase()}" cx=${x(fill.at)} cy=${scale.y(fill.price)} r="9" />`}`)}
    </g>`;
}

// The lines across: [key, name, price as text, price]. What is out of sight becomes an arrow at the edge.
function linesOf(why, last) {
  const lines = [];
  if (why.ladder.mark_price) lines.push(["mark", "mark", why.ladder.mark_price]);
  for (const leg of why.legs) {
    if (leg.entry && Number(leg.size)) lines.push(["entry", `${leg.leg} entry`, short(leg.entry)]);
    if (leg.liq) lines.push(["liq", `${leg.leg} liquidation`, short(leg.liq)]);
  }
  return lines.map(([key, name, text]) => ({ key, name, text, value: Number(text), away: last ? Number(text) / last - 1 : null }));
}

const sizeOf = (why, leg) => {
  const size = why.legs.find((row) => row.leg === leg)?.size ?? "";
  return Number(size) ? size : "flat";
};
const percent = (share) => `${share >= 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(share > -0.1 && share < 0.1 ? 2 : 1)} %`;

export function LadderPicture({ rows, why, last, prices, fills, from, to, width, picked, pick }) {
  const values = rows.map((row) => row.value);
  if (last) values.push(last);
  const lines = linesOf(why, last);
  const outside = lines.filter((line) => !scaleOf(values, 0, 1).has(line.value)).map((line) => ({ ...line, above: line.value > Math.max(...values) }));
  const above = outside.filter((line) => line.above), below = outside.filter((line) => !line.above);
  const box = frame(width, rows, above.length, below.length);
  const scale = scaleOf(values, box.top + 6, box.bottom - 6);
  const step = rows.length > 1 ? Math.abs(scale.y(rows[0].value) - scale.y(rows.at(-1).value)) / (rows.length - 1) : 20;
  const thick = Math.max(1.5, Math.min(11, step * 0.66)), texts = step >= 10.5 && box.lane > 110;
  const most = Math.max(1e-12, ...rows.flatMap((row) => LEGS.map((leg) => row[leg]?.qty ?? 0)));
  const inside = lines.filter((line) => scale.has(line.value));
  const tags = apart(inside.map((line) => ({ ...line, y: scale.y(line.value) })), 15, box.top + 8, box.bottom - 6);
  const shown = labelled(rows, (price) => scale.y(price), 12.5, last ? [scale.y(last)] : []);
  const at = rows.find((row) => row.price === picked);
  const nearest = (event) => {
    const y = ((event.clientY - event.currentTarget.getBoundingClientRect().top) / event.currentTarget.getBoundingClientRect().height) * box.height;
    pick(rows.reduce((one, other) => (Math.abs(scale.y(other.value) - y) < Math.abs(scale.y(one.value) - y) ? other : one)).price);
  };
  return html`<svg class="ladder" viewBox="0 0 ${box.width} ${box.height}" width=${box.width} height=${box.height} role="img"
      aria-label=${`Ladder of ${why.symbol}: ${rows.length} levels, ${why.placed} of ${why.wanted} orders rest, last price ${last ?? "not known"}. The table of levels says the same.`}
      onMouseMove=${rows.length ? nearest : undefined} onMouseLeave=${() => pick(null)}>
    <clipPath id="trail"><rect x="0" y=${box.top} width=${box.trail} height=${box.bottom - box.top} /></clipPath>
    ${waitingBands(rows).map(([low, high]) => html`<rect class="band" x="0" width=${box.width} y=${scale.y(high)} height=${scale.y(low) - scale.y(high)} />`)}
    ${at && html`<rect class="picked" x="0" width=${box.width} y=${scale.y(at.value) - Math.max(6, step / 2)} height=${Math.max(12, step)} />`}
    ${rows.map((row) => html`<line key=${row.price} class="level ${row.side ? row.side.toLowerCase() : row.onLadder ? "wait" : "off"}" x1="0" x2=${box.trail} y1=${scale.y(row.value)} y2=${scale.y(row.value)} />`)}
    <${Trail} ...${{ prices, fills, box, scale, from, to }} />
    <line class="edge" x1=${box.trail} x2=${box.trail} y1=${box.top} y2=${box.bottom} />
    ${inside.map((line) => html`<line class="across ${line.key}" x1="0" x2=${line.key === "liq" ? box.width : box.trail} y1=${scale.y(line.value)} y2=${scale.y(line.value)} />`)}
    ${last && html`<line class="across last" x1="0" x2=${box.width} y1=${scale.y(last)} y2=${scale.y(last)} />`}
    <rect class="spine" x=${box.long} width=${box.spine} y=${box.top - 4} height=${box.bottom - box.top + 8} />
    ${rows.map((row) => shown.has(row.price) && html`<text class="price ${row.side ? "" : row.onLadder ? "wait" : "off"}" x=${box.middle} y=${scale.y(row.value)} text-anchor="middle">${priced(row.price)}</text>`)}
    ${rows.map((row) => LEGS.map((leg) => html`<${Bar} key=${`${leg}${row.price}`} cell=${row[leg]} ...${{ leg, box, thick, most, texts }} y=${scale.y(row.value)} />`))}
    ${last && html`<g class="now"><rect x=${box.long + 1} width=${box.spine - 2} y=${scale.y(last) - 9} height="18" rx="3" /><text x=${box.middle} y=${scale.y(last)} text-anchor="middle">${priced(why.last_price)}</text></g>`}
    ${tags.map((tag) => {
      const words = `${tag.name}${box.trail < 160 ? "" : ` ${priced(tag.text)}`}`;
      return html`<g class="tag ${tag.key}"><rect x="0" y=${tag.at - 7} width=${8 + 5.9 * words.length} height="14" /><text x="4" y=${tag.at}>${words}</text></g>`;
    })}
    <text class="head" x=${box.long - 6} y="14" text-anchor="end">long ${sizeOf(why, "long")}</text>
    <text class="head" x=${box.short + 6} y="14">short ${sizeOf(why, "short")}</text>
    <text class="head dim" x=${box.middle} y="14" text-anchor="middle">USDT</text>
    ${[above, below].map((found) => found.map((line, n) => html`<text class="out ${line.key}" x="4" y=${line.above ? 30 + LINE * n : box.height - 8 - LINE * n}>
      ${line.above ? "▲" : "▼"} ${line.name} ${priced(line.text)}${line.away === null ? "" : ` (${percent(line.away)})`}</text>`))}
  </svg>`;
}
