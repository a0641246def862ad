# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for any input at all: only the domain error, exact paths, and a result that resolves to itself."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.declaration import APP
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import Derived, Record
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.app_examples import app, merged

LINE = re.compile(r'(apphost_apps|apphost_secrets)(\[\d+\]|\["[^\n]*"\]|\.[\w-]+)*: \S[^\n]*')

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda deeper: (
        st.lists(deeper, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), deeper, max_size=4)
    ),
    max_leaves=12,
)
names = st.from_regex(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", fullmatch=True)


def outcome(apps: t.Any, secrets: t.Any = None) -> list[dict[str, t.Any]] | None:
    """The resolved apps, or None after an error whose every line begins with a path."""
    try:
        return resolve_apps(apps, secrets=secrets)
    except ApphostError as error:
        head, *lines = error.message.split("\n")
        assert all(LINE.fullmatch(line) for line in lines or [head])
        return None


@st.composite
def broken_apps(draw: st.DrawFn) -> dict[str, t.Any]:
    """A good app in which one value, at any depth, is anything."""
    full = resolve_apps([app(logs={"files": [{"path": "own/a.log"}]}, domains=["a.example"], env={"A": "b"})])[0]
    path: list[t.Any] = []
    place: t.Any = full
    while isinstance(place, (dict, list)) and place:
        path.append(draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))))
        place = place[path[-1]]
        if draw(st.booleans()):
            break
    place = full
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = draw(anything)
    return full


@st.composite
def good_apps(draw: st.DrawFn) -> list[dict[str, t.Any]]:
    """One to three apps that are in order, with random choices where there is a choice."""
    apps = []
    for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=3, unique=True))):
        web = {"port": 3000 + 100 * number, "instances": draw(st.integers(1, 100)), "umask": "077"}
        changes: dict[str, t.Any] = {
            "name": name,
            "domains": [f"{name}.example"],
            "env": draw(
                st.dictionaries(
                    st.from_regex(r"[A-Z_]{1,8}X", fullmatch=True), st.text("ab =\n") | st.floats() | st.booleans()
                )
            ),
            "health": {"timeout": draw(st.floats(0.1, 3600)), "interval": draw(st.integers(1, 60))},
            "logs": {"files": [{"path": "own/a.log", "rotate": draw(st.sampled_from(["copytruncate", "signal"]))}]},
        }
        optional = draw(st.lists(st.sampled_from(sorted(changes)), unique=True))
        kept = {key: changes[key] for key in ("name", "domains", *optional)}
        apps.append(merged(app(processes={"web": web}), kept))
    return apps


def without_derived(value: dict[str, t.Any], record: Record) -> dict[str, t.Any]:
    """The part of a resolved app that a user may have written."""
    fields = {name: entry.kind for name, entry in record.fields.items() if not isinstance(entry.kind, Derived)}
    return {
        name: without_derived(value[name], kind) if isinstance(kind, Record) and value[name] else value[name]
        for name, kind in fields.items()
    }


@given(anything, anything)
def test_anything_is_resolved_or_refused_in_words(apps: t.Any, secrets: t.Any) -> None:
    outcome(apps, secrets)


@given(broken_apps(), anything)
@settings(max_examples=300)
def test_a_broken_value_is_refused_in_words_or_harmless(broken: dict[str, t.Any], secrets: t.Any) -> None:
    result = outcome([broken], {"hello": secrets})
    if result is not None:
        assert outcome(result) == result


@given(good_apps())
def test_a_resolved_app_resolves_to_itself(apps: list[dict[str, t.Any]]) -> None:
    result = resolve_apps(apps)
    assert resolve_apps(result) == result
    assert resolve_apps([without_derived(entry, APP) for entry in result]) == result
    # JSON and back, as it travels to a host.
    assert resolve_apps(json.loads(json.dumps(result))) == result


@given(good_apps())
def test_ports_and_units_are_unique_on_a_host(apps: list[dict[str, t.Any]]) -> None:
    instances = [instance for entry in resolve_apps(apps) for instance in entry["instances"]]
    ports = [instance["port"] for instance in instances if instance["port"] is not None]
    units = [instance["unit"] for instance in instances]
    assert len(set(ports)) == len(ports)
    assert len(set(units)) == len(units)
