"""docs/configuration.md, made from the models: `python -m gridbot.config.reference > docs/configuration.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gridbot.config.account_models import StrategyConfig
from gridbot.config.fields import age_text
from gridbot.config.models import GridbotConfig
from gridbot.core.limits import DrawdownLimit, Limit
from gridbot.exchange.dead_man import DeadMan
from gridbot.strategies.registry import KINDS

__all__ = ["reference"]

INTRODUCTION = """\
# Configuration

Made from the models by `python -m gridbot.config.reference > docs/configuration.md`; a test compares. An example with
every key is `conf/gridbot.yaml.example`; `gridbot-supervisor check` reads a file, shows all its errors at once, and
prints what it would trade. It asks no exchange, so it knows nothing of a symbol's state (not open yet, being delisted):
a start reads that, and `status` shows it.

**Which file.** `-c/--config`, else `GRIDBOT_CONFIG_PATH`, else `conf/demo.yaml` of the checkout, else the same file as
it was installed, with its data in the working directory.

**Where data goes.** `--data-dir`, else `GRIDBOT_DATA_DIR` (both relative to the working directory), else
`storage.data_dir`. A relative path inside the file (`data_dir`, a file of a replay, `instruments_from`) starts from the
directory that holds `conf/`; for a file outside a directory named `conf`, from the file's own directory.
`paper.state_file` starts from the data directory. A path may have `~` and `${NAME}`; a bare `$NAME` is refused. All
commands read `data_dir` as `start` does.

**Secrets.** `${NAME}` in any value is the environment variable NAME; missing or empty is an error. Where NAME is not
set and NAME_FILE is, the value is read from the file it names (8 kB at most). Secrets are printed nowhere: not in
errors, logs or records. Files, RSA keys and systemd's credentials: `docs/secrets.md`.

**Real money.** An account trades on mainnet only when its environment says so (`environment: mainnet`, or the older
`testnet: false`) and the root of the file says `allow_mainnet: true`.

**Numbers** are read as text and kept exact. Limits called *cap* are USDT (`20000`), a multiple of the wallet (`x10`),
or `off`. A *drawdown* is USDT (`500`), a share of the peak (`20%`), or `off`. A *duration* is days (`30d`), hours
(`12h`), or `off` for ever.

**Defaults and templates** are written out before anything is checked. Own keys win over templates, those over defaults.
Mappings merge key by key, all else replaces (`docs/templates.md`; an example is `conf/fleet.yaml`).

| key | type | meaning |
|---|---|---|
| `defaults.accounts` | keys of `accounts[]` | What every account has that says nothing else. |
| `defaults.strategies` | keys of `strategies[]` | The same for strategies. |
| `templates.accounts.NAME` | keys of `accounts[]` | What accounts have that say `template: NAME`. |
| `templates.strategies.NAME` | keys of `strategies[]` | The same for strategies. |
| `accounts[].template`, `strategies[].template` | name or list | Its templates; of several the later wins. |
| `accounts[].strategies.NAME` | keys of `strategies[]` | A strategy of this account; its id is `ACCOUNT-NAME`. |
"""


_OFF = frozenset({"cap", "duration", "drawdown", "off, dcp SECONDS"})
"""Types whose absence is written `off`."""


def reference() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *_section(GridbotConfig, "", "The root")]
    return "\n".join(parts)


def _section(model: type[BaseModel], path: str, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    summary = (model.__doc__ or "").strip().partition("\n\n")[0]
    yield " ".join(summary.split()) + "\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        place = f"{path}{name}"
        if (child := _model_in(field.annotation)) is not None:
            origin = get_origin(field.annotation)
            many = "[]" if origin in (list, tuple) else ".NAME" if origin is dict else ""
            inner.append((place + many, child))
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"
    yield ""
    for place, child in inner:
        yield from _section(child, f"{place}.", f"`{place}`")
        if child is StrategyConfig:
            for kind in KINDS.values():
                yield from _section(kind.keys, f"{place}.", f"`{place}` of kind `{kind.name}`")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _type(field: FieldInfo) -> str:
    words = " or ".join(dict.fromkeys(_words(field.annotation)))
    return words.replace("|", "\\|")


def _words(annotation: Any) -> list[str]:
    if hasattr(annotation, "__metadata__"):
        return _words(get_args(annotation)[0])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [", ".join(map(str, arguments))]
    if origin in (list, tuple):
        return ["list"]
    if origin is dict:
        return ["mapping"]
    if arguments:
        return [word for part in arguments for word in _words(part)]
    if annotation is NoneType:
        return []
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [", ".join(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ["section"]
    names = {"SecretStr": "secret", "str": "text", "int": "whole number", "float": "number", "Decimal": "number",
             "bool": "true, false", "Path": "path", "timedelta": "duration", Limit.__name__: "cap",
             DrawdownLimit.__name__: "drawdown", DeadMan.__name__: "off, dcp SECONDS"}  # fmt: skip
    return [names.get(annotation.__name__, annotation.__name__)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel) or value in ((), {}):
        return ""
    if value is None:
        return "off" if _OFF & set(_words(field.annotation)) else "none"
    if isinstance(value, timedelta):
        return f"`{age_text(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = "" if type(value).__name__ == "SecretStr" else f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(reference())
