// Operations: processes, open alerts, commands and who gave them, the configuration in force, backtests and reports.
import { html, useState } from "./vendor/htm/standalone.module.js";
import { Commands, useGive } from "./commands.js";
import { pageKey } from "./live.js";
import { Copy, Sign, useAsked } from "./shared.js";
import { allIncidents } from "./rows.js";
import { DASH, aboutOf, count, duration } from "./words.js";

const TONE = { RUNNING: "good", STARTING: "note", STOPPING: "warn", STOPPED: "warn", BACKOFF: "bad", FATAL: "bad" };
const WRITTEN_MS = 3000; // until a command is in the records
const size = (bytes) => (bytes === null || bytes === undefined ? DASH : bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const when = (text) => (text ? String(text).slice(0, 19).replace("T", " ") : DASH);

function Section({ id, title, children }) {
  return html`<section aria-labelledby=${id}><h3 id=${id}>${title}</h3>${children}</section>`;
}

function Table({ name, head, rows, short }) {
  return html`<div class="scroll ${short ? "short" : ""}" tabindex="0" role="region" aria-label=${name}><table>
    <thead><tr>${head.map(([title, kind]) => html`<th scope="col" class=${kind ?? "text"}>${title}</th>`)}</tr></thead>
    <tbody>${rows.map(({ key, cells }) => html`<tr key=${key}>${cells.map((cell, at) => {
      const kind = head[at][1] ?? "text";
      return at === 0 ? html`<th scope="row" class=${kind}>${cell}</th>` : html`<td class=${kind} data-title=${head[at][0]}>${cell}</td>`;
    })}</tr>`)}</tbody>
  </table></div>`;
}

const State = ({ word }) => html`<${Sign} tone=${TONE[word] ?? "warn"} word=${word.toLowerCase()} />`;

const PROCESS = [["Process"], ["State"], ["Id", ""], ["Up", ""], ["Memory", ""], ["Restarts", ""], ["Last report", ""], ["Why; how the last one ended", "text long"]];

function Processes({ model }) {
  const own = model.supervisor;
  const all = [...[model.writer, model.paper, model.web].filter(Boolean), ...model.accounts].map((part) => part.process);
  const parts = [...all.filter((row) => row.state !== "RUNNING"), ...all.filter((row) => row.state === "RUNNING")]; // what does not run, first
  const first = { key: "supervisor", cells: ["supervisor", html`<${State} word=${own.state === "running" ? "RUNNING" : own.state.toUpperCase()} />`, own.pid, duration(own.uptime_s), size(own.rss), DASH, DASH, `gridbot ${own.version}, ${own.data_dir}`] };
  const rows = parts.map((row) => ({
    key: row.name,
    cells: [row.name, html`<${State} word=${row.state} />`, row.pid ?? DASH, duration(row.uptime_s), size(row.rss), count(row.restarts),
      row.report_age_s === null ? DASH : `${row.report_age_s.toFixed(1)} s`, [row.reason, row.last_exit].filter(Boolean).join("; ")],
  }));
  return html`<${Section} id="processes" title=${`Processes${model.fleet ? ` of host ${model.fleet.host}` : ""} (${rows.length + 1})`}><${Table} name="Processes" head=${PROCESS} rows=${[first, ...rows]} short /><//>`;
}

const ALERT = [["Id"], ["Level"], ["About"], ["Kind"], ["Since, UTC", ""], ["Times", ""], ["What", "text long"], ["Looked after by", "text long"]];

function Alerts({ model, may, given }) {
  const [said, give] = useGive(given);
  const open = allIncidents(model);
  const rows = open.map((row) => {
    const about = aboutOf(row);
    const by = row.acked ? `${row.acked.by} ${when(row.acked.at)}` : "nobody";
    const buttons = html`<span class="buttons">
      ${!row.acked && html`<button class="small" onClick=${() => give(row.id, "ack", { alert: row.id })} aria-label=${`Acknowledge ${row.id}`}>Acknowledge</button>`}
      ${row.muted_until
        ? html`<button class="small" onClick=${() => give(row.id, "unmute", { what: row.id })} aria-label=${`Unmute ${row.id}`}>Unmute</button>`
        : html`<button class="small" onClick=${() => give(row.id, "mute", { what: row.id, period: "1h" })} aria-label=${`Mute for 1 h: ${row.id}`}>Mute for 1 h</button>`}
      ${said[row.id] && html`<span role="status">${said[row.id]}</span>`}
    </span>`;
    return { key: row.id, cells: [row.id, row.level, about || "the fleet", row.key, when(row.since), count(row.count), row.text, html`${by}${row.muted_until ? `, muted until ${when(row.muted_until)}` : ""} ${may && buttons}`] };
  });
  return html`<${Section} id="alerts" title=${`Open alerts (${open.length})`}>
    ${rows.length ? html`<${Table} name="Open alerts" head=${ALERT} rows=${rows} short />` : html`<p class="dim">No alert is open.</p>`}
  <//>`;
}

// Columns of the records that are shown, with title and kind; the SQL has the others.
const RECORDED = {
  ts: ["Time, UTC"], account: ["Account"], strategy: ["Strategy"], who: ["Who"], name: ["Command"], target: ["For"], ok: ["Done"], result: ["What came of it", "text long"], args: ["With", "text long"],
  level: ["Level"], phase: ["Phase"], text: ["What", "text long"], count: ["Times", ""],
};

function recorded(name, value) {
  if (value === null || value === undefined || value === "") return DASH;
  if (name === "ts") return when(value);
  if (name === "ok") return value ? "yes" : html`<b class="bad">no</b>`;
  return name === "args" ? value.replace(/^\{|\}$|"/g, "").replaceAll(",", ", ").replaceAll(":", ": ") : String(value);
}

// Rows of /api/rows/NAME, the newest first, with the SQL behind them.
function Records({ id, title, name, turn, empty }) {
  const { found, problem } = useAsked(`/api/rows/${name}?limit=200`, turn);
  const columns = (found?.columns ?? []).map((each, at) => [each.name ?? each, at]).filter(([name]) => name in RECORDED);
  const head = columns.map(([name]) => RECORDED[name]);
  const rows = (found?.rows ?? []).toReversed().map((row, key) => ({ key, cells: columns.map(([name, at]) => recorded(name, row[at])) }));
  return html`<${Section} id=${id} title=${title}>
    ${(problem || found?.problem) && html`<p class="bad">${problem || found.problem}</p>`}
    ${!found && !problem && html`<p class="dim">Reading…</p>`}
    ${found && (rows.length ? html`<${Table} name=${title} head=${head} rows=${rows} short />` : !found.problem && html`<p class="dim">${empty}</p>`)}
    ${found?.sql && html`<p class="buttons"><${Copy} text=${found.sql} title="Copy SQL" /></p>`}
  <//>`;
}

const SETTING = [["Key"], ["Value", "text long"], ["Where from", "text long"]];

function Settings({ told }) {
  const [of, setOf] = useState("");
  const { found, problem } = useAsked(`/api/settings?of=${encodeURIComponent(of)}`, `${told.file} ${told.problem}`);
  const [only, setOnly] = useState(true);
  const shown = (value) => (value === null ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const rows = (found ?? []).filter((row) => !only || row.kind !== "built-in").map((row) => ({
    key: row.key,
    cells: [row.key, html`<span class=${row.kind === "running" ? "warn" : ""}>${shown(row.value)}</span>`,
      [row.source || "own key", row.line && `line ${row.line}`, ...(row.variables ?? [])].filter(Boolean).join(", ")],
  }));
  return html`
    <form class="filter" onSubmit=${(event) => event.preventDefault()}>
      <label>Of <select name="settings-of" value=${of} onChange=${(event) => setOf(event.target.value)}>
        ${told.settings.map((each) => html`<option value=${each.name}>${each.name ? `${each.section} ${each.name}` : "the whole file"}</option>`)}
      </select></label>
      <label><input type="checkbox" checked=${only} onChange=${(event) => setOnly(event.target.checked)} /> only what somebody has set</label>
      <span class="dim">${told.file}; secrets are shown as set or not set</span>
    </form>
    ${problem && html`<p class="bad">${problem}</p>`}
    ${!found && !problem && html`<p class="dim">Reading…</p>`}
    ${found && (rows.length ? html`<${Table} name="Configuration in force" head=${SETTING} rows=${rows} short />` : html`<p class="dim">All of it is built-in defaults.</p>`)}`;
}

// A report opens in a tab of its own, without the page's rights: by a form, since the key belongs into no address.
function Report({ name }) {
  return html`<form class="inline" method="post" action="/api/report" target="_blank" rel="noopener">
    <input type="hidden" name="key" value=${pageKey()} /><input type="hidden" name="name" value=${name} /><button class="small">${name}</button>
  </form>`;
}

function Shelf({ told }) {
  const rows = told.backtests.map((run) => ({
    key: run.name,
    cells: [run.name, when(run.written), size(run.bytes), html`<span class="buttons">${run.reports.map((name) => html`<${Report} name=${name} />`)} <${Copy} text=${run.command} title="Copy the command for a report" /></span>`],
  }));
  const reports = told.reports.map((row) => ({ key: row.name, cells: [html`<${Report} name=${row.name} />`, when(row.written), size(row.bytes)] }));
  return html`
    <${Section} id="backtests" title=${`Backtests (${rows.length})`}>
      ${rows.length ? html`<${Table} name="Backtests" head=${[["Name"], ["Written, UTC", ""], ["Size", ""], ["Reports", "text long"]]} rows=${rows} short />` : html`<p class="dim">No backtest is in the data directory.</p>`}
    <//>
    ${reports.length > 0 && html`<${Section} id="reports" title=${`Reports of what was traded (${reports.length})`}>
      <${Table} name="Reports" head=${[["Report"], ["Written, UTC", ""], ["Size", ""]]} rows=${reports} short />
    <//>`}`;
}

export function OperationsView({ model, route }) {
  const [turn, setTurn] = useState(0);
  const read = () => setTurn((before) => before + 1);
  const given = () => (read(), setTimeout(read, WRITTEN_MS));
  const configuration = model.supervisor.configuration ?? {};
  const { found: told, problem } = useAsked("/api/operations", `${turn} ${configuration.hash} ${configuration.file_differs}`);
  const may = Boolean(configuration.page_commands);
  return html`
    <div class="section-head"><h2>Operations</h2><button onClick=${read}>Read records again</button></div>
    <${Processes} model=${model} />
    <${Alerts} model=${model} may=${may} given=${given} />
    <${Section} id="commands" title="Give a command"><${Commands} model=${model} given=${given} whom=${route.whom} /><//>
    <${Records} id="operator-log" title="Operator log" name="commands" turn=${turn} empty="Nobody has given a command yet." />
    <${Records} id="told" title="Alerts that were told" name="incidents" turn=${turn} empty="No alert was told yet." />
    <${Section} id="configuration" title="Configuration in force">
      <p>Since ${when(configuration.since)} UTC, ${configuration.hash}.${configuration.file_differs ? html` <b class="warn">The file says something else by now.</b>` : ""}${configuration.waiting?.length ? html` <b class="warn">After a restart: ${configuration.waiting.join(", ")}.</b>` : ""}</p>
      ${(problem || told?.problem) && html`<p class="bad">${problem || told.problem}</p>`}
      ${told && html`<${Settings} told=${told} />`}
    <//>
    ${told && html`<${Shelf} told=${told} />`}
  `;
}
