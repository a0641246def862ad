# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role promises in one place must be what it says in the others: defaults, argument specs, names, files."""

from __future__ import annotations

import functools
import re
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from devtools.paths import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())

REQUIRED_FILES = ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml")
PLATFORMS = {"Debian": {"bookworm", "trixie"}, "Ubuntu": {"jammy", "noble"}}
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
# What a default may look at besides the role's own variables: the fleet's settings, and Ansible's own variables.
FOREIGN = re.compile(r"(apphost|ansible|inventory)_|(group_names|groups|hostvars|lookup|query|omit|role_path)$")

each_role = pytest.mark.parametrize("role", ROLES)


@functools.cache
def load(role: str, path: str) -> dict[str, t.Any]:
    """A YAML file of a role; empty when there is none."""
    file = ROOT / "roles" / role / path
    return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def defaults(role: str) -> dict[str, t.Any]:
    return load(role, "defaults/main.yml")


def entry_points(role: str) -> dict[str, dict[str, t.Any]]:
    return load(role, "meta/argument_specs.yml").get("argument_specs") or {}


def options(role: str) -> dict[str, dict[str, t.Any]]:
    """The options of all entry points of a role."""
    specs = entry_points(role).values()
    return {name: option for spec in specs for name, option in (spec.get("options") or {}).items()}


def is_template(value: t.Any) -> bool:
    return isinstance(value, str) and "{{" in value


def has_type(value: t.Any, option: dict[str, t.Any]) -> bool:
    """Whether a value is of the option's type without conversion; templates and null can be of any."""
    kind = option.get("type", "str")
    if value is None or is_template(value) or kind == "raw":
        return True
    if type(value) not in TYPES[kind]:
        return False
    elements = {"type": option.get("elements", "raw")}
    return kind != "list" or all(has_type(item, elements) for item in value)


def names_in(template: str) -> set[str]:
    """The variables that a template looks at."""
    nodes = jinja2.Environment(autoescape=True).parse(template).find_all(jinja2.nodes.Name)
    return {node.name for node in nodes if node.ctx == "load"}


