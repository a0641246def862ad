# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small declarative schema: one declaration gives the checks, the defaults and the documentation.

A :class:`Record` holds named :class:`Field`s; each field has a kind (:class:`Text`, :class:`Integer`,
:class:`ListOf`, another record …). ``kind.read(value, path, reading)`` returns a clean copy made of plain
``dict``, ``list``, ``str``, ``int`` and ``float``. What is wrong goes into the :class:`Reading`, which keeps
on collecting, and the value read is then ``None``.

``null`` means "left out", for every key: the default applies.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

# Control characters and lone surrogates, for a class of a pattern: no unit, path or header may hold them.
UNPRINTABLE = r"\x00-\x1f\x7f\ud800-\udfff"


@dataclass(frozen=True)
class Problem:
    """One mistake in the input: ``path`` is exact, such as ``apphost_apps[0].processes.web.port``."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass
class Reading:
    """One pass over an input. Collects every problem instead of stopping at the first.

    ``digits_are_numbers``: take the string ``"3000"`` where an integer is asked for. Needed where a template
    can only give strings (see :func:`read_number`).
    """

    digits_are_numbers: bool = False
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: str, what: str) -> None:
        self.problems.append(Problem(path, what))

    def spoiled(self, path: str) -> bool:
        """Whether the value at ``path`` cannot be relied on: a problem at it, below it or above it."""
        return any(_above(path, problem.path) or _above(problem.path, path) for problem in self.problems)

    def finish(self) -> None:
        """Raise one :class:`ApphostError` with one line a problem, if there is any."""
        if len(self.problems) == 1:
            raise ApphostError(self.problems[0].what, where=self.problems[0].path)
        if self.problems:
            lines = "\n".join(str(problem) for problem in self.problems)
            raise ApphostError(f"{len(self.problems)} problems\n{lines}")


def _above(upper: str, lower: str) -> bool:
    """Whether the path ``upper`` is ``lower`` or leads to it."""
    return lower.startswith(upper) and (len(lower) == len(upper) or lower[len(upper)] in ".[")


def child(path: str, key: t.Any) -> str:
    """The path of a key of a mapping: ``env.NODE_ENV``, or ``env["MY KEY"]`` where a dot would mislead."""
    name = str(key)
    return f"{path}.{name}" if re.fullmatch(r"[\w-]+", name) else f"{path}[{show(name)}]"


def a_type(value: t.Any) -> str:
    """The type of a value in the words of a YAML author, with its article."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "a string"),
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (dict, "a mapping"),
        ((list, tuple), "a list"),
        (datetime.date, "a date"),
    )
    if value is None:
        return "null"
    return next((name for kind, name in names if isinstance(value, kind)), f"a {type(value).__name__}")


