# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading YAML: what PyYAML writes is read with the same values; what lockfiles never have is refused with its line."""

from __future__ import annotations

import contextlib
import math
import re
import typing as t

import pytest
import yaml
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_documents, parse_mapping
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlflow import MAX_DEPTH
from hypothesis import given, settings
from hypothesis import strategies as st

from .speed import within


def read(text: str, strings: bool = False) -> list[t.Any]:
    return parse_documents(text.encode(), "app/x.yaml", "Mend it.", strings)


def refusal(text: str | bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parse_documents(text if isinstance(text, bytes) else text.encode(), "app/x.yaml", "Mend it.")
    assert caught.value.where == "app/x.yaml" and caught.value.do == "Mend it."
    return caught.value.what


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: x\n", {"a": 1, "b": "x"}),
        ("a:\n  b:\n    c: d\n  e: f\ng:\n", {"a": {"b": {"c": "d"}, "e": "f"}, "g": None}),
        ("\ufeffa: 1\r\nb:\r\n  - c\r\n", {"a": 1, "b": ["c"]}),
        ("# c\na: b # c\n\n  # c\n#c\nd: 'e'  # c\nf: # c\n  g: '#h'\n", {"a": "b", "d": "e", "f": {"g": "#h"}}),
        ("a: b#c\nd: e:f\n/x@1(y@2): z\nq@http://h:1/x.tgz: {}\n", None),
        ("a:\n- b\n-\n- c: d\n  e: f\n- - g\n  - h\ni: j\n",
         {"a": ["b", None, {"c": "d", "e": "f"}, ["g", "h"]], "i": "j"}),
        ("a:\n    - b\n    -   c: d\n        e: f\n", {"a": ["b", {"c": "d", "e": "f"}]}),
        ("a:\n  - b:\n    - c\n  -\n    d: e\n", {"a": [{"b": ["c"]}, {"d": "e"}]}),
        ("? a\n: b\n? 'c d'\n: e: f\n  g: h\n? i\n:\n  - j\n? k\n",
         {"a": "b", "c d": {"e": "f", "g": "h"}, "i": ["j"], "k": None}),
        ("a: {}\nb: []\nc: {d: e, 'f g': [h, 'i'], \"j\":k, l: }\n",
         {"a": {}, "b": [], "c": {"d": "e", "f g": ["h", "i"], "j": "k", "l": None}}),
        ("a: {b: c d || >=1, e: https://x:1/y#z}\n", {"a": {"b": "c d || >=1", "e": "https://x:1/y#z"}}),
        ("a: [\n  b, # c\n\n  {d: e,\n f: g}\n  ,\n]\nh: i\n", {"a": ["b", {"d": "e", "f": "g"}], "h": "i"}),
        ('{\n\t"a": "b",\n\n\t"c": {\n\t\t"d": [1, true,],\n\t},\n}\n', {"a": "b", "c": {"d": [1, True]}}),
        ('a: "b\\n\\"\\\\\\u00e9\\x41\\/\\ud83d\\ude00\\U0001F600\\e"\n', {"a": 'b\n"\\éA/😀😀\x1b'}),
        ("a: 'it''s'\n\"b c\" : d\n'':\n  e\n", {"a": "it's", "b c": "d", "": "e"}),
        ("a: |\n  b\n   c\n\n  d\n\ne: |-\n  f\ng: |+\n  h\n\ni: j\n",
         {"a": "b\n c\n\nd\n", "e": "f", "g": "h\n\n", "i": "j"}),
        ("a: >\n  b\n  c\n\n  d\n   e\n  f\ng: >-\n  h\n  i\n", {"a": "b c\nd\n e\nf\n", "g": "h i"}),
        ("a: |2-\n    b\n  c\nd:\n  - |\n    e\n  - f\n", {"a": "  b\nc", "d": ["e\n", "f"]}),
        ("a: |\n  # no comment\n  b: c\n", {"a": "# no comment\nb: c\n"}),
    ],
)  # fmt: skip
def test_what_lockfiles_have(text: str, expected: t.Any) -> None:
    if expected is None:
        expected = {"a": "b#c", "d": "e:f", "/x@1(y@2)": "z", "q@http://h:1/x.tgz": {}}

    assert read(text) == [expected]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nULL", "nULL"),
        ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"), ("yes", "yes"), ("off", "off"),
        ("12", 12), ("-7", -7), ("+3", 3), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("0b1", "0b1"),
        ("1.50", 1.5), ("-.5", -0.5), ("6e2", 600.0), (".inf", math.inf), ("-.Inf", -math.inf),
        ("1.2.3", "1.2.3"), ("9.0.", "9.0."), ("2026-01-02", "2026-01-02"), ("12:30", "12:30"), ("=", "="),
        ("'12'", "12"), ('"true"', "true"), ("-x", "-x"), ("?x", "?x"), (":x", ":x"), ("^1.0.0", "^1.0.0"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_the_core_schema_says(text: str, value: t.Any) -> None:
    found = read(f"key: {text}\n")[0]["key"]

    assert found == value and type(found) is type(value)


def test_plain_words_can_stay_text() -> None:
    text = "a: 1.10\nb: true\nc: null\nd: [1, ~, x]\ne:\n"

    assert read(text, strings=True) == [{"a": "1.10", "b": "true", "c": "null", "d": ["1", "~", "x"], "e": None}]
    assert math.isnan(read("a: .nan\n")[0]["a"])


def test_several_documents() -> None:
    assert read("---\na: 1\n\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert read("a: 1\n--- # next\n- b\n...\n") == [{"a": 1}, ["b"]]
    assert read("---\n---\na: 1\n") == [None, {"a": 1}]
    assert read("# only a comment\n") == [None]
    assert read("- a # b: c\n- d #: e\n") == [["a", "d"]]


def test_the_order_of_keys_is_the_files() -> None:
    assert list(read("c:\n  x: 1\na: 1\nb: {z: 1}\n")[0]) == ["c", "a", "b"]


def test_a_map_is_one_document_with_keys() -> None:
    assert parse_mapping(b"a: 1\n", "x", "y") == {"a": 1}
    with pytest.raises(ApphostError, match=r"^x: has 2 YAML documents, and one is expected\. y$"):
        parse_mapping(b"a: 1\n---\nb: 2\n", "x", "y")
    with pytest.raises(ApphostError, match=r"^x: is YAML, but no map of keys and values\. y$"):
        parse_mapping(b"- a\n", "x", "y")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x b\n", "there is an anchor (&x b) (line 1)"),
        ("a: b\nc: *x\n", "there is an alias (*x) (line 2)"),
        ("a:\n  - *x\n", "there is an alias (*x) (line 2)"),
        ("a: [*x]\n", "there is an alias (*x) (line 1)"),
        ("*x : b\n", "there is an alias (*x) (line 1)"),
        ("&x a: b\n", "there is an anchor (&x a) (line 1)"),
        ("a: !!python/object:x y\n", "there is a tag (!!python/object:x y) (line 1)"),
        ("%YAML 1.2\n---\na: b\n", "there is a directive (%YAML 1.2) (line 1)"),
        ("<<: {a: b}\n", "there is a merge key (line 1)"),
        ("a: {<<: b}\n", "there is a merge key (line 1)"),
        ("a: @x\n", "there is a word that begins with a reserved sign (@x) (line 1)"),
        ("a: 1\nb: 2\na: 3\n", 'the key "a" stands there twice (line 3)'),
        ("a:\n  b: 1\n  'b': 2\n", 'the key "b" stands there twice (line 3)'),
        ("a: {b: 1, b: 2}\n", 'the key "b" stands there twice (line 1)'),
        ("? a\n: b\na: c\n", 'the key "a" stands there twice (line 3)'),
        ("a: b: c\n", "a value has a key of its own in the same line (line 1)"),
        ("a: - b\n", "there is a - where a word is expected (line 1)"),
        ("a: b\n  c: d\n", "the indentation does not fit (line 2)"),
        ("a:\n    b: c\n  d: e\n", "the indentation does not fit (line 3)"),
        ("a:\n  - b\n c: d\n", "the indentation does not fit (line 3)"),
        ("- a\nb: c\n", "the indentation does not fit (line 2)"),
        ("a: b\n- c\n", "the indentation does not fit (line 2)"),
        ("a: b\n   c\n", "it is not clear what this belongs to (only blocks of text have several lines) (line 2)"),
        ("a:\n  b\n  c\n", "it is not clear what this belongs to (only blocks of text have several lines) (line 3)"),
        ("a: 'b\n  c'\n", "a quoted text does not end in its line (line 1)"),
        ('a: "b\\q"\n', "the escape \\q is not known (line 1)"),
        ('a: "\\ud800"\n', "the escape \\ud800 is no character (line 1)"),
        ('a: "\\UFFFFFFFF"\n', "the escape \\UFFFFFFFF is no character (line 1)"),
        ("a: 'b' c\n", "something follows where the line should end (line 1)"),
        ("a: 'b'#c\n", "something follows where the line should end (line 1)"),
        ("--- a\n", "something follows where the line should end (line 1)"),
        ("a: {b: c\nd: e\n", "a comma is missing (line 2)"),
        ("a: {b: c\n", "a bracket is not closed (line 3)"),
        ("a: [b\n---\n]\n", "a bracket is not closed (line 2)"),
        ("a: [b}\n", "the brackets do not match (line 1)"),
        ("a: {b: c]\n", "the brackets do not match (line 1)"),
        ("a: {b: c} d\n", "something follows a closing bracket (line 1)"),
        ("{a: b}: c\n", "something follows a closing bracket (line 1)"),
        ("a: [,]\n", "there is nothing in front of a comma (line 1)"),
        ("a: {,}\n", "there is nothing in front of a comma (line 1)"),
        ("a: [b c: d]\n", "a comma is missing (line 1)"),
        ("a: {b c d [e]}\n", "a map or list stands where a key or a comma is expected (line 1)"),
        ("a: {[b]: c}\n", "a map or list stands where a key or a comma is expected (line 1)"),
        ("a: {'b' 'c'}\n", "a comma is missing (line 1)"),
        ("a: |x\n  b\n", "a block of text has an unknown header (line 1)"),
        ("|\n  b\n", "a block of text has no key (line 1)"),
        (": a\n", "there is no key in front of the colon (line 1)"),
        ("a: b\n: c\n", "there is no key in front of the colon (line 2)"),
        ("? [a]\n: b\n", "there is a word that begins with a sign of YAML ([a]) (line 1)"),
        ("? |\n  a\n: b\n", "there is a word that begins with a sign of YAML (|) (line 1)"),
        ("?\n: b\n", "there is nothing where a word is expected (line 1)"),
        ("a: {: b}\n", "there is nothing where a word is expected (line 1)"),
        ("? a\n  b: c\n", "the indentation does not fit (line 2)"),
        ("a:\tb\n", "there is a tab in a word (line 1)"),
        ("\ta: b\n", "there is a tab in a word (line 1)"),
        ("a: " + "9" * 101 + "\n", "a number has more than 100 digits (line 1)"),
    ],
)
def test_refused_with_the_line(text: str, problem: str) -> None:
    assert refusal(text) == f"is no YAML that is understood: {problem}"


