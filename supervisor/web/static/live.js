// The status model, live: one stream of events for this page, tried again for as long as it is lost.
//
// What `watch` tells: {model, seenAt, problem, link}. `seenAt` is when the model was true, by the clock of this page
// (performance.now); `link` is one of connecting, open, lost, loggedOut. A page that is logged out asks for nothing until
// somebody has logged in again in this browser.

const KEY = "gridbot-page-key";
const SILENT_MS = 12000; // a beat comes every five seconds
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const STREAMS = 4; // a browser has six connections to a host, for all of its tabs together
const POLL_MS = 2000;

export function keepKey(key) {
  localStorage.setItem(KEY, key);
}

export const pageKey = () => localStorage.getItem(KEY) ?? "";

let refused = null; // the key that opens nothing any more; a login makes another one
const isLoggedOut = () => pageKey() === refused;

// A request with the page's key; the cookie goes with it by itself. None is sent with a key that was refused before.
export async function ask(path, more = {}) {
  if (isLoggedOut()) return new Response("you are logged out", { status: 401 });
  const key = pageKey();
  const headers = { "X-Gridbot-Page": key, ...more.headers };
  const answer = await fetch(path, { ...more, headers, credentials: "same-origin", cache: "no-store" });
  if (answer.status === 401) refused = key;
  return answer;
}

export async function logOut() {
  await ask("/api/logout", { method: "POST" });
  localStorage.removeItem(KEY);
  location.replace("/login");
}

// As supervisor/web/model_changes.py makes them.
export function applyChanges(model, changes) {
  for (const [path, ...value] of changes) {
    if (!path.length) {
      model = value[0];
      continue;
    }
    let place = model;
    for (const part of path.slice(0, -1)) place = place[part];
    if (value.length) place[path.at(-1)] = value[0];
    else delete place[path.at(-1)];
  }
  return model;
}

export function watch(tell) {
  const state = { model: null, seenAt: null, problem: "", link: "connecting" };
  const say = (more) => tell({ ...Object.assign(state, more) });
  let failures = 0;

  function take(event, text) {
    const document = JSON.parse(text);
    if (event === "change" && !state.model) throw new Error("a change of what never came");
    if (event === "change") say({ model: document.length ? { ...applyChanges(state.model, document) } : state.model, seenAt: performance.now(), problem: "" });
    else {
      const seenAt = document.age_s === null ? state.seenAt : performance.now() - document.age_s * 1000;
      say({ ...(document.model ? { model: document.model } : {}), seenAt, problem: document.problem });
    }
  }

  async function follow() {
    const end = new AbortController();
    const leave = () => document.hidden && end.abort();
    document.addEventListener("visibilitychange", leave);
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => end.abort(), SILENT_MS);
    };
    heard();
    try {
      const answer = await ask("/api/events", { signal: end.signal });
      if (answer.status === 401) return "loggedOut";
      if (!answer.ok) throw new Error(await answer.text());
      say({ link: "open" });
      failures = 0;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return "lost";
        heard();
        text += value;
        for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
          const lines = text.slice(0, at).split("\n");
          text = text.slice(at + 2);
          const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
          take(field("event"), field("data"));
        }
      }
    } catch {
      return "lost";
    } finally {
      clearTimeout(silence);
      document.removeEventListener("visibilitychange", leave);
      end.abort();
    }
  }

  // The whole model once, where other pages have the streams.
  async function look() {
    try {
      const answer = await ask("/api/status", { signal: AbortSignal.timeout(SILENT_MS) });
      if (answer.status === 401) return "loggedOut";
      if (!answer.ok) return "lost";
      take("status", await answer.text());
      failures = 0;
      return "open";
    } catch {
      return "lost";
    }
  }

  async function followOrLook() {
    if (!navigator.locks) return follow();
    for (let n = 0; n < STREAMS; n++) {
      const link = await navigator.locks.request(`gridbot-stream-${n}`, { ifAvailable: true }, (lock) => lock && follow());
      if (link) return link;
    }
    return look();
  }

  // Until it is so: looked at when the page is seen again, and when another tab has kept something, such as a key.
  const until = (isSo) =>
    new Promise((done) => {
      const check = () => {
        if (!isSo()) return;
        document.removeEventListener("visibilitychange", check);
        removeEventListener("storage", check);
        done();
      };
      document.addEventListener("visibilitychange", check);
      addEventListener("storage", check);
      check();
    });

  (async () => {
    for (;;) {
      await until(() => !document.hidden); // six open tabs would leave no connection for a seventh
      const link = await followOrLook();
      const away = document.hidden && link === "lost";
      if (away) failures = 0;
      say({ link: away ? "connecting" : link });
      if (link === "loggedOut") {
        await until(() => !isLoggedOut());
        continue;
      }
      const wait = link === "open" ? POLL_MS : away ? 0 : WAITS_MS[Math.min(failures++, WAITS_MS.length - 1)] * (0.75 + Math.random() / 2);
      await new Promise((done) => setTimeout(done, wait));
    }
  })();
}

// How old what is shown is: active, stale or offline, as everywhere in gridbot.
export function freshness({ seenAt, link }, now) {
  const age = seenAt === null ? Infinity : (now - seenAt) / 1000;
  if (age > 15 || (link !== "open" && age > 5)) return { word: "offline", age };
  return { word: age > 3.5 || link !== "open" ? "stale" : "active", age };
}
