"""From the original's file to ours: each key, what is strict, secrets, and that the decisions are the same."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import pytest

from gridbot.config.loading import load_config
from gridbot.config.original_keys import CAPS, ROOT, STRATEGY, TELEGRAM, Fate
from gridbot.config.original_migration import HIDDEN, Migration, migrated
from gridbot.config.original_text import text_of_file, told_together
from gridbot.config.yaml_nodes import read_document
from gridbot.core import AmountRule, Instrument, quantity_for
from gridbot.core.limits import Limit
from tests.case_table import case_table

EXAMPLE = Path(__file__).with_name("original.yaml")
ACCOUNTS = "accounts: [{name: a, api_key: K, api_secret: S}]\n"
ONE = ACCOUNTS + "strategies:\n  - {strat_id: s, account: a, symbol: LTCUSDT"


def _migrate(text: str) -> Migration:
    return migrated(read_document(text, {"STEP": "0.4", "TESTNET": "false"}))


def _loaded(migration: Migration, tmp_path: Path, **changes: str):
    path = tmp_path / "new.yaml"
    text = text_of_file(migration, "old.yaml").replace("allow_mainnet: false", "allow_mainnet: true")
    path.write_text(text)
    return load_config(path, environ={name: f"value-of-{name}" for name in migration.variables} | changes)


T, S, D, N, IGNORED = Fate.TAKEN, Fate.SAME, Fate.DIFFERS, Fate.NO_EQUAL, Fate.IGNORED
STRATEGY_CASES = {
    "tick_size": [("0.01", T, "tick_size", "0.01")],
    "grid_count": [("20", T, "grid_count", "20")],
    "grid_step": [("4e-1", T, "grid_step", "0.4"), ("${STEP}", T, "grid_step", "${STEP}")],
    "amount": [("x0.0005", T, "amount", "x0.0005"), ("100", T, "amount", "100")],
    "max_margin": [("5", D, "max_margin", "5")],
    "early_imbalance_multiplier": [("2", T, "early_imbalance_multiplier", "2")],
    "min_liq_ratio": [("0.7", T, "min_liq_ratio", "0.7")],
    "max_liq_ratio": [("1.3", T, "max_liq_ratio", "1.3")],
    "min_total_margin": [("3", T, "min_total_margin", "3")],
    "increase_same_position_on_low_margin": [("yes", T, "increase_same_position_on_low_margin", "true")],
    "dirty_refresh_enabled": [("true", S, "", ""), ("false", D, "", "")],
    "dirty_rest_refresh_min_interval_seconds": [("10.0", S, "", ""), ("5", D, "", "")],
    "truncate_breaker_max_consecutive": [("3", S, "", ""), ("4", D, "", "")],
    "truncate_breaker_window_seconds": [("60", S, "", ""), ("61", D, "", "")],
    "truncate_breaker_cooldown_seconds": [("60", S, "", ""), ("30", D, "", "")],
    "truncate_breaker_reconcile": [("off", D, "", "")],
    "preflight_balance_check_enabled": [("no", D, "", "")],
    "preflight_balance_buffer": [("0.05", S, "", ""), ("0", D, "", "")],
    "assumed_leverage": [("1.0", S, "", ""), ("10", D, "", "")],
    "low_balance_fraction": [("0.2", T, "low_balance_fraction", "0.2")],
    "moderate_liq_low_balance_fix_enabled": [("false", D, "", "")],
    "chase_close_enabled": [("false", IGNORED, "", ""), ("true", N, "", "")],
    "chase_position_ratio_threshold": [("6", IGNORED, "", "")],
    "chase_offset_pct": [("0.1", IGNORED, "", "")],
    "chase_replace_drift_pct": [("0.1", IGNORED, "", "")],
    "chase_close_hysteresis": [("0", IGNORED, "", "")],
    "low_balance_skip_transition_logs_enabled": [("false", N, "", "")],
    "low_balance_skip_exit_idle_seconds": [("0", N, "", "")],
    "low_balance_skip_summary_enabled": [("true", N, "", "")],
    "low_balance_skip_summary_interval_sec": [("30", N, "", "")],
    "divergence_detector_enabled": [("true", S, "", ""), ("false", D, "", "")],
    "divergence_failure_mix_threshold": [("5", N, "", "")],
    "divergence_failure_mix_window_seconds": [("5", N, "", "")],
    "divergence_retry_budget": [("5", N, "", "")],
    "divergence_size_check_interval_seconds": [("5", N, "", "")],
    "divergence_size_delta_qty_step_multiplier": [("5", N, "", "")],
    "divergence_reconcile_min_interval_seconds": [("5", N, "", "")],
    "shadow_mode": [("true", T, "shadow_mode", "true"), ("false", T, "shadow_mode", "false")],
    "strat_id": [],
    "account": [],
    "symbol": [],
}
CAP_CASES = {
    "enabled": [("true", S, "", ""), ("false", T, "", "")],
    "max_notional_per_symbol": [("20000", D, "caps.max_notional", "20000"), ("null", D, "caps.max_notional", "")],
    "max_open_orders": [("60", T, "caps.max_open_orders", "60")],
    "session_loss_limit": [("250", D, "accounts.caps.session_loss_limit", "250")],
    "session_loss_auto_reset_utc_midnight": [("false", S, "", ""), ("true", D, "", "")],
    "max_orders_per_minute": [("100", D, "caps.max_orders_per_minute", "100")],
}
ROOT_CASES = {
    "database_url": [("sqlite:///x.db", N, "", "")],
    "status_file_path": [("/tmp/x.json", N, "", "")],
    "status_file_enabled": [("false", N, "", "")],
    "position_check_interval": [("30", T, "position_check_interval", "30")],
    "order_sync_interval": [("0", T, "order_sync_interval", "0")],
    "wallet_cache_interval": [("0", T, "wallet_cache_interval", "0")],
    "wallet_ws_enabled": [("true", S, "", ""), ("false", D, "", "")],
    "wallet_ws_max_age_seconds": [("45", S, "", ""), ("60", D, "", "")],
    "rest_fetch_timeout": [("5", T, "rest_fetch_timeout", "5")],
    "auth_cooldown_minutes": [("10", T, "auth_cooldown_minutes", "10")],
}


def _found(migration: Migration, key: str) -> tuple[object, ...]:
    [finding] = [each for each in migration.findings if each.key == key]
    return finding.outcome.fate, finding.outcome.ours, finding.outcome.written


def test_each_key_has_a_case():
    assert STRATEGY_CASES.keys() == STRATEGY.keys()
    assert CAP_CASES.keys() == CAPS.keys()
    assert ROOT_CASES.keys() == ROOT.keys()


@pytest.mark.parametrize("key", [key for key, cases in STRATEGY_CASES.items() if cases])
def test_a_key_of_a_strategy(key, tmp_path):
    for text, *told in STRATEGY_CASES[key]:
        migration = _migrate(f'{ONE}, {key}: "{text}"}}\n')
        assert not migration.problems
        assert [*_found(migration, key)] == told, text
        _loaded(migration, tmp_path, STEP="0.4")


@pytest.mark.parametrize("key", CAP_CASES)
def test_a_key_of_the_safety_caps(key, tmp_path):
    for text, *told in CAP_CASES[key]:
        migration = _migrate(f"{ONE}, safety_caps: {{{key}: {text}}}}}\n")
        assert not migration.problems
        assert [*_found(migration, f"safety_caps.{key}")] == told, text
        _loaded(migration, tmp_path)


@pytest.mark.parametrize("key", ROOT_CASES)
def test_a_key_of_the_root(key, tmp_path):
    for text, *told in ROOT_CASES[key]:
        migration = _migrate(f"{ONE}}}\n{key}: {text}\n")
        assert not migration.problems
        assert [*_found(migration, key)] == told, text
        _loaded(migration, tmp_path)


def test_chasing_makes_its_figures_count():
    assert _found(_migrate(f"{ONE}, chase_close_enabled: on, chase_offset_pct: 0.1}}\n"), "chase_offset_pct")[0] is N


@pytest.mark.parametrize(("said", "environment"), [("false", "mainnet"), ("", "testnet"), ("${TESTNET}", "mainnet")])
def test_the_testnet_flag_becomes_the_environment(said, environment, tmp_path):
    flag = f', testnet: "{said}"' if said else ""
    migration = _migrate(f"accounts: [{{name: a, api_key: K, api_secret: S{flag}}}]\n")
    assert _loaded(migration, tmp_path).account("a").environment == environment
    assert ("allow_mainnet: false" in text_of_file(migration, "old")) is (environment == "mainnet")


def test_the_example_becomes_a_file_that_passes_check(tmp_path):
    migration = migrated(read_document(EXAMPLE.read_text(), {}))
    assert not migration.problems
    assert migration.variables == ["MAIN_LTC_API_KEY", "MAIN_LTC_API_SECRET", "SECOND_KEY", "SECOND_SECRET"]
    assert migration.plain_secrets == ["main_ltc.api_key", "main_ltc.api_secret"]
    config = _loaded(migration, tmp_path)
    ltc, sol, watch = config.strategies
    account = config.account("main_ltc")
    assert (str(account.environment), account.caps.session_loss_limit) == ("mainnet", Limit(Decimal(100)))
    assert str(config.account("second").environment) == "testnet"
    assert (ltc.caps.max_notional, ltc.caps.max_open_orders, ltc.max_margin) == (Limit(Decimal(20000)), 60, 5)
    assert (sol.amount, sol.min_total_margin, sol.caps.max_open_orders) == ("100", Decimal("2.5"), 200)
    assert watch.shadow_mode
    assert (watch.caps.max_notional, watch.caps.max_open_orders, watch.caps.max_orders_per_minute) == (None, None, None)
    assert config.order_sync_interval == 0


def test_no_secret_is_in_anything_that_is_made_of_the_file():
    migration = migrated(read_document(EXAMPLE.read_text(), {"SECOND_KEY": "SESAME-OPEN"}))
    assert "SESAME" not in text_of_file(migration, "old") + repr(migration)
    told = {finding.key for finding in migration.findings if finding.old == HIDDEN}
    assert {"api_key", "api_secret", *(f"notification.telegram.{key}" for key in TELEGRAM)} <= told
    wrong = migrated(read_document("accounts: [{name: a, api_key: [SESAME], api_secret: {SESAME: 1}}]", {}))
    assert "SESAME" not in repr(wrong)
    assert len(wrong.problems) == 2
    text = f"status_file_path: '/x/${{KEY}}'\n{ONE}, amount: '${{KEY}}', grid_step: '${{KEY}}'}}"
    in_wrong_lines = migrated(read_document(text, {"KEY": "SESAME-OPEN"}))
    assert [problem.got for problem in in_wrong_lines.problems] == ["`${KEY}`", "`${KEY}`"]
    assert "SESAME" not in repr(in_wrong_lines)


@case_table(
    ("text", "key", "words"),
    [
        ("", "the file", "empty"),
        ("[1]", "the file", "keys with values"),
        ("accounts: 5", "accounts", "a list"),
        ("accounts: [5]", "accounts[0]", "keys with values"),
        ("strategies: []", "accounts", "at least one account"),
        ("accounts: [{name: a, api_secret: S}]", "accounts[0].api_key", "add it"),
        ("accounts: [{name: a, api_key: '', api_secret: S}]", "accounts[0].api_key", "text"),
        (ACCOUNTS.replace("]", ", {name: a, api_key: K, api_secret: S}]"), "accounts[1].name", "twice"),
        (ACCOUNTS + "strategies: [{strat_id: s, account: b, symbol: X}]", "strategies[0].account", "`b`"),
        (f"{ONE}, amount: b5}}", "strategies[0].amount", "`b5`"),
        (f"{ONE}, grid_count: 3}}", "strategies[0].grid_count", "from 4 up"),
        *(
            (f"{ONE}, {key}: {value}}}", f"strategies[0].{key}", "write it in plain decimal digits")
            for key, value in {
                "grid_count": "010",
                "grid_step": "0.1_5",
                "max_margin": "0x10",
                "amount": "0100",
            }.items()
        ),
        (f"{ONE}, grid_count: '1:30'}}", "strategies[0].grid_count", "write it in plain decimal digits"),
        (f"{ONE}, grid_step: null}}", "strategies[0].grid_step", "above 0"),
        (f"{ONE}, long_koef: 2}}", "strategies[0].long_koef", "early_imbalance_multiplier"),
        (f"{ONE}, safety_caps: 5}}", "strategies[0].safety_caps", "keys with values"),
        (f"{ONE}, grid_step: '${{NOT_SET}}'}}", "strategies[0].grid_step", "NOT_SET"),
        ("notification: {telegram: 5}\n" + ACCOUNTS, "notification.telegram", "keys with values"),
    ],
)
def test_what_the_original_would_not_start_with_is_named(text, key, words):
    problems = _migrate(text).problems
    assert [problem.key for problem in problems] == [key]
    assert words in problems[0].text("old.yaml")


def test_a_key_that_the_original_ignores_is_named_without_its_value():
    migration = _migrate(f"{ONE}, grid_stepp: SESAME}}\nnotification: {{mail: x}}\nacounts: []\n")
    told = {each.key: each for each in migration.findings if each.outcome.fate is IGNORED and each.old == HIDDEN}
    assert told.keys() == {"grid_stepp", "mail", "acounts"}
    assert "did you mean grid_step?" in told["grid_stepp"].outcome.note
    assert "SESAME" not in text_of_file(migration, "old")


def test_names_become_names_of_ours_that_nobody_else_has(tmp_path):
    text = """
