# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading TOML: whatever Python's own reader takes, with the same values; what it refuses is refused."""

from __future__ import annotations

import datetime
import tomllib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tomlfile import MAX_DEPTH, parse_table
from hypothesis import given, settings
from hypothesis import strategies as st

from .speed import within

#: Also with a comment behind, a line before and in Windows' line ends.
VALID = [
    "a = 1",
    "a=1\nb =2\n\n\n# end",
    "a.b.c = 1\na.b.d = 2\na.\"x y\".'z' = 3",
    '"" = 1',
    "'' = 1\n\"a.b\" = 2",
    "a . b = 1",
    "1.2 = 3",
    'a = "plain # no comment"',
    r'a = "\b\t\n\f\r\"\\ é \U0001F600"',
    "a = 'c:\\folder\\'",
    "a = ''",
    'a = ""',
    'a = """one line"""',
    'a = """\nfirst newline is dropped\n  kept"""',
    'a = """x\\\n   \n  y \\  \n z"""',
    'a = """"quoted""""',
    'a = """""two more"""""',
    'a = """\\"""\\""""',
    "a = '''it's\n''two'' \\n'''",
    "a = '''''x'''''",
    "a = [1, 2,\n # c\n 3, # d\n]",
    "a = []\nb = [ ]\nc = [[], [[]], [1, 'a', 2.0, {x = 1}]]",
    "a = {}\nb = { }\nc = {x = 1, y = 'z', d.e = 1, d.f = {g = [1]}}",
    'a = { x = "y", n = 12 }\nb = { x = "y" , n = 0}',
    'a = { x = """\nlong""", y = [\n1,\n] }',
    "a = 0\nb = +0\nc = -0\nd = +99\ne = 1_000\nf = 0xDEAD_beef\ng = 0o755\nh = 0b1_0",
    "a = 9223372036854775807\nb = -9223372036854775808\nc = 0xff",
    "a = 1.0\nb = -0.0\nc = 1e3\nd = 1E-3\ne = 6.626e-34\nf = 1_0.0_1\ng = +1.5e+1_0",
    "a = inf\nb = -inf\nc = +inf\nd = nan\ne = -nan\nf = +nan",
    "a = true\nb = false",
    "a = 1979-05-27T07:32:00Z\nb = 1979-05-27T00:32:00.999999-07:00\nc = 1979-05-27 07:32:00\nd = 1979-05-27t07:32:00z",
    "a = 1979-05-27\nb = 07:32:00\nc = 00:32:00.5\nd = [1979-05-27, 07:32:00]\ne = 2000-02-29",
    "a = 1979-05-27 # a day\nb = 1979-05-27 ",
    "[a]\nb = 1\n[c.d]\n[a.e]\nf = 1",
    "[a.b]\n[a]\nc = 1",
    "[ a . 'b.c' ]\nd = 1",
    "[a]\nb.c = 1\nb.d = 2\n[a.b.e]\nf = 1",
    "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 1\n[[a.e]]\n[[a.e]]\nf = 1\n[[a]]\n[a.c]\nd = 2",
    "[a.b.c]\nz = 9\n[a]\nb.t = 9",
    "[[a.b]]\nx = 1\n[a]\ny = 1",
    "[a]\n\tb = 1\t# tab",
    "ke-y_1 = 1\n-_ = 2",
    "[true]\ninf = 1\n[1979-05-27]",
]
INVALID = [
    "a",
    "a =",
    "= 1",
    "a = 1 b = 2",
    "a b = 1",
    "a.b. = 1",
    ".a = 1",
    "a..b = 1",
    "a = 1\na = 2",
    'a = "x"\na = "y"',
    "a = 1\n'a' = 2",
    "a = 1\na.b = 2",
    "a.b = 1\na = 2",
    "a.b = 1\n[a]",
    "a.b = 1\n[a.b]",
    "a = {}\na.b = 1",
    "a = {}\n[a.b]",
    "a = {}\n[a]",
    "a = {b = 1, b = 2}",
    "a = {b = 1, b.c = 2}",
    "a = {b.c = 1, b.c = 2}",
    'a = {b = "x", b = "y"}',
    "a = {b = 1,}",
    "a = {,}",
    "a = {b = 1\n}",
    "a = {\nb = 1}",
    "a = {b = 1 c = 2}",
    "a = [1 2]",
    "a = [,]",
    "a = [1,,2]",
    "a = [1",
    "a = {b = 1",
    "a = []\n[[a]]",
    "a = [{}]\n[a.b]",
    "[a]\n[a]",
    "[a]\n[[a]]",
    "[[a]]\n[a]",
    "[[a.b]]\n[a.b]",
    "[a.b]\n[[a]]",
    "[a.b.c]\nz = 9\n[a]\nb.c.t = 9",
    "[a.b.c.d]\nz = 9\n[a]\nb.c.d.k.t = 9",
    "[a.b]\nc = 1\n[a]\nb.d = 1",
    "[a]\nb.c = 1\n[a.b]",
    "[[a.b]]\n[a]\nb.c = 1",
    "[a]\nb = 1\n[a.b]",
    "[a]\nb = 1\n[a.b.c]",
    "[]",
    "[a",
    "[a]]",
    "[[a]",
    "[[a] ]",
    "[ [a]]",
    "[a.]",
    "[a] b = 1",
    "[a]b",
    "[a\n]",
    'a = "x',
    'a = "x\n"',
    "a = 'x\n'",
    r'a = "\x"',
    r'a = "\ "',
    r'a = "\u12"',
    r'a = "\ud800"',
    r'a = "\U00110000"',
    'a = "\\',
    'a = "\\"',
    'a = """x',
    'a = """x""',
    'a = """\\',
    'a = """x\\ y"""',
    'a = """""""""',
    "a = '''x",
    "a = '''''''''",
    'a = "\x00"',
    'a = "\x7f"',
    "a = '\x01'",
    'a = """\x0b"""',
    "a = 1 # \x00",
    "# \x7f",
    "a = 1\rb = 2",
    'a = "x\ry"',
    '"""a""" = 1',
    "é = 1",
    "a = 01",
    "a = +0x1",
    "a = 0X1",
    "a = 1__0",
    "a = _1",
    "a = 1_",
    "a = 0x",
    "a = 0b2",
    "a = 0o8",
    "a = 1.",
    "a = .5",
    "a = 1.e5",
    "a = 1e",
    "a = 1._5",
    "a = 01.5",
    "a = Inf",
    "a = True",
    "a = yes",
    "a = 1979-13-01",
    "a = 1979-02-30",
    "a = 2001-02-29",
    "a = 0000-01-01",
    "a = 1979-5-27",
    "a = 1979-05-27T07:32",
    "a = 1979-05-27T24:00:00",
    "a = 1979-05-27T07:32:00.",
    "a = 1979-05-27T07:32:00+25:00",
    "a = 07:60:00",
    "a = 1 = 2",
    "a = [b = 1]",
    "a = \u0661",
]


