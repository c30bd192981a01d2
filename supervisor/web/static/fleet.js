// The table of the fleet: a row for each account, its strategies below it when it is opened.
import { html, useEffect, useMemo, useState } from "./vendor/htm/standalone.module.js";
import { linkTo } from "./route.js";
import { TONES, chosen, sorted } from "./rows.js";
import { Sign } from "./shared.js";
import { DASH, count, duration, gain, leg, moment, money, orders, share, shortly } from "./words.js";

const minus = (value) => (value === null ? null : -value);
const colour = (value, text) => html`<span class=${value < 0 ? "minus" : ""}>${text}</span>`;
const ofAccount = (key, show) => (row) => (key in row ? show(row[key], row) : "");

// `split` are the parts that a net is made of; `group` is what stands above some columns.
const COLUMNS = [
  { key: "name", title: "Account", text: true },
  { key: "host", title: "Host", text: true, fleet: true, cell: ofAccount("host", (value, row) => html`<span class=${row.silent ? "bad" : ""}>${value}</span>`) },
  { key: "age", title: "As of", fleet: true, help: "how old it is what the account's host has told", cell: ofAccount("age", (value, row) => html`<span class=${row.silent ? "bad" : ""}>${row.afar ? (value === null ? "never" : `${shortly(value)} ago`) : "now"}</span>`) },
  { key: "kind", title: "Money", text: true, cell: (row) => html`<span class="kind ${row.kind}">${row.kind}</span>` },
  { key: "tone", title: "State", text: true, down: true, cell: (row) => html`<${Sign} tone=${TONES[row.tone]} word=${row.state} />` },
  { key: "alerts", title: "Alerts", help: "open ones that are not muted", cell: ofAccount("alerts", (value) => html`<span class=${value ? "bad" : ""}>${count(value)}</span>`) },
  { key: "why", title: "Why not trading", text: true, wide: true },
  { key: "equity", title: "Equity", help: "with its last 24 hours", cell: ofAccount("equity", (value, row) => html`<${Curve} row=${row} /> ${money(value)}`) },
  { key: "drawdown", title: "Drawdown", help: "how far the equity is below its highest so far", cell: ofAccount("drawdown", (value, row) => html`<span title="${money(value)} USDT">${share(row.drawdownShare)}</span>`) },
  { key: "todayNet", group: "Today", title: "Net", help: "realised − fees − funding, since 00:00 UTC", cell: (row) => colour(row.todayNet, gain(row.todayNet)) },
  { key: "todayGrid", group: "Today", title: "Grid", split: true, help: "grid profit: what pairs made that were closed today, before fees", cell: (row) => gain(row.todayGrid) },
  { key: "todayRealised", group: "Today", title: "Realised", split: true, cell: (row) => gain(row.todayRealised) },
  { key: "todayFees", group: "Today", title: "Fees", split: true, cell: (row) => gain(minus(row.todayFees)) },
  { key: "todayFunding", group: "Today", title: "Funding", split: true, cell: (row) => gain(minus(row.todayFunding)) },
  { key: "net", group: "Total", title: "Net", help: "realised − fees − funding + unrealised", cell: (row) => colour(row.net, gain(row.net)) },
  { key: "grid", group: "Total", title: "Grid", split: true, help: "grid profit: what matched pairs made, before fees", cell: (row) => gain(row.grid) },
  { key: "realised", group: "Total", title: "Realised", split: true, cell: (row) => gain(row.realised) },
  { key: "fees", group: "Total", title: "Fees", split: true, cell: (row) => gain(minus(row.fees)) },
  { key: "funding", group: "Total", title: "Funding", split: true, cell: (row) => gain(minus(row.funding)) },
  { key: "unrealised", group: "Total", title: "Unrealised", split: true, help: "what the open positions would bring now", cell: (row) => gain(row.unrealised) },
  { key: "margin", title: "Margin", help: "margin ratio: at 100 % the exchange liquidates", cell: ofAccount("margin", (value) => share(value)) },
  { key: "liquidation", title: "To liq.", help: "how far the price may go until a leg is liquidated, at least", cell: (row) => share(row.liquidation) },
  { key: "placed", title: "Orders", help: "placed, of those that are wanted", cell: orders },
  { key: "fills", title: "Fills", cell: (row) => count(row.fills) },
  { key: "lastFill", title: "Last fill", down: true, cell: (row) => html`<span title=${row.lastFill === null ? undefined : `${moment(row.lastFill)} UTC`}>${row.lastFill === null ? DASH : shortly((row.now - row.lastFill) / 1000)}</span>` },
  { key: "reconcile", title: "Compared", help: "since orders were last compared with the exchange", cell: ofAccount("reconcile", shortly) },
  { key: "restarts", title: "Restarts", cell: ofAccount("restarts", count) },
];
const titleOf = (column) => (column.group ? `${column.group}: ${column.title}` : column.title);

