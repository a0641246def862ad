# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an expression says, with speaking names in angle brackets for what is only known when it runs."""

from __future__ import annotations

import ast
import itertools
import operator
import re
from collections.abc import Callable, Mapping

from devtools.errors.source import Source

#: A part that is only known when the code runs.
PLACEHOLDER = re.compile(r"<[a-z0-9 ]+>")

#: Names that say something only together with what they belong to …
_VAGUE = frozenset({"name", "path", "text", "url", "version"})
#: … and those that others than the authors would not understand.
_SPEAKING = {
    "at": "entry",
    "called": "entry",
    "candidate": "name",
    "coding": "encoding",
    "colno": "column",
    "err": "its words",
    "error": "reason",
    "hidden": "character",
    "kinds": "algorithms",
    "known": "package",
    "left": "variable",
    "lineno": "line",
    "made_for": "range",
    "missing": "packages",
    "msg": "reason",
    "node": "version",
    "odd": "character",
    "own": "range",
    "plain": "text",
    "resolved": "address",
    "remake": "make the lockfile again",
    "said": "its words",
    "shown": "option",
    "spec": "package",
    "start": "number",
    "strerror": "reason",
    "twice": "key",
    "unbuilt": "package",
    "wanted": "range",
    "who": "package",
}
#: The same for what has a name or a version.
_OWNERS = {"asked": "", "before": "lockfile", "named": "other", "wanted": ""}
#: Modules and types whose functions are named here by what they are given.
_FUNCTIONS = frozenset({"addresses", "descriptors", "dict", "json", "os", "posixpath", "re"})


_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}


class Unknown(Exception):
    """An expression is no text that can be read in the code."""


class Words:
    """Turns expressions of one file into words; ``sources`` are the files that it may import constants from."""

    def __init__(self, source: Source, sources: Mapping[str, Source]) -> None:
        self.source = source
        self.modules = {name.removesuffix(".py").replace("/", "."): other for name, other in sources.items()}

    def of(self, node: ast.expr) -> list[str]:
        """The words of an expression; several, when it has alternatives. Raises Unknown when it holds no text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        if isinstance(node, ast.JoinedStr):
            # A place in a file ends in a dot, unless that is cut off: <entry>.key
            return [
                re.sub(r"<entry>(?=[\w<])", "<entry>.", text) for text in _product(list(map(self._part, node.values)))
            ]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return _product([self.of(node.left), self.of(node.right)])
        if isinstance(node, ast.IfExp):
            return _unique([*self.of(node.body), *self.of(node.orelse)])
        if isinstance(node, ast.Name):
            return self._name(node)
        raise Unknown(ast.unparse(node))

    def _name(self, node: ast.Name) -> list[str]:
        if self.source.is_caught(node.id, node):
            raise Unknown(node.id)
        values = self.source.values(node.id, node)
        if values:
            return _unique([text for value in values for text in self.of(value)])
        return [self._constant(node.id, self.source)]

    def _constant(self, name: str, source: Source) -> str:
        """What a constant of a module says."""
        if name in source.imported:
            module, original = source.imported[name]
            for known, other in self.modules.items():
                if module.endswith(f".{known}") or module == known:
                    return self._constant(original, other)
        if name in source.constants:
            value = _computed(source.constants[name])
            if value is not None:
                return str(value)
        raise Unknown(name)

    def _part(self, part: ast.expr) -> list[str]:
        """A part of an f-string."""
        if isinstance(part, ast.Constant):
            return [str(part.value)]
        if not isinstance(part, ast.FormattedValue):
            raise TypeError(ast.dump(part))
        value = part.value
        if isinstance(value, ast.IfExp):
            # Something that is not always there is shown.
            texts = [text for text in self._alternatives(value) if text]
        elif isinstance(value, ast.Name):
            try:
                texts = [text for text in self.of(value) if text] or [""]
            except Unknown:
                texts = [f"<{speaking(value)}>"]
        else:
            texts = [self._element(value) or f"<{speaking(value)}>"]
        return [f"'{text}'" for text in texts] if part.conversion == ord("r") else texts

    def _element(self, node: ast.expr) -> str | None:
        """The first or last number of a constant that is a range."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            known = self.source.constants.get(node.value.id)
            if isinstance(known, ast.Call) and ast.unparse(known.func) == "range":
                return str(range(*map(ast.literal_eval, known.args))[ast.literal_eval(node.slice)])
        return None

    def _alternatives(self, node: ast.IfExp) -> list[str]:
        found: list[str] = []
        for value in (node.body, node.orelse):
            try:
                found += self.of(value)
            except Unknown:
                found.append(f"<{speaking(value)}>")
        return _unique(found)


def speaking(node: ast.expr) -> str:
    """A name for a value: what it is called in the code, as words."""
    if isinstance(node, ast.Name):
        return _SPEAKING.get(node.id, node.id.strip("_").lower().replace("_", " "))
    if isinstance(node, ast.Attribute):
        last = _SPEAKING.get(node.attr, node.attr.strip("_").replace("_", " "))
        before = _OWNERS.get(before := ast.unparse(node.value).rpartition(".")[2], speaking(node.value))
        # The words of a package are the package; its name is the package's name.
        return f"{before} {last}" if node.attr in _VAGUE and before not in ("", "self", last) else last
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Constant):
            called = node.func.value
            plain = isinstance(called, ast.Name) and called.id in _FUNCTIONS
            return speaking(node.args[0] if plain and node.args else called)
        if node.args:
            return speaking(node.args[0])
        return speaking(node.func)
    if isinstance(node, ast.Subscript):
        index = node.slice
        if isinstance(index, ast.Constant) and isinstance(index.value, str):
            return _SPEAKING.get(index.value, index.value.replace("_", " "))
        whole = speaking(node.value)
        return whole.removesuffix("s") if isinstance(index, ast.Constant) else whole
    if isinstance(node, ast.BoolOp):
        return speaking(node.values[0])
    if isinstance(node, ast.BinOp):
        return speaking(node.left)
    if isinstance(node, ast.IfExp):
        return speaking(node.body)
    if isinstance(node, ast.Starred):
        return speaking(node.value)
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        return speaking(node.elts[0])
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return speaking(node.generators[0].iter)
    return "value"


def _computed(node: ast.expr) -> str | int | None:
    """The value of a constant: a text, or a number that may be calculated."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str | int) else None
    if isinstance(node, ast.BinOp):
        left, right = _computed(node.left), _computed(node.right)
        if isinstance(left, int) and isinstance(right, int):
            calculate = _OPERATIONS.get(type(node.op))
            return calculate(left, right) if calculate else None
    return None


def _product(parts: list[list[str]]) -> list[str]:
    return _unique(["".join(choice) for choice in itertools.product(*parts)])


def _unique(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))
