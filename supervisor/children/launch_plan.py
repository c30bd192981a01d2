"""Which children a configuration needs, as data. The supervisor runs any plan; tests bring their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbot.state.key_lock import KeyShare
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.fork_server import REHEARSAL
from supervisor.children.policy_types import RestartPolicy

if TYPE_CHECKING:
    from gridbot.config.fleet_models import FleetCaps
    from gridbot.config.models import GridbotConfig
    from supervisor.children.config_source import Source

__all__ = ["ChildLogs", "Plan", "plan_of", "preload_of"]


PRELOADED = (
    "supervisor.children.entry_points:prepare",
    "gridbot.worker.entry:prepare",
    "gridbot.rescue.rescue_entry",
    "gridbot.paper.server.paper_process",
    "supervisor.web.web_entry",
    "supervisor.notify.notify_entry",
    "supervisor.telegram.telegram_entry",
    REHEARSAL,
)
"""What the children run, and what each would make for itself; but for DuckDB, which only the writer needs."""
RSA_PRELOADED = ("gridbot.bybit.signing:prepare_signing",)


_TRIES = 1_000_000
WRITER_PATIENCE = 60.0
"""Ten minutes for one call of DuckDB, an hour for the migration of a large file, while it works: trading goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`children` in the order they are started; `strategies` per account as shown before a worker has reported;
    `groups` the labels of each account.

    `preload` is what the fork server imports or calls, `snapshot` is the configuration without secrets,
    `lag_alert` the seconds the database may be behind,
    `health_interval` the seconds between two kept reports on the fleet (0: none), `warnings` what an operator has to be
    told at the start. `bybit_requests` and `paper_requests` are the HTTP requests that all workers together may send
    there in five seconds (0: nobody counts), and the spare ones are for our commands beside them.
    """

    data_dir: Path
    children: tuple[ChildSpec, ...]
    strategies: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    run_id: str = ""
    config_path: str = ""
    on_stop: str = "keep"
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    keep_journal: bool = False
    lag_alert: float = 60.0
    health_interval: float = 10.0
    warnings: Sequence[str] = ()
    bybit_requests: int = 0
    paper_requests: int = 0
    bybit_spare: int = 0
    paper_spare: int = 0
    preload: Sequence[str] = ()
    web: ChildSpec | None = None
    """The page's process, which is none of the children that trading needs."""
    notify: ChildSpec | None = None
    """The process that tells people of alerts; it is none of them either."""
    telegram: ChildSpec | None = None
    """The process that is asked and given commands by Telegram, likewise."""
    paused: str = ""
    """Why all strategies begin paused; empty when none does."""
    caps: Mapping[str, tuple[FleetCaps, Sequence[str]]] = field(default_factory=dict)
    """The caps of fleet and groups, by scope, with the accounts that each holds for."""
    config: GridbotConfig | None = field(default=None, repr=False)
    """What the plan is made of; None for one that cannot be reloaded, as is `source`, where it is read again."""
    source: Source | None = None
    paper_url: str = ""
    """Where the paper exchange is, when it is none of ours: that of all hosts of a fleet."""
    remake: Callable[[GridbotConfig], Plan] | None = field(default=None, repr=False)
    """The plan of another configuration in the same run."""

    @property
    def host(self) -> str:
        """Name of this host in its fleet; empty in none."""
        return "" if self.config is None else self.config.fleet.host or ""

    @property
    def accounts(self) -> list[str]:
        return [child.account for child in self.children if child.kind is ChildKind.WORKER]


@dataclass(frozen=True, slots=True)
class ChildLogs:
    """Whether children write log lines to the console as well as to their files."""

    console: bool = True


def preload_of(config: GridbotConfig) -> tuple[str, ...]:
    """What the fork server imports or calls."""
    return (*PRELOADED, *(RSA_PRELOADED if config.has_rsa_keys or config.fleet.is_host else ()))


def new_run_id() -> str:
    """The id of one run of the supervisor; every record of that run carries it."""
    return uuid.uuid4().hex[:16]


