// Small parts that several views have.
import { html, useEffect, useErrorBoundary, useState } from "./vendor/htm/standalone.module.js";

export const SIGNS = { good: "●", note: "◆", warn: "▲", bad: "■" };

export function Copy({ text, title = "Copy", name }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button class="small" onClick=${copy} title=${text} aria-label=${name}>${done ? "Copied" : title}</button>`;
}

// A fault of a part must not stop the page, which would go on to look alive: the part says so, and is tried again. What it
// has drawn by then goes with the element around it: preact forgets half of it.
const AGAIN_MS = 2000;
export function Guarded({ name, children }) {
  const [error, again] = useErrorBoundary();
  useEffect(() => {
    if (!error) return undefined;
    const timer = setTimeout(again, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [error]);
  return error ? html`<p class="banner bad" role="alert">A fault of the page, in ${name}: ${String(error.message ?? error)}. It is tried again every few seconds; \`status\` in a terminal has it all.</p>` : html`<div>${children}</div>`;
}
