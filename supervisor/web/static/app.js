// The page: where it stands with the supervisor, and the view that its address names.
import { html, render, useEffect, useMemo, useState } from "./vendor/htm/standalone.module.js";
import { Fleet, Hosts } from "./fleet.js";
import { freshness, logOut, watch } from "./live.js";
import { OperationsView } from "./operations.js";
import { routeOf } from "./route.js";
import { fleetRecords, useFleetRecords } from "./records.js";
import { accountRows, allIncidents, totals } from "./rows.js";
import { Guarded } from "./shared.js";
import { StrategyView } from "./strategy.js";
import { DASH, aboutOf, count, duration, gain, money } from "./words.js";

function useNow(everyMs) {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

const SAYS = {
  active: () => "live",
  stale: (age) => `${duration(age)} old`,
  offline: (age) => (isFinite(age) ? `not live: what you see is ${duration(age)} old` : "not live"),
};

function Link({ live }) {
  const { word, age } = freshness(live, useNow(1000));
  return html`<span class="link ${word}" title="active: newer than 3.5 s; stale: newer than 15 s; offline: older, or not connected">
    <span aria-hidden="true">${{ active: "●", stale: "◐", offline: "○" }[word]}</span> ${SAYS[word](age)}
  </span>`;
}

function Lost({ live }) {
  const { word, age } = freshness(live, useNow(1000));
  if (live.link === "loggedOut") {
    return html`<p class="banner bad" role="alert">
      You are logged out: a login ends with the page's process. <code>gridbot-supervisor open</code> logs you in again,
      or <a href="/login">type a code</a>.
    </p>`;
  }
  const since = isFinite(age) ? ` What you see is ${duration(age)} old.` : "";
  if (live.problem) return html`<p class="banner bad">The supervisor does not answer: ${live.problem}.${since}</p>`;
  if (word !== "offline") return null;
  if (live.link !== "lost" && !live.model) return html`<p class="banner">Connecting…</p>`;
  return html`<p class="banner bad">The connection to the page's process is lost; it is tried again all the time.${since} Trading does not need it.</p>`;
}

const KINDS = { mainnet: "real money", testnet: "testnet", demo: "Bybit demo", paper: "paper", shadow: "shadow: sends nothing" };

const SUMS = [
  ["Equity", (row) => (row.kind === "shadow" ? DASH : money(row.equity))],
  ["Net today", (row) => html`<b class=${row.todayNet < 0 ? "minus" : ""}>${gain(row.todayNet)}</b>`],
  ["Grid today", (row) => gain(row.todayGrid)],
  ["Net", (row) => html`<b class=${row.net < 0 ? "minus" : ""}>${gain(row.net)}</b>`],
  ["Grid", (row) => gain(row.grid)],
  ["Realised", (row) => gain(row.realised)],
  ["Fees", (row) => gain(row.fees === null ? null : -row.fees)],
  ["Funding", (row) => gain(row.funding === null ? null : -row.funding)],
  ["Unrealised", (row) => gain(row.unrealised)],
  ["Orders", (row) => count(row.placed)],
  ["Fills", (row) => count(row.fills)],
  ["Strategies", (row) => count(row.strategies)],
  ["Accounts", (row) => (row.kind === "shadow" ? DASH : count(row.accounts))],
];

function Totals({ rows }) {
  return html`<section aria-label="Totals" class="totals">
    <table>
      <caption class="unseen">Totals, never of two kinds of money together</caption>
      <thead><tr><th scope="col" class="text">Total of</th>${SUMS.map(([title]) => html`<th scope="col">${title}</th>`)}</tr></thead>
      <tbody>${totals(rows).map(
        (row) => html`<tr key=${row.kind}>
          <th scope="row" class="text"><span class="kind ${row.kind}">${KINDS[row.kind] ?? row.kind}</span>${row.unheard > 0 && html` <span class="warn">▲ without ${count(row.unheard)} of ${count(row.kind === "shadow" ? row.strategies : row.accounts)}</span>`}</th>
          ${SUMS.map(([title, cell]) => html`<td data-title=${title}>${cell(row)}</td>`)}
        </tr>`,
      )}</tbody>
    </table>
  </section>`;
}

function Alerts({ model }) {
  const open = allIncidents(model).filter((row) => !row.muted_until);
  return html`<section aria-label="What is wrong" aria-live="polite" class="alerts">
    ${model.reasons.length > 0 && html`<ul class="reasons">${model.reasons.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
    ${open.length > 0 &&
    html`<details open=${open.length <= 3}>
      <summary>${count(open.length)} open ${open.length === 1 ? "alert" : "alerts"}</summary>
      <ul>
        ${open.map(
          (row) => html`<li key=${`${row.host ?? ""} ${row.account} ${row.strategy} ${row.child} ${row.key} ${row.cause}`} class=${row.acked ? "acked" : ""}>
            <b>${row.level}</b> ${aboutOf(row)}: ${row.text}
            <span class="dim"> since ${row.since.slice(0, 19).replace("T", " ")} UTC${row.count > 1 ? `, ${row.count} times` : ""}</span>
          </li>`,
        )}
      </ul>
    </details>`}
  </section>`;
}

function Processes({ model }) {
  const parts = [["writer", model.writer], ["paper exchange", model.paper], ["page", model.web]].filter(([, row]) => row);
  return html`<p class="processes dim">
    gridbot ${model.supervisor.version}, ${model.supervisor.state}, up ${duration(model.supervisor.uptime_s)}
    ${parts.map(([name, row]) => html`<span> · ${name} ${row.process.state.toLowerCase()}${row.process.restarts ? `, restarts ${row.process.restarts}` : ""}</span>`)}
    ${model.writer && html`<span> · records ${duration(model.writer.lag_s)} behind</span>`}
  </p>`;
}

// A view gets {model, rows, route, isLive}; `main` around it has what went wrong.
const VIEWS = { fleet: FleetView, strategy: StrategyView, operations: OperationsView };
const LINKS = [["#/", "Fleet", ["fleet", "strategy"]], ["#/operations", "Operations", ["operations"]]];

function FleetView({ model }) {
  const known = useFleetRecords();
  const records = useMemo(() => fleetRecords(known), [known.answer]);
  const rows = useMemo(() => accountRows(model, records), [model, records]);
  return html`
    <${Alerts} model=${model} />
    <${Totals} rows=${rows} />
    ${model.fleet && html`<${Hosts} fleet=${model.fleet} />`}
    <${Fleet} rows=${rows} known=${known} fleet=${model.fleet} />
    <p class="dim">
      All money in USDT; a day begins at 00:00 UTC. <b>Grid</b> is what matched pairs made: each close with the opening fill that it closes,
      before fees. <b>Net</b> = realised − fees − funding + unrealised, at the prices of now; today's has no unrealised. A grid can have
      earned on every close and still be below zero, while its open position has lost more.
    </p>
    <${Processes} model=${model} />
  `;
}

function Nowhere() {
  return html`<p>There is nothing at this address. <a href="#/">The fleet</a> is here.</p>`;
}

function Shown({ model, route, isLive }) {
  const rows = useMemo(() => accountRows(model), [model]);
  const View = Object.hasOwn(VIEWS, route.view) ? VIEWS[route.view] : Nowhere;
  return html`<${View} ...${{ model, rows, route, isLive }} />`;
}

function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const place = `${route.view} ${route.account ?? ""} ${route.strategy ?? ""}`;
  const [shown, setShown] = useState(place);
  useEffect(() => {
    document.title = route.strategy ? `${route.account} / ${route.strategy} · gridbot` : "gridbot";
    if (shown === place) return;
    setShown(place);
    scrollTo(0, 0);
    document.querySelector("main")?.focus({ preventScroll: true });
  }, [place]);
  return route;
}

function Page() {
  const [live, setLive] = useState({ model: null, seenAt: null, problem: "", link: "connecting" });
  useEffect(() => watch(setLive), []);
  const route = useRoute();
  const { model } = live;
  const isLive = live.link === "open" && !live.problem;
  return html`
    <header>
      <h1>gridbot</h1>
      ${model && html`<span class="health ${model.health === "healthy" ? "good" : "warn"}">${model.health === "healthy" ? "✓" : "▲"} ${model.health}</span>`}
      <${Link} live=${live} />
      <nav aria-label="Views">${LINKS.map(([to, name, views]) => html`<a href=${to} aria-current=${views.includes(route.view) ? (views[0] === route.view ? "page" : "true") : undefined}>${name}</a>`)}</nav>
      <span class="grow"></span>
      <button onClick=${logOut}>Log out</button>
    </header>
    <div><${Lost} live=${live} /></div>
    ${model && html`<main tabindex="-1" class=${isLive ? "" : "old"}><${Guarded} key=${route.view} name=${route.view}><${Shown} ...${{ model, route, isLive }} /><//></main>`}
  `;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${Page} />`, place);