def test_refused_as_a_whole() -> None:
    assert refusal("") == "is empty"
    assert refusal(" \n\n") == "is empty"
    assert refusal(b"a: 1\nb: \xff\n") == "is not UTF-8 (byte 8)"
    assert refusal("a: 1\nb: \x00\n") == "has a character that YAML does not allow: '\\x00' (line 2)"
    assert refusal("a: 1\rb: 2\n") == "has a character that YAML does not allow: '\\r' (line 1)"
    assert refusal("a: x\u2028b: 2\n") == "has a character that YAML does not allow: '\\u2028' (line 1)"
    merge = "a: 1\n<<<<<<< ours\nb: 2\n=======\nb: 3\n>>>>>>> theirs\n"
    assert refusal(merge) == "holds the marks of an unresolved merge"


def test_depth_has_an_end() -> None:
    levels = MAX_DEPTH - 1
    for nested in (
        "\n".join(" " * level + "a:" for level in range(levels)),
        "- " * levels + "a",
        "[" * levels + "]" * levels,
    ):
        assert read(nested)
    for deep in (
        "\n".join(" " * level + "a:" for level in range(1000)),
        "- " * 100_000 + "a",
        "a: " + "[" * 100_000,
        "a: " + "{a: " * 100_000,
    ):
        assert f"it is nested deeper than {MAX_DEPTH} levels" in refusal(deep)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "b#" * 1_000_000 + "\n",
        "a: {b: " + "c:#" * 700_000 + "}\n",
        "a: {b: " + ":" * 700_000 + "}\n",
        "a: '" + "''" * 1_000_000 + "\n",
        'a: "' + "\\\\" * 1_000_000 + "\n",
        "a: |\n" + "\n" * 1_000_000,
        "a: [" + "\n" * 1_000_000,
        "a:\n" + "- b\n" * 300_000,
        " " * 2_000_000 + "a: b\n",
        "".join(f"{'k' * 20}{number}: x\n" for number in range(100_000)),
    ],
    ids=range(10),
)
def test_time_grows_with_the_length_only(text: str) -> None:
    def reading() -> None:
        with contextlib.suppress(ApphostError):
            read(text)

    within(5, reading)