// The equity of the last day, from its lowest to its highest.
function Curve({ row }) {
  if (row.curve.length < 2) return html`<svg class="curve" viewBox="0 0 48 14" aria-hidden="true"></svg>`;
  const [first, last] = [row.curve[0], row.curve.at(-1)];
  const values = row.curve.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values);
  const points = row.curve.map(([part, value]) => `${((part / last[0]) * 47 + 0.5).toFixed(1)},${(13 - ((value - low) / (high - low || 1)) * 12).toFixed(1)}`);
  return html`<svg class="curve" viewBox="0 0 48 14" role="img" aria-label="24 hours: from ${money(first[1])} to ${money(last[1])}, lowest ${money(low)}, highest ${money(high)}">
    <title>24 hours: lowest ${money(low)}, highest ${money(high)}</title><polyline points=${points.join(" ")} />
  </svg>`;
}

const begins = (columns, at) => columns[at].group !== columns[at - 1]?.group;

function Cells({ row, first, columns }) {
  return columns.map((column, at) => {
    const inside = column.cell ? column.cell(row) : row[column.key];
    const name = `${column.text ? "text" : ""}${column.wide ? " wide" : ""}${begins(columns, at) ? " begins" : ""}`;
    if (at === 0) return html`<th scope="row" class="text">${first}</th>`;
    return html`<td class=${name} data-title=${titleOf(column)} title=${column.wide ? row.why : undefined}>${inside}</td>`;
  });
}

function Account({ row, open, toggle, columns }) {
  const few = row.groups.length ? html` <span class="dim">${row.groups.join(", ")}</span>` : null;
  const first = html`<button class="open" aria-expanded=${open} onClick=${() => toggle(row.id)}>
    <span aria-hidden="true">${open ? "▾" : "▸"}</span> ${row.name}
  </button>${few}`;
  return html`
    <tr class="account is-${TONES[row.tone]}"><${Cells} row=${row} first=${first} columns=${columns} /></tr>
    ${open && row.strategies.map((each) => html`<${Strategy} key=${each.id} row=${each} columns=${columns} />`)}
    ${open && row.open.map((each) => html`<tr class="more alert"><td colspan=${columns.length}><b>${each.level}</b> ${each.strategy} ${each.text}</td></tr>`)}
  `;
}

function Strategy({ row, columns }) {
  const first = html`<a class="below" href=${linkTo(row.account, row.name)}>${row.name}</a>`;
  return html`
    <tr class="strategy"><${Cells} row=${row} first=${first} columns=${columns} /></tr>
    <tr class="more"><td colspan=${columns.length}>
      ${row.symbol} at ${row.price ?? "no price yet"} · long ${leg(row.long)} · short ${leg(row.short)}
    </td></tr>
  `;
}

