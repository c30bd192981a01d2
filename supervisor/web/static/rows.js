// From the status model to the rows of the fleet. Pure. Money comes as exact decimal text; sums here are for the eye: to the cent.

import { UNKNOWN, fleetRecords, moneyOf } from "./records.js";
import { shortly } from "./words.js";

const BAD = 3, WARN = 2, NOTE = 1, GOOD = 0;
export const TONES = ["good", "note", "warn", "bad"];
const OF_STRATEGY = {
  halted: BAD, latched: BAD, delisted: BAD, settling: WARN, reducing: WARN, paused: WARN, waiting: NOTE, active: GOOD,
};
const OF_PROCESS = {
  FATAL: ["failed", BAD], BACKOFF: ["restarts", BAD], STARTING: ["starting", NOTE], STOPPING: ["stopping", WARN], STOPPED: ["stopped", WARN],
};
const OF_HEALTH = { auth_cooldown: ["key refused", BAD], circuit_open: ["circuit open", BAD], degraded: ["degraded", WARN] };

export const number = (text) => (text === null || text === undefined || text === "" ? null : Number(text));
const sum = (values) => (values.some((value) => value === null) ? null : values.reduce((one, other) => one + other, 0));

// How far the price may go until the leg is liquidated, as a share of the price, below 0 beyond it; null when nothing says so.
function liquidation(strategy) {
  const price = number(strategy.last_price);
  const far = [["long", 1], ["short", -1]].map(([leg, sign]) => [number(strategy[leg]?.liq), sign]).filter(([liq]) => liq && price);
  return far.length ? Math.min(...far.map(([liq, sign]) => sign * (price - liq) / price)) : null;
}

const MONEY = ["realised", "fees", "funding", "unrealised", "net", "grid", "todayNet", "todayGrid", "todayRealised", "todayFees", "todayFunding", "fills", "placed", "wanted"];

const OF_RECORDS = new Set(["grid", "todayNet", "todayGrid", "todayRealised", "todayFees", "todayFunding"]);

// Of the records: `grid` is null while it is not worked out.
function recorded({ total, today, lastFill }) {
  return {
    grid: total?.grid ?? null,
    todayNet: today?.net ?? null, todayGrid: today?.grid ?? null, todayRealised: today?.realised ?? null,
    todayFees: today?.fees ?? null, todayFunding: today?.funding ?? null,
    lastFill,
  };
}

export function strategyRow(strategy, account, records = fleetRecords(UNKNOWN)) {
  const kind = strategy.mode === "shadow" ? "shadow" : account.environment;
  const missing = hindered(strategy.waiting);
  const waiting = missing.reduce((sum, [, count]) => sum + count, 0);
  const [realised, fees, funding, unrealised] = ["realised", "fees", "funding", "unrealised"].map((key) => number(strategy[key]));
  return {
    id: strategy.strat_id,
    account: account.account,
    name: strategy.strat_id,
    symbol: strategy.symbol,
    kind,
    state: strategy.state ?? "no report",
    tone: strategy.state === null ? WARN : OF_STRATEGY[strategy.state] ?? WARN,
    why: strategy.reason || (waiting ? `not placed: ${missing.map(([why, count]) => `${count} ${why.replaceAll("_", " ")}`).join(", ")}` : ""),
    placed: strategy.open_orders ?? null,
    wanted: strategy.open_orders === undefined ? null : strategy.open_orders + waiting,
    fills: strategy.fills ?? null,
    ...recorded(records.strategy(account.account, moneyOf(kind), strategy.strat_id)),
    realised, fees, funding, unrealised,
    net: sum([realised, fees === null ? null : -fees, funding === null ? null : -funding, unrealised]),
    liquidation: liquidation(strategy),
    price: strategy.last_price,
    long: strategy.long,
    short: strategy.short,
  };
}

// Closes that have nothing to close yet (`not_covered`) are no orders that are missing.
function hindered(waiting) {
  return Object.entries(waiting ?? {}).filter(([why]) => why !== "not_covered");
}

function standing(account, strategies) {
  const process = account.process;
  if (process.state !== "RUNNING") {
    const [word, tone] = OF_PROCESS[process.state] ?? [(process.state ?? "no report").toLowerCase(), WARN];
    return { state: word, tone, why: process.reason || process.last_exit };
  }
  const worst = strategies.filter((row) => row.kind !== "shadow").reduce((one, other) => (other.tone > one.tone ? other : one), { tone: GOOD });
  if (worst.tone === BAD) return { state: worst.state, tone: BAD, why: `${worst.name}: ${worst.why}` };
  if (account.health !== "healthy") {
    const [word, tone] = OF_HEALTH[account.health] ?? ["no report", WARN];
    return { state: word, tone, why: account.reasons.join("; ") };
  }
  if (account.freshness !== "active") return { state: `prices ${account.freshness}`, tone: WARN, why: account.reasons.join("; ") };
  if (worst.tone > GOOD) return { state: worst.state, tone: worst.tone, why: `${worst.name}: ${worst.why}` };
  return { state: "trading", tone: GOOD, why: "" };
}

