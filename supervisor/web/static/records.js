// What the records say of the fleet: money of today and in all, a curve of the equity, its highest, the last fills.
//
// `fleetRecords` makes of the answer of /api/fleet what a row asks for by account, kind of money and strategy. Pure.
import { useEffect, useState } from "./vendor/htm/standalone.module.js";
import { ask } from "./live.js";

const AGAIN_MS = 15000;
const SOON_MS = 4000; // something could not be read, or matched pairs are still being worked out
export const UNKNOWN = { answer: null, seenAt: null, problem: "" };

const key = (...parts) => parts.join("\n");
const number = (text) => (text === null || text === undefined ? null : Number(text));
export const moneyOf = (environment) => (environment === "mainnet" ? "real" : environment);

function sums(values) {
  return values && { realised: number(values.realised), fees: number(values.fees), funding: number(values.funding), net: number(values.net), fills: values.fills, grid: number(values.grid) };
}

const NOTHING = { realised: 0, fees: 0, funding: 0, net: 0, fills: 0, grid: 0 };

export function fleetRecords({ answer }) {
  const strategies = new Map(), accounts = new Map();
  for (const row of answer?.strategies ?? []) {
    strategies.set(key(row.account, row.money, row.strategy), { total: sums(row.total), today: sums(row.today), lastFill: row.last_fill ? Date.parse(row.last_fill) : null });
  }
  for (const row of answer?.accounts ?? []) accounts.set(key(row.account, row.money), { highest: number(row.highest), curve: row.curve });
  const isRead = Boolean(answer?.as_of) && !answer.problems.today && !answer.problems.total;
  const nothing = isRead ? { total: NOTHING, today: NOTHING, lastFill: null } : { total: null, today: null, lastFill: null };
  return {
    strategy: (account, money, name) => strategies.get(key(account, money, name)) ?? nothing,
    account: (account, money) => accounts.get(key(account, money)) ?? { highest: null, curve: [] },
    parts: answer?.curve_parts ?? 48,
  };
}

// The last answer, for who comes back from another view.
let latest = UNKNOWN;

// {answer, seenAt, problem}: `seenAt` is when the records were read, by the clock of this page.
export function useFleetRecords() {
  const [known, setKnown] = useState(latest);
  latest = known;
  useEffect(() => {
    let timer, over = false;
    async function look() {
      let wait = AGAIN_MS;
      try {
        if (!document.hidden) {
          const response = await ask("/api/fleet");
          if (!response.ok) throw new Error((await response.text()).trim());
          const answer = await response.json();
          const age = Math.max(0, Date.parse(response.headers.get("Date")) - Date.parse(answer.as_of ?? NaN)) || 0;
          wait = answer.pairs_waiting || Object.keys(answer.problems).length ? SOON_MS : AGAIN_MS;
          if (!over) setKnown((before) => (answer.as_of ? { answer, seenAt: performance.now() - age, problem: "" } : { ...before, problem: Object.values(answer.problems)[0] ?? "nothing is recorded yet" }));
        }
      } catch (error) {
        if (!over) setKnown((before) => ({ ...before, problem: error.message || "the page's process does not answer" }));
      }
      if (!over) timer = setTimeout(look, wait);
    }
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, []);
  return known;
}
