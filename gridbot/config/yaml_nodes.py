"""YAML to plain data, with the line of everything in it.

Scalars stay text: the models know what each key should be, so `0.1` never becomes a float, `no` never a bool where a
name is wanted, and `0010` never an octal number. Only an empty or `null` plain scalar becomes None. `${VAR}` is
replaced after parsing, so a variable in a comment is a comment and a value can never change the structure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from gridbot.config.errors import Loc, Problem, looks_secret
from gridbot.config.variables import Fault, with_variables

__all__ = ["Document", "read_document", "variable_problem"]

REPEATS: Final = 200_000
"""Values that aliases and merges may add: nine lists of nine aliases each would be a thousand million otherwise."""
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BY_PYTHON: Final = frozenset("\t?!|>\x85\u2028\u2029\ufeff")


_SYNTAX = {
    "expected ',' or": ("a list or mapping in brackets that is not closed", "close it with ] or }"),
    "cannot start any token": ("a tab or another character that may not begin a value", "indent with spaces only"),
    "while scanning a quoted": ("a quote that is not closed", "close it, or leave the quotes out"),
    "found unexpected end of stream": ("a quote that is not closed", "close it, or leave the quotes out"),
    "mapping values are not allowed": ("a second colon in one value, or a key deeper than its line allows",
                                       "put the value in quotes, or set the indentation right"),
    "could not find expected ':'": ("a line without a colon", "write `key: value`"),
    "expected <block end>": ("a line that is indented otherwise than those above it", "indent it as they are"),
    "expected the node content": ("a bracket, comma or sign where a value belongs", "write the value; quotes may help"),
    "undefined alias": ("an alias `*name` without an anchor `&name` before it", "write the value out"),
    "duplicate anchor": ("the same anchor `&name` twice", "give each its own name"),
    "unknown escape": ("a backslash in double quotes", "use single quotes"),
    "expected a single document": ("a second document after `---`", "keep one configuration in one file"),
    "expected '<document start>'": ("a line that begins with %, or text after the end", "remove that line"),
    "special characters are not allowed": ("a control character", "remove it"),
}  # fmt: skip
"""What PyYAML says, by a part of it, in our words: what came and what to do."""
_UNKNOWN = ("a line that does not fit those around it", "check indentation, colons and quotes around this line")


@dataclass(slots=True)
class Document:
    """One parsed file: `data` with variables expanded, `raw` scalar texts before that, `lines` of keys and items."""

    data: Any = None
    raw: dict[Loc, str] = field(default_factory=dict)
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, loc: Loc) -> int | None:
        """Line of the value at `loc`, or of the nearest thing around it."""
        for end in range(len(loc), -1, -1):
            if (line := self.lines.get(loc[:end])) is not None:
                return line
        return None


def read_document(text: str, environ: Mapping[str, str], verbatim: Collection[str] = ()) -> Document:
    """Parse `text`; `problems` holds what is wrong with it, `data` what could be read.

    In the sections of the root that `verbatim` names, variables stay as they are written.
    """
    document = Document()
    try:
        node = _composed(text)
        if node is not None:
            document.lines[()] = node.start_mark.line + 1
            document.data = _Reader(document, environ, verbatim).read(node, ())
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error))
    except RecursionError:
        problem = Problem((), "a few levels of nesting", "hundreds", "close the brackets that were left open")
        document.problems.append(problem)
    except _TooManyRepeats as error:
        expected = f"aliases and merges that repeat at most {REPEATS:,} values"
        document.problems.append(Problem((), expected, "more", "write out what they nest", error.line))
    return document


def _composed(text: str) -> yaml.Node | None:
    """The tree of a text, by libyaml where PyYAML has it, which takes a fifteenth of the time.

    It reads a few texts that PyYAML refuses: those have one of `_BY_PYTHON`. What it refuses PyYAML refuses in its own
    words, so that a file means the same, and is refused with the same sentence, on each machine.
    """
    fast: Any = getattr(yaml, "CSafeLoader", None)
    if fast is not None and _BY_PYTHON.isdisjoint(text):
        with contextlib.suppress(yaml.YAMLError, UnicodeEncodeError):
            return yaml.compose(text, Loader=fast)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def variable_problem(fault: Fault, loc: Loc, line: int | None) -> Problem:
    """What is said of a variable that has no value."""
    if fault.name is None:
        got = fault.got if not looks_secret(loc) else "something else"
        return Problem(loc, "a variable as ${NAME}", got, "use letters, digits and _ between the braces", line)
    do = f"set it before starting: export {fault.name}=... (or {fault.name}_FILE=/path/of/a/file with the value)"
    return Problem(loc, f"a value in the environment variable {fault.name}", fault.got, do, line)


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = [getattr(error, "problem", None), getattr(error, "context", None), str(error).splitlines()[0]]
    line = mark.line + 1 if mark is not None else None
    found = (words for what in said for sign, words in _SYNTAX.items() if what and sign in what)
    got, do = next(found, _UNKNOWN)
    return Problem((), "valid YAML", got, do, line)


class _TooManyRepeats(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Reader:
    def __init__(self, document: Document, environ: Mapping[str, str], verbatim: Collection[str]) -> None:
        self._document = document
        self._environ = environ
        self._verbatim = verbatim
        self._open: set[int] = set()
        """Nodes around the one that is read, by identity."""
        self._seen: set[int] = set()
        """Nodes that were read before: the document keeps them, so that none takes the identity of another."""
        self._repeats = 0

    def read(self, node: yaml.Node, loc: Loc) -> Any:
        if id(node) in self._open:
            self._problem(node, loc, "a tree of values", "an alias inside its own anchor", "write the value out")
            return None
        if id(node) in self._seen:
            self._repeats += 1 + len(node.value) // 1000  # a long text costs as much as a few short ones
            if self._repeats > REPEATS:
                raise _TooManyRepeats(node.start_mark.line + 1)
        self._seen.add(id(node))
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, loc)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, loc)
            return self._scalar(node, loc)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**self._merge(value_node, loc), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, loc, "a name as key", "a list or mapping", "write `name: value`")
                continue
            key = str(key_node.value)
            place = (*loc, key)
            if key in own:
                first = self._document.lines[place]
                self._document.problems.append(
                    Problem(place, "each key once", f"it twice (first in line {first})", "remove one of the two", line)
                )
                continue
            self._document.lines[place] = line
            own[key] = self.read(value_node, place)
        return {**merged, **own}

    def _merge(self, node: yaml.Node, loc: Loc) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            value = self.read(part, loc)
            if isinstance(value, dict):
                merged = {**value, **merged}
            else:
                self._problem(part, loc, "a mapping after `<<:`", "something else", "merge an anchored mapping")
        return merged

    def _sequence(self, node: yaml.SequenceNode, loc: Loc) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            place = (*loc, index)
            self._document.lines[place] = item.start_mark.line + 1
            values.append(self.read(item, place))
        return values

    def _scalar(self, node: yaml.Node, loc: Loc) -> str | None:
        text = str(node.value)
        self._document.raw[loc] = text
        if not getattr(node, "style", None) and text in _NULL:
            return None
        if loc and loc[0] in self._verbatim:
            return text
        line = node.start_mark.line + 1
        problems = self._document.problems
        return with_variables(text, self._environ, lambda fault: problems.append(variable_problem(fault, loc, line)))

    def _problem(self, node: yaml.Node, loc: Loc, expected: str, got: str, do: str) -> None:
        self._document.problems.append(Problem(loc, expected, got, do, node.start_mark.line + 1))
