"""Explanations of missing orders as lines for people. Pure: what the worker answered in, lines out.

Orders that are missing for the same reason are one line: how many, of which leg and side, between which prices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from supervisor.status.tables import duration, short
from supervisor.utc_time import utc_text

__all__ = ["is_held", "one_line_of", "silent_lines", "strategy_lines"]

Json = Mapping[str, Any]
_WORDS = {
    "held": ("held back", "held back"),
    "passing": ("on its way", "on their way"),
    "normal": ("waits as it should", "wait as they should"),
}
LEFT_S = 0.05


def is_held(found: Json) -> bool:
    """Whether something keeps orders of the strategy from resting that does not pass by itself."""
    return bool(found.get("not_started") or found["held"] or any(row["lifted_by"] for row in found["holds"]))


def one_line_of(found: Json) -> str:
    """How many orders rest, and what the others do."""
    if found.get("not_started"):
        return "it has not started: nothing of it is wanted yet"
    if not found["wanted"]:
        return "it wants no order yet" + ("" if found["last_price"] else ": no price has come")
    counts = [f"{found[weight]} {words[found[weight] > 1]}" for weight, words in _WORDS.items() if found[weight]]
    extra = f"; {found['off_grid']} more at levels that wait for now, or are no more" if found["off_grid"] else ""
    return f"{found['placed']} of {found['wanted']} orders rest" + "".join(f", {each}" for each in counts) + extra


def strategy_lines(found: Json, *, in_full: bool = True) -> Iterator[str]:
    """One strategy. Without `in_full` only what is held or on its way."""
    yield f"{found['account']}/{found['strategy']} {found['symbol']}: {one_line_of(found)}"
    if found.get("not_started"):
        yield from _holds(found["holds"])
        return
    if found["last_price"] and in_full:
        yield f"  price {found['last_price']}, {found['price_age_s']:.1f} s old"
    yield from _holds(found["holds"])
    rows = [row for row in found["missing"] if in_full or row["weight"] != "normal"]
    yield from _missing(rows, {row["lifted_by"] for row in found["holds"]})
    if found["left_out"] and in_full:
        yield f"  and {found['left_out']} more that do not rest"
    if in_full:
        yield from _figures(found)


def _holds(holds: Iterable[Json]) -> Iterator[str]:
    for row in holds:
        since = f" since {_time(row['since_ms'])}" if row["since_ms"] else ""
        by = f" by the {row['by'].replace('_', ' ')}" if row["by"] else ""
        left = f" for {duration(row['left_s'])} more" if row["left_s"] else ""
        what = row["what"].replace("_", " ")
        whole = " (the whole account)" if row["of"] == "account" else ""
        yield f"  ! {what}{whole}{since}{by}{left}: {row['text']}"
        if row["lifted_by"]:
            yield f"    lifted by: {row['lifted_by']}"


def _missing(rows: Sequence[Json], said: Collection[str]) -> Iterator[str]:
    """`said`: the commands that stand above already, with what holds the strategy."""
    groups: dict[tuple[Any, ...], list[Json]] = {}
    for row in rows:
        groups.setdefault((row["weight"], row["text"], row["lifted_by"]), []).append(row)
    after = [lifted_by for _, _, lifted_by in groups][1:]
    for ((weight, text, lifted_by), members), following in zip_longest(groups.items(), after):
        sign = "!" if weight == "held" else "~" if weight == "passing" else "-"
        times = [row["next_s"] for row in members if row["next_s"] is not None]
        again = f"; tried again in {min(times):.1f} s" if times and min(times) > LEFT_S else ""
        yield f"  {sign} {_which(members)}: {text}{again}"
        if lifted_by and lifted_by not in said and following != lifted_by:  # once for several in a row
            yield f"    changed by: {lifted_by}"


def _which(members: Sequence[Json]) -> str:
    """Such as `long Buy 59900.1`, or `12 orders, long Buy, 59000.1 to 59900.1`."""
    kinds = ", ".join(dict.fromkeys(f"{row['leg']} {row['side']}" for row in members))
    prices = sorted(Decimal(row["price"]) for row in members)
    if len(members) == 1:
        return f"{kinds} {prices[0]}"
    prices = list(dict.fromkeys((prices[0], prices[-1])))
    return f"{len(members)} orders, {kinds}, {' to '.join(map(str, prices))}"


def _figures(found: Json) -> Iterator[str]:
    for leg in found["legs"]:
        yield f"  {leg['leg']}: {_leg(leg)}"
    for rule in found["rules"]:
        yield f"  risk rule {rule}" + (" (low balance: closes keep their size)" if found["low_balance"] else "")
    if not found["rules"]:
        yield "  risk rules: none in force"
    for cap in found["caps"]:
        percent = "" if cap["percent"] is None else f", {cap['percent']} %"
        used, limit = short(cap["used"]), short(cap["limit"])
        unit = f" {cap['unit']}" if cap["unit"] else ""
        yield f"  cap {cap['name']}: {used} of {limit}{unit} used{percent}, {short(cap['left'])} left"


def _leg(leg: Json) -> str:
    if Decimal(leg["size"]) == 0:
        return "no position"
    parts = [f"{leg['size']} @ {short(leg['entry'])}"]
    parts += [f"leverage {leg['leverage']}"] if leg["leverage"] else []
    if leg["liq"]:
        percent = leg["liq_distance_percent"]
        away = "" if percent is None else f", {percent} % away"
        if percent is not None and percent < 0:
            away = f", the mark is {-percent} % beyond it"
        parts.append(f"liquidation at {short(leg['liq'])}{away}")
    else:
        parts.append("no liquidation price")
    factors = (leg["multiplier_buy"], leg["multiplier_sell"])
    if factors != ("1", "1"):
        parts.append(f"sizes: Buy × {factors[0]}, Sell × {factors[1]}")
    return ", ".join(parts)


def silent_lines(row: Json, why: str) -> Iterator[str]:
    """An account whose worker does not answer: what the supervisor knows of it. `row` is the account's in the model."""
    process = row["process"]
    yield f"{row['account']}: {why}"
    state = f"  its process is {process['state']}"
    state += f": {process['reason']}" if process["reason"] else ""
    state += f"; next start in {process['next_start_s']:.0f} s" if process.get("next_start_s") is not None else ""
    yield state
    if process.get("last_exit"):
        yield f"  the one before ended: {process['last_exit']}"
    yield from (f"  ! {reason}" for reason in row["reasons"])
    age = process.get("report_age_s")
    told = "it has not reported yet" if age is None or row["health"] is None else f"as it reported {age:.0f} s ago"
    for strategy in row["strategies"]:
        known = f"{strategy['state'] or 'unknown'}, {strategy.get('open_orders', '?')} orders"
        reason = f": {strategy['reason']}" if strategy.get("reason") else ""
        waiting = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in strategy.get("waiting", {}).items())
        yield f"  {strategy['strat_id']}, {told}: {known}{reason}" + (f"; missing: {waiting}" if waiting else "")


def _time(ms: int) -> str:
    return utc_text(ms * 1000).replace("T", " ").replace("Z", " UTC")