def plan_of(
    config: GridbotConfig,
    config_path: str,
    *,
    console: bool,
    warnings: Sequence[str] = (),
    control_token: str = "",
    paused: str = "",
    run_id: str = "",
    source: Source | None = None,
) -> Plan:
    """Paper exchange (if an account uses it), writer, then a worker per account in the order of the file.

    Each child gets the keys and secrets that it needs: a worker those of its account, the paper exchange those of its
    accounts (of an RSA key the public half) and the token of its control endpoint, the writer the way to PostgreSQL.
    """
    from gridbot.config.paper_secrets import knowing_only, of_account, reaching_fleet, verifying_only
    from gridbot.config.snapshots import fleet_snapshot

    run_id = run_id or new_run_id()
    logs = ChildLogs(console)
    policy, bare = _policy(config), knowing_only(config)
    workers = tuple(
        ChildSpec(
            name=f"worker-{account.name}",
            kind=ChildKind.WORKER,
            entry="supervisor.children.entry_points:worker",
            args=(account.name, of_account(config, account.name, bare), run_id, logs),
            account=account.name,
            needs_paper=account.environment == "paper",
            policy=policy,
            rescue="supervisor.children.entry_points:rescue",
            lock=(account.api_key.get_secret_value(), str(account.environment)),
            share=KeyShare.of(config.fleet),
        )
        for account in config.accounts
    )
    writer = ChildSpec(
        *("writer", ChildKind.WRITER, "supervisor.children.entry_points:writer"),
        args=(reaching_fleet(config), logs),
        policy=replace(policy, works_in_silence=True, patience=WRITER_PATIENCE),
    )
    market = config.paper.market
    on_paper = [account.name for account in config.accounts if account.environment == "paper"]
    paper = ChildSpec(
        name="paper",
        kind=ChildKind.PAPER,
        entry="supervisor.children.entry_points:paper",
        args=(verifying_only(knowing_only(config, *on_paper)), logs, control_token),
        ends_session=market.source == "replay" and market.at_end == "stop",
        keeps_state=config.paper.state_file is not None,
        policy=replace(policy, works_in_silence=True),
    )
    return Plan(
        data_dir=config.storage.data_dir,
        paused=paused,
        children=((paper,) if on_paper and not config.fleet.paper_url else ()) + (writer, *workers),
        strategies={account.name: _strategies(config, account.name) for account in config.accounts},
        groups={account.name: account.groups for account in config.accounts},
        run_id=run_id,
        config_path=config_path,
        on_stop=config.supervisor.on_stop.value,
        snapshot=fleet_snapshot(config),
        keep_journal=config.storage.keep_journal,
        lag_alert=config.storage.lag_alert,
        health_interval=config.storage.health_interval,
        warnings=warnings,
        bybit_requests=config.supervisor.share_of(config.supervisor.requests_per_5s),
        paper_requests=config.supervisor.share_of(config.paper.limits.ip_requests),
        bybit_spare=config.supervisor.share_of_others(config.supervisor.requests_per_5s),
        paper_spare=config.supervisor.share_of_others(config.paper.limits.ip_requests),
        preload=preload_of(config),
        web=_web(config, logs) if config.web.enabled else None,
        notify=_notify(config, logs) if config.notify.is_wanted else None,
        telegram=_telegram(config, logs) if config.telegram.enabled else None,
        caps=config.cap_scopes(),
        config=config,
        source=source,
        paper_url=config.fleet.paper_url,
        remake=lambda other: plan_of(other, config_path, console=console, control_token=control_token, run_id=run_id),
    )


def _web(config: GridbotConfig, logs: ChildLogs) -> ChildSpec:
    """It gets no key, and no secret but a fleet's way to PostgreSQL; it is tried again for as long as it takes."""
    from gridbot.config.paper_secrets import reaching_fleet

    return ChildSpec(
        *("web", ChildKind.WEB, "supervisor.web.web_entry:web"),
        args=(reaching_fleet(config), logs),
        policy=replace(_policy(config), max_restarts=_TRIES, works_in_silence=True),
    )


def _notify(config: GridbotConfig, logs: ChildLogs) -> ChildSpec:
    """It alone gets the addresses of `notify`, and no key."""
    from gridbot.config.paper_secrets import knowing_only

    return ChildSpec(
        *("notify", ChildKind.NOTIFY, "supervisor.notify.notify_entry:notify"),
        args=(knowing_only(config).model_copy(update={"notify": config.notify}), logs),
        policy=replace(_policy(config), max_restarts=_TRIES, works_in_silence=True),
    )


def _telegram(config: GridbotConfig, logs: ChildLogs) -> ChildSpec:
    """It alone gets the token of the bot, and no key."""
    from gridbot.config.paper_secrets import knowing_only

    return ChildSpec(
        *("telegram", ChildKind.TELEGRAM, "supervisor.telegram.telegram_entry:telegram"),
        args=(knowing_only(config).model_copy(update={"telegram": config.telegram}), logs),
        policy=replace(_policy(config), max_restarts=_TRIES, works_in_silence=True),
    )


def _policy(config: GridbotConfig) -> RestartPolicy:
    supervisor = config.supervisor
    return RestartPolicy(
        backoff_initial=supervisor.restart.backoff_initial,
        backoff_max=supervisor.restart.backoff_max,
        max_restarts=supervisor.restart.max_restarts,
        window=supervisor.restart.window,
        heartbeat_timeout=supervisor.heartbeat_timeout,
        stop_timeout=supervisor.stop_timeout,
        first_at_once=True,
    )


def _strategies(config: GridbotConfig, account: str) -> list[dict[str, Any]]:
    return [
        {
            "strat_id": strategy.strat_id,
            "symbol": strategy.symbol,
            "mode": "shadow" if strategy.shadow_mode else "live",
        }
        for strategy in config.strategies_of(account)
    ]
