"""`gridbot-supervisor doctor`: whether accounts, exchange and machine are as a fleet needs them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.command_line import install_line
from gridbot.config.paths import data_directory, find_config
from supervisor.cli.known_fleet import known_fleet
from supervisor.cli.options import example, load_file_or_refuse, place_options, with_secrets
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.control.control_client import NotRunning
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.account_models import AccountConfig
    from gridbot.config.ladder_report import LadderReport
    from gridbot.config.models import GridbotConfig
    from gridbot.doctor.doctor_facts import AccountFacts
    from gridbot.doctor.findings import Finding
    from supervisor.doctor.account_reading import Asked

__all__ = ["doctor", "document", "examine", "running_status", "settings_of"]

FORMAT: Final = 1
OF_ACCOUNT: Final = 9
"""Requests for an account, beside one for each of its symbols."""
PATIENCE_S: Final = 10.0
Json = dict[str, Any]


@click.command(epilog=example("doctor -c conf/gridbot.yaml alice"))
@place_options()
@target_options("ACCOUNT")
@click.option("--offline", is_flag=True, help="Ask no exchange: the file, and this machine.")
@click.option(
    "--reach", "reach", is_flag=True, help="Also send a test message to each address of notify, its ping, ask Telegram."
)
@click.option("--quiet", "-q", is_flag=True, help="Only warnings and what is refused.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: one object with a row per line.")
def doctor(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    offline: bool,
    reach: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Look at clock, keys, accounts, symbols, ladders and this machine: one line each, ok, warning or refused.

    Before a start it asks each exchange with the keys of the file; beside a running bot it borrows the requests for it
    from the supervisor. Nothing is changed and nothing is sent but queries, and with --reach a test message to each
    address of notify. Without ACCOUNT: all of them.

    Exit code 0: all is ok. 6: there are warnings. 7: something is refused. 4: the file is wrong. 5: no answer.
    """
    if reach and offline:
        raise click.UsageError("expected --reach or --offline, got both; leave one out")
    place = data_directory(data_dir, config)
    written = target_words(targets, groups, everything)
    chosen: Sequence[str] | None = None
    if not written.are_none:
        found = addressed(written, known_fleet(place, config), whole_for="doctor")
        chosen = list(dict.fromkeys(each.account for each in found))
    status = running_status(place)
    named = (status or {}).get("supervisor", {}).get("config")
    from gridbot.config.secret_files import secret_file_warnings

    config_file = Path(named or find_config(config))
    file = load_file_or_refuse(config_file, str(place))
    settings = settings_of(file.config, place)
    warned = list(secret_file_warnings(file, config_file))
    if settings.fleet.is_host and not offline:
        settings, keyless = of_its_fleet(settings, config_file)
        warned += keyless
    findings = examine(settings, place, status, chosen, offline=offline, reach=reach, warned=warned)
    from gridbot.doctor.findings import Verdict, worst

    verdict = worst(findings)
    if as_json:
        print_json(document(findings, verdict))
    else:
        from supervisor.cli.doctor_text import finding_lines

        click.echo("\n".join(finding_lines(findings, only_bad=quiet)))
    codes = {Verdict.OK: ExitCode.OK, Verdict.WARNING: ExitCode.DEGRADED, Verdict.REFUSED: ExitCode.REFUSED}
    sys.exit(codes[verdict])


def running_status(place: Path) -> Json | None:
    """What the supervisor says that runs there; None when none runs."""
    try:
        with PatientClient(place) as client:
            return client.status()
    except NotRunning:
        return None


def settings_of(settings: GridbotConfig, place: Path) -> GridbotConfig:
    """With the secrets of paper accounts where there are any: none are made. Raises CommandError."""
    from gridbot.config.paper_secrets import SEED_FILE

    if (place / SEED_FILE).exists():
        return with_secrets(settings)[0]
    return settings


