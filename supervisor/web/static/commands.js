// Commands: forms made of the table of commands, what a command would do, its second step, and what came of it.
import { html, useEffect, useMemo, useState } from "./vendor/htm/standalone.module.js";
import { ask } from "./live.js";
import { allAccounts } from "./rows.js";
import { useAsked } from "./shared.js";
import { count, duration } from "./words.js";

async function post(document) {
  const answer = await ask("/api/command", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.trim());
  return JSON.parse(text);
}

function Field({ field, value, change }) {
  const id = `field-${field.name}`;
  const name = field.name.replaceAll("_", " ");
  const help = html`<span class="dim" id=${`${id}-help`}>${field.help}</span>`;
  if (field.kind === "flag") {
    return html`<div class="field"><label><input type="checkbox" checked=${Boolean(value)} aria-describedby=${`${id}-help`} onChange=${(event) => change(event.target.checked)} /> ${name}</label> ${help}</div>`;
  }
  const choice = html`<select id=${id} aria-describedby=${`${id}-help`} value=${value ?? ""} onChange=${(event) => change(event.target.value)}>
    <option value="">as configured</option>${field.choices.map((word) => html`<option value=${word}>${word}</option>`)}
  </select>`;
  const text = html`<input id=${id} aria-describedby=${`${id}-help`} value=${value ?? ""} required=${field.required} maxlength=${field.longest ?? 4000} onInput=${(event) => change(event.target.value)} />`;
  return html`<div class="field"><label for=${id}>${name}</label> ${field.kind === "choice" ? choice : text} ${help}</div>`;
}

const plain = (text) => text.replaceAll("`", "");
const MOST_NAMED = 12;
const listed = (names) => names.slice(0, MOST_NAMED).join(", ") + (names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "");
const WOULD = ["account", "strategy", "symbol", "state", "orders", "long", "short", "would"];

const LONG = new Set(["would", "why"]);

