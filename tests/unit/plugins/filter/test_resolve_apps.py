# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as Ansible calls them: in templates, with its own kinds of strings and containers."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleError, AnsibleFilterError, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.evenkeel.apphost.plugins.filter import resolve_apps as plugin

from tests.unit.app_examples import app

PLAIN = {dict, list, str, int, float, type(None), bool}


def evaluate(expression: str, variables: str) -> t.Any:
    """An expression over variables that Ansible itself loaded from YAML, with their tags and templates."""
    loaded = DataLoader().load(trust_as_template(variables))
    return Templar(loader=DataLoader(), variables=loaded).evaluate_expression(trust_as_template(expression))


def types_in(value: t.Any) -> set[type]:
    """Every exact type in a structure."""
    below = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(types_in, below))


INVENTORY = """
first_port: 3000
apphost_apps:
  - name: "{{ 'hel' ~ 'lo' }}"
    source: {type: directory, path: ../hello}
    runtime: {name: nodejs, version: 24.21.0}
    processes:
      web: {command: node server.js, instances: "{{ 1 + 1 }}", port: "{{ first_port }}"}
      worker: {command: node worker.js}
"""


def test_templates_are_resolved_and_keep_their_types() -> None:
    result = evaluate("apphost_apps | evenkeel.apphost.resolve_apps", INVENTORY)
    assert result == plugin.resolve_apps([app()])


def test_the_result_is_plain_data() -> None:
    # Called directly: what Ansible makes of the result afterwards is its own business.
    apps = DataLoader().load(json.dumps([app()]))
    assert types_in(apps) - PLAIN, "the input carries Ansible's tags"
    assert types_in(plugin.resolve_apps(apps)) <= PLAIN


def test_the_result_of_one_filter_feeds_the_next() -> None:
    chain = "apphost_apps | evenkeel.apphost.resolve_apps | evenkeel.apphost.resolve_apps"
    chain += " | evenkeel.apphost.select_apps('hello')"
    assert [entry["name"] for entry in evaluate(chain, INVENTORY)] == ["hello"]


def test_all_arguments_have_their_documented_names() -> None:
    expression = "apphost_apps | evenkeel.apphost.resolve_apps(secrets=apphost_secrets, base_dir='/fleet/inventory')"
    result = evaluate(expression, f"{INVENTORY}\napphost_secrets: {{hello: {{TOKEN: geheim}}}}")
    assert result[0]["source"]["path"] == "/fleet/hello"
    assert "geheim" not in json.dumps(result)


def test_secrets_are_never_shown() -> None:
    secrets = "apphost_secrets: {hello: {PORT: geheim, LIST: [geheim]}, geh: geheim}"
    with pytest.raises(AnsibleError, match=r"apphost_secrets\.hello\.PORT: is set for each instance") as failure:
        evaluate("apphost_apps | evenkeel.apphost.resolve_apps(secrets=apphost_secrets)", f"{INVENTORY}\n{secrets}")
    assert "geheim" not in str(failure.value)


def test_values_that_vault_decrypts_when_read_are_strings() -> None:
    class Vaulted:
        """As ansible-core 2.17 and 2.18 hand over a value that `!vault` marks."""

        __ENCRYPTED__ = True

        def __str__(self) -> str:
            return "decrypted"

    (result,) = plugin.resolve_apps([app(env={"TOKEN": Vaulted()})])
    assert result["env"] == {"TOKEN": "decrypted"}


@pytest.mark.parametrize("variable", ["nix", "apphost_apps"])
def test_an_undefined_variable_is_reported_by_ansible_itself(variable: str) -> None:
    with pytest.raises(AnsibleUndefinedVariable, match="'nix' is undefined"):
        evaluate(
            f"{variable} | evenkeel.apphost.resolve_apps",
            INVENTORY.replace("first_port: 3000", "first_port: '{{ nix }}'"),
        )


def test_mistakes_are_a_filter_error_with_every_line() -> None:
    with pytest.raises(AnsibleFilterError) as failure:
        plugin.resolve_apps([app(processes={"web": {"port": 70000}}, color="red")])
    lines = str(failure.value).split("\n")
    assert lines[0] == "2 problems"
    assert lines[2] == "apphost_apps[0].processes.web.port: 70000 is not in 1..65535"


def test_an_unknown_app_is_a_filter_error() -> None:
    with pytest.raises(AnsibleError, match=r"app nope is not defined in apphost_apps \(defined: hello\)"):
        evaluate("apphost_apps | evenkeel.apphost.resolve_apps | evenkeel.apphost.select_apps('nope')", INVENTORY)


def test_digits_in_strings_count_only_where_templates_give_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = [app(processes={"web": {"port": "3000"}})]
    with pytest.raises(AnsibleFilterError, match="write it without quotes"):
        plugin.resolve_apps(quoted)
    monkeypatch.setattr(plugin, "TEMPLATES_GIVE_STRINGS", True)
    assert plugin.resolve_apps(quoted) == plugin.resolve_apps([app()])
