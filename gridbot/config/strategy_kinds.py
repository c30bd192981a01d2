"""A strategy's section of the file: the keys of `StrategyConfig`, which all kinds share, and those of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, create_model

from gridbot.config.account_models import StrategyConfig
from gridbot.config.errors import expected
from gridbot.strategies.base import StrategyKeys
from gridbot.strategies.registry import DEFAULT_KIND, KINDS

__all__ = ["StrategySection", "make_all_models", "strategy_config", "strategy_model"]


class _OfAKind(StrategyConfig):
    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[dict[str, Any]]]:
        """Pickled as its values: each process makes the class of a kind for itself."""
        return strategy_config, ({name: getattr(self, name) for name in type(self).model_fields},)


def strategy_model(kind: str) -> type[StrategyConfig]:
    """The class of the sections of a kind. Raises KeyError."""
    own: type[StrategyKeys] = KINDS[kind].keys
    return _model(kind, own)


def make_all_models() -> None:
    """Make the class of each kind now, which takes a moment, and not when the first section of it comes."""
    for kind in KINDS:
        strategy_model(kind)


def strategy_config(data: Any) -> Any:
    """A raw section as an instance of its kind's class; anything else as it is. Raises ValidationError."""
    if not isinstance(data, Mapping):
        return data
    kind = data.get("kind", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in KINDS:
        wanted = f"a kind of strategy ({', '.join(KINDS)})"
        raise expected(wanted, "choose one of them", key="kind", got="nothing" if kind is None else f"`{kind}`")
    return strategy_model(kind).model_validate(data)


StrategySection = Annotated[StrategyConfig, BeforeValidator(strategy_config)]


@cache
def _model(kind: str, own: type[StrategyKeys]) -> type[StrategyConfig]:
    if twice := own.model_fields.keys() & StrategyConfig.model_fields.keys():
        raise TypeError(f"expected other keys than those of all strategies in {kind}, got {', '.join(sorted(twice))}")
    bases: Any = (_OfAKind, own)
    return create_model(f"{kind.capitalize()}Config", __base__=bases, __module__=__name__)  # type: ignore[no-any-return]
