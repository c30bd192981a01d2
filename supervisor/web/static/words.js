// Numbers and times as people read them. What is not known is a dash, never a zero.

export const DASH = "–";
const MONEY = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SIGNED = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const money = (value) => (value === null ? DASH : MONEY.format(value));
export const gain = (value) => (value === null ? DASH : SIGNED.format(value).replace("-", "−"));
export const count = (value) => (value === null || value === undefined ? DASH : COUNT.format(value));
export const share = (value) => (value === null ? DASH : value > 1 ? "over 100 %" : `${(value * 100).toFixed(1)} %`);

export function orders({ placed, wanted }) {
  if (placed === null) return DASH;
  return wanted > placed ? `${placed} of ${wanted}` : `${placed}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return DASH;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

// The same in one word, for a table.
export function shortly(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return DASH;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 172800 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86400)} d`;
}

export function leg(value) {
  if (!value) return DASH;
  if (!Number(value.size)) return "flat";
  return `${value.size} @ ${priced(Number(Number(value.entry).toPrecision(7)))}`;
}

// A price as text, as the exchange writes it, with its thousands apart.
export function priced(text) {
  if (text === null || text === undefined || text === "") return DASH;
  const [whole, part] = String(text).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part === undefined ? "" : `.${part}`);
}

// A figure that was worked out, to as many digits as a price has.
export const short = (text) => (text === null ? null : String(Number(Number(text).toPrecision(8))));

export const percent = (share, digits = 2) => (share === null ? DASH : `${(share * 100).toFixed(digits).replace("-", "−")} %`);

// Times are UTC, as in the records.
const isTime = (ms) => Math.abs(ms ?? NaN) <= 8.64e15;
export const clock = (ms) => (!isTime(ms) ? DASH : new Date(ms).toISOString().slice(11, 19));
export const moment = (ms) => (!isTime(ms) ? DASH : new Date(ms).toISOString().slice(0, 19).replace("T", " "));

// What an alert is about, and on which host of a fleet.
export function aboutOf(row, otherwise = "") {
  const about = [row.account, row.strategy, row.child].filter(Boolean).join(" ") || otherwise;
  return row.host ? `${about} on ${row.host}` : about;
}