// `now`: the time of the model, as the clock of a browser may be wrong.
export function accountRow(account, incidents, records = fleetRecords(UNKNOWN), now = NaN) {
  const strategies = account.strategies.map((strategy) => ({ ...strategyRow(strategy, account, records), now }));
  const live = strategies.filter((row) => row.kind !== "shadow");
  const of = (key) => sum(live.map((row) => row[key]));
  const far = live.map((row) => row.liquidation).filter((value) => value !== null);
  const open = incidents.filter((row) => row.account === account.account && !row.muted_until);
  return {
    id: account.account,
    name: account.account,
    kind: account.environment ?? "no report",
    groups: account.groups,
    ...standing(account, strategies),
    ...Object.fromEntries(MONEY.map((key) => [key, of(key)])),
    ...ofEquity(number(account.equity), records.account(account.account, moneyOf(account.environment)), records.parts),
    lastFill: live.reduce((newest, row) => (row.lastFill === null ? newest : Math.max(newest ?? 0, row.lastFill)), null),
    now,
    margin: number(account.margin_ratio),
    liquidation: far.length ? Math.min(...far) : null,
    reconcile: account.last_reconcile_age_s ?? null,
    restarts: account.process.restarts,
    alerts: open.length,
    open,
    strategies,
  };
}

// How far the equity of now is below the highest that was recorded; the share is of that.
function ofEquity(equity, { highest, curve }, parts) {
  const fall = equity === null || highest === null ? null : Math.max(0, highest - equity);
  return { equity, drawdown: fall, drawdownShare: fall === null || !(highest > 0) ? null : fall / highest, curve: equity === null ? curve : [...curve, [parts, equity]] };
}

const SILENT_S = 15;

// Of an account that another host of the fleet has: what that one has told, `age` seconds ago. While it is silent what is
// shown is the last that is known, and in no total.
function afarRow(account, row) {
  const silent = account.age_s === null || account.age_s > SILENT_S || !account.host_alive;
  const told = { ...row, host: account.host || "none", age: account.age_s, afar: true, silent, strategies: row.strategies.map((each) => ({ ...each, silent })) };
  if (!silent) return told;
  const since = account.age_s === null ? "nothing was told of it yet" : `what is shown was told ${shortly(account.age_s)} ago`;
  return { ...told, state: account.host ? "host silent" : "no host", tone: BAD, why: `${account.host ? `host ${account.host} is dead or silent` : "no host has it now"}; ${since}` };
}

// The accounts of this host, then those of the others.
export function accountRows(model, records) {
  const now = Date.parse(model.time);
  const open = allIncidents(model);
  const own = model.accounts.map((account) => ({ ...accountRow(account, open, records, now), host: model.fleet?.host ?? "", age: 0, afar: false, silent: false }));
  return [...own, ...(model.elsewhere ?? []).map((account) => afarRow(account, accountRow(account, open, records, now)))];
}

export const allIncidents = (model) => [...model.incidents, ...(model.incidents_elsewhere ?? [])];

// Whom commands can name, and their groups.
export const allAccounts = (model) => [...model.accounts, ...(model.elsewhere ?? [])];

// One line per kind of money. Paper, shadow, testnet and real are never added up. `unheard`: of so many accounts (of
// shadow: strategies) what is live is not known, and in no total.
export function totals(rows) {
  const kinds = new Map();
  const of = (kind) => kinds.get(kind) ?? kinds.set(kind, { kind, accounts: 0, unheard: 0, equity: null, parts: [] }).get(kind);
  for (const row of rows) {
    const total = of(row.kind);
    total.accounts += 1;
    total.unheard += row.silent || row.equity === null || row.net === null;
    total.equity = row.equity === null || row.silent ? total.equity : (total.equity ?? 0) + row.equity;
    total.parts.push(...row.strategies.filter((each) => each.kind !== "shadow"));
    const shadows = row.strategies.filter((each) => each.kind === "shadow");
    if (!shadows.length) continue;
    of("shadow").parts.push(...shadows);
    of("shadow").unheard += shadows.filter((each) => each.net === null || each.silent).length;
  }
  return [...kinds.values()].map(({ parts, ...total }) => {
    const known = (key) => {
      if (OF_RECORDS.has(key) && parts.some((row) => row[key] === null)) return null; // no total of a part
      const values = parts.filter((row) => OF_RECORDS.has(key) || !row.silent).map((row) => row[key]).filter((value) => value !== null);
      return values.length || !parts.length ? values.reduce((one, other) => one + other, 0) : null;
    };
    return { ...total, strategies: parts.length, ...Object.fromEntries(MONEY.map((key) => [key, known(key)])) };
  });
}

export function chosen(rows, { text, state, group, host = "" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (row) => [row.name, row.kind, row.state, row.why, ...row.groups, ...row.strategies.flatMap((each) => [each.name, each.symbol, each.state])].join(" ").toLowerCase();
  return rows.filter(
    (row) =>
      (!state || (state === "trouble" ? row.tone >= WARN || row.alerts : row.state === state)) &&
      (!group || row.groups.includes(group)) &&
      (!host || row.host === host) &&
      words.every((word) => has(row).includes(word)),
  );
}

export function sorted(rows, { key, down }) {
  const order = (one, other) => {
    const [a, b] = [one[key], other[key]];
    if (a === null || b === null) return (a === null) - (b === null); // what is not known comes last, either way
    const by = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return down ? -by : by;
  };
  return [...rows].sort((one, other) => order(one, other) || one.name.localeCompare(other.name, "en", { numeric: true }));
}
