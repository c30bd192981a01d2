from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gridbot.exchange.listing import Unreadable
from gridbot.records.record_types import UtcMs, WalletRecord
from supervisor.cli.ledger import ledger
from supervisor.store.exchange_ledger import AccountCheck
from supervisor.store.exchange_views import ViewCheck
from supervisor.store.transactions import Comparison
from tests.store.session import Session, write_all


def check(data_dir: Path) -> Result:
    return CliRunner().invoke(ledger, ["check", "--data-dir", str(data_dir)])


def balance(session: Session, amount: str) -> None:
    session.now_ms += 1000
    session.add(WalletRecord(coin="USDT", wallet_balance=Decimal(amount), exchange_ts=UtcMs(session.now_ms)))


def session_of_trades(data_dir: Path) -> Session:
    """100 USDT, then trades worth -0.04, +1.9608 and funding of 0.5, each followed by the wallet."""
    session = Session(data_dir, "alice")
    session.fill("Buy", "100", "1")  # before the first wallet row: part of its balance
    balance(session, "100")
    session.fill("Buy", "100", "2")
    balance(session, "99.96")
    session.fill("Sell", "98", "2", realised_pnl=Decimal(2))
    balance(session, "101.9208")
    session.fill("Buy", "100", "1", exec_type="Funding", fee=Decimal("0.5"))
    balance(session, "101.42080001")  # the exchange rounds
    return session


def test_executions_explain_the_balance(tmp_path: Path) -> None:
    session_of_trades(tmp_path).close()
    write_all(tmp_path)
    result = check(tmp_path)
    assert result.exit_code == 0
    assert result.output == "alice: 101.42 USDT at 2023-11-14 22:13:35 UTC, executions say 101.42: explained\n"


def test_a_difference_is_shown_with_its_moment(tmp_path: Path) -> None:
    session = session_of_trades(tmp_path)
    balance(session, "151.4208")  # somebody paid in 50
    session.fill("Buy", "100", "1")
    balance(session, "151.4008")
    balance(session, "151.4008")
    session.close()
    write_all(tmp_path)
    result = check(tmp_path)
    assert result.exit_code == 6
    first, line = result.output.splitlines()
    assert "executions say 101.40: DIFFERENCE +50.00" in first
    assert line.startswith("  alice: +50.00 between 2023-11-14 22:13:35 and 2023-11-14 22:13:37")


def test_without_records(tmp_path: Path) -> None:
    assert check(tmp_path).exit_code == 3
    write_all(tmp_path)
    result = check(tmp_path)
    assert (result.exit_code, result.output) == (0, "no balances are recorded yet\n")


def test_rows_of_the_exchange_that_cannot_be_read_are_told_and_leave_the_account_unexplained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One such row, and nothing of the account was compared."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    odd = (Unreadable("", "account/transaction-log: row 3 (7): no change"),)
    checks = [
        AccountCheck("alice", then, then, Comparison(agree=9), unreadable=odd),
        AccountCheck("bob", then, then, Comparison(agree=2)),
    ]
    views = {"alice": ViewCheck(1, 1), "bob": ViewCheck(3, 2, unreadable=(Unreadable("SOLUSDT", "no price"),))}
    monkeypatch.setattr("supervisor.store.exchange_ledger.check_with_exchange", lambda *_: checks)
    monkeypatch.setattr("supervisor.store.exchange_views.check_views", lambda *_: views)

    def verdict() -> tuple[int, list[str]]:
        arguments = ["check", "--exchange", "--data-dir", str(tmp_path), "-c", "conf/demo.yaml"]
        done = CliRunner().invoke(ledger, arguments)
        return done.exit_code, done.output.splitlines()

    code, [first, unread, of_alice, second, of_bob, unread_view] = verdict()
    assert (code, first[-40:]) == (6, "(transfers and the like): UNEXPLAINED +0.00 USDT"[-40:])
    assert unread == "  1 rows of the exchange could not be read: account/transaction-log: row 3 (7): no change"
    assert of_alice == "  1 open_orders and 1 positions are as the exchange has them"
    assert second.endswith(": explained")
    assert of_bob.endswith("as the exchange has them; symbols with rows that could not be read were left out")
    assert unread_view == "  1 rows of the exchange could not be read: SOLUSDT: no price"
    del checks[0]
    assert verdict()[0] == 6, "of the view"
    views["bob"] = ViewCheck(3, 2)
    assert verdict()[0] == 0
