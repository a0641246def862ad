# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known of a Python file without running it: where a node stands, its comments, what a name holds there."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

_NAMES = frozenset({"npm", "pip", "pnpm", "uv", "yarn"})
_BODIES = ("body", "orelse", "finalbody")


class Source:
    """One file, parsed. ``name`` is its path as people read it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        self.parents = {child: parent for parent in self.nodes for child in ast.iter_child_nodes(parent)}
        self._comments = _comments(text)
        #: Names of the module itself -> what they are assigned, and those from elsewhere -> module and name there.
        self.constants: dict[str, ast.expr] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.constants[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                self.constants[node.target.id] = node.value
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (node.module, alias.name)

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node is in, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function that a node is in."""
        return next((above for above in self.above(node) if isinstance(above, Function)), None)

    def path(self, node: ast.AST) -> str:
        """``Class.function`` around a node; empty for the module itself."""
        names = [above.name for above in self.above(node) if isinstance(above, Function | ast.ClassDef)]
        return ".".join(reversed(names))

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that a node is part of."""
        return node if isinstance(node, ast.stmt) else next(n for n in self.above(node) if isinstance(n, ast.stmt))

    def is_caught(self, name: str, node: ast.AST) -> bool:
        """Whether ``name`` is that of an exception that is being handled."""
        return any(isinstance(above, ast.ExceptHandler) and above.name == name for above in self.above(node))

    def values(self, name: str, node: ast.AST) -> list[ast.expr]:
        """What a local variable may hold at a node: what was assigned last, in each branch before it."""
        inner: ast.AST = self.statement(node)
        found: list[ast.expr] = []
        for outer in self.above(inner):
            for block in (getattr(outer, field, None) for field in _BODIES):
                if isinstance(block, list) and inner in block:
                    for before in reversed(block[: block.index(inner)]):
                        found = [*_assigned(before, name), *found]
                        # After a branch that may not be taken, the variable may still hold what it held before it.
                        if found and not (isinstance(before, ast.If) and not before.orelse):
                            return found
            if isinstance(outer, Function):
                break
            inner = outer
        return found

    def cause(self, node: ast.AST) -> str | None:
        """The comment that stands above a call, above its statement, or above the assignments in front of that."""
        statement = self.statement(node)
        text = self._comment_above(getattr(node, "lineno", statement.lineno))
        while True:
            text = text or self._comment_above(statement.lineno)
            if text:
                return text
            parent = self.parents[statement]
            block = next(b for f in _BODIES if isinstance(b := getattr(parent, f, None), list) and statement in b)
            position = block.index(statement)
            if position == 0 or not isinstance(block[position - 1], ast.Assign):
                return None
            statement = block[position - 1]

    def _comment_above(self, line: int) -> str:
        """The comment above a line, as a sentence; ``when:`` may stand in front of it."""
        found: list[str] = []
        while line - 1 in self._comments:
            line -= 1
            found.insert(0, self._comments[line])
        text = " ".join(found)
        if text.startswith("when: "):
            text = text.removeprefix("when: ")
            # Names of programs and options stay as they are.
            word = text.partition(" ")[0]
            text = text if word in _NAMES or not word.isalpha() else text[0].upper() + text[1:]
        return text if not text or text.endswith(".") else f"{text}."


def _assigned(statement: ast.stmt, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value


def _comments(text: str) -> dict[int, str]:
    """The comments that have a line of their own, by line."""
    return {
        token.start[0]: token.string.lstrip("#: ").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }


def read(root: Path, part: str) -> dict[str, Source]:
    """The file ``root/part``, or those below this folder, by their path below ``root``."""
    top = root / part
    paths = [top] if top.is_file() else sorted(top.rglob("*.py"))
    names = [str(path.relative_to(root)) for path in paths]
    return {name: Source(name, path.read_text()) for name, path in zip(names, paths, strict=True)}
