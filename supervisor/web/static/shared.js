// Small parts that several views have.
import { html, useState } from "./vendor/htm/standalone.module.js";

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
