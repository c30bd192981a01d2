// One strategy: its ladder as it is now, why orders are missing, its position, and its past.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm/standalone.module.js";
import { History, useHistory } from "./history.js";
import { LEGS, ladderRows, reasonsOf, spanOf, weightWord, whoseReason } from "./ladder.js";
import { LadderPicture } from "./ladder_picture.js";
import { ask } from "./live.js";
import { RANGES, linkTo } from "./route.js";
import { TONES, allAccounts, number } from "./rows.js";
import { Copy, Guarded, Sign } from "./shared.js";
import { count, duration, gain, leg as legText, percent, priced, short } from "./words.js";

const AGAIN_MS = 2000;

// What its worker says of it, asked again and again while somebody looks: {why, seenAt, problem}.
function useWhy(account, strategy) {
  const [told, setTold] = useState({ why: null, seenAt: null, problem: "" });
  useEffect(() => {
    let over = false, timer;
    setTold({ why: null, seenAt: null, problem: "" });
    const look = async () => {
      if (!document.hidden) {
        try {
          const answer = await ask(`/api/strategy/${encodeURIComponent(account)}/${encodeURIComponent(strategy)}`);
          if (!answer.ok) throw new Error((await answer.text()).trim());
          const { why, age_s, problem } = await answer.json();
          if (!over) setTold((before) => (why ? { why, seenAt: performance.now() - age_s * 1000, problem } : { ...before, problem }));
        } catch (error) {
          if (!over) setTold((before) => ({ ...before, problem: error.message }));
        }
      }
      if (!over) timer = setTimeout(look, AGAIN_MS);
    };
    const back = () => document.hidden || (clearTimeout(timer), look());
    document.addEventListener("visibilitychange", back);
    look();
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", back);
    };
  }, [account, strategy]);
  return told;
}

// The prices since this page looks at it, [ms, price], by the supervisor's clock.
const MOST_SEEN = 3600;
function useSeen(key, time, price) {
  const seen = useRef({ key, points: [] });
  if (seen.current.key !== key) seen.current = { key, points: [] };
  const { points } = seen.current;
  while (points.length && points.at(-1)[0] > time) points.pop(); // its clock was set back
  if (price && time > (points.at(-1)?.[0] ?? 0)) {
    points.push([time, price]);
    if (points.length > MOST_SEEN) points.splice(0, MOST_SEEN / 2);
  }
  return points;
}

function useWidth() {
  const place = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  return [place, width];
}

const STATES = { pending: "on its way", unresolved: "may rest or not", pending_cancel: "being withdrawn", open: "", partially_filled: "" };

function cellText(cell) {
  if (!cell) return "";
  const what = `${cell.side} ${cell.qtyText}${cell.closes ? " closes" : " opens"}`.replace("  ", " ");
  const filled = cell.filled ? `, ${cell.filledText} filled` : "";
  if (cell.qty === null) return `${cell.side} missing`;
  return `${what}${filled}${cell.mark || STATES[cell.state] === "" ? "" : `: ${STATES[cell.state] ?? cell.state.replaceAll("_", " ")}`}`;
}

function Cell({ cell }) {
  if (!cell) return html`<span class="dim">–</span>`;
  const name = cell.qty === null ? "dim" : cell.side === "Buy" ? "buy" : "sell";
  return html`<span class=${name}>${cellText(cell)}</span>${cell.mark && html` <a class="why ${cell.weight}" href="#reason-${cell.mark}" title=${cell.why} onClick=${(event) => (event.preventDefault(), document.getElementById(`reason-${cell.mark}`)?.focus())}>${cell.mark}</a>`}`;
}

