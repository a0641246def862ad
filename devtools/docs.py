# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""./dev docs: the documentation that follows from the code.

Option tables of the roles' READMEs come from their argument specs, ``docs/apps.md`` from the app schema,
``docs/modules`` and ``docs/filters`` from the plugins' own documentation, ``docs/installing-errors.md`` from the code
that makes the errors, and the README's contents from all of them.
Prose around the markers is written by hand and stays.

Runs in the tools' environment: ``python -m devtools.docs [--check]``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import yaml

from devtools import app_keys
from devtools.environment import tool_environment
from devtools.errors.page import page as error_page
from devtools.markdown import MarkerError, between_markers, code, paragraphs, table
from devtools.paths import ROOT, shown
from devtools.terminal import DevError, say

COLLECTION = "evenkeel.apphost"
KINDS = {"module": "modules", "filter": "filters"}

Plugins = dict[str, dict[str, t.Any]]


def main() -> int:
    """Write what is out of date; with ``--check`` only name it."""
    parser = argparse.ArgumentParser(prog="./dev docs", description="Write the generated documentation.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of date")
    check = parser.parse_args().check
    documentation = Documentation()
    outdated = documentation.outdated()
    for path, text in outdated.items():
        if not check:
            _write(path, text)
        say(f"{shown(path)}: {'out of date, run ./dev docs' if check else 'written' if text else 'removed'}")
    for problem in documentation.problems:
        print(problem, file=sys.stderr)
    return 1 if documentation.problems or (check and outdated) else 0


def _write(path: Path, text: str) -> None:
    if text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    else:
        path.unlink()


