// What the records have of a strategy over a span.
import { html } from "./vendor/htm/standalone.module.js";

export function useHistory() {
  return { prices: [], fills: [] };
}

export function History() {
  return html``;
}