function Levels({ rows, picked, pick }) {
  return html`<div class="scroll levels" tabindex="0" role="region" aria-label="Levels">
    <table>
      <caption class="unseen">Levels of the ladder from the highest down, with the orders of both legs; a letter names the reason below</caption>
      <thead><tr><th scope="col">Price</th><th scope="col">From last</th><th scope="col" class="text">Long</th><th scope="col" class="text">Short</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.price} class=${row.price === picked ? "picked" : ""} onMouseEnter=${() => pick(row.price)} onMouseLeave=${() => pick(null)}>
        <th scope="row">${priced(row.price)}</th><td>${percent(row.away)}</td>
        ${row.side || row.long || row.short
          ? LEGS.map((leg) => html`<td class="text" data-title=${leg}><${Cell} cell=${row[leg]} /></td>`)
          : html`<td class="text dim" colspan="2">waits: nothing is placed here</td>`}
      </tr>`)}</tbody>
    </table>
  </div>`;
}

function Legend() {
  const key = (inside, text) => html`<li><svg width="22" height="14" aria-hidden="true">${inside}</svg> ${text}</li>`;
  return html`<ul class="legend ladder">
    ${key(html`<rect class="bar buy opens" x="1" y="2" width="20" height="10" />`, "Buy that opens")}
    ${key(html`<rect class="bar sell opens" x="1" y="2" width="20" height="10" />`, "Sell that opens")}
    ${key(html`<rect class="bar sell closes" x="1" y="2" width="20" height="10" />`, "hollow: closes")}
    ${key(html`<rect class="bar buy opens away" x="1" y="2" width="20" height="10" />`, "does not rest yet")}
    ${key(html`<text class="mark held" x="2" y="8">A</text>`, "missing: its reason below")}
    ${key(html`<path class="fill buy opens" d="M6 2l4 8h-8z" /><path class="fill sell opens" d="M17 11l4-8h-8z" />`, "fill: Buy up, Sell down")}
    ${key(html`<rect class="band" x="0" y="0" width="22" height="14" />`, "waits: nothing is placed")}
  </ul>`;
}

function readout(row) {
  if (!row) return "Point at a level, or press ↑ and ↓ here.";
  const of = (leg) => (row[leg] ? `${leg}: ${cellText(row[leg])}${row[leg].why ? ` (${row[leg].why})` : ""}` : "");
  return `${priced(row.price)}, ${percent(row.away)} from the last price. ${LEGS.map(of).filter(Boolean).join(". ") || "Nothing is placed here."}`;
}

function Ladder({ why, rows, last, now, history, seen, range }) {
  const [place, width] = useWidth();
  const [picked, pick] = useState(null);
  const begin = seen[0]?.[0] ?? now;
  const prices = [...history.prices.filter(([at]) => at < begin), ...seen];
  const first = Math.min(now - 60000, prices[0]?.[0] ?? now, history.fills[0]?.at ?? now);
  const from = RANGES[range] === null ? first : Math.max(first, now - RANGES[range] * 1000);
  const keys = (event) => {
    const at = rows.findIndex((row) => row.price === picked);
    const to = { ArrowDown: at < 0 ? Math.floor(rows.length / 2) : at + 1, ArrowUp: at < 0 ? Math.floor(rows.length / 2) : at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (event.key === "Escape") pick(null);
    if (to === undefined || !rows.length) return;
    event.preventDefault();
    pick(rows[Math.min(rows.length - 1, Math.max(0, to))].price);
  };
  return html`<div class="ladder-pair">
    <div>
      <div class="picture" ref=${place} tabindex="0" role="group" aria-label="Ladder; the arrow keys go from level to level" onKeyDown=${keys}>
        ${width > 0 && html`<${LadderPicture} ...${{ rows, why, last, prices, fills: history.fills, from, to: now, width, picked, pick }} />`}
      </div>
      <p class="readout dim">${readout(rows.find((row) => row.price === picked))}</p>
      <${Legend} />
    </div>
    <${Levels} ...${{ rows, picked, pick }} />
  </div>`;
}

function Reasons({ reasons, why }) {
  if (!reasons.length) return html`<p class="dim">No order is missing: all ${count(why.wanted)} that are wanted rest.</p>`;
  return html`<ul class="reasons-list">${reasons.map((reason) => html`
    <li key=${reason.mark} id="reason-${reason.mark}" tabindex="-1" class=${reason.weight}>
      <b class="why ${reason.weight}">${reason.mark}</b>
      <span><b>${weightWord(reason.weight)}</b>, ${whoseReason(reason)}, ${spanOf(reason).map(priced).join(" to ")}: ${reason.text}${reason.next_s > 0.05 ? `; tried again in ${reason.next_s.toFixed(1)} s` : ""}
      ${reason.lifted_by && html`<br /><span class="dim">changed by</span> <code>${reason.lifted_by}</code> <${Copy} text=${reason.lifted_by} />`}</span>
    </li>`)}
    ${why.left_out > 0 && html`<li>and ${count(why.left_out)} more that do not rest</li>`}
  </ul>`;
}

function Holds({ holds }) {
  if (!holds.length) return null;
  return html`<ul class="holds" aria-label="What holds it">${holds.map((row) => html`<li key=${row.of + row.what}>
    <b>${row.what.replaceAll("_", " ")}${row.of === "account" ? " (the whole account)" : ""}</b>: ${row.text}
    ${row.since_ms ? html`<span class="dim"> since ${new Date(row.since_ms).toISOString().slice(0, 19).replace("T", " ")} UTC</span>` : ""}${row.left_s ? ` for ${duration(row.left_s)} more` : ""}
    ${row.lifted_by && html`<br /><span class="dim">lifted by</span> <code>${row.lifted_by}</code> <${Copy} text=${row.lifted_by} />`}
  </li>`)}</ul>`;
}

function Leg({ row, model }) {
  const held = Number(row.size) !== 0;
  const far = row.liq_distance_percent;
  const away = far === null ? "" : far < 0 ? `, the mark is ${-far} % beyond it` : `, ${far} % away`;
  const factors = row.multiplier_buy === "1" && row.multiplier_sell === "1" ? "as configured" : `Buy × ${row.multiplier_buy}, Sell × ${row.multiplier_sell}`;
  return html`<div class="card"><div class="title">${row.leg}</div><dl>
    <div><dt>Position</dt><dd>${held ? legText(row) : "flat"}</dd></div>
    <div><dt>Unrealised</dt><dd>${held ? gain(number(model?.upnl)) : "–"}</dd></div>
    <div><dt>Liquidation</dt><dd>${row.liq ? `${priced(short(row.liq))}${away}` : held ? "no price: far away" : "–"}</dd></div>
    <div><dt>Leverage</dt><dd>${row.leverage ? `${row.leverage} ×` : "–"}</dd></div>
    <div><dt>Order sizes</dt><dd>${factors}</dd></div>
  </dl></div>`;
}

const COUNT = (text) => count(Number(Number(text).toFixed(Math.abs(Number(text)) < 100 ? 4 : 0)));

function Caps({ caps }) {
  if (!caps.length) return null;
  return html`<div class="card caps"><table><caption class="title">Caps</caption><thead class="unseen"><tr><th>Cap</th><th>Used</th><th>Limit</th></tr></thead>
    <tbody>${caps.map((cap) => html`<tr key=${cap.name}><th scope="row" class="text">${cap.name.replaceAll("_", " ")}</th>
      <td><span class="gauge" aria-hidden="true"><span class=${cap.percent > 80 ? "warn" : ""} style=${{ width: `${Math.min(100, cap.percent ?? 0)}%` }}></span></span></td>
      <td>${cap.percent === null ? "–" : `${cap.percent} %`}</td><td class="dim">of ${COUNT(cap.limit)} ${cap.unit}</td></tr>`)}</tbody></table></div>`;
}

const FACTS = [
  ["Net", (row) => html`<b class=${row.net < 0 ? "minus" : ""}>${gain(row.net)}</b>`],
  ["Realised", (row) => gain(row.realised)],
  ["Fees", (row) => gain(row.fees === null ? null : -row.fees)],
  ["Funding", (row) => gain(row.funding === null ? null : -row.funding)],
  ["Unrealised", (row) => gain(row.unrealised)],
  ["Fills", (row) => count(row.fills)],
];

function Facts({ row, why, age }) {
  return html`<dl class="facts">
    <div><dt>Last price</dt><dd><b>${priced(row.price)}</b></dd></div>
    <div><dt>Mark</dt><dd>${priced(why?.ladder?.mark_price)}</dd></div>
    <div><dt>Orders resting</dt><dd>${why && !why.not_started ? `${why.placed} of ${why.wanted}` : "–"}</dd></div>
    ${FACTS.map(([title, cell]) => html`<div><dt>${title}</dt><dd>${cell(row)}</dd></div>`)}
    <div><dt>Told by its worker</dt><dd class=${age > 6 ? "warn" : ""}>${age === null ? "–" : age < 3 ? "now" : `${duration(age)} ago`}</dd></div>
  </dl>`;
}

function Ranges({ route }) {
  return html`<nav class="ranges" aria-label="How much of the past">${Object.keys(RANGES).map((range) => html`<a href=${linkTo(route.account, route.strategy, range)} aria-current=${range === route.range ? "true" : undefined}>${range}</a>`)}</nav>`;
}

export function StrategyView({ model, rows, route, isLive }) {
  const { account, strategy, range } = route;
  const owner = rows.find((each) => each.id === account);
  const row = owner?.strategies.find((each) => each.id === strategy);
  const known = allAccounts(model).find((each) => each.account === account)?.strategies.find((each) => each.strat_id === strategy);
  const { why, seenAt, problem } = useWhy(account, strategy);
  const now = Date.parse(model.time);
  const last = number(known?.last_price) ?? number(why?.last_price);
  const seen = useSeen(`${account}/${strategy}`, now, number(known?.last_price));
  const history = useHistory({ account, strategy, range, now, fills: row?.fills ?? 0 });
  const reasons = useMemo(() => (why?.missing ? reasonsOf(why.missing) : []), [why]);
  const levels = useMemo(() => (why?.ladder ? ladderRows(why, reasons) : []), [why]);
  if (!row) {
    const others = owner ? owner.strategies.map((each) => html` <a href=${linkTo(account, each.id)}>${each.id}</a>`) : "";
    return html`<p><a href="#/">Fleet</a></p><p>There is no strategy ${strategy} of an account ${account} here.${owner ? " It has" : ""}${others}</p>`;
  }
  const age = seenAt === null ? null : (performance.now() - seenAt) / 1000;
  const tone = TONES[row.tone];
  return html`
    <nav class="crumbs" aria-label="Where this is"><a href="#/">Fleet</a> <span aria-hidden="true">›</span> ${account} <span aria-hidden="true">›</span>
      <h2>${strategy}</h2> <span class="dim">${row.symbol}</span> <span class="kind ${row.kind}">${row.kind}</span>
      <${Sign} tone=${tone} word=${row.state} />
      ${model.supervisor.configuration?.page_commands && html`<a href="#/operations?for=${encodeURIComponent(`${account}/${strategy}`)}">Give a command</a>`}</nav>
    ${owner.afar && html`<p class=${owner.silent ? "banner bad" : "dim"}>${owner.silent ? `${owner.why}.` : `Host ${owner.host} has ${account}: it told what you see ${owner.age < 1 ? "just now" : `${duration(owner.age)} ago`}, and answers for its worker.`} Commands go there.</p>`}
    ${row.why && !why?.holds?.length && html`<p class=${tone}>${row.why}</p>`}
    ${isLive && model.accounts.some((each) => each.account === account && each.process.state !== "RUNNING") && html`<p class="banner bad">The worker of ${account} does not run, it is ${owner.state}${owner.why ? `: ${owner.why}` : ""}.</p>`}
    ${isLive && problem && html`<p class="banner bad">Its worker says nothing new: ${problem}.${age === null ? "" : ` The ladder is ${duration(age)} old.`}</p>`}
    <${Facts} row=${row} why=${why} age=${age} />
    ${why && html`<${Holds} holds=${why.holds} />`}
    ${why?.ladder && html`
      <section aria-labelledby="ladder-title"><div class="section-head"><h3 id="ladder-title">Ladder</h3><${Ranges} route=${route} /></div>
        ${levels.length ? html`<${Ladder} ...${{ why: { ...why, last_price: known?.last_price ?? why.last_price }, rows: levels, last, now, history, seen, range }} />` : html`<p class="dim">It has no ladder yet: no price has come.</p>`}
      </section>
      <section aria-labelledby="missing-title"><h3 id="missing-title">Why orders are missing</h3><${Reasons} reasons=${reasons} why=${why} /></section>
      <section aria-labelledby="position-title"><h3 id="position-title">Position and rules</h3>
        <div class="cards">${why.legs.map((each) => html`<${Leg} key=${each.leg} row=${each} model=${known?.[each.leg]} />`)}
          <div class="card"><div class="title">Risk rule in force</div>${why.rules.length ? why.rules.map((text) => html`<p>${text}${why.low_balance ? " (low balance: closes keep their size)" : ""}</p>`) : html`<p class="dim">None: orders have their configured size.</p>`}</div>
          <${Caps} caps=${why.caps} /></div>
      </section>`}
    ${!why && !problem && html`<p class="dim">Asking its worker…</p>`}
    <${Guarded} key=${`${account}/${strategy}`} name="the past"><${History} history=${history} route=${route} kind=${row.kind} /><//>
  `;
}