function Head({ order, setOrder, columns }) {
  const groups = columns.reduce((found, column) => (column.group && found.at(-1)?.group === column.group ? [...found.slice(0, -1), { ...found.at(-1), size: found.at(-1).size + 1 }] : [...found, { group: column.group, size: 1 }]), []);
  return html`<thead>
    <tr class="groups">${groups.map(({ group, size }) => (group ? html`<th scope="colgroup" colspan=${size} class="begins">${group}</th>` : html`<td></td>`))}</tr>
    <tr>${columns.map((column, at) => {
    const here = order.key === column.key;
    const next = () => setOrder({ key: column.key, down: here ? !order.down : !column.text || Boolean(column.down) });
    return html`<th scope="col" class="${column.text ? "text" : ""}${begins(columns, at) ? " begins" : ""}" aria-sort=${here ? (order.down ? "descending" : "ascending") : "none"} title=${column.help}>
      <button onClick=${next}>${column.group && html`<span class="unseen">${column.group}: </span>`}${column.title}<span aria-hidden="true">${here ? (order.down ? " ↓" : " ↑") : ""}</span></button>
    </th>`;
  })}</tr>
  </thead>`;
}

const HOST = { up: "good", drains: "warn", down: "note", dead: "bad" };
const HEADS = [["Host"], ["State"], ["Accounts", ""], ["Told", ""], ["Records", ""], ["Configuration", ""], ["", "text long"]];

