"""A file means the same whether libyaml reads it or PyYAML alone, and is refused in the same words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.config.yaml_nodes import Document, read_document
from tests.examples import examples

PARTS = st.sampled_from(
    ["a", "b: ", "- ", "\n", "  ", "{", "}", "[", "]", ", ", ": ", "#", "'", '"', "|", ">", "&x ", "*x", "!y ", "~",
     "null", "<<: ", "---", "?", "\t", "%", "@", "\\", "\r\n", "\x85", "\u2028", "\ufeff", "\ud800", "\x07",
     "\U0001f600", "${V}"]
)  # fmt: skip
LINES = st.sampled_from(["a: 1", "b: [x, y]", "c: {d: e}", "  f: &x g", "- h", "- {i: j, <<: *x}", "k: |", "  l", "m:"])


def slowly(text: str) -> Document:
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        return read_document(text, {"V": "w"})


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="this PyYAML is without libyaml: there is one reader")
@settings(max_examples=examples(100))
@given(
    st.lists(LINES | PARTS).flatmap(lambda parts: st.sampled_from(["", "\n"]).map(lambda between: between.join(parts)))
)
@example("a: {rol?e: b}")
@example("a:\tb")
@example("- - a\u2028\ufeff")
@example(">#1")
@example("a: [!b, c]")
@example("a: '~'\nb: ~\nc:\nd: null\ne: \"null\"")
@example("accounts:\n  - &x {name: a, secret: ${V}}\n  - {<<: *x, name: b}\n")
def test_both_readers_say_the_same(text: str) -> None:
    found, wanted = read_document(text, {"V": "w"}), slowly(text)
    assert (found.data, found.raw, found.problems) == (wanted.data, wanted.raw, wanted.problems)
    assert found.data is None or found.lines == wanted.lines