def same(ours: t.Any, theirs: t.Any) -> bool:
    """Whether two values are of one type and equal; moments are text in ours."""
    if isinstance(theirs, (datetime.date, datetime.time)):
        return type(ours) is str and tomllib.loads(f"a = {ours}")["a"] == theirs
    if type(ours) is not type(theirs):
        return False
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs or (ours != ours and theirs != theirs))


def agree(document: str) -> None:
    found = parse_table(document.encode(), "x.toml", "Mend it.")
    expected = tomllib.loads(document)

    assert same(found, expected), (found, expected)


def refused(document: str | bytes) -> str:
    content = document if isinstance(document, bytes) else document.encode()
    with pytest.raises(ApphostError) as caught:
        parse_table(content, "x.toml", "Mend it.")
    return caught.value.message


@pytest.mark.parametrize("document", VALID)
def test_valid_documents_have_the_values_python_reads(document: str) -> None:
    agree(document)
    agree(f"{document} # behind\n")
    agree(f"\n\n{document}\n".replace("\n", "\r\n"))


@pytest.mark.parametrize("document", INVALID)
def test_invalid_documents_are_refused(document: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(document)

    assert "is no TOML" in refused(document)
    assert "is no TOML" in refused(f"before = 1\n{document}\n")


KEYS = st.text(st.sampled_from('abz_-1.é "\\\t'), max_size=4)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MOMENTS = (st.datetimes(timezones=st.sampled_from([None, datetime.UTC])) | st.dates() | st.times()).map(
    lambda value: value.isoformat()
)


def quoted(text: str) -> str:
    return (
        '"'
        + "".join(
            letter if letter.isprintable() and letter not in '"\\' else f"\\U{ord(letter):08x}" for letter in text
        )
        + '"'
    )


def written(text: str) -> st.SearchStrategy[str]:
    """A string in one of TOML's four ways, where it can be written so."""
    ways = [quoted(text)]
    if text.isprintable() and "'" not in text:
        ways += [f"'{text}'", f"'''{text}'''"]
    if text.replace("\n", "").isprintable() and not {'"', "\\"} & {*text}:
        ways += [f'"""\n{text}"""', f'"""\\\n\\\n  {text}"""' if not text[:1].isspace() else quoted(text)]
    return st.sampled_from(ways)


def bare_or_quoted(key: str) -> st.SearchStrategy[str]:
    bare = key and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in key)
    return st.sampled_from([key, quoted(key)] if bare else [quoted(key)])