accounts:
  - {name: "my main", api_key: K, api_secret: S}
  - {name: "my.main", api_key: K, api_secret: S}
  - {name: null-, api_key: K, api_secret: S}
strategies:
  - {strat_id: "LTC/1", account: my.main, symbol: LTCUSDT}
  - {strat_id: "null", account: "my main", symbol: SOLUSDT}
"""
    migration = _migrate(text)
    config = _loaded(migration, tmp_path)
    assert [account.name for account in config.accounts] == ["my-main", "my-main-2", "null-"]
    trade = [(each.strat_id, each.account) for each in config.strategies]
    assert trade == [("LTC-1", "my-main-2"), ("null", "my-main")]
    assert len(set(migration.variables)) == 6


def test_two_accounts_never_share_a_made_up_variable():
    text = "accounts: [{name: a-b, api_key: K, api_secret: S}, {name: a_b, api_key: L, api_secret: T}]\n"
    assert _migrate(text).variables == ["A_B_API_KEY", "A_B_API_SECRET", "A_B_2_API_KEY", "A_B_2_API_SECRET"]


def test_what_differs_is_told_first_and_what_is_the_same_once():
    told = told_together(migrated(read_document(EXAMPLE.read_text(), {})).findings)
    fates = [finding.outcome.fate for finding, _ in told]
    assert fates == sorted(fates, key=list(Fate).index)
    [symbols] = [where for finding, where in told if finding.key == "symbol" and finding.old == "SOLUSDT"]
    assert symbols == ["solusdt_main", "solusdt_watch"]


# ---------------------------------------------------------------------- the same decisions

LTC = Instrument(
    symbol="LTCUSDT", tick_size=Decimal("0.01"), qty_step=Decimal("0.1"), min_order_qty=Decimal("0.1"),
    max_order_qty=Decimal(1000), min_notional=Decimal(5),
)  # fmt: skip


def _rounded(value: Decimal) -> Decimal:
    return (value / LTC.tick_size).to_integral_value() * LTC.tick_size


def _old_ladder(price: Decimal, count: int, step: Decimal) -> list[Decimal]:
    """As the strategy's page describes the original's: compounding from the price, each level on a tick."""
    up, down, levels = price, price, [_rounded(price)]
    for _ in range(count // 2):
        up, down = _rounded(up * (1 + step / 100)), _rounded(down * (1 - step / 100))
        levels = [down, *levels, up]
    return levels


def _old_size(amount: str, price: Decimal, wallet: Decimal) -> Decimal:
    usdt = wallet * Decimal(amount[1:]) if amount.startswith("x") else Decimal(amount)
    steps = max(usdt, Decimal(5)) / price / LTC.qty_step
    return steps.to_integral_value(ROUND_CEILING) * LTC.qty_step


@pytest.mark.parametrize(("count", "step", "amount"), [(20, "0.4", "x0.0005"), (50, "0.2", "100"), (7, "1.5", "x0.02")])
def test_ladder_sizes_and_rules_are_those_of_the_old_settings(count, step, amount, tmp_path):
    migration = _migrate(f"{ONE}, grid_count: {count}, grid_step: {step}, amount: {amount}}}\n")
    [strategy] = _loaded(migration, tmp_path).strategies
    for price in (Decimal("85.37"), Decimal("44.01")):
        levels = strategy.decided_by.plan(strategy, LTC, price)
        assert [LTC.price(level.ticks) for level in levels] == _old_ladder(price, count, Decimal(step))
        for wallet in (Decimal(900), Decimal("12345.6")):
            rule = AmountRule.parse(strategy.amount)
            assert quantity_for(rule, price, LTC, wallet) == _old_size(amount, price, wallet)
