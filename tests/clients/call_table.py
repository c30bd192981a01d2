"""Each call, topic and operation of Bybit's linear API, and what the paper exchange makes of it.

`python -m tests.clients.call_table` runs the foreign clients and writes the table into docs/paper.md;
`test_foreign_clients.py` compares it with the routes and with what the clients see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.clients.recorder import Recorder

__all__ = ["CALLS", "OPERATIONS", "PAGE", "TOPICS", "families", "rendered", "shown", "written", "wrong"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"
ROOT = "/v5/"
BEGIN, END = "<!-- calls: begin -->", "<!-- calls: end -->"
CLIENTS = ("ccxt", "bybit-api")
USES = SERVED, MODELLED, EMPTY, REFUSED, ABSENT = "served", "modelled", "empty", "refused", "not here"


def _served(*names: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(names, (SERVED, ""))


CALLS: dict[str, tuple[str, str]] = _served(
    "market/time",
    "market/instruments-info",
    "market/tickers",
    "market/orderbook",
    "market/full_orderbook",
    "market/kline",
    "market/mark-price-kline",
    "market/index-price-kline",
    "market/premium-index-price-kline",
    "market/recent-trade",
    "market/risk-limit",
    "market/funding/history",
    "market/price-limit",
    "order/create",
    "order/amend",
    "order/cancel",
    "order/cancel-all",
    "order/create-batch",
    "order/amend-batch",
    "order/cancel-batch",
    "order/pre-check",
    "order/disconnected-cancel-all",
    "order/realtime",
    "order/history",
    "execution/list",
    "position/list",
    "position/set-leverage",
    "position/switch-mode",
    "position/trading-stop",
    "position/closed-pnl",
    "position/symbol-info",
    "account/wallet-balance",
    "account/withdrawal",
    "account/info",
    "account/instruments-info",
    "account/fee-rate",
    "account/transaction-log",
    "account/query-dcp-info",
    "account/user-setting-config",
    "account/set-limit-px-action",
    "asset/delivery-record",
    "asset/transfer/query-account-coin-balance",
    "asset/transfer/query-account-coins-balance",
    "apilimit/query",
    "apilimit/query-all",
    "apilimit/query-cap",
    "user/query-api",
    "system/status",
    "announcements/index",
    "position/confirm-pending-mmr",
) | {
    "market/open-interest": (MODELLED, "constant"),
    "market/account-ratio": (MODELLED, "one half"),
    "market/insurance": (MODELLED, "one pool, less what liquidations cost it"),
    "market/adlAlert": (MODELLED, "far from it"),
    "market/index-price-components": (MODELLED, "this exchange alone"),
    "market/fee-group-info": (MODELLED, "one group"),
    "market/rpi_orderbook": (MODELLED, "no RPI quotes in it"),
    "account/collateral-info": (MODELLED, "USDT, nothing borrowed"),
    "account/smp-group": (MODELLED, "group 0"),
    "account/set-margin-mode": (SERVED, "portfolio margin: 3400045"),
    "account/trade-info-for-analysis": (MODELLED, "of spot, so all zero"),
    "position/set-tpsl-mode": (SERVED, "for requests that do not say the mode"),
    "position/set-risk-limit": (MODELLED, "accepted; the tier follows from the size"),
    "asset/coin/query-info": (MODELLED, "USDT and the coins of the contracts"),
    "asset/transfer/query-transfer-coin-list": (MODELLED, "USDT"),
    "market/delivery-price": (SERVED, "of contracts that were delisted"),
    "position/move-history": (EMPTY, ""),
    "asset/transfer/query-inter-transfer-list": (EMPTY, ""),
    "asset/transfer/query-universal-transfer-list": (EMPTY, ""),
    "asset/deposit/query-record": (EMPTY, ""),
    "asset/withdraw/query-record": (EMPTY, ""),
    "asset/transfer/inter-transfer": (REFUSED, "10005: no wallet permission"),
    "asset/transfer/universal-transfer": (REFUSED, "10005"),
    "position/move-positions": (REFUSED, "10005"),
    "apilimit/set": (REFUSED, "3500002: institutions only"),
    "position/switch-isolated": (REFUSED, "100028, as on every unified account"),
    "position/set-auto-add-margin": (SERVED, "isolated margin"),
    "position/add-margin": (SERVED, "isolated margin"),
    "account/demo-apply-money": (ABSENT, "balances are in the configuration"),
    "account/borrow-history": (ABSENT, "nothing is borrowed"),
    "account/set-collateral-switch": (ABSENT, "one coin"),
    "asset/settlement-record": (ABSENT, "USDC contracts"),
    "user/agreement": (ABSENT, "no contract needs one"),
    "strategy/create": (ABSENT, "Bybit's own bots, with all of strategy and fgridbot"),
}
TOPICS: dict[str, tuple[str, str]] = _served(
    "tickers",
    "publicTrade",
    "orderbook.1",
    "orderbook.50",
    "orderbook.200",
    "orderbook.1000",
    "kline",
    "allLiquidation",
    "priceLimit",
    "order",
    "execution",
    "execution.fast",
    "position",
    "wallet",
    "dcp.future",
    "system.status",
) | {
    "orderbook.rpi": (MODELLED, "no RPI quotes in it"),
    "insurance.USDT": (MODELLED, "as the call"),
    "adlAlert.USDT": (MODELLED, "as the call"),
    "greeks": (EMPTY, "no options"),
    "orderbook.full": (ABSENT, "on Bybit's mainnet for spot only"),
}
OPERATIONS = _served(
    *(f"order.{name}" for name in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch"))
)


def families(topics: Iterable[str]) -> set[str]:
    """Topics without their symbols and intervals."""
    return {re.sub(r"\.[A-Z]+USDT$", "", re.sub(r"^kline\.\w+", "kline", topic)) for topic in topics}


def _asked(run: Recorder) -> set[str]:
    return {
        *(path.removeprefix(ROOT) for path in run.answers),
        *families(run.topics),
        *(OPERATIONS.keys() & run.operations),
    }


def shown(run: Recorder) -> set[str]:
    """What of the table a client asked for."""
    return _asked(run) & (CALLS | TOPICS | OPERATIONS).keys()


def wrong(run: Recorder) -> list[str]:
    """Answers that the table does not allow."""
    found: list[str] = []
    for path, answers in run.answers.items():
        how, note = CALLS.get(path.removeprefix(ROOT), (ABSENT, ""))
        codes = {answer["retCode"] for answer in answers}
        held = any(_holds(answer.get("result", {})) for answer in answers if not answer["retCode"])
        good = {
            SERVED: 0 in codes and held,
            MODELLED: 0 in codes and held,
            EMPTY: codes == {0} and not held,
            REFUSED: codes == {int(note.split(":")[0].split(",")[0])} if how == REFUSED else False,
            ABSENT: codes == {10017},
        }
        if not good[how]:
            found.append(f"{path} is {how} ({note}), got codes {sorted(codes)}{' with rows' if held else ''}")
    return found


def _holds(result: Mapping[str, Any]) -> bool:
    """False for a listing without a row."""
    return bool(result.get("list", result.get("rows", True)))


def rendered(seen: Mapping[str, set[str]]) -> str:
    """The table, from what each client asked for: one row for each use and each set of clients."""
    rows: dict[tuple[str, str], list[str]] = {}
    for table in (CALLS, TOPICS, OPERATIONS):
        for name, (how, note) in sorted(table.items()):
            clients = " and ".join(client for client in CLIENTS if name in seen[client]) or "neither"
            shown_as = f"`{name}`" + (f" ({note})" if note else "")
            rows.setdefault((how, clients), []).append(shown_as)
    lines = ["| here | asked by | calls, topics, operations |", "|---|---|---|"]
    ordered = sorted(rows, key=lambda row: (USES.index(row[0]), row[1]))
    return "\n".join([*lines, *(f"| {how} | {who} | {', '.join(rows[how, who])} |" for how, who in ordered)]) + "\n"


def _split(page: str) -> tuple[str, str, str]:
    head, _, rest = page.partition(BEGIN + "\n")
    table, _, tail = rest.partition(END)
    return head, table, tail


def written(client: str = "") -> dict[str, str]:
    """The page: what each name is said to be, of those that a client asks for or of all."""
    rows = [line.split(" | ") for line in _split(PAGE.read_text(encoding="utf-8"))[1].splitlines()[2:]]
    return {
        name: how.strip("| ") for how, who, cell in rows if client in who for name in re.findall(r"`([^`]+)`", cell)
    }


def main() -> None:
    """Write the table anew."""
    from tests.clients.sessions import bybit_api_run, ccxt_run

    seen = {"ccxt": shown(ccxt_run()), "bybit-api": shown(bybit_api_run()[1])}
    head, _, tail = _split(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(f"{head}{BEGIN}\n{rendered(seen)}{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
