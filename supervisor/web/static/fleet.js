// The table of the fleet: a row for each account, its strategies below it when it is opened.
import { html, useMemo, useState } from "./vendor/htm/standalone.module.js";
import { linkTo } from "./route.js";
import { TONES, chosen, sorted } from "./rows.js";
import { count, duration, gain, leg, money, orders, share } from "./words.js";

const SIGNS = { good: "●", note: "◆", warn: "▲", bad: "■" };

const COLUMNS = [
  { key: "name", title: "Account", text: true },
  { key: "kind", title: "Money", text: true, cell: (row) => html`<span class="kind ${row.kind}">${row.kind}</span>` },
  { key: "tone", title: "State", text: true, down: true, cell: (row) => html`<${State} row=${row} />` },
  { key: "why", title: "Why not trading", text: true, wide: true },
  { key: "equity", title: "Equity", cell: (row) => ("equity" in row ? money(row.equity) : "") },
  { key: "net", title: "Net", cell: (row) => html`<span class=${row.net < 0 ? "minus" : ""}>${gain(row.net)}</span>` },
  { key: "realised", title: "Realised", cell: (row) => gain(row.realised) },
  { key: "fees", title: "Fees", cell: (row) => gain(row.fees === null ? null : -row.fees) },
  { key: "funding", title: "Funding", cell: (row) => gain(row.funding === null ? null : -row.funding) },
  { key: "unrealised", title: "Unrealised", cell: (row) => gain(row.unrealised) },
  { key: "placed", title: "Orders", help: "placed, of those that are wanted", cell: orders },
  { key: "fills", title: "Fills", cell: (row) => count(row.fills) },
  { key: "liquidation", title: "To liquidation", help: "how far the price may go, at least", cell: (row) => share(row.liquidation) },
  { key: "reconcile", title: "Compared", help: "since orders were last compared with the exchange", cell: (row) => ("reconcile" in row ? duration(row.reconcile) : "") },
  { key: "restarts", title: "Restarts", cell: (row) => ("restarts" in row ? count(row.restarts) : "") },
  { key: "alerts", title: "Alerts", cell: (row) => ("alerts" in row ? html`<span class=${row.alerts ? "bad" : ""}>${count(row.alerts)}</span>` : "") },
];

function State({ row }) {
  const tone = TONES[row.tone];
  return html`<span class="state ${tone}"><span aria-hidden="true">${SIGNS[tone]}</span> ${row.state}</span>`;
}

function Cells({ row, first }) {
  return COLUMNS.map((column, at) => {
    const inside = column.cell ? column.cell(row) : row[column.key];
    const name = `${column.text ? "text" : "figure"}${column.wide ? " wide" : ""}`;
    if (at === 0) return html`<th scope="row" class="text">${first}</th>`;
    return html`<td class=${name} data-title=${column.title} title=${column.wide ? row.why : undefined}>${inside}</td>`;
  });
}

function Account({ row, open, toggle }) {
  const few = row.groups.length ? html` <span class="dim">${row.groups.join(", ")}</span>` : null;
  const first = html`<button class="open" aria-expanded=${open} onClick=${() => toggle(row.id)}>
    <span aria-hidden="true">${open ? "▾" : "▸"}</span> ${row.name}
  </button>${few}`;
  return html`
    <tr class="account is-${TONES[row.tone]}"><${Cells} row=${row} first=${first} /></tr>
    ${open && row.strategies.map((each) => html`<${Strategy} key=${each.id} row=${each} />`)}
    ${open && row.open.map((each) => html`<tr class="more alert"><td colspan=${COLUMNS.length}><b>${each.level}</b> ${each.strategy} ${each.text}</td></tr>`)}
  `;
}

function Strategy({ row }) {
  const first = html`<a class="below" href=${linkTo(row.account, row.name)}>${row.name}</a>`;
  return html`
    <tr class="strategy"><${Cells} row=${row} first=${first} /></tr>
    <tr class="more"><td colspan=${COLUMNS.length}>
      ${row.symbol} at ${row.price ?? "no price yet"} · long ${leg(row.long)} · short ${leg(row.short)}
    </td></tr>
  `;
}

function Head({ order, setOrder }) {
  return html`<thead><tr>${COLUMNS.map((column) => {
    const here = order.key === column.key;
    const next = () => setOrder({ key: column.key, down: here ? !order.down : !column.text || Boolean(column.down) });
    return html`<th scope="col" class=${column.text ? "text" : "figure"} aria-sort=${here ? (order.down ? "descending" : "ascending") : "none"} title=${column.help}>
      <button onClick=${next}>${column.title}<span aria-hidden="true">${here ? (order.down ? " ↓" : " ↑") : ""}</span></button>
    </th>`;
  })}</tr></thead>`;
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

export function Fleet({ rows }) {
  const [filter, setFilter] = useKept("gridbot-filter", { text: "", state: "", group: "" });
  const [order, setOrder] = useKept("gridbot-order", { key: "name", down: false });
  const [open, setOpen] = useState(() => new Set());
  const shown = useMemo(() => sorted(chosen(rows, filter), order), [rows, filter, order]);
  const states = [...new Set(rows.map((row) => row.state))].sort();
  const groups = [...new Set(rows.flatMap((row) => row.groups))].sort();
  const toggle = (id) => setOpen((before) => new Set(before.has(id) ? [...before].filter((each) => each !== id) : [...before, id]));
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
      <span class="dim" role="status">${count(shown.length)} of ${count(rows.length)} accounts</span>
    </form>
    <div class="scroll" tabindex="0" role="region" aria-label="Accounts">
      <table>
        <caption class="unseen">Accounts, a row for each; the button of a row shows its strategies</caption>
        <${Head} order=${order} setOrder=${setOrder} />
        <tbody>${shown.map((row) => html`<${Account} key=${row.id} row=${row} open=${open.has(row.id)} toggle=${toggle} />`)}</tbody>
      </table>
    </div>
  </section>`;
}
