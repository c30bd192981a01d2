"""Layers of a file, drawn: the naive rule holds, and whatever is written is read or refused with sentences."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.config.errors import ConfigError
from gridbot.config.layers import LAYERED, expanded
from gridbot.config.loading import load_text
from gridbot.config.yaml_nodes import read_document
from tests.examples import examples

NAMES = st.sampled_from(["k", "l", "m", "caps", "groups"])
VALUES = st.recursive(
    st.sampled_from(["1", "2", "x", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["p", "q"]), inner, max_size=2),
    max_leaves=6,
)
KEYS = st.dictionaries(NAMES, VALUES, max_size=4)
TEMPLATE = st.builds(
    lambda keys, of: keys | ({"template": of} if of else {}), KEYS, st.sampled_from([None, "t", ["t"]])
)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Files whose accounts and strategies have layers; what the keys mean is of no matter here."""
    named = {"t": draw(KEYS), "u": draw(TEMPLATE)}
    use: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
        [{}, {"template": "t"}, {"template": "u"}, {"template": ["u", "t"]}, {"template": None}]
    )
    nested: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
        [{}, {"strategies": {"s": {"k": "9"}}}, {"strategies": {"s": None}}]
    )
    accounts = [
        {"name": name, **draw(use), **draw(KEYS), **draw(nested)} for name in draw(st.sampled_from([["a"], ["a", "b"]]))
    ]
    strategies = [{"strat_id": "r", "account": "a", **draw(use), **draw(KEYS)}]
    below = draw(st.sampled_from([{}, {"strategies": {"s": {"template": "u"}}}]))
    return {
        "defaults": {"accounts": draw(KEYS), "strategies": draw(KEYS)},
        "templates": {"accounts": named | {"u": named["u"] | below}, "strategies": named},
        "accounts": accounts,
        "strategies": strategies,
    }


def written_out(file: dict[str, Any]) -> dict[str, Any]:
    made = expanded(read_document(yaml.safe_dump(file, sort_keys=False), {}, verbatim=LAYERED), {})
    assert made.problems == []
    data: dict[str, Any] = made.document.data
    return data


def over(weak: Any, strong: Any) -> Any:
    """The naive rule: mappings merge, all else replaces."""
    if not (isinstance(weak, dict) and isinstance(strong, dict)):
        return strong
    return weak | {key: over(weak[key], value) if key in weak else value for key, value in strong.items()}


def naive(kind: str, file: dict[str, Any], *own: dict[str, Any]) -> dict[str, Any]:
    layers = [file["defaults"][kind]]
    named = next((layer["template"] for layer in own[::-1] if "template" in layer), None)
    for name in [named] if isinstance(named, str) else named or []:
        template = file["templates"][kind][name]
        below = ["t"] if template.get("template") else []
        layers += [file["templates"][kind][each] for each in (*below, name)]
    layers = [layer for at, layer in enumerate(layers) if not any(layer is other for other in layers[:at])]
    made: dict[str, Any] = {}
    for layer in (*layers, *own):
        made = over(made, {key: value for key, value in layer.items() if key != "template"})
    return made


@given(files())
@settings(max_examples=examples(40), deadline=None)
def test_layers_are_the_naive_rule(file: dict[str, Any]) -> None:
    made = written_out(file)
    accounts = [naive("accounts", file, account) for account in file["accounts"]]
    assert made["accounts"] == [{k: v for k, v in each.items() if k != "strategies"} for each in accounts]
    assert made["strategies"][0] == naive("strategies", file, file["strategies"][0])
    below = [(each["name"], (each.get("strategies") or {}).get("s")) for each in accounts]
    assert made["strategies"][1:] == [
        {"account": name, "strat_id": f"{name}-s", **naive("strategies", file, keys)}
        for name, keys in below
        if keys is not None
    ]
    for account, result in zip(file["accounts"], made["accounts"], strict=True):
        own = {key: value for key, value in account.items() if not isinstance(value, dict) and key != "template"}
        assert own.items() <= {k: v for k, v in result.items() if k in own}.items() if own else True


@given(files())
@settings(max_examples=examples(30), deadline=None)
def test_what_is_written_out_stays_and_the_order_of_keys_does_not_matter(file: dict[str, Any]) -> None:
    made = written_out(file)
    assert written_out(copy.deepcopy(made)) == made
    turned = _turned(file)
    assert written_out(turned) == made
    document = read_document(yaml.safe_dump(made), {})
    assert expanded(document, {}).document is document, "a file without layers is not touched"


ANYTHING = st.recursive(
    st.sampled_from([None, "x", "{account}", "${GONE}", "${{ACCOUNT}_K}", "t", "1", "paper", "BTCUSDT", "${"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["accounts", "strategies", "template", "t", "name", "symbol", "caps", "account", "groups"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["defaults", "templates", "accounts", "strategies"]), ANYTHING))
@settings(max_examples=examples(30), deadline=None)
def test_whatever_the_sections_have_is_read_or_refused_with_sentences(file: dict[str, Any]) -> None:
    account = {"name": "a", "environment": "paper", "template": "t"}
    for base in ({}, {"accounts": [account]}, {"accounts": [account, file.get("accounts")]}):
        text = yaml.safe_dump({**file, **base})
        refused: ConfigError | None = None
        try:
            load_text(text, "f.yaml", environ={"A_K": "secret-of-a"})
        except ConfigError as error:
            refused = error
        if refused is not None:
            assert all(problem.line for problem in refused.problems), str(refused)
            assert "secret-of-a" not in str(refused)


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(inner) for key, inner in reversed(value.items())}
    return [_turned(inner) for inner in value] if isinstance(value, list) else value
