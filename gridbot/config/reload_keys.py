"""What `reload` does with another value of each key of the file, and why: one table. Pure.

`key_rule` finds the row of a key; a section that stands here as a whole (`paper`) has one row for all its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["KEYS", "Applies", "KeyRule", "key_rule"]


class Applies(StrEnum):
    """When another value counts."""

    LIVE = "at once"
    BESIDE = "at once, by a new process beside trading"
    REPLACES = "as another strategy"
    """The strategy ends (its orders are cancelled, its position stays) and begins anew by the same name."""
    ACCOUNT = "needs restart of the account"
    SUPERVISOR = "needs restart of the supervisor"
    NEVER = "never for an account that exists"


@dataclass(frozen=True, slots=True)
class KeyRule:
    """`why` completes "..., because"."""

    applies: Applies
    why: str


def _rules(applies: Applies, why: str, *keys: str) -> dict[str, KeyRule]:
    return dict.fromkeys(keys, KeyRule(applies, why))


_OWN = "each process reads it once, at its start"
_SIZE = "sizes and risk rules of the next orders follow it; orders that rest keep their size"
_LADDER = "the ladder is another one: what it does not have is cancelled, what is missing is placed"

KEYS: Final[dict[str, KeyRule]] = {
    # the file as a whole
    **_rules(Applies.LIVE, "it only says what the accounts that name none have", "environment"),
    **_rules(Applies.LIVE, "it is only asked when the file is checked", "allow_mainnet"),
    **_rules(
        Applies.SUPERVISOR,
        "the schedule of each worker is made at its start",
        "position_check_interval",
        "order_sync_interval",
        "wallet_cache_interval",
        "rest_fetch_timeout",
        "auth_cooldown_minutes",
    ),
    # an account
    **_rules(Applies.LIVE, "it says which account: with another one this account ends and that one begins",
             "accounts.name"),
    **_rules(Applies.LIVE, "labels are looked up when a command is given", "accounts.groups"),
    **_rules(Applies.LIVE, "the fleet looks at it each second, and moves what may not stay", "accounts.hosts"),
    **_rules(Applies.ACCOUNT, "requests are signed and the account is locked by it from the start on",
             "accounts.api_key", "accounts.api_secret", "accounts.api_key_file",
             "accounts.api_secret_file", "accounts.keyring"),
    **_rules(Applies.ACCOUNT, "all connections lead there; what rests on the other one would be left alone",
             "accounts.environment"),
    **_rules(Applies.NEVER, "a paper account has its balance from its beginning on", "accounts.balance"),
    **_rules(Applies.ACCOUNT, "the trade socket is made at the start", "accounts.order_entry"),
    **_rules(Applies.ACCOUNT, "the key is looked at when the account starts", "accounts.allow_withdraw_permission"),
    **_rules(Applies.ACCOUNT, "its topic is asked for when the private stream is made", "accounts.dead_man"),
    **_rules(
        Applies.LIVE,
        "the guards compare with the newest limits; a latch stays until it is resumed",
        "accounts.caps.session_loss_limit",
        "accounts.caps.session_loss_includes_unrealised",
        "accounts.caps.max_notional",
        "accounts.caps.max_drawdown",
        "accounts.caps.on_breach",
        "accounts.caps.max_margin_ratio",
    ),
    # a strategy
    **_rules(Applies.LIVE, "it says which strategy: with another one this strategy ends and that one begins",
             "strategies.strat_id"),
    **_rules(Applies.REPLACES, "orders, grid and position belong to the account, the symbol and the kind",
             "strategies.account", "strategies.symbol", "strategies.kind"),
    **_rules(Applies.REPLACES, "the orders of a shadow strategy rest nowhere, those of a live one on the exchange",
             "strategies.shadow_mode"),
    **_rules(Applies.LIVE, "it is only compared with the exchange's", "strategies.tick_size"),
    **_rules(
        Applies.LIVE,
        _SIZE,
        "strategies.amount",
        "strategies.min_liq_ratio",
        "strategies.max_liq_ratio",
        "strategies.min_total_margin",
        "strategies.increase_same_position_on_low_margin",
        "strategies.early_imbalance_multiplier",
        "strategies.low_balance_fraction",
    ),
    **_rules(
        Applies.LIVE,
        "the gate asks for the newest limits; what rests already stays",
        "strategies.max_margin",
        "strategies.caps.max_notional",
        "strategies.caps.max_open_orders",
        "strategies.caps.max_orders_per_minute",
    ),
    **_rules(Applies.LIVE, "it is set on the exchange at once", "strategies.leverage"),
    **_rules(Applies.LIVE, _LADDER, "strategies.grid_count", "strategies.grid_step"),
    **_rules(Applies.LIVE, "the next fill is judged by it; the ladder stays", "strategies.rebalance_threshold"),
    # what all share
    **_rules(
        Applies.SUPERVISOR,
        "peaks, losses and lent shares are counted from the start on",
        *(f"fleet.{where}.{key}" for where in ("caps", "groups.caps") for key in (
            "max_notional", "max_drawdown", "session_loss_limit", "session_loss_includes_unrealised", "on_breach"
        )),
    ),
    **_rules(
        Applies.SUPERVISOR,
        "a host is registered with it from its start on",
        *(f"fleet.{key}" for key in (
            "name", "host", "dsn", "dsn_file", "address", "capacity", "ttl", "on_lease_lost", "paper_url",
            "paper_seed_file", "keys.api_key", "keys.api_secret", "keys.api_key_file", "keys.api_secret_file",
            "keys.keyring", "keep_records", "history",
        )),
    ),
    **_rules(
        Applies.SUPERVISOR,
        _OWN,
        "supervisor.heartbeat_timeout",
        "supervisor.stop_timeout",
        "supervisor.on_stop",
        "supervisor.restart.backoff_initial",
        "supervisor.restart.backoff_max",
        "supervisor.restart.max_restarts",
        "supervisor.restart.window",
    ),
    **_rules(Applies.SUPERVISOR, "what was lent of the address is counted from the start on",
             "supervisor.requests_per_5s", "supervisor.requests_for_others"),
    **_rules(Applies.SUPERVISOR, "everything that runs works there", "storage.data_dir"),
    **_rules(
        Applies.SUPERVISOR,
        _OWN,
        *(f"storage.{key}" for key in (
            "group", "flush_interval", "lag_alert", "durability", "keep_journal", "ticker_interval", "health_interval",
            "public_trades", "raw_messages", "keep_tickers", "keep_public_trades", "keep_raw_messages",
            "keep_health_samples", "keep_grid_snapshots", "keep_intents", "keep_reconciles",
        )),
        *(f"logging.{key}" for key in ("level", "console_level", "max_bytes", "backups")),
    ),
    **_rules(Applies.SUPERVISOR, "the paper exchange reads it once, and would forget its accounts with a new start",
             "paper"),
    **_rules(Applies.SUPERVISOR, _OWN,
             *(f"web.{key}" for key in ("enabled", "host", "port", "names", "tls_cert", "tls_key", "behind_proxy",
                                        "metrics_token_file"))),
    **_rules(Applies.LIVE, "the page asks whether it may with each command", "web.allow_commands"),
    **_rules(Applies.BESIDE, "its process begins anew with it, and no trade waits for it", "notify", "telegram"),
}  # fmt: skip


def key_rule(path: str) -> KeyRule:
    """The row of a key such as `strategies.grid_step`. Raises KeyError for one that is in no row."""
    section = path.partition(".")[0]
    return KEYS[section] if section in ("paper", "notify", "telegram") else KEYS[path]
