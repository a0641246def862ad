# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every place in the code that makes words of an error which a person gets to see.

Such places are:

- a call of ``ApphostError`` or of a class that is derived from it (in that class: of ``super().__init__``);
- a call of ``Problem``: one of several things that an error names together;
- a call of ``ValueError`` or of a class of the code's own with a text: a reason, which an error names behind its own
  words.

A function that returns ``ApphostError`` and has a parameter ``what`` makes errors of other people's words: then the
places are its calls. What has no word of its own (``ApphostError(joined(problems), …)``) is none either.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from devtools.errors.source import Function, Source, read
from devtools.errors.words import PLACEHOLDER, Unknown, Words

#: Where the places are looked for: folders and single files.
PARTS = ("plugins/module_utils/lockfile", "plugins/module_utils/install", "plugins/module_utils/files.py")


class Kind(Enum):
    """What is made at a place."""

    ERROR = "error"
    PROBLEM = "problem"
    REASON = "reason"


@dataclass(frozen=True)
class Place:
    """Where words are made: in ``file``, in the lines ``first`` to ``last``, in ``function`` (``Class.name``)."""

    kind: Kind
    file: str
    first: int
    last: int
    function: str
    #: Several, when the place has alternatives.
    texts: tuple[str, ...]
    #: What to do; empty: that is said elsewhere. ``None``: nobody says it.
    cures: tuple[str, ...] | None
    #: When it happens, if somebody wrote that down.
    cause: str | None

    def __str__(self) -> str:
        """For people: file, line and words."""
        return f"{self.file}:{self.first}: {self.texts[0]}"


@dataclass(frozen=True)
class Mistake:
    """Why the words of a place cannot be told."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Forwarder:
    """A function that makes an error of its caller's words."""

    name: str
    source: Source
    node: Function
    #: How it makes it: itself, or by another such function.
    call: ast.Call
    inner: Forwarder | None

    def position(self, name: str) -> int | None:
        """Where in a call the argument ``name`` stands; ``None``: the caller does not give it."""
        names = [argument.arg for argument in self.node.args.args if argument.arg not in ("self", "cls")]
        return names.index(name) if name in names else None