class Documentation:
    """Every file with generated text as it should be (``pages``), and why a file cannot be made (``problems``)."""

    def __init__(self) -> None:
        self.pages: dict[Path, str] = {}
        self.problems: list[str] = []
        documented = self._plugins()
        for kind, plugins in documented.items():
            for name, plugin in plugins.items():
                self.pages[ROOT / "docs" / KINDS[kind] / f"{name}.md"] = _plugin_page(kind, name, plugin)
        for role in roles():
            self._fill(role / "README.md", "options", role_options(role))
        self._fill(ROOT / "docs" / "apps.md", "keys", app_keys.text())
        self.pages[ROOT / "docs" / "installing-errors.md"], mistakes = error_page(ROOT)
        self.problems += mistakes
        self._fill(ROOT / "README.md", "contents", _contents(documented))

    def outdated(self) -> dict[Path, str]:
        """The files that differ from what they should be, with their text; an empty text is a file that should go."""
        leftover = {page: "" for folder in KINDS.values() for page in (ROOT / "docs" / folder).glob("*.md")}
        wanted = {**leftover, **self.pages}
        return {path: text for path, text in sorted(wanted.items()) if not path.exists() or path.read_text() != text}

    def _fill(self, path: Path, marker: str, content: str) -> None:
        """Put generated text into a file that is written by hand otherwise."""
        try:
            self.pages[path] = between_markers(path.read_text(), marker, content)
        except FileNotFoundError:
            self.problems.append(f"{shown(path)}: does not exist; write it, with markers for the generated part")
        except MarkerError as error:
            self.problems.append(f"{shown(path)}: {error}")

    def _plugins(self) -> dict[str, Plugins]:
        """What ``ansible-doc`` knows about the collection's plugins, by kind and short name."""
        command = [
            str(Path(sys.executable).parent / "ansible-doc"),
            "--metadata-dump",
            "--no-fail-on-errors",
            COLLECTION,
        ]
        done = subprocess.run(command, env=tool_environment(), cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode:
            raise DevError(f"ansible-doc failed: {done.stderr.strip()}")
        dump = json.loads(done.stdout)["all"]
        found: dict[str, Plugins] = {kind: {} for kind in KINDS}
        for kind, plugins in found.items():
            for name, plugin in sorted(dump.get(kind, {}).items()):
                if "doc" in plugin:
                    plugins[name.rpartition(".")[2]] = plugin
                else:
                    self.problems.append(f"{kind} {name}: has no documentation; ansible-doc -t {kind} {name} says why")
        return found


# Roles


def roles() -> list[Path]:
    """The folders of the roles, in order."""
    return sorted(spec.parents[1] for spec in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


def role_options(role: Path) -> str:
    """The entry points of a role, when it has several, and one table with the options of all of them."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text()) or {}
    options: dict[str, t.Any] = {}
    for spec in specs.values():
        options.update(spec.get("options") or {})
    # A spec cannot hold a default that is a template; the role's own defaults tell it.
    rows = list(_options({name: {"default": defaults.get(name), **option} for name, option in options.items()}))
    parts = [table(("Variable", "Type", "Default", "Meaning"), rows) if rows else "No options."]
    if len(specs) > 1:
        points = [(f"`{name}`", _sentence(spec["short_description"])) for name, spec in specs.items()]
        parts.insert(0, table(("Entry point", "What it does"), points))
    return "\n\n".join(parts)


def _options(options: dict[str, t.Any], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """One row an option, followed by the rows of its own options."""
    for name, option in options.items():
        kind = option.get("type", "str")
        required = "**required**" if option.get("required") else ""
        default = "" if option.get("default") is None else code(option["default"])
        choices = option.get("choices")
        words = [paragraphs(option.get("description"), between=" ")]
        if choices:
            words.append(f"One of {', '.join(map(code, choices))}.")
        yield f"`{prefix}{name}`", _type(option), required or default, " ".join(words)
        deeper = f"{prefix}{name}{'[]' if kind == 'list' else ''}."
        yield from _options(option.get("options") or option.get("suboptions") or {}, deeper)


def _type(option: dict[str, t.Any]) -> str:
    """The type of an option or returned value, with that of its elements."""
    kind, elements = option.get("type", "str"), option.get("elements", "raw")
    return kind if elements == "raw" else f"{kind} of {elements}"


# Plugins


def _plugin_page(kind: str, name: str, plugin: dict[str, t.Any]) -> str:
    doc = plugin["doc"]
    parts = [
        "<!-- Written by ./dev docs from the plugin's own documentation -->",
        f"# {COLLECTION}.{name} ({kind})",
        f"{_sentence(doc['short_description'])}",
        paragraphs(doc.get("description")),
    ]
    options = list(_options(doc.get("options") or {}))
    if options:
        parts += ["## Options", table(("Option", "Type", "Default", "Meaning"), options)]
    attributes = doc.get("attributes") or {}
    if attributes:
        rows = [
            (f"`{key}`", value["support"], paragraphs(value.get("details") or value["description"], " "))
            for key, value in sorted(attributes.items())
        ]
        parts += ["## Attributes", table(("Attribute", "Support", "Meaning"), rows)]
    if doc.get("notes"):
        parts += ["## Notes", "\n".join(f"- {paragraphs(note)}" for note in doc["notes"])]
    if plugin.get("examples"):
        parts += ["## Examples", f"```yaml\n{plugin['examples'].strip()}\n```"]
    if plugin.get("return"):
        parts += ["## Returns", table(("Key", "Type", "Returned", "Meaning"), _returns(plugin["return"]))]
    return "\n\n".join(parts) + "\n"


def _returns(values: dict[str, t.Any], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    for name, value in values.items():
        kind, elements = value.get("type", ""), value.get("elements")
        shown = f"{kind} of {elements}" if elements else kind
        yield (
            f"`{prefix}{name}`",
            shown,
            str(value.get("returned", "")),
            paragraphs(value.get("description"), between=" "),
        )
        yield from _returns(value.get("contains") or {}, f"{prefix}{name}{'[]' if kind == 'list' else ''}.")


# The README's contents


def _contents(documented: dict[str, Plugins]) -> str:
    """Tables of the playbooks, roles, modules and filters, each with one sentence."""
    playbooks = [
        (f"`{COLLECTION}.{path.stem}`", _leading_comment(path)) for path in sorted((ROOT / "playbooks").glob("*.yml"))
    ]
    parts = [table(("Playbook", "What it does"), playbooks)]
    described = [(f"[{role.name}](roles/{role.name}/README.md)", _role_description(role)) for role in roles()]
    parts.append(table(("Role", "What it does"), described))
    for kind, folder in KINDS.items():
        rows = [
            (f"[{name}](docs/{folder}/{name}.md)", _sentence(plugin["doc"]["short_description"]))
            for name, plugin in documented[kind].items()
        ]
        parts.append(table((kind.capitalize(), "What it does"), rows))
    return "\n\n".join(parts)


def _role_description(role: Path) -> str:
    return _sentence(yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]["description"])


def _leading_comment(path: Path) -> str:
    """The first sentence of the comment at the top of a playbook."""
    comment = re.match(r"(?:---\n)?((?:#.*\n)+)", path.read_text())
    if not comment:
        raise DevError(f"{path.relative_to(ROOT)}: begin with a comment that says what the playbook does")
    text = " ".join(line.lstrip("# ") for line in comment[1].splitlines())
    return _sentence(re.split(r"(?<=\.) ", text)[0])


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DevError as error:
        sys.exit(f"dev docs: {error}")
