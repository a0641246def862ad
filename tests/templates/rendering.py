# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a role's templates as Ansible would, without a host.

A template sees what it would see in a task of the role: the role's defaults, the variables of the inventory, the role's
``vars/``, the variables of the task, and the names that Ansible itself adds. An undefined variable is an error.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible._internal._templating._template_vars import generate_ansible_template_vars
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"

#: Every template rendered so far in this run; the guard in test_coverage.py compares it with what there is.
rendered: set[pathlib.Path] = set()


def unrendered(roles: pathlib.Path = ROLES) -> list[str]:
    """The templates below ``roles`` that nothing has rendered yet, as ``<role>/templates/<name>``."""
    return sorted(str(path.relative_to(roles)) for path in set(roles.glob("*/templates/**/*.j2")) - rendered)


@functools.cache
def _load(path: pathlib.Path) -> dict[str, t.Any]:
    """A YAML file of variables, trusted as a source of templates like every file of a role."""
    if not path.exists():
        return {}
    return DataLoader().load_from_file(str(path), trusted_as_template=True) or {}


class Role:
    """One role, by its name in ``roles/`` (or another folder of roles, for the tests of the tests)."""

    def __init__(self, name: str, roles: pathlib.Path = ROLES) -> None:
        self.name = name
        self.path = roles / name

    def render(self, template: str, given: t.Mapping[str, t.Any] | None = None, /, **task: t.Any) -> str:
        """The text of ``templates/<template>``.

        :param given: variables of the inventory, such as ``{"apphost_apps": [...]}``
        :param task: variables of the task: a loop variable, ``vars:``
        """
        source = self.path / "templates" / template
        variables = {**self._variables(given, task), **generate_ansible_template_vars(template, str(source))}
        templar = Templar(loader=DataLoader(), variables=variables)
        templar = templar.copy_with_new_env(searchpath=[str(self.path / "templates")])
        # The action plugin `template` reads and renders with exactly these.
        text = trust_as_template(source.read_text(encoding="utf-8"))
        result = templar.template(
            text, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": False}
        )
        rendered.add(source)
        return str(result)

    def value(self, expression: str, given: t.Mapping[str, t.Any] | None = None, /, **task: t.Any) -> t.Any:
        """What an expression of the role comes to: ``role.value("__logs_apps", {"apphost_apps": [...]})``."""
        templar = Templar(loader=DataLoader(), variables=self._variables(given, task))
        return templar.evaluate_expression(trust_as_template(expression))

    def _variables(self, given: t.Mapping[str, t.Any] | None, task: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {
            "ansible_check_mode": False,
            "ansible_facts": {},
            # Where lookups find the role's files and templates.
            "ansible_search_path": [str(self.path)],
            "inventory_hostname": "app1",
            "groups": {},
            "hostvars": {},
            "role_name": self.name,
            "role_path": str(self.path),
            **_load(self.path / "defaults" / "main.yml"),
            **(given or {}),
            **_load(self.path / "vars" / "main.yml"),
            **task,
        }
