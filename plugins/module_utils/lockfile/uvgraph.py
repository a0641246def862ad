# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks for whom in a uv.lock: extras are resolved, and markers of edges become markers of packages.

uv writes a marker at each edge, and only as much of it as is not said on the way there already. Whether a package is
installed depends on all ways that lead to it.
"""

from __future__ import annotations

import typing as t
from collections import deque

#: A package's key, and the extra of it ("" for the package itself).
Node = tuple[str, str]
#: All of these markers hold.
Term = frozenset[str]
#: At least one of these terms holds; the empty term always does.
Terms = frozenset[Term]

ALWAYS: Terms = frozenset([frozenset()])
#: Terms of one package. Real lockfiles stay below 10, as most ways are without markers.
MAX_TERMS = 200
#: Comparisons of terms in a lockfile. The largest real ones need some thousand.
MAX_WORK = 5_000_000
#: Extras that a package asks for, together with the extras of these.
MAX_EXTRAS = 5000


class Tangled(Exception):
    """The ways to a package (first argument: its key) are too many to be told apart."""


class Edge(t.NamedTuple):
    """One package asks for another, with extras of it."""

    target: str
    extras: tuple[str, ...] = ()
    marker: str = ""

    def nodes(self) -> list[Node]:
        """What it asks for."""
        return [(self.target, ""), *((self.target, extra) for extra in self.extras)]


#: What every package, and every extra of one, asks for.
Graph = t.Mapping[Node, t.Sequence[Edge]]


def conditions(graph: Graph, roots: t.Iterable[Node]) -> dict[str, Terms]:
    """Under which markers each package is reached from ``roots``; packages that are not reached are left out.

    Raises Tangled.
    """
    found: dict[Node, Terms] = dict.fromkeys(roots, ALWAYS)
    todo = deque(found)
    waiting = set(found)
    work = 0
    while todo:
        node = todo.popleft()
        waiting.discard(node)
        terms = found[node]
        for edge in graph.get(node, ()):
            new = terms if not edge.marker else frozenset(term | {edge.marker} for term in terms)
            for target in edge.nodes():
                before = found.get(target)
                after = new if before is None else _either(before, new)
                work += len(after) * len(new)
                if before is None or after != before:
                    if len(after) > MAX_TERMS or work > MAX_WORK:
                        raise Tangled(target[0])
                    found[target] = after
                    if target not in waiting:
                        waiting.add(target)
                        todo.append(target)
    packages: dict[str, Terms] = {}
    for (key, _extra), terms in found.items():
        packages[key] = _either(packages[key], terms) if key in packages else terms
    return packages


def _either(one: Terms, other: Terms) -> Terms:
    if one is other or one == ALWAYS:
        return one
    terms = sorted(one | other, key=len)
    kept: list[Term] = []
    for term in terms:
        # A term that asks more than another adds nothing.
        if not any(less <= term for less in kept):
            kept.append(term)
    return frozenset(kept)


def text(terms: Terms) -> str | None:
    """The terms as one marker; ``None``: always."""
    if frozenset() in terms:
        return None
    alternatives = sorted(" and ".join(f"({marker})" for marker in sorted(term)) for term in terms)
    if len(alternatives) == 1:
        (term,) = terms
        return next(iter(term)) if len(term) == 1 else alternatives[0]
    return " or ".join(alternatives)


def asked(graph: Graph, nodes: t.Sequence[Node]) -> tuple[list[str], list[str]]:
    """What the nodes ask for by themselves: packages without a condition, and under one. Raises Tangled.

    The packages of an extra are asked for by whoever asks for the extra.
    """
    needs: dict[str, None] = {}
    wants: dict[str, None] = {}
    todo = [(node, True) for node in nodes if node in graph]
    seen = {*todo}
    while todo:
        node, sure = todo.pop()
        for target, extras, marker in graph[node]:
            certain = sure and not marker
            (needs if certain else wants)[target] = None
            if extras:
                more = {((target, extra), certain) for extra in extras if (target, extra) in graph}
                todo += more - seen
                seen |= more
        if len(seen) > MAX_EXTRAS:
            raise Tangled(node[0])
    return [*needs], [key for key in wants if key not in needs]
