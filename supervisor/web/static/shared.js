// Small parts that several views have.
import { html, useEffect, useErrorBoundary, useState } from "./vendor/htm/standalone.module.js";
import { ask } from "./live.js";

const SIGNS = { good: "●", note: "◆", warn: "▲", bad: "■" };

// A state as sign, word and colour.
export const Sign = ({ tone, word }) => html`<span class="state ${tone}"><span aria-hidden="true">${SIGNS[tone]}</span> ${word}</span>`;

export function Copy({ text, title = "Copy", name }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button class="small" onClick=${copy} title=${text} aria-label=${name}>${done ? "Copied" : title}</button>`;
}

// A part with a fault must not stop the page: it says so and is tried again. What it has drawn goes with the div: preact
// forgets half of it.
export function Guarded({ name, children }) {
  const [error, again] = useErrorBoundary();
  useEffect(() => {
    const timer = error && setTimeout(again, 2000);
    return () => clearTimeout(timer);
  }, [error]);
  return error ? html`<p class="banner bad" role="alert">A fault of the page, in ${name}: ${String(error)}. It is tried again; <code>status</code> in a terminal has it all.</p>` : html`<div>${children}</div>`;
}

const ASK_AGAIN_MS = 5000;

// What a GET answers: {found, problem}. Asked again when `turn` is another one, and after a while when it failed.
export function useAsked(path, turn) {
  const [told, setTold] = useState({ found: null, problem: "" });
  useEffect(() => {
    let over = false, again = false, timer;
    const look = async () => {
      if (document.hidden && again) return (timer = setTimeout(look, ASK_AGAIN_MS));
      let more;
      try {
        const answer = await ask(path);
        if (!answer.ok) throw new Error((await answer.text()).trim());
        more = { found: await answer.json(), problem: "" };
      } catch (error) {
        more = { problem: error.message };
      }
      if (over) return;
      setTold((before) => ({ ...before, ...more }));
      again = Boolean(more.problem || more.found.problem);
      if (again) timer = setTimeout(look, ASK_AGAIN_MS);
    };
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, turn]);
  return told;
}
