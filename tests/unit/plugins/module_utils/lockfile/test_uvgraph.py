# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks for whom in a uv.lock: what is reached under which markers, against a walk through the graph."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uvgraph import (
    ALWAYS,
    Edge,
    Node,
    Tangled,
    Terms,
    asked,
    conditions,
    text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

MARKERS = ["p", "q", "r", ""]
PACKAGES = ["a", "b", "c", "d", "e"]
EDGES = st.builds(
    Edge,
    st.sampled_from(PACKAGES),
    st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple),
    st.sampled_from(MARKERS),
)
GRAPHS = st.dictionaries(
    st.tuples(st.sampled_from(PACKAGES), st.sampled_from(["", "", "x", "y"])), st.lists(EDGES, max_size=4), max_size=9
)


def walk(graph: dict[Node, list[Edge]], true: set[str]) -> set[str]:
    """The packages that are reached from ``a`` by edges whose markers are ``true``."""
    reached: set[Node] = set()
    todo: list[Node] = [("a", "")]
    while todo:
        node = todo.pop()
        if node not in reached:
            reached.add(node)
            for edge in graph.get(node, ()):
                if not edge.marker or edge.marker in true:
                    todo += [(edge.target, ""), *((edge.target, extra) for extra in edge.extras)]
    return {key for key, _extra in reached}


@settings(max_examples=300, deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(MARKERS[:3])))
def test_a_package_is_reached_exactly_when_its_terms_hold(graph: dict[Node, list[Edge]], true: set[str]) -> None:
    found = conditions(graph, [("a", "")])

    assert {key for key, terms in found.items() if any(term <= true for term in terms)} == walk(graph, true)


@settings(max_examples=300, deadline=None)
@given(GRAPHS)
def test_needs_are_what_is_always_reached_in_one_step(graph: dict[Node, list[Edge]]) -> None:
    """With extras resolved; needs and wants have nothing in common, and nothing else is asked for."""
    needs, wants = asked(graph, [("a", "")])
    found = conditions(graph, [("a", "")])

    assert not {*needs} & {*wants}
    assert all(found[key] == ALWAYS for key in needs)
    assert {*needs, *wants} <= {*found}
    plain = {edge.target for edge in graph.get(("a", ""), ())}
    assert plain <= {*needs, *wants}


def test_extras_are_resolved() -> None:
    graph: dict[Node, list[Edge]] = {
        ("app", ""): [Edge("web", ("tls", "http")), Edge("log", (), "windows")],
        ("web", ""): [Edge("core")],
        ("web", "tls"): [Edge("crypto"), Edge("backport", (), "old")],
        ("web", "http"): [Edge("web", ("tls",)), Edge("frames")],
        ("web", "other"): [Edge("nothing")],
    }

    needs, wants = asked(graph, [("app", "")])

    assert (sorted(needs), sorted(wants)) == (["crypto", "frames", "web"], ["backport", "log"])
    assert asked(graph, [("web", "")]) == (["core"], [])
    assert "nothing" not in conditions(graph, [("app", "")])


def test_terms_as_text() -> None:
    def terms(*sets: set[str]) -> Terms:
        return frozenset(map(frozenset, sets))

    assert text(ALWAYS) is None
    assert text(terms({"a"}, set())) is None
    assert text(terms({"a or b"})) == "a or b"
    assert text(terms({"b", "a or c"})) == "(a or c) and (b)"
    assert text(terms({"b"}, {"c", "a"})) == "(a) and (c) or (b)"


def test_a_term_that_asks_more_than_another_is_left_out() -> None:
    graph: dict[Node, list[Edge]] = {
        ("a", ""): [Edge("b", (), "p"), Edge("c", (), "q"), Edge("d", (), "q")],
        ("b", ""): [Edge("d", (), "q")],
        ("c", ""): [Edge("d")],
    }

    assert conditions(graph, [("a", "")])["d"] == {frozenset("q")}


def test_tangled_ways_are_given_up() -> None:
    """Every layer doubles the terms."""
    graph: dict[Node, list[Edge]] = {}
    for layer in range(30):
        target = f"n{layer + 1}"
        graph[(f"n{layer}", "")] = [Edge(target, (), f"a{layer}"), Edge(target, (), f"b{layer}")]

    with pytest.raises(Tangled) as caught:
        conditions(graph, [("n0", "")])
    assert caught.value.args == ("n8",)


def test_extras_without_end_are_given_up() -> None:
    graph: dict[Node, list[Edge]] = {("a", str(index)): [Edge("a", (str(index + 1),))] for index in range(20_000)}

    with pytest.raises(Tangled):
        asked(graph, [("a", "0")])
