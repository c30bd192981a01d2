// What the records have of a strategy over a span: fills with what each closes, money, levels, refusals, latency.
import { html, useEffect, useRef, useState } from "./vendor/htm/standalone.module.js";
import { Chart } from "./charts.js";
import { asObjects, banded, closesOf, percentiles, reasonsCounted, spanFrom } from "./figures.js";
import { ask } from "./live.js";
import { RANGES } from "./route.js";
import { number } from "./rows.js";
import { Copy } from "./shared.js";
import { DASH, clock, count, gain, moment, money, priced } from "./words.js";

// Name in the catalogue of the server, most rows, and how many seconds until it is asked for again: with fills, without.
const QUESTIONS = { fills: [500, 4, 30], prices: [900, 60, 60], equity: [400, 15, 30], pairs: [1000, 15, 60], levels: [5000, 30, 120], refusals: [1000, 20, 20], latency: [1000, 20, 60] };

const FRESH_MS = 60000;

const address = (name, { account, strategy }, from, more) =>
  `/api/rows/${name}?${new URLSearchParams({ account, strategy, ...(from === null ? {} : { from: new Date(from).toISOString() }), ...more })}`;

async function rowsOf(name, route, from) {
  const answer = await ask(address(name, route, from, { limit: QUESTIONS[name][0] }));
  if (!answer.ok) return { problem: (await answer.text()).trim(), busy: answer.status === 429 };
  const told = await answer.json();
  const { sql, problem, missing, as_of } = told;
  return problem ? { sql, problem } : { rows: asObjects(told), sql, problem, missing, as_of, readAt: performance.now() };
}

// {figures: {name: {rows, sql, problem, from}}, prices, fills}: asked one after the other, again when there is more.
export function useHistory({ account, strategy, range, now, fills }) {
  const key = `${account}/${strategy}?${range}`;
  const [told, setTold] = useState({ key, figures: {} });
  const latest = useRef({});
  latest.current = { now, fills };
  useEffect(() => {
    let over = false, timer;
    const asked = {};
    // How long it has been due: what was never asked for comes first, so that no question waits for ever.
    const late = (name) => {
      const { at, fills: then, wait } = asked[name] ?? {};
      const [, quick, slow] = QUESTIONS[name];
      return at === undefined ? Infinity : performance.now() - at - 1000 * (wait ?? (latest.current.fills !== then ? quick : slow));
    };
    const step = async () => {
      const names = Object.keys(QUESTIONS).filter((each) => late(each) > 0);
      const name = document.hidden ? undefined : names.reduce((one, other) => (one === undefined || late(other) > late(one) ? other : one), undefined);
      if (name) {
        asked[name] = { at: performance.now(), fills: latest.current.fills };
        const from = spanFrom(latest.current.now, RANGES[range]);
        const found = await rowsOf(name, { account, strategy }, from).catch((error) => ({ problem: error.message }));
        if (over) return;
        if (found.problem) asked[name].wait = found.busy ? 2 : 8;
        setTold((before) => {
          const kept = before.key === key ? before.figures : {};
          return { key, figures: { ...kept, [name]: { ...kept[name], ...found, from } } };
        });
      }
      timer = setTimeout(step, name ? 50 : 500);
    };
    step();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key]);
  const figures = told.key === key ? told.figures : {};
  return {
    figures,
    prices: (figures.prices?.rows ?? []).map((row) => [Date.parse(row.ts), Number(row.last_price)]),
    fills: (figures.fills?.rows ?? []).map((row) => ({
      id: row.exec_id, at: Date.parse(row.exchange_ts), price: Number(row.price), side: row.side,
      closes: (row.direction === "long") === (row.side === "Sell"),
    })),
  };
}

async function download(name, route, from, format) {
  const answer = await ask(address(name, route, from, { format }));
  if (!answer.ok) return (await answer.text()).trim();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${name}-${route.account}-${route.strategy}-${route.range}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return "";
}

function Figure({ name, title, says, figure, route, children }) {
  const [problem, setProblem] = useState("");
  const isFresh = figure?.rows && performance.now() - figure.readAt < FRESH_MS;
  const save = (format) => async () => setProblem(await download(name, route, figure.from, format).catch((error) => error.message));
  return html`<section class="figure" aria-labelledby=${`figure-${name}`}>
    <div class="section-head"><h3 id=${`figure-${name}`}>${title}</h3>${figure?.sql && html`<span class="tools">
      <${Copy} text=${figure.sql} title="Copy SQL" name=${`${title}: copy SQL`} />
      ${["csv", "parquet"].map((format) => html`<button class="small" onClick=${save(format)} aria-label=${`${title}: download as ${format}`}>${format}</button>`)}
    </span>`}</div>
    ${says && html`<p class="dim says">${says}</p>`}
    ${problem && html`<p class="warn">${problem}</p>`}
    ${figure?.missing && html`<p class="warn">${figure.missing}</p>`}
    ${figure?.problem && (isFresh ? html`<p class="dim says">As of ${clock(Date.parse(figure.as_of))} UTC; a newer reading has not had its turn yet.</p>`
      : html`<p class="warn">Not read, and asked again: ${figure.problem}${figure.rows ? `. What is shown is of ${moment(Date.parse(figure.as_of))} UTC.` : ""}</p>`)}
    ${figure?.rows ? (figure.rows.length ? children : html`<p class="dim">Nothing in this time.</p>`) : !figure?.problem && html`<p class="dim">Reading…</p>`}
  </section>`;
}