def show(value: t.Any) -> str:
    """A value as it may be shown in a message: short, on one line."""
    if isinstance(value, str):
        text = json.dumps(value if len(value) <= 60 else f"{value[:57]}...", ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() < 128 else "a very large number"
    return str(value) if isinstance(value, (float, datetime.date)) else a_type(value)


def did_you_mean(name: str, known: t.Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the most similar known one, else all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(names) or 'none'}"


def not_a(expected: str, value: t.Any) -> str:
    """The complaint about a value of the wrong type. It does not show the value, which may be a misplaced secret."""
    return f"is {a_type(value)}, not {expected}"


class Kind:
    """What a value must be."""

    def words(self) -> str:
        """The type, as the documentation names it."""
        raise NotImplementedError

    def read(self, value: t.Any, path: str, reading: Reading) -> t.Any:
        """The clean value; ``None`` when it is not one, which ``reading`` then knows."""
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Kind):
    """A string. ``expected`` finishes "x is not …"; ``complaint`` says what is wrong with a text, or gives None."""

    pattern: str = f"[^{UNPRINTABLE}]+"
    expected: str = "one line of text"
    max_length: int = 4096
    complaint: t.Callable[[str], str | None] | None = None

    def words(self) -> str:
        return "string"

    def read(self, value: t.Any, path: str, reading: Reading) -> str | None:
        if isinstance(value, str):
            problem = self._problem(value)
        elif isinstance(value, (int, float, datetime.date)):
            problem = f"{show(value)} is {a_type(value)}; write it in quotes"
        else:
            problem = not_a("a string", value)
        if problem:
            reading.add(path, problem)
            return None
        return str(value)

    def _problem(self, value: str) -> str | None:
        if not value:
            return "is empty"
        if len(value) > self.max_length:
            return f"{show(value)} is longer than {self.max_length} characters"
        if not re.fullmatch(self.pattern, value):
            return f"{show(value)} is not {self.expected}"
        return self.complaint(value) if self.complaint else None


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words. ``later`` are words that will be supported one day, and are refused as such."""

    values: tuple[str, ...]
    later: tuple[str, ...] = ()

    def words(self) -> str:
        return " or ".join(f"`{value}`" for value in self.values)

    def read(self, value: t.Any, path: str, reading: Reading) -> str | None:
        if not isinstance(value, str):
            reading.add(path, not_a("a string", value))
        elif value in self.later:
            reading.add(path, f"{value} is not supported yet (supported: {', '.join(self.values)})")
        elif value not in self.values:
            reading.add(path, f"{show(value)} is not known; {did_you_mean(value, self.values)}")
        else:
            return str(value)
        return None


def _whole(number: float) -> int | float:
    """The same number, as an integer when it is one."""
    return int(number) if number.is_integer() else number


@dataclass(frozen=True)
class Number(Kind):
    """A number of any kind in ``low..high``; a whole one comes out as an integer (``30.0`` and ``30`` are the same)."""

    low: float
    high: float

    form = r"-?[0-9]+(\.[0-9]+)?"
    name = "number"

    def words(self) -> str:
        return f"{self.name} {self.low}..{self.high}"

    def read(self, value: t.Any, path: str, reading: Reading) -> int | float | None:
        if isinstance(value, str) and re.fullmatch(self.form, value):
            if not reading.digits_are_numbers:
                reading.add(path, f"{show(value)} is a string; write it without quotes")
                return None
            value = _whole(float(value))
        if isinstance(value, bool) or not self._fits(value):
            reading.add(path, not_a(f"{'an' if self.name[0] in 'aei' else 'a'} {self.name}", value))
        elif not self.low <= value <= self.high:
            reading.add(path, f"{show(value)} is not in {self.low}..{self.high}")
        else:
            return _whole(float(value))
        return None

    def _fits(self, value: t.Any) -> bool:
        return isinstance(value, (int, float))


@dataclass(frozen=True)
class Integer(Number):
    """A whole number in ``low..high``."""

    form = r"-?[0-9]+"
    name = "integer"

    def _fits(self, value: t.Any) -> bool:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


@dataclass(frozen=True)
class Flag(Kind):
    """A boolean."""

    def words(self) -> str:
        return "boolean"

    def read(self, value: t.Any, path: str, reading: Reading) -> bool | None:
        if isinstance(value, bool):
            return value
        reading.add(path, not_a("a boolean", value))
        return None


@dataclass(frozen=True)
class Variable(Kind):
    """The value of an environment variable: a string, a number or a boolean; becomes a string.

    The value is never shown: it may be a secret.
    """

    def words(self) -> str:
        return "string, number or boolean"

    def read(self, value: t.Any, path: str, reading: Reading) -> str | None:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        if not isinstance(value, str):
            hint = "; leave the key out or write an empty string" if value is None else ""
            reading.add(path, f"is {a_type(value)}, not a string, number or boolean{hint}")
        elif re.search(r"[\x00\ud800-\udfff]", value):
            reading.add(path, "holds a character that no environment variable can hold")
        else:
            return str(value)
        return None


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of values of one kind. Its order is kept."""

    item: Kind

    def words(self) -> str:
        return "list of mappings" if isinstance(self.item, Record) else f"list of {self.item.words()}s"

    def read(self, value: t.Any, path: str, reading: Reading) -> list[t.Any] | None:
        if not isinstance(value, (list, tuple)):
            reading.add(path, not_a("a list", value))
            return None
        return [self.item.read(item, f"{path}[{index}]", reading) for index, item in enumerate(value)]


