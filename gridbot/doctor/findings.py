"""What a check finds, and the table of all checks, from which docs/doctor.md has its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["CHECKS", "Check", "Finding", "Verdict", "check_table", "worst"]


class Verdict(StrEnum):
    """How bad it is: nothing to do, to be looked at, not to be started so."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


class Finding(NamedTuple):
    """One line. `about` is an account, ACCOUNT/STRATEGY, an exchange, "file", or "" for the machine."""

    check: str
    verdict: Verdict
    text: str
    about: str = ""


class Check(NamedTuple):
    """What it looks at, and when it warns and refuses; "" where it never does."""

    looks_at: str
    warns: str
    refuses: str


CHECKS: Final = MappingProxyType(
    {
        "disk": Check(
            "free space of the data directory; how long a write takes to be safe (fsync), to be read only",
            "less than 500 MB",
            "less than 50 MB, or it cannot be written, or a newer gridbot has worked there",
        ),
        "memory": Check(
            "what the workers and the other processes want, beside what the machine or its container has",
            "more than 80 %, or before a start more than is free",
            "more than there is",
        ),
        "cpu": Check(
            "the same of cores, when each account fills five orders a second",
            "more than 80 %",
            "",
        ),
        "open_files": Check(
            "the limit of open files (`ulimit -n`), beside what supervisor and paper exchange open for all accounts",
            "more than 80 %",
            "more than there are",
        ),
        "requests": Check(
            "HTTP requests of a start and in steady state, and WebSockets, beside what the address may",
            "a start takes over 60 s, or steady state over half, or more accounts than one address can connect",
            "steady state wants more than the address may",
        ),
        "clock": Check(
            "our clock against the exchange's: the quickest of three answers, give or take half its way",
            "over 500 ms ahead or 3 s behind, or an answer took over 2 s",
            "surely over 1 s ahead or 5 s behind: requests with our time are refused (10002)",
        ),
        "fleet_database": Check(
            "the database of a fleet: its tables and name, the rights of our login, TLS off this machine, its clock",
            "its clock is over 2 s from ours, our login may more than a host needs, no configuration was pushed",
            "it does not answer; tables of another version, or of another fleet; our login may not do what a host does",
        ),
        "fleet_replication": Check(
            "whether a standby of the fleet's database has each lease before it is granted",
            "",
            "asynchronous replication, or commits that do not wait for the disk: a failover would forget leases",
        ),
        "fleet_hosts": Check(
            "the other hosts of the fleet, and its accounts",
            "a host is dead, another one has our name, hosts run different versions, or an account has no host",
            "",
        ),
        "fleet_history": Check(
            "the place of the fleet's history: that it can be written, and is the one that all hosts see",
            "this host writes none while others do, or records wait for their file for over 6 h",
            "it is away, cannot be written, or is another one than that of the other hosts",
        ),
        "fleet_caps": Check(
            "the caps over all hosts of the fleet: what is used, and whether somebody looks at them",
            "a cap holds accounts, or no host that is alive looks at it",
            "",
        ),
        "configuration": Check(
            "all that check finds in the file, with the exchange's figures where it was asked",
            "what check warns of",
            "what check refuses",
        ),
        "messages": Check(
            "each address of the section notify and its ping; with `--reach` a test message to each, and one ping",
            "",
            "Apprise is missing or cannot read the address; with `--reach`: nothing arrived",
        ),
        "telegram": Check(
            "the token of `telegram` and who may give commands; with `--reach` the Bot API is asked who the bot is",
            "",
            "with `--reach`: the Bot API refuses the token, or cannot be reached",
        ),
        "reach": Check(
            "whether the exchange answers with the key of the account",
            "a paper exchange that does not run yet is no warning: what needs it is left out",
            "it does not answer, or refuses the key (10003, 10004, 10010, 33004, a ban of the address)",
        ),
        "key": Check(
            "what the key may do, and the kind of account",
            "the exchange does not tell; it may move money between accounts",
            "read only; without Order or Position; no unified account",
        ),
        "withdrawals": Check(
            "whether the key may withdraw money",
            "it may, and the account allows it",
            "it may, without `allow_withdraw_permission: true`; its worker does not start either",
        ),
        "key_binding": Check(
            "the addresses that the key is bound to, and when it expires",
            "bound to none (Bybit lets it expire after 90 days), or it expires in 14 days or less",
            "it expires within a day",
        ),
        "margin_mode": Check("cross or isolated margin", "", "isolated, or a mode nobody knows: the start refuses it"),
        "dead_man": Check(
            "`dead_man` of the file, and whether the account may use disconnect-cancel-all",
            "configured, and the account may not use it; not configured, and the exchange has it on",
            "",
        ),
        "foreign_orders": Check(
            "resting orders that are not of the strategies of the file, by symbol", "there are some", ""
        ),
        "foreign_positions": Check(
            "positions on symbols that no live strategy of the account trades, by symbol", "there are some", ""
        ),
        "rival": Check(
            "who else trades the account: processes of this machine with its key, other accounts of the file with the "
            "same user, orders and the newest executions with ids of another gridbot or of a program",
            "another program or a hand has traded a symbol of ours within the last hour",
            "another process has the key; two accounts of the file are one; another gridbot's ids, or ids of ours that "
            "this data directory has never given",
        ),
        "margin": Check(
            "initial margin when all ladders of the account are full, beside the balance that is left then, both ways",
            "more than is left: the exchange refuses the last levels (110007)",
            "",
        ),
        "liquidation": Check(
            "the prices of a liquidation when all ladders are full and all prices go the same way, both ways",
            "less than 10 % of the price beyond the last level",
            "before the last level",
        ),
        "instrument": Check(
            "state and rules of the symbol",
            "its rules could not be read, it does not trade yet, is going to be delisted, may only be reduced",
            "not listed, closed, or another `tick_size` than the file's",
        ),
        "position_mode": Check(
            "hedge mode of the symbol",
            "the exchange does not tell",
            "one-way with a position or orders: it cannot be switched",
        ),
        "leverage": Check(
            "leverage of the symbol, which the start sets where the file has one",
            "the exchange does not tell",
            "above what the symbol may have",
        ),
        "risk_limit": Check(
            "the full ladder beside the largest position that the leverage may have (risk tiers)",
            "the ladder is larger: the exchange refuses the rest (110090, 110016)",
            "",
        ),
        "fees": Check(
            "what a level earns: the narrowest step less two maker fees, and less a maker's and a taker's",
            "nothing with two maker fees, or a loss with one taker fee",
            "a loss with two maker fees",
        ),
        "sizes": Check(
            "the order of each level beside the smallest and the largest that the exchange takes",
            "some levels are below it, or rounded up by over 10 %, or cut",
            "all levels are below it",
        ),
    }
)
"""In the order in which they are printed, each for the machine, an exchange, an account or a strategy."""


def worst(findings: Iterable[Finding]) -> Verdict:
    """The worst verdict; ok when there is none."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def check_table() -> str:
    """The table of docs/doctor.md."""
    rows = [f"| `{name}` | {c.looks_at} | {c.warns or '-'} | {c.refuses or '-'} |" for name, c in CHECKS.items()]
    return "\n".join(["| check | looks at | warns | refuses |", "|---|---|---|---|", *rows])
