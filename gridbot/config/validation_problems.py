"""What pydantic finds wrong with a configuration, as problems with a place, what was expected, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gridbot.config.account_models import StrategyConfig
from gridbot.config.errors import Loc, Problem, looks_secret
from gridbot.config.strategy_kinds import strategy_model
from gridbot.strategies.registry import DEFAULT_KIND, KINDS

__all__ = ["problems_of"]

_LOGIN = re.compile(r"[:/][^\s/]*@")
"""An address with a user or a password before its host, also one that is no address otherwise."""
_RENAMED = {
    "long_koef": "early_imbalance_multiplier",
    "safety_caps": "caps",
    "max_notional_per_symbol": "max_notional",
    "shadow": "shadow_mode",
    "step": "grid_step",
    "count": "grid_count",
    "id": "strat_id",
    "key": "api_key",
    "secret": "api_secret",
}
"""Old and habitual names of keys whose present name is not the nearest by spelling."""

_STATUS = "remove it: the state is what status --json prints"
_GONE = {
    "database_url": "remove it: the database is gridbot.duckdb in `storage.data_dir`",
    "status_file_path": _STATUS,
    "status_file_enabled": _STATUS,
    "keep_warm": "remove it: orders are rehearsed no more, as it made them no quicker (docs/performance.md 2)",
}


def problems_of(error: ValidationError, model: type[BaseModel], raw: Mapping[Loc, str]) -> Iterator[Problem]:
    """pydantic's errors as problems. `model` is the whole file's; `raw`: the texts as they stand in it."""
    found = error.errors(include_url=False)
    for item in found:
        if item["type"] == "too_short" and any(
            other["loc"][: len(item["loc"])] == item["loc"] != other["loc"] for other in found
        ):
            continue  # pydantic does not count entries that are wrong, of which each is told
        place = _real_loc(item["loc"], model, raw)
        if item["type"] == "extra_forbidden":
            yield _unknown_key(place, model, raw)
        elif item["type"] == "missing":
            yield Problem(place, "a value", "nothing", f"add `{place[-1]}:` here")
        else:
            what, do = _expectation(item)
            context: dict[str, Any] = item.get("ctx", {})
            if context.get("key"):
                place = (*place, str(context["key"]))
            yield Problem(place, what, context.get("got") or _shown(place, raw, item["input"]), do)


def _unknown_key(place: Loc, model: type[BaseModel], raw: Mapping[Loc, str]) -> Problem:
    name = str(place[-1])
    known = _known_keys(model, place[:-1], raw)
    what = f"one of {', '.join(sorted(known))}" if 0 < len(known) <= 12 else "a known key"
    if name in _GONE:
        return Problem(place, what, f"`{name}`", _GONE[name])
    successor = _RENAMED.get(name)
    if successor in known:
        return Problem(place, what, f"`{name}`", f"did you mean `{successor}`?")
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return Problem(place, what, f"`{name}`", f"did you mean `{near[0]}`?" if near else "remove it")


def _expectation(item: ErrorDetails) -> tuple[str, str]:
    context: dict[str, Any] = item.get("ctx", {})
    kind = item["type"]
    if kind == "gridbot":
        return str(context["what"]), str(context["do"])
    bounds = {"greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"),
              "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most")}  # fmt: skip
    if kind in bounds:
        key, words = bounds[kind]
        return f"a number {words} {context[key]}", "correct the value"
    if kind in ("enum", "literal_error"):
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
        return f"one of {choices}", "choose one of them"
    if kind.startswith(("decimal", "float", "finite")):
        return "a number", "write digits with a point, for example 0.25"
    if kind.startswith("int"):
        return "a whole number", "write digits only"
    if kind.startswith("bool"):
        return "true or false", "write one of them"
    if kind in ("list_type", "tuple_type", "dict_type", "model_type", "model_attributes_type"):
        what = "a list (lines starting with `- `)" if kind in ("list_type", "tuple_type") else "keys with values"
        return what, "indent the entries below this key"
    if kind == "too_short":
        return f"{context['min_length']} or more entries", "add one"
    if kind == "string_type":
        return "a text", "write the value on this line"
    message = str(item["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        message = message.removeprefix("expected ")
    return message[:1].lower() + message[1:], "correct the value"


def _shown(place: Loc, raw: Mapping[Loc, str], value: Any) -> str:
    if looks_secret(place):
        return "a hidden value" if value else "an empty value"
    text = raw.get(place)
    if text is None:
        if isinstance(value, dict | list):
            return "keys with values" if isinstance(value, dict) else "a list" if value else "an empty list"
        text = "" if value is None else str(value)
    if _LOGIN.search(text):
        return "an address with a user or a password, which is not shown"
    return f"`{text[:60]}`" if text.strip() else "nothing"


def _real_loc(loc: Loc, model: type[BaseModel], raw: Mapping[Loc, str]) -> Loc:
    """The place without the tags that pydantic adds for unions and dictionary keys: the file does not have them."""
    kept: list[str | int] = []
    types: list[Any] = [model]
    for part in loc:
        inner = _step(types, part)
        if inner is None and kept:
            if part == loc[-1] and any(_is_model(option) for option in types):
                kept.append(part)
            continue
        kept.append(part)
        types = _of_their_kind(inner or [], tuple(kept), raw)
    return tuple(kept)


def _known_keys(model: type[BaseModel], loc: Loc, raw: Mapping[Loc, str]) -> list[str]:
    types: list[Any] = [model]
    for index, part in enumerate(loc, 1):
        types = _of_their_kind(_step(types, part) or [], loc[:index], raw)
    return [name for option in types if _is_model(option) for name in _field_names(option)]


def _of_their_kind(types: list[Any], place: Loc, raw: Mapping[Loc, str]) -> list[Any]:
    """The types, with a strategy's section as the model of the kind that it names."""
    kind = raw.get((*place, "kind"), DEFAULT_KIND)
    return [strategy_model(kind) if option is StrategyConfig and kind in KINDS else option for option in types]


def _field_names(model: type[BaseModel]) -> list[str]:
    extra = getattr(model, "ALIASES", ())
    return [*model.model_fields, *extra]


def _step(types: list[Any], part: str | int) -> list[Any] | None:
    """The types found at `part` inside any of `types`; None when no type has such a place."""
    found: list[Any] = []
    for option in types:
        if _is_model(option):
            if isinstance(part, str) and part in option.model_fields:
                found.extend(_options(option.model_fields[part].annotation))
        elif get_origin(option) in (list, tuple, dict) or _is_mapping(option):
            arguments = [argument for argument in get_args(option) if argument is not Ellipsis]
            if arguments and isinstance(part, int) is not (get_origin(option) is dict or _is_mapping(option)):
                found.extend(_options(arguments[-1]))
    return found or None


def _is_mapping(option: Any) -> bool:
    origin = get_origin(option)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_model(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)


def _options(annotation: Any) -> list[Any]:
    """The members of a union, `Annotated` and `None` taken off."""
    if hasattr(annotation, "__metadata__"):
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for argument in get_args(annotation) for inner in _options(argument)]
    return [] if annotation is NoneType else [annotation]