// The hosts of a fleet: which live, how old it is what each has told, since when not all of its records are in the database.
export function Hosts({ fleet }) {
  const lives = (row) => row.state === "up" || row.state === "drains";
  return html`<section aria-label="Hosts" class="hosts">
    ${fleet.database !== "there" && html`<p class="banner bad">The fleet's database has not answered this host for ${duration(fleet.away_s)}: ${fleet.problem}. What other hosts do is not known; nothing is sent without a lease.</p>`}
    <div class="scroll" tabindex="0" role="region" aria-label="Hosts of the fleet"><table>
      <caption class="unseen">Hosts of fleet ${fleet.name}</caption>
      <thead><tr>${HEADS.map(([title, kind]) => html`<th scope="col" class=${kind ?? "text"}>${title || html`<span class="unseen">Trouble</span>`}</th>`)}</tr></thead>
      <tbody>${fleet.hosts.map((row) => html`<tr key=${row.host}>
        <th scope="row" class="text">${row.host}${row.here ? html` <span class="dim">this page's</span>` : ""}</th>
        <td class="text" data-title="State"><${Sign} tone=${HOST[row.state] ?? "warn"} word=${row.state === "dead" ? `dead or silent for ${duration(row.seen_s)}` : row.state} /></td>
        <td data-title="Accounts">${count(row.accounts)} of ${count(row.capacity)}</td>
        <td data-title="Told">${lives(row) && row.lag_s !== null ? `${shortly(row.lag_s)} ago` : DASH}</td>
        <td data-title="Records">${row.records_s === null || row.records_s === undefined ? DASH
          : row.state === "down" && !row.records_s ? "all shipped" : `${shortly(row.records_s)} behind`}</td>
        <td data-title="Config" class=${row.configuration !== fleet.in_force && lives(row) ? "warn" : ""}>${row.configuration || DASH}</td>
        <td class="text long" data-title="Trouble">${row.trouble}</td>
      </tr>`)}</tbody>
    </table></div>
  </section>`;
}

// How old the history is, and what of it is not there; money of today and grid profit come from the records.
function Recorded({ known }) {
  const [, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const { answer, seenAt, problem } = known;
  const age = seenAt === null ? null : (performance.now() - seenAt) / 1000;
  const missing = Object.entries(answer?.problems ?? {});
  const words = [...new Set(missing.map(([, why]) => why))].map((why) => `${missing.filter(([, other]) => other === why).map(([part]) => part.replace("_", " ")).join(", ")}: ${why}`);
  if (answer?.pairs_waiting && answer.strategies.some((row) => row.total?.grid === null)) words.push(`grid profit of ${count(answer.pairs_waiting)} accounts is being worked out`);
  if (answer?.pairs_unknown.length) words.push(`grid profit of ${answer.pairs_unknown.join(", ")} takes longer than there is time for here; pnl has it`);
  return html`<p class="recorded dim">
    ${age === null ? (problem ? html`<span class="warn">▲ No history: ${problem}</span>` : "Reading the history…") : html`<span class=${age > 60 ? "warn" : ""}>${age > 60 ? "▲ " : ""}Today, grid profit, curves and last fills: ${duration(age)} old</span>${problem && html` <span class="warn">▲ ${problem}</span>`}`}
    ${words.map((text) => html` <span class="warn">▲ ${text}</span>`)}
  </p>`;
}

const remembered = (name, otherwise) => {
  try {
    return { ...otherwise, ...JSON.parse(localStorage.getItem(name) ?? "{}") };
  } catch {
    return otherwise;
  }
};

function useKept(name, otherwise) {
  const [value, setValue] = useState(() => remembered(name, otherwise));
  const keep = (next) => {
    localStorage.setItem(name, JSON.stringify(next));
    setValue(next);
  };
  return [value, keep];
}

export function Fleet({ rows, known, fleet = null }) {
  const [filter, setFilter] = useKept("gridbot-filter", { text: "", state: "", group: "", host: "" });
  const [order, setOrder] = useKept("gridbot-order", { key: "name", down: false });
  const [parts, setParts] = useKept("gridbot-parts", { split: innerWidth > 1700 });
  const columns = useMemo(() => COLUMNS.filter((column) => (parts.split || !column.split) && (fleet || !column.fleet)), [parts.split, !fleet]);
  const [open, setOpen] = useState(() => new Set());
  const shown = useMemo(() => sorted(chosen(rows, filter), order), [rows, filter, order]);
  const states = [...new Set(rows.map((row) => row.state))].sort();
  const groups = [...new Set(rows.flatMap((row) => row.groups))].sort();
  const hosts = fleet ? [...new Set(rows.map((row) => row.host))].sort() : [];
  const toggle = (id) => setOpen((before) => new Set(before.has(id) ? [...before].filter((each) => each !== id) : [...before, id]));
  const body = useMemo(() => shown.map((row) => html`<${Account} key=${row.id} row=${row} open=${open.has(row.id)} toggle=${toggle} columns=${columns} />`), [shown, open, columns]);
  const pick = (key) => (event) => setFilter({ ...filter, [key]: event.target.value });
  return html`<section aria-label="Fleet">
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Find <input type="search" name="find" value=${filter.text} onInput=${pick("text")} placeholder="account, symbol, state" /></label>
      <label>State <select name="state" value=${filter.state} onChange=${pick("state")}>
        <option value="">all</option><option value="trouble">anything wrong</option>
        ${states.map((state) => html`<option value=${state}>${state}</option>`)}
      </select></label>
      ${groups.length > 0 && html`<label>Group <select name="group" value=${filter.group} onChange=${pick("group")}>
        <option value="">all</option>${groups.map((group) => html`<option value=${group}>${group}</option>`)}
      </select></label>`}
      ${hosts.length > 1 && html`<label>Host <select name="host" value=${filter.host} onChange=${pick("host")}>
        <option value="">all</option>${hosts.map((host) => html`<option value=${host}>${host}</option>`)}
      </select></label>`}
      <label><input type="checkbox" name="split" checked=${parts.split} onChange=${(event) => setParts({ split: event.target.checked })} /> Split the money</label>
      <span class="dim" role="status">${count(shown.length)} of ${count(rows.length)} accounts</span>
    </form>
    <${Recorded} known=${known} />
    <div class="scroll fleet" tabindex="0" role="region" aria-label="Accounts">
      <table class=${parts.split ? "" : "few"}>
        <caption class="unseen">Accounts, a row for each; the button of a row shows its strategies</caption>
        <${Head} order=${order} setOrder=${setOrder} columns=${columns} />
        <tbody>${body.length ? body : html`<tr class="more"><td colspan=${columns.length}>No account fits what is chosen above.</td></tr>`}</tbody>
      </table>
    </div>
  </section>`;
}
