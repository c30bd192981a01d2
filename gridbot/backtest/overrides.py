"""Settings that a backtest tries in place of the file's: `grid_step=0.3`, `account.balance=500`. Checked likewise.

A key without a section is one of each strategy's section that is run; `account.`, `paper.` and `settings.` (the top of
the file) name the others, and dots go further down: `caps.max_notional=x5`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gridbot.commands.wording import one_of
from gridbot.config.account_models import AccountCaps, AccountConfig, StrategyCaps, StrategyConfig
from gridbot.config.errors import ConfigError, Problem
from gridbot.config.models import GridbotConfig
from gridbot.config.validation_problems import problems_of
from gridbot.paper.settings import PaperConfig

__all__ = ["with_overrides"]

ModelT = TypeVar("ModelT", bound=BaseModel)
SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "": StrategyConfig,
    "caps": StrategyCaps,
    "account": AccountConfig,
    "account.caps": AccountCaps,
    "paper": PaperConfig,
    "settings": GridbotConfig,
}

NAMES: Final = frozenset(
    {"strat_id", "account", "kind", "account.name", "settings.accounts", "settings.strategies", "settings.environment"}
)
"""By these is told whose a setting is: with others the run would be of nobody."""
SECRETS: Final = (
    *(f"account.{name}" for name in ("api_key", "api_secret", "api_key_file", "api_secret_file", "keyring")),
    *("paper.keys", "settings.accounts", "settings.paper.keys", "settings.notify", "settings.telegram"),
    *("settings.web", "settings.fleet"),
)
"""Keys with secrets in them, and sections with such keys. What was tried is kept with the results and listed."""


def with_overrides(
    config: GridbotConfig,
    overrides: Sequence[str] | Mapping[str, Any],
    accounts: Sequence[str],
    strategies: Sequence[str],
) -> GridbotConfig:
    """The configuration with `overrides` (`KEY=VALUE`) in these accounts and strategies. Raises ConfigError."""
    pairs = list(overrides.items()) if isinstance(overrides, Mapping) else [_pair(text) for text in overrides]
    for key, value in pairs:
        if key in NAMES:
            say = "change a copy of the file, and name it with -c"
            raise ConfigError("--set", [Problem((key,), "a setting to try", "a name", say)])
        _require_no_secret(key)
        section, _, rest = key.partition(".")
        if section == "account" and rest:
            changed = tuple(_with(a, rest, value, key) if a.name in accounts else a for a in config.accounts)
            config = config.model_copy(update={"accounts": changed})
        elif section == "paper" and rest:
            config = config.model_copy(update={"paper": _with(config.paper, rest, value, key)})
        elif section == "settings" and rest:
            config = _with(config, rest, value, key)
        else:
            _require_known(key)
            found = tuple(_with(s, key, value, key) if s.strat_id in strategies else s for s in config.strategies)
            config = config.model_copy(update={"strategies": found})
            if key == "symbol":
                _require_apart(found, value)
    return config


def _require_no_secret(key: str) -> None:
    """The value is not shown."""
    if any(f"{key}.".startswith(f"{each}.") for each in SECRETS):
        why = "it changes nothing in a backtest, and a secret must not stand in a command: leave it out"
        raise ConfigError("--set", [Problem((key,), "a setting to try", f"`{key}`", why)])


def _require_apart(strategies: Sequence[StrategyConfig], symbol: Any) -> None:
    """Two strategies of an account on one symbol would share one position."""
    on_it = [each.account for each in strategies if each.symbol == symbol]
    if len(set(on_it)) < len(on_it):
        say = "choose one by --strategy"
        raise ConfigError("--set", [Problem(("symbol",), "one strategy per account and symbol", "several", say)])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise ConfigError("--set", [Problem((text,), "KEY=VALUE, such as grid_step=0.3", f"`{text}`", "correct it")])
    return key.strip(), value.strip()


def _with(model: ModelT, key: str, value: Any, whole: str) -> ModelT:
    """The model with another value at a key, and whatever its validators say of that."""
    name, _, rest = key.partition(".")
    inner = getattr(model, name, None)
    if rest and isinstance(inner, BaseModel):
        value = _with(inner, rest, value, whole)
    given = {field: getattr(model, field) for field in model.model_fields_set}
    try:
        return type(model).model_validate({**given, name: value})
    except ValidationError as error:
        # Without the value: a key that is nearly one of `SECRETS` may have a secret. The problem says what is wrong.
        raise ConfigError(f"--set {whole}", problems_of(error, type(model), {})) from None


def _require_known(key: str) -> None:
    """A key of another section is said to be one: `session_loss_limit` is `account.caps.session_loss_limit`."""
    section, _, last = key.rpartition(".")
    if section not in ("", "caps") or last in SECTIONS[section].model_fields:
        return
    places = [".".join(filter(None, (other, last))) for other, model in SECTIONS.items() if last in model.model_fields]
    if places:
        raise ConfigError("--set", [Problem((key,), one_of(places), f"`{key}`", "name its section before the key")])
