from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from gridbot.exchange.listing import Unreadable
from gridbot.records.record_types import Json, UtcMs, WalletRecord
from gridbot.store.grid_keeping import keep_all
from gridbot.store.reading import database_path
from supervisor.cli.ledger import ledger
from supervisor.control.control_client import ControlError, NotRunning, Unanswered
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.exchange_ledger import AccountCheck
from supervisor.store.exchange_views import ViewCheck
from supervisor.store.ledger_check import Step, lasting
from supervisor.store.transactions import Comparison, Recorded
from tests.case_table import case_table
from tests.store.session import START_MS, Session, write_all


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


def test_pairs_that_are_kept_are_compared_with_the_executions(tmp_path: Path) -> None:
    session_of_trades(tmp_path).close()
    write_all(tmp_path, compacts=True)
    line = ["check", "--pairs", "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(ledger, line)
    same = "matched pairs: those that are kept are those that the executions give"
    assert (result.exit_code, result.output.splitlines()[0]) == (0, same)
    with duckdb.connect(str(database_path(tmp_path))) as con:
        keep_all(con)
        con.execute("INSERT INTO grid_pairs_stored FROM grid_pairs_stored")
    result = CliRunner().invoke(ledger, line)
    assert result.exit_code == ExitCode.DIFFERS
    assert "BTCUSDT long: expected 1 pairs" in result.output.splitlines()[0]


def test_an_execution_that_was_changed_since_is_found_though_the_balance_is_explained(tmp_path: Path) -> None:
    """The balance goes by sums that are kept per day, which a changed row does not change."""
    session = Session(tmp_path, "alice")
    balance(session, "100")
    session.now_ms += 86_400_000
    session.fill("Buy", "100", "2", fee=Decimal("0.04"))
    session.now_ms += 86_400_000
    balance(session, "99.96")
    session.close()
    write_all(tmp_path, compacts=True)
    assert check(tmp_path).exit_code == 0
    with duckdb.connect(str(database_path(tmp_path))) as con:
        con.execute("UPDATE execution_rows_stored SET odd_ids = json_object('fee', '1.04')")
    result = check(tmp_path)
    assert result.exit_code == ExitCode.DIFFERS
    assert "executions say 99.96: explained\nDIFFERENT: 1 sums of a day and leg are others" in result.output
    assert (
        "executions of alice/btc_grid BTCUSDT long on 2023-11-15 (Trade, maker): expected 1 worth 200 that bring -0.04 "
        "by the sums that were kept as they came, got 1 worth 200 that bring -1.04" in result.output
    )


def test_an_account_that_nobody_has_is_a_mistake_and_one_can_be_asked_for(tmp_path: Path) -> None:
    """`--account` without --exchange was taken and had no effect, and a wrong name beside a right one was dropped."""
    for name in ("alice", "bob"):
        session = Session(tmp_path, name)
        balance(session, "100")
        session.close()
    write_all(tmp_path)
    only = CliRunner().invoke(ledger, ["check", "--data-dir", str(tmp_path), "--account", "bob"])
    assert (only.exit_code, only.output.split(":")[0], len(only.output.splitlines())) == (0, "bob", 1)
    config = tmp_path / "x.yaml"
    config.write_text("environment: paper\naccounts: [{name: alice, groups: [day]}, {name: bob, groups: [night]}]\n")
    for named, accounts in {
        "bob": ["bob"],
        "a* --account bob": ["alice", "bob"],
        "--group night": ["bob"],
        "--all": ["alice", "bob"],
    }.items():
        line = ["check", "--data-dir", str(tmp_path), "-c", str(config), *named.split()]
        found = CliRunner().invoke(ledger, line).output.splitlines()
        assert [each.split(":")[0] for each in found] == accounts
    refused = CliRunner().invoke(ledger, [*line, "x"]).exception
    assert isinstance(refused, CommandError)
    assert (refused.code, refused.text[:19]) == (ExitCode.USAGE, "expected --all alon")
    for options in ([], ["--exchange", "-c", str(config)]):
        line = ["check", "--data-dir", str(tmp_path), "--account", "bob", "--account", "alise", *options]
        wrong = CliRunner().invoke(ledger, line)
        assert (wrong.exit_code, "got 'alise'; did you mean alice?" in wrong.output) == (2, True), wrong.output


def test_a_difference_is_shown_with_its_moment(tmp_path: Path) -> None:
    session = session_of_trades(tmp_path)
    balance(session, "151.4208")  # somebody paid in 50
    session.fill("Buy", "100", "1")
    balance(session, "151.4008")
    balance(session, "151.4008")
    session.close()
    write_all(tmp_path)
    result = check(tmp_path)
    assert result.exit_code == ExitCode.DIFFERS
    first, line, more = result.output.splitlines()
    assert more == f"`gridbot-supervisor ledger check --exchange --data-dir {tmp_path}` says which movements these are"
    assert "executions say 101.40: DIFFERENCE +50.00" in first
    assert line.startswith("  alice: +50.00 between 2023-11-14 22:13:35 and 2023-11-14 22:13:37")


def test_a_paper_exchange_that_began_anew_is_said_and_no_difference(tmp_path: Path) -> None:
    """Each restart of one without a state file was a difference for good, among which a real one was not seen."""
    session_of_trades(tmp_path).close()
    session = Session(tmp_path, "alice", "run-2", START_MS + 60_000)
    session.run("start", config=Json('{"account": {"name": "alice", "balance": "100"}}'))
    session.fill("Buy", "100", "1")  # its balance was told to nobody any more
    balance(session, "100")  # the first of the new exchange
    session.fill("Buy", "100", "2")
    balance(session, "99.96")
    session.close()
    write_all(tmp_path)
    result = check(tmp_path)
    assert result.exit_code == ExitCode.OK, result.output
    first, anew = result.output.splitlines()
    assert first.endswith("executions say 99.96: explained")
    assert anew.startswith("  the paper exchange began anew between 2023-11-14 22:13:35 and 2023-11-14 22:14:")
    assert "with the balance of the configuration (-1.40)" in anew
    session = Session(tmp_path, "alice", "run-3", START_MS + 120_000)
    balance(session, "149.96")  # somebody paid in 50
    session.close()
    write_all(tmp_path)
    result = check(tmp_path)
    assert result.exit_code == ExitCode.DIFFERS
    first, anew, line, _ = result.output.splitlines()
    assert "executions say 99.96: DIFFERENCE +50.00" in first
    assert "the difference went from +0.00 to +50.00" in line


def test_without_records(tmp_path: Path) -> None:
    assert check(tmp_path).exit_code == 3
    write_all(tmp_path)
    result = check(tmp_path)
    assert (result.exit_code, result.output) == (ExitCode.NOTHING, "no balances are recorded yet: nothing to compare\n")


def test_the_configuration_of_the_supervisor_that_runs_there_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dan", "zoe"):
        (tmp_path / f"{name}.yaml").write_text(f"environment: paper\naccounts: [{{name: {name}}}]\n")
    running = str(tmp_path / "zoe.yaml")

    class Client:
        fails: ControlError | None = None

        def __init__(self, data_dir: Path) -> None:
            assert data_dir == tmp_path

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def status(self) -> dict[str, dict[str, str]]:
            if self.fails:
                raise self.fails
            return {"supervisor": {"config": running}}

    monkeypatch.setattr("supervisor.cli.ledger.PatientClient", Client)
    monkeypatch.setattr("supervisor.store.exchange_ledger.check_with_exchange", lambda *_: [])
    monkeypatch.setattr("supervisor.store.exchange_views.check_views", lambda *_: {})
    (tmp_path / "gridbot.duckdb").touch()
    arguments = ["check", "--exchange", "--data-dir", str(tmp_path), "-c", str(tmp_path / "dan.yaml")]
    assert CliRunner().invoke(ledger, arguments).output.endswith("has no balances of the accounts zoe\n")
    for Client.fails in (NotRunning("nobody"), Unanswered("frozen")):
        assert CliRunner().invoke(ledger, arguments).output.endswith("has no balances of the accounts dan\n")
    result = CliRunner().invoke(ledger, arguments[:-2], env={"GRIDBOT_CONFIG_PATH": ""})
    assert result.exception is Client.fails, "not the demo's accounts"


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
    (tmp_path / "gridbot.duckdb").touch()
    monkeypatch.setattr("supervisor.store.exchange_views.check_views", lambda *_: views)

    def verdict() -> tuple[int, list[str]]:
        arguments = ["check", "--exchange", "--data-dir", str(tmp_path), "-c", "conf/demo.yaml"]
        done = CliRunner().invoke(ledger, arguments)
        return done.exit_code, done.output.splitlines()

    code, [first, unread, of_alice, second, of_bob, unread_view] = verdict()
    assert code == ExitCode.DIFFERS
    assert first.endswith("(transfers and the like): NOT KNOWN: not all of the log could be read")
    assert unread == "  1 rows of the exchange could not be read: account/transaction-log: row 3 (7): no change"
    assert of_alice == "  1 open orders and 1 positions are as the exchange has them"
    assert second.endswith(": explained")
    assert of_bob.endswith("as the exchange has them; symbols with rows that could not be read were left out")
    assert unread_view == "  1 rows of the exchange could not be read: SOLUSDT: no price"
    del checks[0]
    assert verdict()[0] == ExitCode.DIFFERS, "of the view"
    views["bob"] = ViewCheck(3, 2)
    assert verdict()[0] == 0
    views["bob"] = ViewCheck(3, 2, problem="timeout")
    assert verdict()[0] == ExitCode.DEGRADED
    checks[0] = AccountCheck("bob", then, then, problem="timeout")
    assert verdict()[0] == ExitCode.NOTHING
    checks.clear()
    assert verdict() == (
        ExitCode.NOTHING,
        [f"nothing to compare: {tmp_path} has no balances of the accounts alice, bob"],
    )


def test_what_was_undone_is_no_cause_and_the_largest_comes_first() -> None:
    """ "+0.49 ... balance 20000.43, executions say 20000.43" stood beside the deposit that was the cause."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    levels = [Decimal(text) for text in ("0", "-0.49", "0", "1", "51")]
    steps = [Step(then, then, before, after) for before, after in itertools.pairwise(levels)]
    assert [step.size for step in lasting(steps)] == [50, 1]
    assert str(lasting(steps)[0]).endswith("the difference went from +1.00 to +51.00")


@case_table(
    ("levels", "left"),
    [
        ("0 -0.3 -0.7 0 50", [50]),  # two steps, undone by one
        ("0 -0.7 -0.4 0 50", [50]),  # one step, undone by two
        ("0 -0.4 49.6 50", [50]),  # a deposit in between
        ("0 50 51 1", [1]),  # a deposit and a withdrawal
        ("0 1 2", [1, 1]),
    ],
)
def test_steps_are_undone_together(levels: str, left: list[int]) -> None:
    """199 lines such as "+0.78 between ...: the difference went from -0.78 to +0.00" stood below the cause."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    pairs = itertools.pairwise(map(Decimal, levels.split()))
    assert [step.size for step in lasting(Step(then, then, *pair) for pair in pairs)] == left


def test_a_wallet_row_that_comes_before_its_execution_is_no_cause(tmp_path: Path) -> None:
    """Of the two steps that it makes the second one was shown."""
    session = session_of_trades(tmp_path)
    balance(session, "151.4208")  # somebody paid in 50
    for number in range(1, 4):
        before = Decimal("151.4208") - Decimal("0.2") * number
        balance(session, str(before))
        session.fill("Buy", "1000", "1")
        balance(session, str(before))
        balance(session, str(before))
    session.close()
    write_all(tmp_path)
    _, *lines, _ = check(tmp_path).output.splitlines()
    assert [line.split()[1] for line in lines] == ["+50.00"]


def test_many_differences_are_cut_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    comparison = Comparison(transfers=[f"transfer {number}" for number in range(30)])
    for number in range(1, 51):
        ours = Recorded(f"e{number}", "BTCUSDT", "Trade", Decimal(0), Decimal(0), 1000 * number)
        comparison.add("not listed", ours, f"{number} USDT", Decimal(-number))
    checks = [AccountCheck("alice", then, then, comparison)]
    monkeypatch.setattr("supervisor.store.exchange_ledger.check_with_exchange", lambda *_: checks)
    (tmp_path / "gridbot.duckdb").touch()
    monkeypatch.setattr("supervisor.store.exchange_views.check_views", lambda *_: {"alice": ViewCheck(1, 1)})
    arguments = ["check", "--exchange", "--rows", "2", "--data-dir", str(tmp_path), "-c", "conf/demo.yaml"]
    done = CliRunner().invoke(ledger, arguments)
    first, *lines = done.output.splitlines()
    assert done.exit_code == ExitCode.DIFFERS
    assert first.endswith("DIFFERENT: 50 movements, -1275.00 USDT in all")
    assert [line.rsplit(": ", 1)[-1] for line in lines[:2]] == ["50 USDT", "49 USDT"]
    assert lines[2:6] == [
        "  ... and 48 more; --rows 0 shows all",
        "  transfer 0",
        "  transfer 1",
        "  ... and 28 more; --rows 0 shows all",
    ]