def examine(
    settings: GridbotConfig,
    place: Path,
    status: Json | None,
    chosen: Sequence[str] | None,
    *,
    offline: bool,
    reach: bool = False,
    warned: Sequence[str] = (),
) -> list[Finding]:
    """All findings in the order of the table of checks: the machine, exchanges, messages, then account by account.

    `reach`: messages are sent. `warned`: what is to be said of the file beside what follows from its settings.
    """
    from gridbot.doctor.account_findings import clock_finding
    from gridbot.doctor.machine_findings import address_uses, machine_findings, request_finding
    from gridbot.doctor.stranger_findings import same_users
    from gridbot.exchange.requests import ApiKeyInfo
    from supervisor.cli.doctor_machine import machine_facts
    from supervisor.cli.fleet_size import NEEDS

    accounts = [account for account in settings.accounts if chosen is None or account.name in chosen]
    machine = machine_facts(place, is_running=status is not None)
    findings = machine_findings(machine, NEEDS, len(settings.accounts), str(place))
    findings += [request_finding(use, NEEDS) for use in address_uses(settings)]
    asked = _asked(settings, accounts, place, status, offline=offline)
    findings += [clock_finding(exchange, clock) for exchange, clock in sorted(asked.clocks.items())]
    configuration, examined = _examined(settings, accounts, asked, warned)
    findings += [*_of_fleet(settings, offline=offline), *configuration, *_of_messages(settings, reach=reach)]
    reached = {finding.about: finding for finding in asked.findings}
    keys = {
        name: (str(facts.environment), facts.key)
        for name, facts in asked.facts.items()
        if isinstance(facts.key, ApiKeyInfo)
    }
    same = {finding.about: finding for finding in same_users(keys)}
    for account in accounts:
        findings += [reached[account.name]] if account.name in reached else []
        for finding in examined[account.name]:
            is_rival = finding.check == "rival" and account.name in same
            findings.append(same[account.name] if is_rival else finding)
    return findings


def of_its_fleet(own: GridbotConfig, file: Path) -> tuple[GridbotConfig, list[str]]:
    """What a host has of its fleet: the accounts whose keys are here, and why it has not those of others.

    Without the database its own file alone.
    """
    from gridbot.config.errors import ConfigError
    from gridbot.config.host_config import fleet_settings, held_by

    try:
        from supervisor.fleet.fleet_examination import version_in_force
    except ImportError:
        return own, []
    version = asyncio.run(version_in_force(own))
    if version is None:
        return own, []
    try:
        found = fleet_settings(version.body, version.version, own, file, os.environ)
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    reasons: dict[str, list[str]] = {}
    for name, why in sorted(found.not_offered.items()):
        reasons.setdefault(why, []).append(name)
    keyless = [f"{', '.join(names)} cannot run on this host: {why}" for why, names in reasons.items()]
    return held_by(found, found.offers), keyless


def _of_fleet(settings: GridbotConfig, *, offline: bool) -> list[Finding]:
    """Of a host of a fleet: the database that it shares accounts by."""
    if not settings.fleet.is_host or offline:
        return []
    from gridbot.doctor.fleet_findings import FleetFacts, fleet_findings

    try:
        from supervisor.fleet.fleet_examination import examined
    except ImportError as error:
        missing = f"expected the package psycopg, got: {error}; `{install_line('psycopg')}` installs it"
        return fleet_findings(FleetFacts("the fleet's database", missing))
    return fleet_findings(asyncio.run(examined(settings)))


def _of_messages(settings: GridbotConfig, *, reach: bool) -> list[Finding]:
    """Of `notify` and `telegram`; their libraries are imported where they are configured."""
    from gridbot.doctor.message_findings import line_findings, telegram_finding

    if not (settings.notify.is_wanted or settings.telegram.enabled):
        return []
    from supervisor.doctor.message_reading import bot_facts, line_facts

    findings = list(line_findings(line_facts(settings, reach=reach)))
    bot = bot_facts(settings, reach=reach)
    return findings if bot is None else [*findings, telegram_finding(bot)]


def _asked(
    settings: GridbotConfig, accounts: Sequence[AccountConfig], place: Path, status: Json | None, *, offline: bool
) -> Asked:
    from gridbot.doctor.doctor_facts import Local
    from gridbot.doctor.findings import Finding, Verdict
    from gridbot.state.key_lock import KeyShare
    from supervisor.control.guest import Guest
    from supervisor.doctor.account_reading import Asked, ask_exchanges, hushed
    from supervisor.doctor.local_reading import local_of
    from supervisor.store.address_pace import Paces

    if offline:
        text = "not asked, as --offline says; what needs the exchange is left out"
        return Asked(findings=[Finding("reach", Verdict.OK, text, account.name) for account in accounts])
    processes = {row["account"]: row["process"] for row in (status or {}).get("accounts", ())}
    url, share = _paper_url(settings, status), KeyShare.of(settings.fleet)

    def local(account: AccountConfig) -> Local:
        return local_of(account, place, processes.get(account.name) if status else None, url, share)

    if status is None:
        _say_how_long(settings, accounts, is_paper_there=url is not None)
    paces = Paces(settings, place, lambda exchange, spare, on_ban: Guest(place, exchange, spare, on_ban=on_ban))
    with hushed():
        return ask_exchanges(settings, accounts, url, paces, local)


