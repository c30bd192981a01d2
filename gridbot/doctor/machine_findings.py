"""Whether this machine and its address bear the fleet. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gridbot.doctor.doctor_facts import MachineFacts, Needs
from gridbot.doctor.findings import Finding, Verdict
from gridbot.exchange.environment import Environment
from gridbot.exchange.order_entry import by_socket

if TYPE_CHECKING:
    from gridbot.config.account_models import AccountConfig
    from gridbot.config.models import GridbotConfig

__all__ = ["LITTLE_DISK", "AddressUse", "address_uses", "machine_findings", "request_finding"]

MB: Final = 1_000_000
LITTLE_DISK: Final = 500 * 1024 * 1024
NO_DISK: Final = 50 * 1024 * 1024
"""Bytes."""
LONG_START_S: Final = 60.0
BUSY: Final = 0.5
WINDOW_S: Final = 5
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED
REMEDY: Final = "take a larger machine, or divide the accounts among several"


@dataclass(frozen=True, slots=True)
class AddressUse:
    """What the accounts of one exchange ("bybit" or "paper") share of our address.

    `share` is how many requests in 5 s the workers may send, 0 where the exchange limits nothing; `a_minute` what they
    send when nothing happens; `by_http` the accounts that send orders by HTTP, too.
    """

    exchange: str
    accounts: int
    symbols: int
    share: int
    a_minute: float
    by_http: int = 0
    has_lines: bool = True
    """Whether the exchange limits WebSockets."""


def address_uses(config: GridbotConfig) -> list[AddressUse]:
    """What the accounts of each exchange share of our address, those of paper apart."""
    limits = config.paper.limits
    found = []
    for on_paper, name in ((False, "bybit"), (True, "paper")):
        accounts = [each for each in config.accounts if (each.environment is Environment.PAPER) is on_paper]
        if not accounts:
            continue
        allowed = limits.ip_requests if on_paper else config.supervisor.requests_per_5s
        found.append(
            AddressUse(
                exchange=name,
                accounts=len(accounts),
                symbols=len({each.symbol for account in accounts for each in config.strategies_of(account.name)}),
                share=config.supervisor.share_of(allowed),
                a_minute=sum(_a_minute(config, len(config.strategies_of(account.name))) for account in accounts),
                by_http=sum(_is_http(account) for account in accounts),
                has_lines=bool(limits.ws_connections) if on_paper else True,
            )
        )
    return found


def _a_minute(config: GridbotConfig, strategies: int) -> float:
    """Requests of an account in a minute in which nothing happens: positions by symbol, orders, wallet."""
    intervals = (
        (config.position_check_interval, strategies),
        (config.order_sync_interval, 1),
        (config.wallet_cache_interval, 1),
    )
    return sum(60 * count / interval for interval, count in intervals if interval)


def _is_http(account: AccountConfig) -> bool:
    """Whether its orders go by HTTP, as far as the file tells."""
    return not by_socket(account.order_entry, account.environment, 0)


def machine_findings(facts: MachineFacts, needs: Needs, accounts: int, data_dir: str) -> list[Finding]:
    """`disk`, `memory`, `cpu`, `open_files`."""
    return [
        Finding("disk", *_disk(facts, data_dir)),
        Finding("memory", *_memory(facts, needs, accounts)),
        Finding("cpu", *_cpu(facts, needs, accounts)),
        Finding("open_files", *_files(facts, needs, accounts)),
    ]


def _disk(facts: MachineFacts, data_dir: str) -> tuple[Verdict, str]:
    if facts.disk_problem:
        return REFUSED, f"expected to be able to write in {data_dir}, got: {facts.disk_problem}"
    if facts.newer_data:
        return REFUSED, facts.newer_data
    free = facts.disk_free
    safe = "" if facts.safe_write_ms is None else f"; a write is safe after {facts.safe_write_ms:.1f} ms"
    text = f"{free / 1024**3:.1f} GB free in {data_dir}{safe}"
    if free < NO_DISK:
        return REFUSED, f"only {free // 1024**2} MB free in {data_dir}; expected 500 MB: make room there"
    if free < LITTLE_DISK:
        return WARNING, f"only {free // 1024**2} MB free in {data_dir}; expected 500 MB: make room there{safe}"
    return OK, text


def _memory(facts: MachineFacts, needs: Needs, accounts: int) -> tuple[Verdict, str]:
    wanted = (needs.others_mb + needs.worker_mb * accounts) * MB
    text = (
        f"{_accounts(accounts)} about {wanted / 1e9:.2f} GB ({needs.worker_mb} MB each, {needs.others_mb} MB for all "
        f"else); {facts.memory / 1e9:.1f} GB here, {facts.memory_free / 1e9:.1f} GB free"
    )
    if wanted > facts.memory:
        return REFUSED, f"{text}; {REMEDY}"
    if wanted > needs.share * facts.memory or (not facts.is_running and wanted > facts.memory_free):
        return WARNING, f"{text}; {REMEDY}"
    return OK, text


def _cpu(facts: MachineFacts, needs: Needs, accounts: int) -> tuple[Verdict, str]:
    wanted = needs.others_core + needs.worker_core * accounts
    text = f"{_accounts(accounts)} about {wanted:.1f} cores when each fills five orders a second; {facts.cores:g} here"
    return (WARNING, f"{text}; {REMEDY}") if wanted > needs.share * facts.cores else (OK, text)


def _files(facts: MachineFacts, needs: Needs, accounts: int) -> tuple[Verdict, str]:
    wanted = needs.files_others + needs.files_each * accounts
    text = f"one process opens up to {wanted} for {accounts} account{'' if accounts == 1 else 's'}"
    if facts.files is None:
        return OK, f"{text}; no limit here"
    text += f"; {facts.files} allowed"
    remedy = f"raise `ulimit -n` (LimitNOFILE of systemd) to {2 * wanted}"
    if wanted > facts.files:
        return REFUSED, f"{text}: {remedy}"
    return (WARNING, f"{text}: {remedy}") if wanted > needs.share * facts.files else (OK, text)


def request_finding(use: AddressUse, needs: Needs) -> Finding:
    """`requests`, of one exchange."""
    start = (
        needs.start_requests * use.accounts + needs.start_requests_shared + needs.start_requests_symbol * use.symbols
    )
    most = needs.lines // needs.lines_each
    fits = f"an address bears {most} accounts" if use.has_lines else "connections are not limited"
    text = f"a start takes {start} requests, then {use.a_minute:.0f} a minute"
    if use.by_http:
        text += f" beside the orders of {use.by_http} account{'' if use.by_http == 1 else 's'} by HTTP"
    if not use.share:
        return Finding("requests", OK, f"{text}; the exchange limits none; {fits}", use.exchange)
    start_s = WINDOW_S * max(0, start - use.share) / use.share
    a_minute = use.share * 60 / WINDOW_S
    text += f" of {a_minute:.0f} that workers may send; {fits}"
    if use.a_minute > a_minute:
        return Finding(
            "requests", REFUSED, f"{text}; longer intervals, or divide the accounts among addresses", use.exchange
        )
    if use.has_lines and use.accounts > most:
        return Finding("requests", WARNING, f"{text}; divide the accounts among several addresses", use.exchange)
    if start_s > LONG_START_S or use.a_minute > BUSY * a_minute:
        text += f"; the start takes {start_s:.0f} s: longer intervals, or divide the accounts among addresses"
        return Finding("requests", WARNING, text, use.exchange)
    return Finding("requests", OK, text, use.exchange)


def _accounts(count: int) -> str:
    return f"{count} account{'s' if count != 1 else ''} want{'s' if count == 1 else ''}"
