// What of the page is shown, as the part of its address behind the #. Pure.
//
//   #/                      the fleet
//   #/ACCOUNT/STRATEGY      one strategy; ?range=7d is how much of its past
//   #/NAME                  a view of that name, such as operations; ?for=alice is whom its form of commands names

export const RANGES = { "1h": 3600, "24h": 86400, "7d": 604800, "30d": 2592000, all: null };
const FIRST_RANGE = "1h";

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

export function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  const asked = new URLSearchParams(query);
  const range = asked.get("range");
  if (parts.length === 2) return { view: "strategy", account: parts[0], strategy: parts[1], range: Object.hasOwn(RANGES, range) ? range : FIRST_RANGE };
  const whom = asked.get("for") ?? "";
  if (parts.length !== 1) return { view: "fleet", whom };
  return { view: parts[0] === "strategy" ? "nowhere" : parts[0], whom };
}

export function linkTo(account, strategy, range = FIRST_RANGE) {
  const place = `#/${encodeURIComponent(account)}/${encodeURIComponent(strategy)}`;
  return range === FIRST_RANGE ? place : `${place}?range=${range}`;
}