KEY = KEYS.flatmap(bare_or_quoted)
DOTTED = st.lists(KEY, min_size=1, max_size=3).map(" . ".join)
SCALARS = (
    STRINGS.flatmap(written)
    | st.integers(-(2**63), 2**63 - 1).map(str)
    | st.integers(0, 2**63 - 1).map(hex)
    | st.floats().map(repr)
    | st.sampled_from(["true", "false"])
    | MOMENTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ",\n ".join(items) + "]")
        | st.lists(st.tuples(DOTTED, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=8,
)
STATEMENTS = (
    st.tuples(DOTTED, VALUES).map(" = ".join)
    | DOTTED.map("[{}]".format)
    | DOTTED.map("[[{}]]".format)
    | st.just("# a comment")
)


@settings(deadline=None, max_examples=150)
@given(st.lists(STATEMENTS, max_size=8).map("\n".join))
def test_generated_documents_are_read_as_python_reads_them(document: str) -> None:
    """Most are valid; those that define something twice must be refused by both."""
    try:
        tomllib.loads(document)
    except tomllib.TOMLDecodeError:
        assert "x.toml" in refused(document)
    else:
        if document.strip():
            agree(document)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(VALID), st.integers(0, 80), st.integers(0, 3), st.text("\"'\\[]{}=.,#\n\r 0a_-+:\x00é", max_size=3)
)
def test_damaged_documents_are_judged_as_python_judges_them(document: str, at: int, cut: int, put: str) -> None:
    damaged = document[:at] + put + document[at + cut :]
    try:
        tomllib.loads(damaged)
    except tomllib.TOMLDecodeError:
        assert "x.toml" in refused(damaged)
    else:
        if damaged.strip() and "99999999999999999" not in damaged:
            agree(damaged)


def test_an_error_says_where() -> None:
    assert refused('[a]\nb = "x"\nc = [1 2]\n') == (
        "x.toml: is no TOML: expected ] or , in an array (line 3, column 8). Mend it."
    )
    assert refused("a = 1\r\na = 2\r\n") == 'x.toml: is no TOML: "a" is given twice (line 2, column 1). Mend it.'


def test_a_key_is_shown_in_one_line() -> None:
    assert (
        refused('"a\\nb" = 1\n"a\\nb" = 2') == "x.toml: is no TOML: 'a\\nb' is given twice (line 2, column 1). Mend it."
    )


def test_what_is_no_text_or_nothing() -> None:
    assert refused(b" \n") == "x.toml: is empty. Mend it."
    assert refused(b"a = '\xff'") == "x.toml: is not UTF-8 (byte 5). Mend it."
    assert refused("<<<<<<< ours\na = 1\n=======\n>>>>>>> theirs\n") == (
        "x.toml: holds the marks of an unresolved merge. Mend it."
    )
    assert parse_table("\ufeffa = 1".encode(), "x", "") == {"a": 1}


def test_numbers_of_absurd_size_are_refused() -> None:
    assert "does not fit 64 bits" in refused("a = 9223372036854775808")
    assert "is too long" in refused("a = " + "9" * 100_000)


@pytest.mark.parametrize(
    "document",
    ["a = " + "[" * 5000, "a = " + "{a=" * 5000, ".".join("a" * 5000) + " = 1", f"[{'.'.join('a' * 5000)}]"],
)
def test_absurd_nesting_is_refused(document: str) -> None:
    assert "nested too deeply" in refused(document)


def test_depth_counts_headers_keys_and_values_together() -> None:
    third = (MAX_DEPTH - 1) // 3

    def document(more: int) -> str:
        keys = ".".join("a" * third)
        return f"[{keys}]\n{keys} = " + "[" * (third + more) + "]" * (third + more)

    agree(document(0))
    assert "nested too deeply" in refused(document(5))


@pytest.mark.parametrize(
    "document",
    [
        'a = "' + "\\\\" * 500_000,
        "a = " + '"""' + '""\\\n' * 300_000,
        "a" + " " * 1_000_000 + "b",
        "a = {" + "b = 1 , " * 200_000,
        "a = [" + "{b = 1}, " * 200_000,
        "x" * 1_000_000,
        "#" * 1_000_000 + "\x00",
        "".join(f"[a.b{index}]\n" for index in range(100_000)) + "?",
        "a.b.c = " * 200_000,
    ],
)
def test_hostile_documents_take_linear_time(document: str) -> None:
    within(5, lambda: refused(document))  # with quadratic time: minutes
