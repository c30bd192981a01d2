// One strategy.
import { html } from "./vendor/htm/standalone.module.js";

export function StrategyView({ rows, route }) {
  const row = rows.find((each) => each.id === route.account)?.strategies.find((each) => each.id === route.strategy);
  if (!row) return html`<p>There is no strategy ${route.strategy} of ${route.account} here.</p>`;
  return html`<h2>${route.account} / ${row.name}</h2>`;
}
