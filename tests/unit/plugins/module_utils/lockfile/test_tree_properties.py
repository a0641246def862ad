# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every dependency graph: of what is expected on a host, and of how two lockfiles differ."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Target,
    difference,
    disagreements,
    expected_packages,
    listings,
)
from hypothesis import given
from hypothesis import strategies as st

HERE = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")
Installation = tuple[dict[str, Package], frozenset[str]]
Pair = tuple[Installation, Installation]
NAMES = [f"p{number}" for number in range(8)]
FOREIGN = {"os": ["win32"]}

names = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)
entries = st.fixed_dictionaries(
    {
        "version": st.sampled_from(["1.0.0", "1.1.0", "2.0.0"]),
        "integrity": st.sampled_from(["sha512-x", "sha512-y"]),
        "dependencies": names,
        "optionalDependencies": names,
        "foreign": st.booleans(),
    }
)
paths = st.one_of(
    st.sampled_from(NAMES).map("node_modules/{}".format),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map("node_modules/{0[0]}/node_modules/{0[1]}".format),
)


@st.composite
def lockfiles(draw: st.DrawFn) -> Lockfile:
    """A lockfile as npm writes them: every package is reached, and marked when only development reaches it."""

    def asked(kinds: dict[str, t.Any]) -> dict[str, t.Any]:
        return {kind: dict.fromkeys(wanted, "*") for kind, wanted in kinds.items()}

    packages = {
        path: {
            "version": entry["version"],
            "integrity": entry["integrity"],
            **asked({kind: entry[kind] for kind in ("dependencies", "optionalDependencies")}),
            **(FOREIGN if entry["foreign"] else {}),
        }
        for path, entry in draw(st.dictionaries(paths, entries, max_size=12)).items()
    }
    root = asked({kind: draw(names) for kind in ("dependencies", "optionalDependencies")})
    content = json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}})
    return parse_lockfile(content.encode(), "package-lock.json")


@st.composite
def installations(draw: st.DrawFn) -> Installation:
    """What is expected for a lockfile, and which of it is direct."""
    lockfile = draw(lockfiles())
    return expected_packages(lockfile, HERE), lockfile.direct


@st.composite
def keyed(draw: st.DrawFn) -> Installation:
    """The same in a format whose paths hold versions."""
    packages, direct = draw(installations())
    keys = {path: f"{package.name}@{package.version}" for path, package in packages.items()}
    return (
        {keys[path]: dataclasses.replace(package, path=keys[path]) for path, package in packages.items()},
        frozenset(keys[path] for path in direct if path in keys),
    )


pairs = st.one_of(st.tuples(installations(), installations()), st.tuples(keyed(), keyed()))


@given(pairs)
def test_applying_the_difference_to_the_first_gives_the_second(pair: Pair) -> None:
    (before, direct_before), (after, direct_after) = pair

    differs = difference(before, after, direct_before, direct_after)

    result = {path: package.version for path, package in before.items()}
    for entry in differs.removed:
        assert result.pop(entry["path"]) == entry["version"]
        assert entry["direct"] is (entry["path"] in direct_before)
    for entry in differs.updated:
        assert result.pop(entry.get("path_before", entry["path"])) == entry["before"]
    for entry in differs.updated:
        assert entry["path"] not in result
        assert entry["direct"] is (entry["path"] in direct_after)
        result[entry["path"]] = entry["after"]
    for entry in differs.added:
        assert entry["path"] not in result
        assert entry["direct"] is (entry["path"] in direct_after)
        result[entry["path"]] = entry["version"]
    assert result == {path: package.version for path, package in after.items()}
    # Nothing is said of what stays as it is, and everything of what does not.
    changed = {entry["path"] for entry in differs.updated if "path_before" not in entry}
    assert changed == {
        path
        for path in {*before} & {*after}
        if (before[path].version, before[path].integrity) != (after[path].version, after[path].integrity)
    }


@given(pairs)
def test_the_lines_that_differ_are_those_of_the_packages_that_differ(pair: Pair) -> None:
    (before, direct_before), (after, direct_after) = pair

    differs = difference(before, after, direct_before, direct_after)
    old, new = (text.splitlines() for text in listings(before, after, direct_before, direct_after))

    counts = differs.counts
    assert (len(old), len(new)) == (len(before), len(after))
    assert len({*old} - {*new}) == counts["removed"] + counts["updated"]
    assert len({*new} - {*old}) == counts["added"] + counts["updated"]


@given(lockfiles())
def test_a_lockfile_does_not_differ_from_itself(lockfile: Lockfile) -> None:
    packages = expected_packages(lockfile, HERE)

    assert difference(packages, dict(packages), lockfile.direct, lockfile.direct).counts == {
        "added": 0,
        "removed": 0,
        "updated": 0,
    }
    assert disagreements(lockfile, packages, HERE) == []


@given(lockfiles())
def test_what_is_expected_is_whole_and_nothing_more(lockfile: Lockfile) -> None:
    expected = expected_packages(lockfile, HERE)
    needed: set[str] = set()
    todo = list(lockfile.needs)
    while todo:
        path = todo.pop()
        if path not in needed:
            needed.add(path)
            todo += lockfile.packages[path].needs

    # What the project cannot do without is there, fit or not: the package manager will have its say.
    assert needed <= {*expected}
    asked = {*lockfile.needs, *lockfile.wants}
    for path, package in expected.items():
        # Whoever is there has all that he needs, and runs here or is needed by somebody who cannot do without.
        assert {*package.needs} <= {*expected}
        assert HERE.fits(package) or path in needed
        asked |= {*package.needs, *package.wants}
    assert {*expected} <= asked
    # Who was left out has a reason: he or something he needs does not run here, or nobody who stays asks for him.
    hopeless = {path for path, package in lockfile.packages.items() if path not in needed and not HERE.fits(package)}
    while True:
        more = {
            path
            for path, package in lockfile.packages.items()
            if path not in needed | hopeless and hopeless & {*package.needs}
        }
        if not more:
            break
        hopeless |= more
    assert not (asked - {*expected} - hopeless)
