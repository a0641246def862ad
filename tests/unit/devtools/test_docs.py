# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated documentation: it is up to date, and its helpers say what they should."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.declaration import APP
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps

from devtools import app_keys, docs
from devtools.markdown import MarkerError, between_markers, code, paragraphs, table
from devtools.paths import ROOT, shown


def test_everything_generated_is_up_to_date() -> None:
    documentation = docs.Documentation()
    outdated = [f"{shown(path)}: out of date, run ./dev docs" for path in documentation.outdated()]
    lines = documentation.problems + outdated
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def test_the_examples_of_the_apps_page_resolve() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "apps.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in map(yaml.safe_load, examples):
        assert resolve_apps(example["apphost_apps"], secrets=example.get("apphost_secrets"))


def test_the_apps_page_has_every_key_and_every_link_leads_somewhere() -> None:
    text = app_keys.text()
    assert [key for key in APP.fields if f"\n| `{key}` |" not in text] == []
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    # The anchor that Markdown viewers make of a heading.
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
    assert len(anchors) == len(headings)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("web", "`web`"),
        ("0027", '`"0027"`'),
        ("", '`""`'),
        ("{{ a | b }}", '`"{{ a | b }}"`'),
        ("@x", '`"@x"`'),
        (3000, "`3000`"),
        (True, "`true`"),
        (["a"], '`["a"]`'),
        ("a`b", "`` a`b ``"),
    ],
)
def test_a_value_is_shown_as_yaml(value: t.Any, expected: str) -> None:
    assert code(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set O(state=present) or V(absent).", "Set `state=present` or `absent`."),
        ("See M(evenkeel.apphost.report).", "See `evenkeel.apphost.report`."),
        ("See P(evenkeel.apphost.resolve_apps#filter).", "See `evenkeel.apphost.resolve_apps`."),
        (
            "As RV(evenkeel.apphost.resolve_apps#filter:_value).",
            "As `_value` of `evenkeel.apphost.resolve_apps`.",
        ),
        ("B(Never) I(ever).", "**Never** *ever*."),
        ("L(Docs,https://example.com/a) U(https://example.com)", "[Docs](https://example.com/a) <https://example.com>"),
        (r"V(a\)b\\c)", r"`a)b\c`"),
        ("A <name> in C(<name>).", "A &lt;name> in `<name>`."),
        ("An SVG(x) is no markup.", "An SVG(x) is no markup."),
        (["One.", "Two."], "One.\n\nTwo."),
        (None, ""),
    ],
)
def test_ansible_markup_becomes_markdown(text: t.Any, expected: str) -> None:
    assert paragraphs(text) == expected


def test_a_table_survives_pipes_and_line_ends() -> None:
    assert table(("A", "B"), [("a|b", "c\nd")]) == "| A | B |\n| --- | --- |\n| a\\|b | c d |"


def test_text_goes_between_its_markers_and_nowhere_else() -> None:
    page = "before\n<!-- x:begin -->\nold\n<!-- x:end -->\nafter\n"
    once = between_markers(page, "x", "new")
    assert once == "before\n<!-- x:begin -->\nnew\n<!-- x:end -->\nafter\n"
    assert between_markers(once, "x", "new") == once


@pytest.mark.parametrize("page", ["", "<!-- x:begin -->", "<!-- x:end --><!-- x:begin -->"])
def test_missing_markers_are_named(page: str) -> None:
    with pytest.raises(MarkerError, match="put <!-- x:begin --> and <!-- x:end --> where"):
        between_markers(page, "x", "new")


def test_the_options_of_several_entry_points_share_a_table(tmp_path: t.Any) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "defaults").mkdir()
    (tmp_path / "defaults" / "main.yml").write_text("x_apps: '{{ apphost_apps }}'\nx_size: 3\n")
    (tmp_path / "meta" / "argument_specs.yml").write_text("""
argument_specs:
  main: {short_description: First, options: {x_apps: {type: list, elements: dict, description: Apps}}}
  other: {short_description: Second., options: {x_size: {type: int, default: 3, description: [Big., V(3)]}}}
""")
    assert docs.role_options(tmp_path).splitlines() == [
        "| Entry point | What it does |",
        "| --- | --- |",
        "| `main` | First. |",
        "| `other` | Second. |",
        "",
        "| Variable | Type | Default | Meaning |",
        "| --- | --- | --- | --- |",
        '| `x_apps` | list of dict | `"{{ apphost_apps }}"` | Apps |',
        "| `x_size` | int | `3` | Big. `3` |",
    ]