function Table({ caption, heads, rows, first = 12 }) {
  const [most, setMost] = useState(first);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${heads.map(([title, name]) => html`<th scope="col" class=${name}>${title}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, most).map((cells) => html`<tr>${cells.map((cell, at) => html`<td class=${heads[at][1]}>${cell}</td>`)}</tr>`)}</tbody>
  </table></div>
  ${rows.length > most && html`<button class="small" onClick=${() => setMost(most * 5)}>Show more: ${count(rows.length - most)} are left</button>`}`;
}

const signed = (value) => html`<span class=${value < 0 ? "minus" : ""}>${gain(value)}</span>`;
// Fees and profits of a single fill are often below a cent.
const fine = (text) => (text === null ? DASH : Number(Number(text).toFixed(4)).toString().replace("-", "−"));

function Fills({ figures, route }) {
  const closes = closesOf(figures.pairs?.rows ?? []);
  const known = figures.pairs?.as_of ? Date.parse(figures.pairs.as_of) - 3000 : 0;
  const rows = [...(figures.fills?.rows ?? [])].reverse().map((row) => {
    const pairs = closes.get(row.exec_id) ?? [];
    const closing = (row.direction === "long") === (row.side === "Sell");
    return [
      moment(Date.parse(row.exchange_ts)), row.direction, html`<span class=${row.side === "Buy" ? "buy" : "sell"}>${row.side} ${closing ? "closes" : "opens"}</span>`,
      priced(row.price), row.qty, fine(row.fee), closing ? fine(row.realised) : "",
      pairs.length ? pairs.map((pair) => html`<div>${pair.qty} @ ${priced(pair.open_price)}, ${moment(Date.parse(pair.opened_at))}</div>`) : closing ? (Date.parse(row.exchange_ts) < known ? DASH : "…") : "",
      pairs.length ? signed(pairs.reduce((sum, pair) => sum + Number(pair.net_profit), 0)) : "",
    ];
  });
  const heads = [["Time, UTC", "text"], ["Leg", "text"], ["Order", "text"], ["Price"], ["Quantity"], ["Fee"], ["Realised"], ["Closes the fill", "text"], ["Pair, net"]];
  return html`<${Figure} name="fills" title="Fills" figure=${figures.fills} route=${route}
      says="Money in USDT. Each close with the fill that it pairs with: the newest opening fill at its depth of the position. Net: after the fees of both.">
    <${Table} caption="Fills, the newest first" heads=${heads} rows=${rows} /></${Figure}>`;
}

function Pairs({ figures, route }) {
  const rows = [...(figures.pairs?.rows ?? [])].reverse();
  const net = rows.map((row) => Number(row.net_profit));
  const sum = net.reduce((one, other) => one + other, 0);
  const heads = [["Closed, UTC", "text"], ["Leg", "text"], ["Quantity"], ["Opened at"], ["Closed at"], ["Profit"], ["Fees"], ["Net"]];
  return html`<${Figure} name="pairs" title="Pairs" figure=${figures.pairs} route=${route}
      says=${rows.length ? `${rows.length === QUESTIONS.pairs[0] ? "The newest " : ""}${count(rows.length)} pairs, net ${gain(sum)} USDT, ${gain(sum / rows.length)} a pair; ${count(net.filter((value) => value > 0).length)} of them above zero.` : ""}>
    <${Table} first=${8} caption="Pairs, the newest first" heads=${heads} rows=${rows.map((row) => [
      moment(Date.parse(row.ts)), row.direction, row.qty, priced(row.open_price), priced(row.close_price), fine(row.profit), fine(row.fees), signed(Number(row.net_profit)),
    ])} /></${Figure}>`;
}

function Equity({ figures, route }) {
  const rows = figures.equity?.rows ?? [];
  const x = rows.map((row) => Date.parse(row.ts) / 1000);
  const equity = rows.map((row) => number(row.equity)), fall = rows.map((row) => -number(row.drawdown) || 0);
  const change = rows.length ? equity.at(-1) - equity[0] : null;
  const says = rows.length ? `The whole account ${route.account}: ${money(equity.at(-1))} USDT, ${gain(change)} over this time; at most ${money(Math.max(0, ...fall.map((value) => -value)))} below its highest.` : "";
  const table = rows.map((row) => [moment(Date.parse(row.ts)), money(number(row.equity)), money(number(row.wallet_balance)), gain(number(row.unrealised)), money(number(row.drawdown))]);
  return html`<${Figure} name="equity" title="Equity and drawdown" figure=${figures.equity} route=${route} says=${says}>
    <div class="two">
      <${Chart} id="equity" label="Equity, USDT" x=${x} series=${[["equity", equity, "note"]]} />
      <${Chart} id="drawdown" label="Below the highest equity so far, USDT" x=${x} series=${[["drawdown", fall, "bad", true]]} below />
    </div>
    <details><summary>As a table</summary><${Table} caption="Equity" heads=${[["Time, UTC", "text"], ["Equity"], ["Wallet"], ["Unrealised"], ["Drawdown"]]} rows=${table.reverse()} first=${50} /></details>
  </${Figure}>`;
}

function Levels({ figures, route }) {
  const bands = banded(figures.levels?.rows ?? []);
  const most = Math.max(1e-12, ...bands.flatMap((band) => [Math.abs(band.long.net), Math.abs(band.short.net)]));
  const bar = ({ net, pairs }, way) => {
    const width = `${(Math.abs(net) / most) * 100}%`;
    return html`<td class="bar-cell ${way}">${pairs > 0 && html`<span class="bar-of ${net < 0 ? "loss" : ""}" style=${{ width }} aria-hidden="true"></span>`}</td><td class=${net < 0 ? "minus" : ""}>${pairs ? gain(net) : ""}</td><td class="dim">${pairs ? count(pairs) : ""}</td>`;
  };
  return html`<${Figure} name="levels" title="Profit per level" figure=${figures.levels} route=${route}
      says="Net profit of the pairs that were closed in this time, USDT, by the price at which they were opened.">
    <div class="scroll tall" tabindex="0" role="region" aria-label="Profit per level"><table class="profits">
      <caption class="unseen">Net profit and pairs by level and leg, the highest level first</caption>
      <thead><tr><th scope="col">Level</th><th scope="col" colspan="2">Long, net</th><th scope="col">pairs</th><th scope="col" colspan="2">Short, net</th><th scope="col">pairs</th></tr></thead>
      <tbody>${bands.map((band) => html`<tr key=${band.name}><th scope="row">${band.name}</th>${bar(band.long, "long")}${bar(band.short, "short")}</tr>`)}</tbody>
    </table></div></${Figure}>`;
}

function Refusals({ figures, route }) {
  const rows = reasonsCounted(figures.refusals?.rows ?? []);
  const heads = [["By", "text"], ["Reason", "text wrap"], ["Times"], ["Orders", "text"], ["First, UTC", "text"], ["Last, UTC", "text"]];
  return html`<${Figure} name="refusals" title="Refusals" figure=${figures.refusals} route=${route} says="What was not placed: refused by our own gate, or by the exchange. The newest 1,000, counted by reason.">
    <${Table} caption="Refusals by reason" heads=${heads} rows=${rows.map((row) => [
      row.by, row.reason, count(row.times), row.kinds.join(", "), moment(row.first), moment(row.last),
    ])} /></${Figure}>`;
}

function Latency({ figures, route }) {
  const rows = figures.latency?.rows ?? [];
  const ms = rows.map((row) => Number(row.to_open_ms));
  const [half, most, nearly, worst] = percentiles(ms, [0.5, 0.95, 0.99, 1]);
  const again = rows.filter((row) => row.attempts > 1).length;
  const says = rows.length ? `From the decision until an order is known to rest, on our clock: half within ${count(half)} ms, 95 % within ${count(most)} ms, 99 % within ${count(nearly)} ms, the slowest ${count(worst)} ms; ${count(again)} of ${count(rows.length)} were sent more than once.` : "";
  const table = [...rows].reverse().map((row) => [moment(Date.parse(row.ts)), row.direction, row.side, priced(row.price), Number(row.to_open_ms).toFixed(1), count(row.attempts)]);
  return html`<${Figure} name="latency" title="Latency" figure=${figures.latency} route=${route} says=${says}>
    <${Chart} id="latency" label="Decision to open, ms (logarithmic)" x=${rows.map((row) => Date.parse(row.ts) / 1000)} series=${[["ms", ms.map((value) => Math.max(value, 0.1)), "note"]]} points logarithmic />
    <details><summary>As a table</summary><${Table} caption="Latency of orders" heads=${[["Decided, UTC", "text"], ["Leg", "text"], ["Side", "text"], ["Price"], ["ms"], ["Tries"]]} rows=${table} first=${50} /></details>
  </${Figure}>`;
}

export function History({ history: { figures }, route, kind }) {
  const parts = { figures, route };
  const shadow = kind === "shadow";
  return html`${shadow && html`<p class="dim figure">A shadow strategy sends nothing: its fills and pairs are what would have happened, and equity is that of the account.</p>`}<${Fills} ...${parts} /><${Equity} ...${parts} />
    <${Levels} ...${parts} /><${Pairs} ...${parts} /><${Refusals} ...${parts} />${shadow
      ? html`<section class="figure"><h3>Latency</h3><p class="dim says">There is none: no order of a shadow strategy goes to the exchange, so there is no answer to wait for.</p></section>` : html`<${Latency} ...${parts} />`}`;
}