#: PyYAML goes by YAML 1.1, where these are text; it leaves them without quotes.
NUMBER_IN_1_2_ONLY = re.compile(r"0o[0-7]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LINE_ENDS = "\n\x85\u2028\u2029"
SIGNS = "ab10:#-'\"\\ ,[]{}&*!|>%@`?~.e+=<_/()^é€😀\t"
WORDS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(codec="utf-8")), max_size=8).filter(
    lambda word: not NUMBER_IN_1_2_ONLY.fullmatch(word)
)
KEYS = WORDS.filter(lambda word: word not in ("", "<<") and not set(word) & set(LINE_ENDS))
SCALARS = st.one_of(WORDS, st.integers(-(10**30), 10**30), st.booleans(), st.none(), st.just(-2.25))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


class Dumper(yaml.SafeDumper):
    """Writes text over several lines as a block of text or in double quotes, as package managers do."""

    one_line: str | None = None
    several_lines = '"'

    def ignore_aliases(self, data: t.Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.Node:
        style = self.one_line
        if set(text) & set(LINE_ENDS):
            style = '"' if set(text) & set(LINE_ENDS[1:]) else self.several_lines
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, Dumper.represent_text)


class InBlocks(Dumper):
    several_lines = "|"


class Folded(Dumper):
    one_line = "'"
    several_lines = ">"


class Quoted(Dumper):
    one_line = '"'


@settings(max_examples=400)
@given(
    value=VALUES,
    how=st.sampled_from([(Dumper, True), (Dumper, None), (Quoted, None), (InBlocks, False), (Folded, False)]),
    indent=st.sampled_from([2, 4]),
    ascii_only=st.booleans(),
)
def test_what_pyyaml_writes_is_read(
    value: t.Any, how: tuple[t.Any, bool | None], indent: int, ascii_only: bool
) -> None:
    dumper, flow = how
    text = yaml.dump(
        {"value": value}, None, dumper, default_flow_style=flow, indent=indent, allow_unicode=not ascii_only,
        width=math.inf, sort_keys=False,
    )  # fmt: skip

    assert read(text) == [{"value": value}]
    assert read(text, strings=True) == [yaml.load(text, yaml.BaseLoader)]