class Places:
    """The places in some files, and what is wrong with them."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self.found: list[Place] = []
        self.mistakes: list[Mistake] = []
        self.errors = {"ApphostError", *_derived(sources, "ApphostError")}
        # One that makes its words itself is given none.
        self.makers = self.errors - _derived(sources, "ApphostError", having="__init__")
        reasons = {*_derived(sources, "ValueError"), *_derived(sources, "Exception")} - self.errors
        self.reasons = {"ValueError", *reasons}
        self.forwarders: list[Forwarder] = []
        for _nested in range(2):
            self.forwarders += [found for source in sources.values() for found in self._forwarders(source)]
        for source in sources.values():
            self._scan(source)

    @classmethod
    def of(cls, root: Path) -> Places:
        """Those of a checkout."""
        sources: dict[str, Source] = {}
        for part in PARTS:
            sources.update(read(root, part))
        return cls(sources)

    def passes_on(self, file: str, line: int) -> bool:
        """Whether a line makes an error of its caller's words."""
        return any(
            known.source.name == file and known.call.lineno <= line <= (known.call.end_lineno or line)
            for known in self.forwarders
        )

    def _forwarders(self, source: Source) -> Iterator[Forwarder]:
        """Functions that make errors of their caller's words, by what is known of such functions so far."""
        for node in source.nodes:
            if isinstance(node, Function) and _takes_words(node):
                for call in ast.walk(node):
                    if not isinstance(call, ast.Call) or any(known.call is call for known in self.forwarders):
                        continue
                    inner = self._forwarder(call, source)
                    if _name(call.func) in self.errors or inner:
                        yield Forwarder(node.name, source, node, call, inner)

    def _forwarder(self, call: ast.Call, source: Source) -> Forwarder | None:
        """What a call of a function that makes errors is, as far as its name tells: of this file, else imported."""
        named = [known for known in self.forwarders if known.name == _name(call.func)]
        if len(named) < 2:
            return named[0] if named else None
        modules = {module.rpartition("module_utils.")[2].replace(".", "/") for module, _n in source.imported.values()}
        near = [known for known in named if known.source is source]
        far = [known for known in named if any(known.source.name.endswith(f"/{module}.py") for module in modules)]
        return next(iter([*near, *far, *named]), None)

    def _scan(self, source: Source) -> None:
        words = Words(source, self.sources)
        for node in source.calls:
            if self.passes_on(source.name, node.lineno):
                continue
            name = _name(node.func)
            forwarder = self._forwarder(node, source)
            if name in self.makers or _is_super(node, source, self.errors):
                self._add(Kind.ERROR, node, source, words)
            elif name == "Problem":
                self._add(Kind.PROBLEM, node, source, words)
            elif forwarder:
                self._add(Kind.ERROR, node, source, words, forwarder)
            elif name in self.reasons and node.args:
                self._add(Kind.REASON, node, source, words)

    def _add(
        self, kind: Kind, call: ast.Call, source: Source, words: Words, forwarder: Forwarder | None = None
    ) -> None:
        what = _argument(call, (forwarder and forwarder.position("what")) or 0, "what")
        cures = self._cures(kind, call, words, forwarder)
        try:
            texts = words.of(what) if what else []
        except Unknown as error:
            if kind is not Kind.REASON and not _is_collected(what):
                problem = f"what it says is not written here ({error}); write it here, or make it a Problem there"
                self.mistakes.append(Mistake(source.name, call.lineno, problem))
            return
        texts = [text for text in texts if re.search(r"\w{2}", PLACEHOLDER.sub("", text))]
        if not texts:
            names = [node for node in ast.walk(call) if isinstance(node, ast.Name)]
            if not any(source.is_caught(name.id, name) for name in names):
                self.mistakes.append(Mistake(source.name, call.lineno, "it says nothing by itself"))
            return
        while forwarder:
            texts = [around.replace("<what>", text, 1) for around in self._around(forwarder) for text in texts]
            forwarder = forwarder.inner
        cause = source.cause(call)
        place = Place(
            kind=kind,
            file=source.name,
            first=call.lineno,
            last=call.end_lineno or call.lineno,
            function=source.path(call),
            texts=tuple(texts),
            cures=cures,
            cause=re.sub("``", "`", cause) if cause else None,
        )
        if kind is Kind.ERROR and cures is None:
            self.mistakes.append(Mistake(place.file, place.first, f"nobody says what to do about it: {texts[0]}"))
        self.found.append(place)

    def _cures(self, kind: Kind, call: ast.Call, words: Words, forwarder: Forwarder | None) -> tuple[str, ...] | None:
        """What is said about it: nothing is ``None``, and what only shows when it runs is empty."""
        position = forwarder.position("do") if forwarder else 1 if kind is Kind.PROBLEM else 2
        given = _argument(call, position, "do") if position is not None else None
        if given is not None:
            try:
                texts = words.of(given)
            except Unknown:
                return ()
            return () if all(PLACEHOLDER.fullmatch(text) for text in texts) else tuple(texts)
        if forwarder and position is None:
            own = self._cures(kind, forwarder.call, Words(forwarder.source, self.sources), forwarder.inner)
            return own or self._menders(words)
        return None if kind is Kind.ERROR else ()

    def _around(self, forwarder: Forwarder) -> list[str]:
        """What a function puts around its caller's words."""
        what = _argument(forwarder.call, (forwarder.inner and forwarder.inner.position("what")) or 0, "what")
        return Words(forwarder.source, self.sources).of(what) if isinstance(what, ast.JoinedStr) else ["<what>"]

    def _menders(self, words: Words) -> tuple[str, ...]:
        """What to do about the files that a module reads: what it gives to ``ObjectReader``."""
        found: list[str] = []
        for node in words.source.calls:
            if _name(node.func) == "ObjectReader" and len(node.args) == 2:
                try:
                    found += words.of(node.args[1])
                except Unknown:
                    continue
        return tuple(dict.fromkeys(found))


def _takes_words(function: Function) -> bool:
    """Whether a function is one that makes an error of what it is given as ``what``."""
    makes = function.returns is not None and _name(function.returns) in ("ApphostError", "NoReturn")
    return makes and any(argument.arg == "what" for argument in function.args.args)


def _derived(sources: Mapping[str, Source], base: str, having: str | None = None) -> set[str]:
    """Classes that are derived from another one; only those that have a method of their own, if it is named."""
    classes = [node for source in sources.values() for node in source.nodes if isinstance(node, ast.ClassDef)]
    return {
        found.name
        for found in classes
        if any(_name(known) == base for known in found.bases)
        and (having is None or any(isinstance(node, Function) and node.name == having for node in found.body))
    }


def _is_super(call: ast.Call, source: Source, classes: set[str]) -> bool:
    """Whether it is how an exception of one of these classes is given its words."""
    above = next((node for node in source.above(call) if isinstance(node, ast.ClassDef)), None)
    return above is not None and above.name in classes and ast.unparse(call.func) == "super().__init__"


def _is_collected(what: ast.expr | None) -> bool:
    """Whether words are those of problems, or of an exception: these have places of their own."""
    return isinstance(what, ast.Call) and _name(what.func) in ("joined", "str")


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if len(call.args) > position else None
