// From rows of the records to what figures show. Pure.
import { priced } from "./words.js";

export const asObjects = ({ columns, rows }) => rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));

// Where a span of so many seconds begins, in whole minutes: the same question for a while. null: at the first record.
export function spanFrom(now, seconds) {
  return seconds === null ? null : Math.floor((now - seconds * 1000) / 60000) * 60000;
}

// The pairs of each closing fill, by its exec_id.
export function closesOf(pairs) {
  const found = new Map();
  for (const pair of pairs) found.set(pair.close_exec_id, [...(found.get(pair.close_exec_id) ?? []), pair]);
  return found;
}

// Profit by level, the highest first: {name, long: {net, pairs}, short}. Of more than `most` prices those near each other are one band.
export function banded(rows, most = 60) {
  const prices = [...new Set(rows.map((row) => row.level))].map(Number).sort((one, other) => one - other);
  const low = Math.log(prices[0] ?? 1), width = (Math.log(prices.at(-1) ?? 1) - low) / most || 1;
  const bandOf = (price) => (prices.length <= most ? price : Math.min(most - 1, Math.floor((Math.log(price) - low) / width)));
  const bands = new Map();
  for (const row of rows) {
    const key = bandOf(Number(row.level));
    if (!bands.has(key)) bands.set(key, { prices: [], long: { net: 0, pairs: 0 }, short: { net: 0, pairs: 0 } });
    const band = bands.get(key);
    band.prices.push(row.level);
    band[row.direction].net += Number(row.net_profit);
    band[row.direction].pairs += Number(row.pairs);
  }
  const name = ({ prices: inside }) => {
    const sorted = [...new Set(inside)].sort((one, other) => one - other);
    return sorted.length === 1 ? priced(sorted[0]) : `${priced(sorted[0])} to ${priced(sorted.at(-1))}`;
  };
  return [...bands.entries()].sort(([one], [other]) => other - one).map(([, band]) => ({ ...band, name: name(band) }));
}

// Refusals by who refused, code and reason, the most frequent first.
export function reasonsCounted(rows) {
  const found = new Map();
  for (const row of rows) {
    const by = row.refused_by === "exchange" && row.ret_code !== null ? `exchange ${row.ret_code}` : row.refused_by;
    const key = `${by} ${row.reason}`;
    const at = Date.parse(row.ts);
    const known = found.get(key) ?? { by, reason: row.reason.replaceAll("_", " "), times: 0, kinds: new Set(), first: at, last: at };
    known.times += 1;
    known.kinds.add(`${row.direction} ${row.side}`);
    known.first = Math.min(known.first, at);
    known.last = Math.max(known.last, at);
    found.set(key, known);
  }
  return [...found.values()].map((row) => ({ ...row, kinds: [...row.kinds] })).sort((one, other) => other.times - one.times);
}

// The smallest values that have such shares of all at or below them.
export function percentiles(values, shares) {
  const sorted = [...values].sort((one, other) => one - other);
  return shares.map((share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null);
}
