"""The figures of the daily summary, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from supervisor.notify.daily_summary import Figures, figures_of, kept_for_the_next, summary_text


def strategy(realised: str, fees: str, funding: str, unrealised: str, mode: str = "live") -> dict[str, Any]:
    return {"mode": mode, "realised": realised, "fees": fees, "funding": funding, "unrealised": unrealised}


def account(name: str, money: str, equity: str | None, *strategies: dict[str, Any], **more: Any) -> dict[str, Any]:
    process = {"restarts": more.pop("restarts", 0), "state": "RUNNING"}
    row = {"account": name, "environment": money, "equity": equity, "strategies": strategies, "process": process}
    return {**row, "health": "healthy", "caps": [], **more}


def figures(*accounts: dict[str, Any], run: str = "r", caps: tuple[dict[str, Any], ...] = ()) -> Figures:
    return figures_of({"accounts": accounts, "caps": caps, "supervisor": {"run_id": run, "uptime_s": 9999.0}})


def use(cap: str, share: float | None) -> dict[str, Any]:
    return {"cap": cap, "used": "8", "limit": "10", "share": share, "scope": "fleet/mainnet"}


BEFORE = figures(
    account("alice", "mainnet", "1000", strategy("10", "1", "0.5", "-3"), restarts=1),
    account("bob", "mainnet", "500", strategy("5", "1", "0", "0")),
    account("carol", "paper", "100", strategy("0", "0", "0", "0")),
)


def test_money_by_its_kind_the_worst_restarts_and_caps() -> None:
    now = figures(
        account("alice", "mainnet", "1100.5", strategy("30", "2", "-0.5", "-13"), restarts=3, caps=[use("part", 0.8)]),
        account("bob", "mainnet", None, strategy("4", "1.5", "0", "-7"), strategy("99", "0", "0", "9", "shadow"),
                health="degraded", caps=[use("far", 0.79), use("unknown", None)]),
        account("carol", "paper", "101", strategy("1", "0", "0", "0")),
        caps=(use("max_notional", 0.95),),
    )  # fmt: skip
    # alice: 30 - 2 + 0.5 - (10 - 1 - 0.5) = 20; with what is open -13 + 3 less. bob: 4 - 1.5 - (5 - 1) = -1.5, and -7.
    assert summary_text(now, BEFORE, open_alerts=2, waiting=4).splitlines() == [
        "mainnet: equity 1,100.50 USDT (without 1 account that does not report), earned +18.50",
        "paper: equity 101.00 USDT, earned +1.00",
        "Worst: bob -8.50, carol +1.00, alice +10.00",
        "Accounts: 3, not well: bob",
        "Restarts: alice 2",
        "Caps near: fleet/mainnet max_notional: 8 of 10 (95 %), alice part: 8 of 10 (80 %)",
        "Open alerts: 2",
        "Messages that wait for an address that cannot be reached: 4",
    ]


def test_the_first_one_has_nothing_to_compare_with_and_a_new_run_counts_restarts_anew() -> None:
    assert summary_text(BEFORE, None, 0, 0).splitlines() == [
        "mainnet: equity 1,500.00 USDT",
        "paper: equity 100.00 USDT",
        "Accounts: 3, not well: none",
        "Restarts: alice 1",
        "Caps near: none",
        "Open alerts: 0",
    ]
    again = figures(account("alice", "mainnet", "1", strategy("10", "1", "0.5", "-3"), restarts=1), run="later")
    assert "Restarts: alice 1" in summary_text(again, BEFORE, 0, 0)


def test_an_account_that_is_on_other_money_now_is_not_compared() -> None:
    now = figures(account("carol", "mainnet", "100", strategy("50", "0", "0", "0")))
    assert "earned" not in summary_text(now, BEFORE, 0, 0)


def test_figures_that_nobody_reports_are_none_and_survive_a_restart() -> None:
    silent = figures(account("dave", "demo", None, {"mode": "live"}, health=None))
    assert silent.accounts["dave"].earned is None
    kept = Figures.from_document(orjson.loads(orjson.dumps(BEFORE.to_document())))
    assert kept.accounts["alice"].earned == Decimal("8.5")
    assert summary_text(silent, kept, 0, 0).startswith(
        "demo: equity not known (without 1 account that does not report)"
    )


def test_what_an_account_earned_while_it_did_not_report_is_in_the_next_summary() -> None:
    silent = figures(
        account("alice", "mainnet", None, restarts=2), account("bob", "mainnet", "500", strategy("6", "1", "0", "0"))
    )
    kept = kept_for_the_next(silent, BEFORE)
    assert (kept.accounts["alice"].earned, kept.accounts["alice"].restarts) == (Decimal("8.5"), 2)
    assert kept.accounts["bob"].earned == 5
    now = figures(
        account("alice", "mainnet", "1", strategy("30", "2", "-0.5", "0")),
        account("bob", "mainnet", "1", strategy("6", "1", "0", "0")),
    )
    assert summary_text(now, kept, 0, 0).startswith("mainnet: equity 2.00 USDT, earned +20.00\n")
