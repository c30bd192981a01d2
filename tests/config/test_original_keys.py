"""The table of the original's keys: all that its description has, its defaults, and figures that are ours."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.config import original_keys as table
from gridbot.config.account_models import AccountCaps, StrategyCaps
from gridbot.config.models import GridbotConfig
from gridbot.config.original_keys import OUR_FIGURES, Fate
from gridbot.config.strategy_kinds import strategy_config
from gridbot.core.limits import Limit
from gridbot.orders.breakers import Breaker
from gridbot.risk import funds
from gridbot.worker.schedule import REFRESH_MIN_S
from tests.case_table import case_table

ROOT = {
    "database_url": "sqlite:///gridbot.db", "status_file_path": None, "status_file_enabled": "true",
    "position_check_interval": "63", "order_sync_interval": "61", "wallet_cache_interval": "300",
    "wallet_ws_enabled": "true", "wallet_ws_max_age_seconds": "45", "rest_fetch_timeout": "10",
    "auth_cooldown_minutes": "30",
}  # fmt: skip
ACCOUNT = {"name": None, "api_key": None, "api_secret": None, "testnet": "true"}
STRATEGY = {
    "strat_id": None, "account": None, "symbol": None, "tick_size": None, "grid_count": "50", "grid_step": "0.2",
    "amount": "x0.001", "max_margin": "8", "early_imbalance_multiplier": "1", "min_liq_ratio": "0.8",
    "max_liq_ratio": "1.2", "min_total_margin": "0.15", "increase_same_position_on_low_margin": "false",
    "dirty_refresh_enabled": "true", "dirty_rest_refresh_min_interval_seconds": "10",
    "truncate_breaker_max_consecutive": "3", "truncate_breaker_window_seconds": "60",
    "truncate_breaker_cooldown_seconds": "60", "truncate_breaker_reconcile": "true",
    "preflight_balance_check_enabled": "true", "preflight_balance_buffer": "0.05", "assumed_leverage": "1",
    "low_balance_fraction": "0.1", "moderate_liq_low_balance_fix_enabled": "true", "chase_close_enabled": "false",
    "chase_position_ratio_threshold": "5", "chase_offset_pct": "0.0007", "chase_replace_drift_pct": "0.001",
    "chase_close_hysteresis": "0.1", "low_balance_skip_transition_logs_enabled": "true",
    "low_balance_skip_exit_idle_seconds": "60", "low_balance_skip_summary_enabled": "true",
    "low_balance_skip_summary_interval_sec": "60", "divergence_detector_enabled": "true",
    "divergence_failure_mix_threshold": "10", "divergence_failure_mix_window_seconds": "60",
    "divergence_retry_budget": "5", "divergence_size_check_interval_seconds": "300",
    "divergence_size_delta_qty_step_multiplier": "5", "divergence_reconcile_min_interval_seconds": "300",
    "shadow_mode": "false",
}  # fmt: skip
CAPS = {
    "enabled": "true", "max_notional_per_symbol": None, "max_open_orders": None, "session_loss_limit": None,
    "session_loss_auto_reset_utc_midnight": "true", "max_orders_per_minute": None,
}  # fmt: skip
TELEGRAM = {"bot_token": None, "chat_id": None}
"""As the original's configuration is described: names and defaults."""


@case_table("name", ["ROOT", "ACCOUNT", "STRATEGY", "CAPS", "TELEGRAM"])
def test_each_key_of_the_original_is_in_the_table_with_its_default(name):
    assert {key: old.default for key, old in getattr(table, name).items()} == globals()[name]


def test_what_is_called_the_same_by_default_has_that_default_here():
    """Read from our models: a new default of ours would silently change what a migrated strategy does."""
    strategy = strategy_config({"strat_id": "a", "account": "b", "symbol": "LTCUSDT"})
    for section, values in ((table.STRATEGY, strategy), (table.ROOT, GridbotConfig.model_fields)):
        for key, old in section.items():
            value = None if old.default is None else old.kind.read(old.default)
            outcome = old.rule(value, False)
            if outcome.fate is Fate.SAME and outcome.ours and not old.is_required:
                ours = getattr(strategy, key) if values is strategy else GridbotConfig.model_fields[key].default
                same = ours == value if isinstance(value, str | bool | None) else Decimal(str(ours)) == value
                assert same, (key, ours, value)


def test_the_figures_that_no_key_changes_are_those_of_the_parts():
    found = {
        "wallet_ws_max_age_seconds": funds.FRESH_S,
        "dirty_rest_refresh_min_interval_seconds": REFRESH_MIN_S,
        "truncate_breaker_max_consecutive": Breaker().threshold,
        "truncate_breaker_window_seconds": Breaker().window_s,
        "truncate_breaker_cooldown_seconds": Breaker().cooldown_s,
        "preflight_balance_buffer": funds.BUFFER - 1,
        "assumed_leverage": funds.ONE,
    }
    assert {key: Decimal(str(value)) for key, value in found.items()} == OUR_FIGURES
    assert StrategyCaps().max_notional is not None
    assert AccountCaps().session_loss_limit == Limit(Decimal("0.25"), of_wallet=True)  # as the notes say


@case_table(
    ("kind", "good", "bad"),
    [
        (table.ABOVE_0, {"0.4": Decimal("0.4"), "1e-1": Decimal("0.1")}, ["0", "-1", "nan", "inf", "", "1_0", "x"]),
        (table.FROM_0, {"0": 0, "61": 61}, ["-1", "1 0", "1e999"]),
        (table.FACTOR, {"100": 100}, ["0", "100.1"]),
        (table.STRATEGY["grid_count"].kind, {"4": 4, "20.0": 20}, ["3", "20.5", "true"]),
        (table.SWITCH, {"yes": True, "False": False, "0": False}, ["2", "", "nay"]),
        (table.AMOUNT, {"x0.0005": "x0.0005", "100": "100"}, ["q0.01", "b5", "x", "0", "-5", "x-1"]),
        (table.WORDS, {"a": "a"}, ["", "  "]),
    ],
)
def test_values_are_read_as_the_original_reads_them(kind, good, bad):
    assert {text: kind.read(text) for text in good} == good
    for text in bad:
        with pytest.raises(ValueError):
            kind.read(text)