function Lines({ label, heads, rows }) {
  return html`<div class="scroll short" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${heads.map((name) => html`<th scope="col" class="text">${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell, at) => html`<td class="text ${LONG.has(heads[at]) ? "long" : ""}" data-title=${heads[at]}>${cell}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

function Would({ shown }) {
  if (shown.lines) {
    return html`<ul>${shown.lines.map((line) => html`<li>${line}</li>`)}${shown.left_open.map((line) => html`<li class="bad">stays open with nobody to look after it: ${line}</li>`)}</ul>`;
  }
  if (!shown.rows.length) return shown.accounts ? html`<p>It is for ${count(shown.accounts)} accounts: ${shown.names}.</p>` : null;
  return html`<${Lines} label="What it would do" heads=${WOULD} rows=${shown.rows.map((row) => WOULD.map((name) => row[name] ?? "–"))} />`;
}

// The second step: what it would do, how many accounts it is for, and how long that can be confirmed.
function Second({ shown, confirm, leave, busy }) {
  const [typed, setTyped] = useState("");
  const [until] = useState(() => performance.now() + shown.good_for_s * 1000);
  const [left, setLeft] = useState(shown.good_for_s);
  useEffect(() => {
    const timer = setInterval(() => setLeft(Math.max(0, (until - performance.now()) / 1000)), 500);
    return () => clearInterval(timer);
  }, []);
  const many = shown.accounts > 1;
  const ready = left > 0 && (!many || typed.trim() === String(shown.accounts));
  const send = (event) => {
    event.preventDefault();
    if (ready) confirm(many ? Number(typed) : shown.accounts);
  };
  return html`<form class="second" onSubmit=${send} aria-label="Second step">
    <h4>Nothing was given yet: ${shown.command}${shown.targets.length ? ` for ${listed(shown.targets)}` : ""}</h4>
    <p>${plain(shown.help)}</p>
    <${Would} shown=${shown} />
    ${many && html`<p><label>Type the number of accounts to go on <input name="accounts" inputmode="numeric" autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label> <span class="dim">${shown.names}</span></p>`}
    <p class="buttons">
      <button class="danger" disabled=${!ready || busy}>${busy ? "Waiting for what comes of it…" : `${shown.command} now`}</button>
      <button type="button" onClick=${leave} disabled=${busy}>Leave it</button>
      <span class="dim">${left > 0 ? `can be confirmed for ${duration(left)}` : "too late to confirm: begin again"}</span>
    </p>
  </form>`;
}

function Outcome({ told }) {
  if (!told) return null;
  if (told.step === "shown") return html`<div><h4>${told.command} would do this. Nothing was given.</h4><${Would} shown=${told} /></div>`;
  const words = told.not_done ? `${told.command}: done for ${told.done} of ${told.rows.length}` : `${told.command}: done`;
  return html`<div>
    <h4 class=${told.not_done ? "bad" : "good"}><span aria-hidden="true">${told.not_done ? "■" : "✓"}</span> ${words}</h4>
    <ul>${told.rows.map((row) => html`<li class=${row.ok ? "" : "bad"}>${row.target && html`<b>${row.target}</b>${": "}`}${row.ok ? "" : row.unanswered ? "NO ANSWER: " : "NOT DONE: "}${row.text}
      ${row.parts?.map((part) => html`<p>${part.head}</p>${part.rows.length > 0 && html`<${Lines} label=${part.head} heads=${row.columns} rows=${part.rows} />`}${part.lines.map((line) => html`<p>${line}</p>`)}`)}</li>`)}</ul>
  </div>`;
}

export function Commands({ model, given, whom }) {
  const { found, problem: notRead } = useAsked("/api/commands", 0);
  const forms = found ?? [];
  const [name, setName] = useState("pause");
  const [targets, setTargets] = useState(whom);
  const [group, setGroup] = useState("");
  const [everything, setEverything] = useState(false);
  const [args, setArgs] = useState({});
  const [second, setSecond] = useState(null);
  const [told, setTold] = useState(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const form = forms.find((each) => each.name === name);
  const known = useMemo(() => allAccounts(model).flatMap((row) => [row.account, ...row.strategies.map((each) => `${row.account}/${each.strat_id}`)]), [model]);
  const groups = useMemo(() => [...new Set(allAccounts(model).flatMap((row) => row.groups))].sort(), [model]);
  if (!model.supervisor.configuration?.page_commands) {
    return html`<p class="dim">This page only looks: <code>web.allow_commands</code> is off. With <code>allow_commands: true</code> in the section <code>web</code> of the configuration, and a <code>reload</code>, it gives commands as well.</p>`;
  }
  if (!form) return html`<p class="dim">The commands are not there yet.${notRead && ` ${notRead}`}</p>`;

  const run = async (document) => {
    setBusy(true);
    setProblem("");
    setTold(null);
    try {
      const answer = await post(document);
      if (answer.step === "confirm") setSecond(answer);
      else {
        setSecond(null);
        setTold(answer);
        if (answer.step === "done") given();
      }
    } catch (error) {
      setSecond(null);
      setProblem(error.message);
    }
    setBusy(false);
  };
  const send = (event) => {
    event.preventDefault();
    const words = targets.split(/[\s,]+/).filter(Boolean);
    const whom = form.takes_targets ? { targets: words, groups: group ? [group] : [], everything } : {};
    const fields = Object.fromEntries(form.fields.map((field) => [field.name, args[field.name]]).filter(([, value]) => value));
    run({ command: name, ...whom, args: fields, dry_run: event.submitter?.value === "dry" });
  };
  const choose = (other) => {
    setName(other);
    setArgs({});
    setTold(null);
    setProblem("");
  };
  return html`
    ${!second && html`<form class="command" onSubmit=${send}>
      <div class="field"><label for="command">Command</label>
        <select id="command" value=${name} onChange=${(event) => choose(event.target.value)}>${forms.map((each) => html`<option value=${each.name}>${each.name}${each.dangerous ? " (two steps)" : ""}</option>`)}</select>
        <span class="dim">${plain(form.help)}</span></div>
      ${form.takes_targets && html`<div class="field"><label for="targets">For</label>
        <input id="targets" list="known" value=${targets} disabled=${everything} placeholder="account, account/strategy, pattern" autocomplete="off" onInput=${(event) => setTargets(event.target.value)} />
        <datalist id="known">${known.map((each) => html`<option value=${each} />`)}</datalist>
        ${groups.length > 0 && html`<label>group <select name="of-group" value=${group} disabled=${everything} onChange=${(event) => setGroup(event.target.value)}><option value="">none</option>${groups.map((each) => html`<option value=${each}>${each}</option>`)}</select></label>`}
        <label><input type="checkbox" checked=${everything} onChange=${(event) => setEverything(event.target.checked)} /> every account</label></div>`}
      ${form.fields.map((field) => html`<${Field} key=${`${name} ${field.name}`} field=${field} value=${args[field.name]} change=${(value) => setArgs({ ...args, [field.name]: value })} />`)}
      <p class="buttons">
        <button value="give" disabled=${busy}>${busy ? "Waiting…" : form.dangerous ? `Show ${name}, then confirm` : `${name} now`}</button>
        ${!form.dangerous && html`<button value="dry" disabled=${busy}>Only show what it would do</button>`}
      </p>
    </form>`}
    ${second && html`<${Second} key=${second.token} shown=${second} busy=${busy} confirm=${(accounts) => run({ token: second.token, accounts })} leave=${() => setSecond(null)} />`}
    <div role="status">${problem && html`<p class="bad">${problem}</p>`}<${Outcome} told=${told} /></div>
  `;
}

// A small form of one command beside what it is about, such as an alert.
export function useGive(given) {
  const [said, setSaid] = useState({});
  const give = async (key, command, args) => {
    setSaid((before) => ({ ...before, [key]: "…" }));
    try {
      const [row] = (await post({ command, args })).rows;
      setSaid((before) => ({ ...before, [key]: row.text }));
      given();
    } catch (error) {
      setSaid((before) => ({ ...before, [key]: error.message }));
    }
  };
  return [said, give];
}
