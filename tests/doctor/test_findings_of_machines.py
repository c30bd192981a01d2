"""Each check of the machine and of the address at its border; the table of docs/doctor.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gridbot.config.models import GridbotConfig
from gridbot.doctor.doctor_facts import MachineFacts
from gridbot.doctor.findings import CHECKS, Finding, Verdict, check_table
from gridbot.doctor.machine_findings import AddressUse, address_uses, machine_findings, request_finding
from supervisor.cli.fleet_size import NEEDS
from tests.case_table import case_table

OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED
MIB = 1024 * 1024
NEEDED = replace(
    NEEDS, worker_mb=30, others_mb=200, worker_core=0.03, others_core=0.1, files_each=10, files_others=60,
    start_requests=9, start_requests_shared=3, start_requests_symbol=2, lines=450, lines_each=2,
)  # fmt: skip
GOOD = MachineFacts(
    memory=8_000_000_000, memory_free=4_000_000_000, cores=8, disk_free=10 * 1024 * MIB, safe_write_ms=1.5, files=1024,
    is_running=False,
)  # fmt: skip


def has(found: Finding, verdict: Verdict, text: str) -> None:
    assert (found.verdict, text in found.text) == (verdict, True), found
    assert found.check in CHECKS


@case_table(
    ("check", "changes", "verdict", "text"),
    [
        ("disk", {}, OK, "10.0 GB free in /data; a write is safe after 1.5 ms"),
        ("disk", {"safe_write_ms": None}, OK, "10.0 GB free in /data"),
        ("disk", {"disk_free": 500 * MIB}, OK, "0.5 GB free"),
        ("disk", {"disk_free": 500 * MIB - 1}, WARNING, "only 499 MB free"),
        ("disk", {"disk_free": 50 * MIB}, WARNING, "only 50 MB free"),
        ("disk", {"disk_free": 50 * MIB - 1}, REFUSED, "only 49 MB free"),
        ("disk", {"disk_problem": "read-only"}, REFUSED, "got: read-only"),
        ("disk", {"newer_data": "expected format 9 of database"}, REFUSED, "expected format 9 of database"),
        (
            "memory",
            {},
            OK,
            "10 accounts want about 0.50 GB (30 MB each, 200 MB for all else); 8.0 GB here, 4.0 GB free",
        ),
        ("memory", {"memory": 625_000_000, "memory_free": 500_000_000}, OK, "0.6 GB here"),
        ("memory", {"memory": 624_000_000, "memory_free": 500_000_000}, WARNING, "larger machine"),
        ("memory", {"memory_free": 499_000_000}, WARNING, "0.5 GB free"),
        ("memory", {"memory_free": 1, "is_running": True}, OK, "0.0 GB free"),
        ("memory", {"memory": 499_000_000}, REFUSED, "larger machine"),
        ("cpu", {"cores": 0.5}, OK, "0.4 cores"),
        ("cpu", {"cores": 0.49}, WARNING, "larger machine"),
        ("open_files", {"files": 200}, OK, "up to 160 for 10 accounts; 200 allowed"),
        ("open_files", {"files": 199}, WARNING, "raise `ulimit -n` (LimitNOFILE of systemd) to 320"),
        ("open_files", {"files": 160}, WARNING, "raise"),
        ("open_files", {"files": 159}, REFUSED, "raise"),
        ("open_files", {"files": None}, OK, "no limit here"),
    ],
)
def test_the_machine(check: str, changes: dict[str, object], verdict: Verdict, text: str) -> None:
    facts = replace(GOOD, **changes)  # type: ignore[arg-type]
    found = {each.check: each for each in machine_findings(facts, NEEDED, 10, "/data")}
    has(found[check], verdict, text)


BYBIT = AddressUse("bybit", accounts=10, symbols=2, share=540, a_minute=60)


@case_table(
    ("changes", "verdict", "text"),
    [
        (
            {},
            OK,
            "a start takes 97 requests, then 60 a minute of 6480 that workers may send; an address bears 225 accounts",
        ),
        ({"by_http": 1}, OK, "beside the orders of 1 account by HTTP"),
        ({"accounts": 225}, OK, "an address bears 225 accounts"),
        ({"accounts": 226}, WARNING, "divide the accounts among several addresses"),
        ({"accounts": 226, "has_lines": False}, OK, "connections are not limited"),
        ({"a_minute": 3240}, OK, "3240 a minute"),
        ({"a_minute": 3241}, WARNING, "longer intervals"),
        ({"a_minute": 6480}, WARNING, "longer intervals"),
        ({"a_minute": 6481}, REFUSED, "longer intervals"),
        ({"accounts": 98, "share": 69}, OK, "a start takes 889"),
        ({"accounts": 100, "share": 69}, WARNING, "the start takes 61 s"),
        ({"share": 0}, OK, "the exchange limits none"),
    ],
)
def test_requests_of_an_address(changes: dict[str, object], verdict: Verdict, text: str) -> None:
    has(request_finding(replace(BYBIT, **changes), NEEDED), verdict, text)  # type: ignore[arg-type]


def test_what_accounts_share_of_an_address() -> None:
    keys = {"api_key": "k" * 18, "api_secret": "s" * 36}
    accounts = [
        {"name": "p", "environment": "paper"},
        {"name": "t", "environment": "testnet", **keys},
        {"name": "d", "environment": "demo", **keys, "api_key": "d" * 18},
        {"name": "h", "environment": "testnet", **keys, "api_key": "h" * 18, "order_entry": "http"},
    ]
    strategies = [
        {"strat_id": f"{account['name']}{symbol}", "account": account["name"], "symbol": f"{symbol}USDT"}
        for account in accounts
        for symbol in ("BTC", "ETH")
    ]
    config = GridbotConfig.model_validate(
        {
            "accounts": accounts,
            "strategies": strategies,
            "position_check_interval": 60,
            "order_sync_interval": 30,
            "wallet_cache_interval": 0,
            "paper": {"limits": {"ip_requests": 0, "ws_connections": 0}},
        }
    )
    bybit, paper = address_uses(config)
    assert bybit == AddressUse("bybit", 3, 2, 540, 3 * (2 + 2), by_http=2)
    assert paper == AddressUse("paper", 1, 2, 0, 4, has_lines=False)
    assert address_uses(config.model_copy(update={"accounts": config.accounts[1:]})) == [bybit]


def test_the_page_has_the_table_of_checks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert check_table() in page