def _say_how_long(settings: GridbotConfig, accounts: Sequence[AccountConfig], *, is_paper_there: bool) -> None:
    """To whoever waits: alone it asks at the pace that workers leave to others."""
    seconds = 0.0
    limits = {True: settings.paper.limits.ip_requests, False: settings.supervisor.requests_per_5s}
    for on_paper, allowed in limits.items():
        asked = [each for each in accounts if (each.environment == "paper") is on_paper]
        pace = settings.supervisor.share_of_others(allowed)
        if pace and (is_paper_there or not on_paper):
            symbols = sum(len(settings.strategies_of(each.name)) for each in asked)
            seconds = max(seconds, 5 * (OF_ACCOUNT * len(asked) + symbols) / pace)
    if seconds > PATIENCE_S:
        click.echo(f"asking {len(accounts)} accounts takes about {seconds:.0f} s", err=True)


def _paper_url(settings: GridbotConfig, status: Json | None) -> str | None:
    """Of the running bot's paper exchange, or of one that runs by itself (`paper`); None when there is none."""
    import socket

    if settings.fleet.paper_url:
        return settings.fleet.paper_url
    if status is not None:
        return (status.get("paper") or {}).get("url")
    host, port = settings.paper.host, settings.paper.port
    if not port:
        return None
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    except OSError:
        return None


def _examined(
    settings: GridbotConfig, accounts: Sequence[AccountConfig], asked: Asked, warned: Sequence[str]
) -> tuple[list[Finding], Mapping[str, Sequence[Finding]]]:
    """What is found in the file, of these accounts and of caps over all, and in each account by name."""
    from gridbot.config.cap_warnings import cap_warnings
    from gridbot.config.ladder_warnings import ladder_warnings
    from gridbot.config.route_warnings import route_warnings
    from gridbot.config.setting_warnings import setting_warnings
    from gridbot.doctor.doctor_facts import AccountFacts
    from gridbot.doctor.examine import examined_account
    from gridbot.doctor.findings import Finding, Verdict
    from supervisor.cli.machine_checks import paper_cautions, replay_failures
    from supervisor.store.left_behind import left_behind

    now_ms = time.time_ns() // 1_000_000
    reports: list[LadderReport] = []
    fees: dict[str, Decimal] = {}
    found: dict[str, Sequence[Finding]] = {}
    names = {account.name for account in accounts}
    unreachable = {each.about for each in asked.findings if each.verdict is Verdict.REFUSED}
    for account in settings.accounts:
        facts = asked.facts.get(account.name)
        known = AccountFacts(account.name, account.environment) if account.name in unreachable else None
        result = examined_account(
            settings, facts or known or _offline(settings, account), now_ms, is_online=facts is not None
        )
        reports += result.reports
        fees |= result.maker_fees
        found[account.name] = result.findings if account.name in names else ()
    strategies = tuple(each for each in settings.strategies if each.account in names)
    mine = settings.model_copy(update={"accounts": tuple(accounts), "strategies": strategies})
    warnings = [
        *warned,
        *setting_warnings(mine, fees),
        *ladder_warnings([report for report in reports if report.strategy.account in names]),
        *cap_warnings(settings, reports),
        *route_warnings(settings),
        *left_behind(settings),
        *(() if asked.facts else paper_cautions(settings)),
    ]
    wrong = [report.problem for report in reports if report.problem and report.strategy.account in names]
    problems = [*replay_failures(settings), *wrong]
    rows = [Finding("configuration", Verdict.REFUSED, text, "file") for text in problems]
    rows += [Finding("configuration", Verdict.WARNING, text, "file") for text in warnings]
    text = f"{_count(len(accounts), 'account')}, {_count(len(strategies), 'strategy', 'strategies')}: nothing to say"
    return rows or [Finding("configuration", Verdict.OK, text, "file")], found


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _offline(settings: GridbotConfig, account: AccountConfig) -> AccountFacts:
    """What the file says of an account that was not asked: on paper the rules, fees and price of the paper exchange."""
    from gridbot.config.offline_market import offline_instrument, paper_start_price
    from gridbot.doctor.doctor_facts import AccountFacts, SymbolFacts, Unread
    from gridbot.exchange.examined import SymbolTerms
    from gridbot.exchange.requests import FeeRate

    facts = AccountFacts(account.name, account.environment)
    if account.environment != "paper":
        return facts
    paper, symbols = settings.paper, {}
    for strategy in settings.strategies_of(account.name):
        price = paper_start_price(paper, strategy.symbol)
        instrument = offline_instrument(strategy, account.environment, paper)
        symbols[strategy.symbol] = SymbolFacts(
            instrument or Unread(f"the rules of {strategy.symbol} are known when the paper market starts"),
            price or Unread("known when the paper market starts"),
            SymbolTerms(None, paper.default_leverage),
            FeeRate(strategy.symbol, paper.maker_fee, paper.taker_fee),
        )
    return AccountFacts(account.name, account.environment, symbols=symbols)


def document(findings: Sequence[Finding], verdict: str) -> Json:
    rows = [{"check": f.check, "about": f.about, "verdict": f.verdict.value, "text": f.text} for f in findings]
    return {"format": FORMAT, "verdict": str(verdict), "findings": rows}