@dataclass(frozen=True)
class MapOf(Kind):
    """A mapping from names (of kind ``key``) to values of one kind, sorted by name."""

    key: Text
    value: Kind
    may_be_empty: bool = True

    def words(self) -> str:
        return "mapping"

    def read(self, value: t.Any, path: str, reading: Reading) -> dict[str, t.Any] | None:
        if not isinstance(value, dict):
            reading.add(path, not_a("a mapping", value))
            return None
        if not value and not self.may_be_empty:
            reading.add(path, "is empty")
        read = {}
        for key in sorted(value, key=str):
            name = self.key.read(key, child(path, key), reading)
            content = self.value.read(value[key], child(path, key), reading)
            if name is not None:
                read[name] = content
        return read


@dataclass(frozen=True)
class Derived(Kind):
    """Worked out from other keys. A user may leave it out or repeat it, never change it."""

    description: str

    def words(self) -> str:
        return self.description

    def read(self, value: t.Any, path: str, reading: Reading) -> None:
        return None


@dataclass(frozen=True)
class Field:
    """One key of a record. ``default`` goes through the kind as a user's value would, unless it is None.

    ``default_words`` describes a default that is worked out later; ``unit`` is what a number counts.
    """

    kind: Kind
    doc: str
    default: t.Any = None
    default_words: str = ""
    unit: str = ""
    required: bool = False


@dataclass(frozen=True)
class Record(Kind):
    """A mapping with known keys, each with a kind of its own. All keys are present in what is read."""

    fields: dict[str, Field]

    def words(self) -> str:
        return "mapping"

    def read(self, value: t.Any, path: str, reading: Reading) -> dict[str, t.Any] | None:
        if not isinstance(value, dict):
            reading.add(path, not_a("a mapping", value))
            return None
        for key in value:
            if key not in self.fields:
                reading.add(child(path, key), f"unknown key; {self._hint(str(key))}")
        return {name: self._read_field(name, entry, value, path, reading) for name, entry in self.fields.items()}

    def _hint(self, key: str) -> str:
        """What may have been meant by an unknown key: one that belongs deeper, or one with a similar name."""
        for name, entry in self.fields.items():
            place, kind = (f"{name}.<name>", entry.kind.value) if isinstance(entry.kind, MapOf) else (name, entry.kind)
            if isinstance(kind, Record) and key in kind.fields:
                return f"it belongs under {place}"
        return did_you_mean(key, (name for name, entry in self.fields.items() if not isinstance(entry.kind, Derived)))

    @staticmethod
    def _read_field(name: str, entry: Field, value: dict[str, t.Any], path: str, reading: Reading) -> t.Any:
        given = value.get(name)
        if given is None:
            if entry.required:
                reading.add(child(path, name), "is required")
            given = entry.default
        return None if given is None else entry.kind.read(given, child(path, name), reading)

    def check_derived(self, given: dict[str, t.Any], result: dict[str, t.Any], path: str, reading: Reading) -> None:
        """Report derived keys that the user wrote with another value than the one worked out."""
        for name, entry in self.fields.items():
            if given.get(name) is None:
                continue
            if isinstance(entry.kind, Derived) and given[name] != result[name]:
                reading.add(child(path, name), "is worked out from the other keys; leave it out")
            elif isinstance(entry.kind, Record):
                entry.kind.check_derived(given[name], result[name], child(path, name), reading)


@dataclass(frozen=True)
class OneOf(Kind):
    """A record whose keys depend on the word under its key ``tag``."""

    tag: str
    records: dict[str, Record]
    later: tuple[str, ...] = ()

    def words(self) -> str:
        return "mapping"

    def read(self, value: t.Any, path: str, reading: Reading) -> dict[str, t.Any] | None:
        if not isinstance(value, dict):
            reading.add(path, not_a("a mapping", value))
            return None
        word = value.get(self.tag)
        if word is None:
            reading.add(child(path, self.tag), f"is required ({', '.join(self.records)})")
            return None
        choice = Choice(tuple(self.records), self.later).read(word, child(path, self.tag), reading)
        if choice is None:
            return None
        rest = {key: content for key, content in value.items() if key != self.tag}
        return {self.tag: choice, **(self.records[choice].read(rest, path, reading) or {})}