def texts_in(value: t.Any) -> t.Iterator[str]:
    """Every string of a structure, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def agree(problems: t.Iterable[str]) -> None:
    """Fail with one line a problem, and nothing else."""
    lines = list(problems)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@each_role
def test_the_role_is_complete(role: str) -> None:
    agree(f"roles/{role}/{path} is missing" for path in REQUIRED_FILES if not (ROOT / "roles" / role / path).exists())


@each_role
def test_meta_says_what_and_where(role: str) -> None:
    info = load(role, "meta/main.yml").get("galaxy_info", {})
    where = f"roles/{role}/meta/main.yml"
    agree(f"{where}: {key} is missing" for key in ("author", "description", "license") if not info.get(key))
    assert info.get("min_ansible_version") == "2.17", where
    assert {entry["name"]: set(entry["versions"]) for entry in info.get("platforms", [])} == PLATFORMS, where


@each_role
def test_defaults_and_spec_have_the_same_names(role: str) -> None:
    required = {name for name, option in options(role).items() if option.get("required")}
    agree(
        [
            *(f"{name} is in defaults/main.yml only" for name in sorted(defaults(role).keys() - options(role).keys())),
            *(
                f"{name} is in meta/argument_specs.yml only; give it a default or make it required"
                for name in sorted(options(role).keys() - defaults(role).keys() - required)
            ),
            *(f"{name} is required and has a default" for name in sorted(required & defaults(role).keys())),
        ]
    )


@each_role
def test_defaults_and_spec_have_the_same_values(role: str) -> None:
    problems = []
    for name, option in options(role).items():
        value = defaults(role).get(name)
        if name in defaults(role) and "default" in option and option["default"] != value:
            problems.append(f"{name} is {value!r} in defaults/main.yml, but {option['default']!r} in its spec")
        if value is not None and not is_template(value) and "default" not in option:
            problems.append(f"{name}: write its default, {value!r}, into meta/argument_specs.yml, too")
    agree(problems)


@each_role
def test_defaults_have_the_types_of_the_spec(role: str) -> None:
    agree(
        f"{name} should be of type {option.get('type', 'str')}, and is {defaults(role)[name]!r}"
        for name, option in options(role).items()
        if name in defaults(role) and not has_type(defaults(role)[name], option)
    )


@each_role
def test_defaults_pass_the_spec(role: str) -> None:
    """Choices, elements and options of options, judged by Ansible itself."""
    fixed = {name: value for name, value in defaults(role).items() if not any(map(is_template, texts_in(value)))}
    spec = {name: option for name, option in options(role).items() if name in fixed}
    agree(ArgumentSpecValidator(spec).validate({name: fixed[name] for name in spec}).error_messages)


@each_role
def test_entry_points_agree_about_the_options_they_share(role: str) -> None:
    agree(
        f"entry point {entry}: {name} differs from the other entry points"
        for entry, spec in entry_points(role).items()
        for name, option in (spec.get("options") or {}).items()
        if option != options(role)[name]
    )


@each_role
def test_everything_is_described(role: str) -> None:
    def undescribed(entries: dict[str, t.Any], above: str) -> t.Iterator[str]:
        for name, option in entries.items():
            if not option.get("description"):
                yield f"{above}{name} has no description"
            yield from undescribed(option.get("options") or {}, f"{above}{name}.")

    for entry, spec in entry_points(role).items():
        assert spec.get("short_description"), f"entry point {entry} has no short_description"
        assert spec.get("description"), f"entry point {entry} has no description"
        agree(undescribed(spec.get("options") or {}, ""))


@each_role
@pytest.mark.parametrize(("path", "prefix"), [("defaults/main.yml", ""), ("vars/main.yml", "__")])
def test_variables_are_named_after_the_role(role: str, path: str, prefix: str) -> None:
    wanted = f"{prefix}{role}_"
    agree(f"{path}: {name} should begin with {wanted}" for name in load(role, path) if not name.startswith(wanted))


@each_role
def test_defaults_look_only_at_the_role_and_the_fleet(role: str) -> None:
    agree(
        f"{name} looks at {used}"
        for name, value in defaults(role).items()
        for text in texts_in(value)
        for used in sorted(names_in(text))
        if not used.startswith(f"{role}_") and not FOREIGN.match(used)
    )


@each_role
def test_the_role_reads_no_variable_of_another_role(role: str) -> None:
    """A key may name one (to pass a value on); what stands to its right may not."""
    others = {name for other in ROLES if other != role for name in (*defaults(other), *load(other, "vars/main.yml"))}
    problems = []
    for path in sorted((ROOT / "roles" / role).rglob("*")):
        if path.suffix not in (".yml", ".j2") or "meta" in path.parts:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            used = set(re.findall(r"\w+", re.sub(r"^[\s-]*\w+:|#.*", "", line))) & others
            problems += [f"{path.relative_to(ROOT)}:{number} uses {name}" for name in sorted(used)]
    agree(problems)


def test_a_role_that_disagrees_is_found() -> None:
    """The checks above, on values that they must refuse."""
    assert not has_type("3", {"type": "int"})
    assert not has_type(True, {"type": "int"})
    assert not has_type(1, {"type": "bool"})
    assert not has_type(["a", 1], {"type": "list", "elements": "str"})
    assert has_type(3, {"type": "float"})
    assert has_type("{{ anything }}", {"type": "list"})
    assert names_in("{{ a.b | default(c) }}") == {"a", "c"}
    with pytest.raises(pytest.fail.Exception, match="first"):
        agree(["first"])


def test_every_role_is_looked_at() -> None:
    assert {path.parents[1].name for path in Path(ROOT, "roles").glob("*/tasks/main.yml")} <= set(ROLES)
