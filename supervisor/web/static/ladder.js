// From what a worker says of its strategy to the rows, the reasons and the scale of its ladder. Pure.

export const LEGS = ["long", "short"];
const RESTS = new Set(["open", "partially_filled"]);
const WEIGHTS = { held: "held back", passing: "on its way", normal: "waits as it should" };
export const weightWord = (weight) => WEIGHTS[weight];

// A, B, ..., Z, AA: by what a missing order's reason is called in picture and table.
export function letters(at) {
  return (at >= 26 ? letters(Math.floor(at / 26) - 1) : "") + String.fromCharCode(65 + (at % 26));
}

// Missing orders by their reason, the worst first, as the worker has sorted them.
export function reasonsOf(missing) {
  const found = new Map();
  for (const row of missing) {
    const key = JSON.stringify([row.weight, row.text, row.lifted_by]);
    if (!found.has(key)) {
      found.set(key, { mark: letters(found.size), weight: row.weight, text: row.text, lifted_by: row.lifted_by, next_s: null, rows: [] });
    }
    const reason = found.get(key);
    reason.rows.push(row);
    if (row.next_s !== null) reason.next_s = Math.min(reason.next_s ?? Infinity, row.next_s);
  }
  return [...found.values()];
}

// Such as "12 orders, long Buy and short Sell".
export function whoseReason({ rows }) {
  const kinds = [...new Set(rows.map((row) => `${row.leg} ${row.side}`))];
  return `${rows.length} ${rows.length === 1 ? "order" : "orders"}, ${kinds.join(" and ")}`;
}

export function spanOf({ rows }) {
  const prices = rows.map((row) => row.price).sort((one, other) => one - other);
  return [...new Set([prices[0], prices.at(-1)])];
}

// What stands at a level for one leg: an order, one that is missing, or both.
function cellOf(orders, missing, mark) {
  if (!orders.length && !missing) return null;
  const order = orders[0] ?? null;
  const of = order ?? missing;
  return {
    side: of.side, closes: of.closes,
    qty: order ? Number(order.qty) : null, qtyText: order ? order.qty : "",
    filled: order ? Number(order.filled) : 0, filledText: order ? order.filled : "",
    state: order ? order.state : "missing", rests: Boolean(order) && RESTS.has(order.state),
    more: orders.length - 1,
    mark: missing ? mark : "", weight: missing ? missing.weight : "", why: missing ? missing.text : "",
  };
}

// A row for each price, the highest first: {price, value, away, side, onLadder, long, short}. `away` is a share of the
// last price.
export function ladderRows(why, reasons = reasonsOf(why.missing)) {
  const levels = new Map(why.ladder.levels.map(([price, side]) => [price, { price, side, onLadder: true, orders: [], missing: {} }]));
  const at = (price) => levels.get(price) ?? levels.set(price, { price, side: null, onLadder: false, orders: [], missing: {} }).get(price);
  for (const order of why.ladder.orders) at(order.price).orders.push(order);
  for (const reason of reasons) for (const row of reason.rows) at(row.price).missing[row.leg] = { ...row, mark: reason.mark };
  const last = Number(why.last_price);
  return [...levels.values()]
    .map(({ price, side, onLadder, orders, missing }) => {
      const cell = (leg) => cellOf(orders.filter((order) => order.leg === leg), missing[leg] ?? null, missing[leg]?.mark ?? "");
      const value = Number(price);
      return { price, value, side, onLadder, away: last ? value / last - 1 : null, long: cell("long"), short: cell("short") };
    })
    .sort((one, other) => other.value - one.value);
}

// Levels at which nothing is placed, as bands up to the middle of their neighbours: [low, high].
export function waitingBands(rows) {
  const ladder = rows.filter((row) => row.onLadder);
  const middle = (one, other, own) => (other ? Math.sqrt(one.value * other.value) : own);
  const bands = [];
  ladder.forEach((row, n) => {
    if (row.side) return;
    const high = middle(row, ladder[n - 1], row.value);
    const low = middle(row, ladder[n + 1], row.value);
    const before = bands.at(-1);
    if (before && Math.abs(before[0] - high) < 1e-9 * high) before[0] = low;
    else bands.push([low, high]);
  });
  return bands;
}

// From price to pixels, the same distance for the same share; `prices` are all in sight.
export function scaleOf(prices, top, bottom) {
  const known = prices.filter((price) => price > 0);
  let low = Math.log(Math.min(...known)), high = Math.log(Math.max(...known));
  const room = (high - low) * 0.03 || 0.001;
  [low, high] = [low - room, high + room];
  const y = (price) => bottom - ((Math.log(price) - low) / (high - low)) * (bottom - top);
  return { y, low: Math.exp(low), high: Math.exp(high), has: (price) => price >= Math.exp(low) && price <= Math.exp(high) };
}

// Of rows from top to bottom those whose label has room, the important ones first.
export function labelled(rows, y, room, taken = []) {
  const shown = new Set();
  const free = (at) => taken.every((other) => Math.abs(other - at) >= room);
  const spots = [...taken];
  for (const row of rows) {
    const at = y(row.value);
    if (free(at) && spots.every((other) => Math.abs(other - at) >= room)) {
      spots.push(at);
      shown.add(row.price);
    }
  }
  return shown;
}

// Whole steps of UTC between two times in ms, about `most` at most.
const STEPS_S = [1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];
export function timeTicks(from, to, most) {
  const step = (STEPS_S.find((s) => (to - from) / 1000 / s <= most) ?? 2592000 * Math.ceil((to - from) / 2592e6 / most)) * 1000;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  const text = (at) => {
    const iso = new Date(at).toISOString();
    return step >= 86400000 ? iso.slice(5, 10) : step >= 60000 ? iso.slice(11, 16) : iso.slice(11, 19);
  };
  return ticks.map((at) => [at, text(at)]);
}

// Labels that would lie on each other move apart: [{y, ...}] from the top down, none above `top`.
export function apart(tags, room, top, bottom) {
  const sorted = [...tags].sort((one, other) => one.y - other.y).map((tag) => ({ ...tag, at: tag.y }));
  sorted.forEach((tag, n) => (tag.at = Math.max(tag.y, n ? sorted[n - 1].at + room : top)));
  for (let n = sorted.length - 1; n >= 0; n--) sorted[n].at = Math.min(sorted[n].at, n < sorted.length - 1 ? sorted[n + 1].at - room : bottom);
  return sorted;
}
