# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials: what CycloneDX 1.6 asks of one, and what this one says."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.sbom import (
    Platform,
    bill_of_materials,
    package_url,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target, expected_packages

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
HERE = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")
SHA256, SHA512 = "sha256-" + "A" * 43 + "=", "sha512-" + "A" * 86 + "=="

#: From the official schema (bom-1.6.schema.json): keys that an object may have, those that it must have, and types.
SHAPES: dict[str, dict[str, tuple[bool, t.Any]]] = {
    "bom": {
        "$schema": (False, str),
        "bomFormat": (True, "CycloneDX"),
        "specVersion": (True, "1.6"),
        "serialNumber": (False, r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        "version": (False, int),
        "metadata": (False, {"metadata"}),
        "components": (False, ["component"]),
        "dependencies": (False, ["dependency"]),
    },
    "metadata": {
        "timestamp": (False, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"),
        "tools": (False, {"tools"}),
        "component": (False, {"component"}),
        "properties": (False, ["property"]),
    },
    "tools": {"components": (False, ["component"])},
    "component": {
        "type": (True, "application|library|platform"),
        "bom-ref": (False, ".+"),
        "group": (False, str),
        "name": (True, str),
        "version": (False, ".{0,1024}"),
        "scope": (False, "required|optional|excluded"),
        "hashes": (False, ["hash"]),
        "licenses": (False, ["license"]),
        "purl": (False, r"pkg:(npm|pypi|generic)/[^@\s]+(@[^@\s]+)?"),
        # The part of the schema's pattern that our one CPE needs.
        "cpe": (False, r"cpe:2\.3:a(:(\*|-|[A-Za-z0-9._\-]+)){5}(:\*){5}"),
        "externalReferences": (False, ["reference"]),
        "properties": (False, ["property"]),
    },
    "hash": {
        "alg": (True, "SHA-(256|384|512)"),
        "content": (True, "([a-f0-9]{64}|[a-f0-9]{96}|[a-f0-9]{128})"),
    },
    "license": {"expression": (False, str), "license": (False, {"named"})},
    "named": {"name": (True, str)},
    "reference": {"type": (True, "distribution"), "url": (True, r"https?://\S+")},
    "property": {"name": (False, str), "value": (False, str)},
    "dependency": {"ref": (True, ".+"), "dependsOn": (False, [str])},
}


def check(value: t.Any, shape: t.Any) -> None:
    """Compare a value with the shape that the schema gives it."""
    if isinstance(shape, type):
        assert isinstance(value, shape)
    elif isinstance(shape, str):
        assert re.fullmatch(shape, value)
    elif isinstance(shape, list):
        assert len({json.dumps(item, sort_keys=True) for item in value}) == len(value)
        for item in value:
            check(item, {shape[0]} if isinstance(shape[0], str) else shape[0])
    else:
        (name,) = shape
        assert {*value} <= {*SHAPES[name]}
        assert {key for key, (required, _kind) in SHAPES[name].items() if required} <= {*value}
        for key, item in value.items():
            check(item, SHAPES[name][key][1])


def checked(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """The document, which is a good one."""
    assert json.loads(json.dumps(document)) == document
    check(document, {"bom"})
    refs = [component["bom-ref"] for component in document["components"]]
    assert len({*refs, "application"}) == len(refs) + 1
    # Every component says what it depends on, and nothing depends on what is not there.
    assert [entry["ref"] for entry in document["dependencies"]] == ["application", *refs]
    assert {ref for entry in document["dependencies"] for ref in entry["dependsOn"]} <= {*refs}
    return document


def recorded(name: str) -> tuple[Lockfile, dict[str, Package]]:
    lockfile = parse_lockfile((FIXTURES / name).read_bytes(), "package-lock.json")
    return lockfile, expected_packages(lockfile, HERE)


def made(manager: str, *packages: Package, needs: tuple[str, ...] = (), format: str = "1") -> dict[str, t.Any]:
    by_path = {package.path: package for package in packages}
    lockfile = Lockfile("x", "x", b"", manager, format, "0" * 64, "", {}, needs or tuple(by_path), (), by_path)
    return checked(bill_of_materials(lockfile, by_path, "shop"))


def test_a_recorded_project() -> None:
    document = checked(bill_of_materials(*recorded("package-lock-v3.json"), "recorded", "1.0.0"))

    assert document["metadata"]["component"] == {
        "type": "application",
        "bom-ref": "application",
        "name": "recorded",
        "version": "1.0.0",
    }
    components = {component["bom-ref"]: component for component in document["components"]}
    debug = components["pkg:npm/debug@4.4.3"]
    assert debug == {
        "type": "library",
        "bom-ref": "pkg:npm/debug@4.4.3",
        "name": "debug",
        "version": "4.4.3",
        "scope": "required",
        "hashes": debug["hashes"],
        "licenses": [{"expression": "MIT"}],
        "purl": "pkg:npm/debug@4.4.3",
        "properties": [{"name": "cdx:npm:package:path", "value": "node_modules/debug"}],
    }
    assert debug["hashes"][0]["content"].startswith("446c305a7c10be455f")
    assert components["pkg:npm/%40img/sharp-linux-x64@0.34.5"]["group"] == "@img"
    assert components["pkg:npm/%40img/sharp-linux-x64@0.34.5"]["scope"] == "optional"
    # Neither what is for other platforms nor what is for development.
    assert not any("darwin" in ref or "pkg:npm/ws@" in ref for ref in components)
    # An alias is the package that it stands for.
    assert "pkg:npm/ms@2.0.0" in components
    depends = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    assert depends["application"] == ["pkg:npm/debug@4.4.3", "pkg:npm/ms@2.0.0", "pkg:npm/sharp@0.34.5"]
    assert depends["pkg:npm/debug@4.4.3"] == ["pkg:npm/ms@2.1.3"]
    assert depends["pkg:npm/ms@2.1.3"] == []


def test_workspaces_and_what_is_not_from_a_registry() -> None:
    document = checked(bill_of_materials(*recorded("npm-workspaces/package-lock.json"), "shop"))

    components = {component["bom-ref"]: component for component in document["components"]}
    depends = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    # Workspaces are the application; a local archive and a linked folder have no address in the world.
    assert not any("@shop" in ref for ref in components)
    lib, local = "lib@0.1.0#node_modules/lib", "local@1.0.0#node_modules/local"
    assert "purl" not in components[lib] | components[local]
    assert {lib, local, "pkg:npm/%40isaacs/cliui@8.0.2", "pkg:npm/debug@4.4.3"} <= {*depends["application"]}
    assert depends[lib] == ["pkg:npm/isexe@2.0.0"]
    assert components["pkg:npm/debug@4.4.3"]["externalReferences"] == [
        {"type": "distribution", "url": "https://registry.npmjs.org/debug/-/debug-4.4.3.tgz"}
    ]


def test_a_package_in_several_places_is_one_component() -> None:
    inner = Package("node_modules/a/node_modules/ms", "ms", "2.0.0", integrity=SHA512, optional=True)
    outer = Package("node_modules/ms", "ms", "2.0.0", integrity=SHA512)
    needing = Package("node_modules/a", "a", "1.0.0", integrity=SHA512, needs=(inner.path,))

    document = made("npm", needing, inner, outer)

    assert [component["bom-ref"] for component in document["components"]] == ["pkg:npm/a@1.0.0", "pkg:npm/ms@2.0.0"]
    ms = document["components"][1]
    assert [entry["value"] for entry in ms["properties"]] == [inner.path, outer.path]
    assert ms["scope"] == "required"
    assert document["dependencies"][1] == {"ref": "pkg:npm/a@1.0.0", "dependsOn": ["pkg:npm/ms@2.0.0"]}


def test_what_comes_inside_another_archive_is_marked() -> None:
    document = checked(bill_of_materials(*recorded("package-lock-bundles.json"), "shop"))
    # Nothing of it is for this platform.
    assert document["components"] == []

    inside = Package("node_modules/a/node_modules/b", "b", "1.0.0", source=Source.BUNDLED)
    (component,) = made("npm", inside)["components"]
    assert component["properties"][1] == {"name": "cdx:npm:package:bundled", "value": "true"}


def test_the_same_version_with_another_content_is_another_component() -> None:
    document = made(
        "npm",
        Package("node_modules/ms", "ms", "2.0.0", integrity=SHA512),
        Package("node_modules/a/node_modules/ms", "ms", "2.0.0", integrity=SHA256),
    )

    assert [component["bom-ref"] for component in document["components"]] == [
        "pkg:npm/ms@2.0.0",
        "pkg:npm/ms@2.0.0#node_modules/ms",
    ]


def test_the_same_packages_give_the_same_document() -> None:
    lockfile, packages = recorded("package-lock-v3.json")
    shuffled = dict(reversed(packages.items()))

    first = bill_of_materials(lockfile, packages, "shop")

    assert json.dumps(bill_of_materials(lockfile, shuffled, "shop")) == json.dumps(first)
    assert "timestamp" not in first["metadata"]
    other = bill_of_materials(lockfile, dict(list(packages.items())[1:]), "shop")
    assert other["serialNumber"] != first["serialNumber"]
    timed = checked(bill_of_materials(lockfile, packages, "shop", timestamp="2026-11-21T12:00:00Z"))
    assert timed["metadata"]["timestamp"] == "2026-11-21T12:00:00Z"


def test_what_the_application_runs_on() -> None:
    node = Platform("nodejs", "24.21.0", "pkg:generic/node@24.21.0", "cpe:2.3:a:nodejs:node.js:24.21.0:*:*:*:*:*:*:*")

    document = checked(bill_of_materials(*recorded("package-lock-v3.json"), "shop", platform=node))

    assert document["components"][0] == {
        "type": "platform",
        "bom-ref": "pkg:generic/node@24.21.0",
        "name": "nodejs",
        "version": "24.21.0",
        "purl": "pkg:generic/node@24.21.0",
        "cpe": "cpe:2.3:a:nodejs:node.js:24.21.0:*:*:*:*:*:*:*",
    }
    assert document["dependencies"][1] == {"ref": "pkg:generic/node@24.21.0", "dependsOn": []}
    alone = checked(bill_of_materials(None, {}, "shop", platform=node))
    assert [component["name"] for component in alone["components"]] == ["nodejs"]
    assert "properties" not in alone["metadata"]


def test_hashes_that_say_what_is_installed() -> None:
    def hashes(manager: str, integrity: str, format: str = "1") -> t.Any:
        document = made(manager, Package("a", "a", "1.0.0", integrity=integrity), format=format)
        return [entry["alg"] for entry in document["components"][0].get("hashes", [])]

    assert hashes("npm", f"{SHA512} {SHA256} sha1-x") == ["SHA-256", "SHA-512"]
    assert hashes("yarn", SHA512) == ["SHA-512"]
    # Of another archive than the registry's.
    assert hashes("yarn", SHA512, "8") == []
    # Of files of which one is installed.
    assert hashes("uv", f"{SHA256} {SHA256.replace('A', 'B', 1)}") == []


@pytest.mark.parametrize(
    ("license", "entry"),
    [
        ("MIT", {"expression": "MIT"}),
        ("(MIT OR Apache-2.0)", {"expression": "(MIT OR Apache-2.0)"}),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"expression": "GPL-2.0-only WITH Classpath-exception-2.0"}),
        ("(MIT", {"license": {"name": "(MIT"}}),
        ("UNLICENSED", {"license": {"name": "UNLICENSED"}}),
        ("SEE LICENSE IN LICENSE.md", {"license": {"name": "SEE LICENSE IN LICENSE.md"}}),
    ],
)
def test_licenses(license: str, entry: dict[str, t.Any]) -> None:
    document = made("npm", Package("node_modules/a", "a", "1.0.0", license=license))

    assert document["components"][0]["licenses"] == [entry]


@pytest.mark.parametrize(
    ("package", "url"),
    [
        (Package("x", "ms", "2.0.0"), "pkg:npm/ms@2.0.0"),
        (Package("x", "@angular/core", "19.0.0-rc.1+a"), "pkg:npm/%40angular/core@19.0.0-rc.1%2Ba"),
        (Package("x", "old", "2.0.0", real_name="@s/new"), "pkg:npm/%40s/new@2.0.0"),
        (Package("x", "a", None), "pkg:npm/a"),
        (
            Package("x", "a", "1.0.0", source=Source.GIT, resolved="git+ssh://git@example.com/me/a.git#0123"),
            "pkg:npm/a@1.0.0?vcs_url=git%2Bssh://example.com/me/a.git%400123",
        ),
        (
            Package("x", "a", "1.0.0", source=Source.ADDRESS, resolved="https://me:pass@example.com/a.tgz?token=x"),
            "pkg:npm/a@1.0.0?download_url=https://example.com/a.tgz",
        ),
        (Package("x", "a", "1.0.0", source=Source.FILE, resolved="file:a.tgz"), None),
        (Package("x", "a", "1.0.0", source=Source.LINK, resolved="a"), None),
    ],
)
def test_package_urls_of_node(package: Package, url: str | None) -> None:
    assert package_url(package) == url


def test_package_urls_of_python() -> None:
    assert package_url(Package("x", "Zope.Interface_x", "1!2.0+local"), python=True) == (
        "pkg:pypi/zope-interface-x@1%212.0%2Blocal"
    )
    document = made("uv", Package("My_Pkg", "My_Pkg", "1.0", integrity=SHA256))
    assert document["components"][0]["purl"] == "pkg:pypi/my-pkg@1.0"
