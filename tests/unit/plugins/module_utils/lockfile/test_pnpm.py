# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pnpm-lock.yaml: recorded ones of every pnpm since 8, hand-made ones of every source, broken and huge ones."""

from __future__ import annotations

import dataclasses
import json
import random
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import FORMAT
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmlock import find_key, without_suffix
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy, policy_problems

from tests.unit.plugins.module_utils.lockfile.pnpm_examples import (
    HASH,
    entry,
    lock,
    manifest,
    parsed,
    recorded,
    recorded_lockfile,
    recorded_manifests,
)

from .speed import within

SINGLE = ["single/pnpm8", "single/pnpm10", "single/pnpm12"]
WORKSPACES = ["workspaces/pnpm8", "workspaces/pnpm9", "workspaces/pnpm10", "workspaces/pnpm12"]
COMMIT = "166381bb0f5d4753f1b5bfa3b0e6b03570e672cb"


def key(case: str, name: str) -> str:
    """A key as the format of the case has it."""
    return f"/{name}" if case.endswith("pnpm8") else name


def refusal(content: bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parsed(content)
    assert caught.value.where == "app/pnpm-lock.yaml"
    assert caught.value.do == "Run pnpm install and commit the lockfile."
    return caught.value.what


@pytest.mark.parametrize("case", SINGLE)
def test_a_recorded_project(case: str) -> None:
    lockfile = recorded_lockfile(case)

    assert (lockfile.name, lockfile.manager) == ("pnpm-lock.yaml", "pnpm")
    assert lockfile.format == ("6.0" if case.endswith("8") else "9.0")
    assert len(lockfile.packages) == 67
    asked = lockfile.projects[""]
    assert asked.dependencies["ms-old"] == "npm:ms@2.0.0" and asked.dev == {"esbuild": "0.25.0", "ws": "^8.18.0"}
    assert asked.optional == {"fsevents": "~2.3.3"}
    assert lockfile.needs == tuple(
        key(case, name)
        for name in (
            "debug@4.4.3", "ms@2.0.0", "react@18.3.1", "react-dom@18.3.1(react@18.3.1)", "sharp@0.34.5",
            "use-sync-external-store@1.7.0(react@18.3.1)",
        )
    )  # fmt: skip
    assert lockfile.wants == (key(case, "fsevents@2.3.3"),)


@pytest.mark.parametrize("case", SINGLE)
def test_what_is_known_of_a_package(case: str) -> None:
    packages = recorded_lockfile(case).packages

    dom = packages[key(case, "react-dom@18.3.1(react@18.3.1)")]
    assert (dom.name, dom.version, dom.source, dom.resolved) == ("react-dom", "18.3.1", Source.REGISTRY, None)
    assert dom.needs == tuple(key(case, name) for name in ("loose-envify@1.4.0", "react@18.3.1", "scheduler@0.23.2"))
    assert dom.integrity is not None and dom.integrity.startswith("sha512-5m4nQKp")
    musl = packages[key(case, "@img/sharp-linuxmusl-x64@0.34.5")]
    assert (musl.os, musl.cpu, musl.libc) == (("linux",), ("x64",), ("musl",))
    assert musl.engines == {"node": "^18.17.0 || ^20.3.0 || >=21.0.0"}
    assert musl.optional and not musl.dev and not musl.has_install_script
    esbuild = packages[key(case, "esbuild@0.25.0")]
    assert esbuild.dev and len(esbuild.wants) == 25
    # Only format 6.0 knows it.
    assert esbuild.has_install_script == case.endswith("8")
    assert packages[key(case, "sharp@0.34.5")].has_install_script == case.endswith("8")


def test_both_formats_describe_the_same_packages() -> None:
    old, new = (recorded_lockfile(case).packages for case in ("single/pnpm8", "single/pnpm10"))

    def plain(package: Package) -> Package:
        return dataclasses.replace(package, path="", needs=(), wants=(), has_install_script=False)

    assert {path[1:]: plain(package) for path, package in old.items()} == {
        path: plain(package) for path, package in new.items()
    }
    assert {path[1:]: {other[1:] for other in (*package.needs, *package.wants)} for path, package in old.items()} == {
        path: {*package.needs, *package.wants} for path, package in new.items()
    }


def test_dev_and_optional_are_what_pnpm_8_says_itself() -> None:
    content = recorded("single/pnpm8/lockfile").decode()
    blocks = dict(block.split(":\n", 1) for block in content.partition("\npackages:\n\n")[2].split("\n\n") if block)

    for path, package in recorded_lockfile("single/pnpm8").packages.items():
        block = blocks[f"  {path}"]
        assert package.dev == ("\n    dev: true" in block)
        if not package.dev:
            assert package.optional == ("\n    optional: true" in block)


@pytest.mark.parametrize("case", WORKSPACES)
def test_recorded_workspaces(case: str) -> None:
    lockfile = recorded_lockfile(case)

    assert list(lockfile.projects) == ["", "packages/api", "packages/lib", "packages/tools"]
    links = [path for path in lockfile.packages if path.startswith("link:")]
    assert links == ["link:packages/api", "link:packages/lib", "link:packages/tools"]
    api = lockfile.packages["link:packages/api"]
    assert (api.name, api.version, api.source, api.resolved) == ("@shop/api", "0.3.0", Source.WORKSPACE, "packages/api")
    patched = next(path for path in lockfile.packages if "is-even@1.0.0(patch_hash=" in path)
    assert api.needs == ("link:packages/lib", key(case, "debug@4.4.3"), patched)
    assert api.wants == (key(case, "fsevents@2.3.3"),)
    copied = "file:packages/lib(react@17.0.2)" if case.endswith("8") else "@shop/lib@file:packages/lib(react@17.0.2)"
    package = lockfile.packages[copied]
    assert (package.name, package.source, package.resolved) == ("@shop/lib", Source.WORKSPACE, "packages/lib")
    assert lockfile.packages["link:packages/tools"].needs == (copied, key(case, "react@17.0.2"))
    assert lockfile.packages[key(case, "react@18.3.1")].dev and not lockfile.packages[key(case, "react@17.0.2")].dev
    assert set(links) <= set(lockfile.needs)


def test_only_the_workspaces_that_are_there_are_asked() -> None:
    manifests = recorded_manifests("workspaces/pnpm10")
    del manifests["packages/tools"]
    packages = parsed(recorded("workspaces/pnpm10/lockfile"), manifests).packages

    assert "link:packages/tools" not in packages
    assert packages["react@17.0.2"].dev and not packages["debug@4.4.3"].dev


@pytest.mark.parametrize("case", ["sources/pnpm8", "sources/pnpm10", "sources/pnpm12"])
def test_recorded_sources(case: str) -> None:
    packages = recorded_lockfile(case).packages.values()

    assert sorted((package.name, package.source, package.version, package.resolved) for package in packages) == [
        ("dir", Source.LINK, None, "vendor/dir"),
        ("git-lib", Source.GIT, "1.2.0", f"https://git.example.org/team/git-lib.git#{COMMIT}"),
        ("linked", Source.LINK, None, "vendor/linked"),
        ("ms", Source.REGISTRY, "2.1.3", None),
        # The archive's own name: it was asked for as "extra" too.
        ("packed", Source.ADDRESS, "1.0.0", "https://files.example.org/extra-1.0.0.tgz"),
        ("packed", Source.FILE, "1.0.0", "file:vendor/packed-1.0.0.tgz"),
    ]
    integrity = {package.source: package.integrity for package in packages if package.name == "packed"}
    # pnpm 8 does not write down the hash of what has an address.
    assert (integrity[Source.ADDRESS] is None) == case.endswith("8")
    assert integrity[Source.FILE]


def test_what_the_policy_says_of_recorded_sources() -> None:
    problems = policy_problems(recorded_lockfile("sources/pnpm10"), Policy())

    assert sorted(problem.partition(" ")[0] for problem in map(str, problems)) == [
        "dir", "git-lib@1.2.0", "linked", "packed@1.0.0", "packed@1.0.0",
    ]  # fmt: skip
    assert policy_problems(recorded_lockfile("single/pnpm10"), Policy()) == []
    assert policy_problems(recorded_lockfile("workspaces/pnpm10"), Policy()) == []


@pytest.mark.parametrize(
    ("path", "resolution", "expected"),
    [
        ("a@1.0.0", {"tarball": "https://npm.example.com/a/-/a-1.0.0.tgz"}, (Source.REGISTRY, "1.0.0")),
        ("a@1.0.0", {"tarball": "https://npm.example.com/b/-/b-1.0.0.tgz"}, (Source.ADDRESS, "1.0.0")),
        ("@s/a@1.0.0", {"tarball": "https://npm.example.com/@s/a/-/a-1.0.0.tgz"}, (Source.REGISTRY, "1.0.0")),
        ("a@https://host.example/a-1.0.0.tgz", {"tarball": "https://host.example/a-1.0.0.tgz"}, (Source.ADDRESS, None)),
        (
            f"a@https://codeload.github.com/o/a/tar.gz/{COMMIT}",
            {"tarball": f"https://codeload.github.com/o/a/tar.gz/{COMMIT}"},
            (Source.GIT, None),
        ),
        ("a@1.0.0", {"tarball": "https://git.example.org/a.tgz", "gitHosted": True}, (Source.GIT, "1.0.0")),
        ("a@npmjs:1.0.0", {}, (Source.REGISTRY, "1.0.0")),
        ("a@npmjs:1.0.0", {"tarball": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"}, (Source.REGISTRY, "1.0.0")),
    ],
)
def test_where_a_package_comes_from(path: str, resolution: dict[str, t.Any], expected: tuple[str, str | None]) -> None:
    content = lock({path: {"resolution": {"integrity": HASH, **resolution}}})
    package = parsed(content).packages[path]

    assert (package.source, package.version) == expected
    assert package.resolved == resolution.get("tarball", "https://registry.npmjs.org/a/-/a-1.0.0.tgz")
    assert package.integrity == HASH


def test_registries_with_a_name_of_the_project() -> None:
    content = lock({"@s/a@work:1.2.3": entry()}, {"a": ("work:@s/a@^1", "@s/a@work:1.2.3")})
    own = manifest(settings={"namedRegistries": {"work": "https://npm.example.com/work/"}})
    package = parsed(content, {"": own}).packages["@s/a@work:1.2.3"]

    assert package.resolved == "https://npm.example.com/work/@s/a/-/a-1.2.3.tgz"
    assert [str(problem) for problem in policy_problems(parsed(content, {"": own}), Policy())] == [
        "@s/a@1.2.3 is fetched from npm.example.com, which is none of the allowed registries"
    ]


def test_a_runtime_as_a_dependency() -> None:
    # After public lockfiles: the recording's machine did not reach nodejs.org.
    def archive(platform: str, **more: str) -> dict[str, t.Any]:
        url = f"https://nodejs.org/download/release/v24.4.1/node-v24.4.1-{platform}.tar.gz"
        resolution = {"type": "binary", "archive": "tarball", "url": url, "integrity": HASH, "bin": "bin/node", **more}
        return {"targets": [{"os": "linux", "cpu": "x64"}], "resolution": resolution}

    def node(*variants: dict[str, t.Any]) -> bytes:
        return lock({"node@runtime:24.4.1": {"resolution": {"type": "variations", "variants": list(variants)}}})

    package = parsed(node(archive("linux-x64"), archive("linux-arm64"))).packages["node@runtime:24.4.1"]
    assert (package.name, package.version, package.source, package.dev) == ("node", "24.4.1", Source.ADDRESS, True)
    assert package.resolved == "https://nodejs.org/download/release/v24.4.1/node-v24.4.1-linux-x64.tar.gz"
    assert package.integrity == HASH
    weak = parsed(node(archive("linux-x64"), archive("linux-arm64", integrity=""))).packages["node@runtime:24.4.1"]
    assert weak.integrity is None
    assert "has archives at several hosts" in refusal(
        node(archive("linux-x64"), archive("x", url="https://evil.example/x"))
    )


def test_aliases_in_packages() -> None:
    content = lock(
        {"a@1.0.0": entry(), "ms@2.0.0": entry(), "ms@2.1.3": entry()},
        {"a": ("1.0.0", "1.0.0")},
        {"a@1.0.0": {"dependencies": {"ms": "2.1.3", "ms-old": "ms@2.0.0"}}, "ms@2.0.0": {}, "ms@2.1.3": {}},
    )
    lockfile = parsed(content)

    assert lockfile.packages["a@1.0.0"].needs == ("ms@2.1.3", "ms@2.0.0")
    assert not any(package.dev for package in lockfile.packages.values())


@pytest.mark.parametrize(
    ("version", "reference", "expected"),
    [
        ("9.0", "1.0.0", "a@1.0.0"),
        ("9.0", "1.0.0(b@2.0.0)(@s/c@3.0.0(d@1.0.0))", "a@1.0.0(b@2.0.0)(@s/c@3.0.0(d@1.0.0))"),
        ("9.0", "b@1.0.0", "b@1.0.0"),
        ("9.0", "b@1.0.0(c@2.0.0)", "b@1.0.0(c@2.0.0)"),
        ("9.0", "@s/b@1.0.0", "@s/b@1.0.0"),
        ("9.0", "b@https://host.example/x.tgz", "b@https://host.example/x.tgz"),
        ("9.0", "git+ssh://git@host.example/x.git#1", "a@git+ssh://git@host.example/x.git#1"),
        ("9.0", "file:x(b@1.0.0)", "a@file:x(b@1.0.0)"),
        ("9.0", "link:../x", None),
        ("6.0", "1.0.0", "/a@1.0.0"),
        ("6.0", "1.0.0(@s/b@2.0.0)", "/a@1.0.0(@s/b@2.0.0)"),
        ("6.0", "/b@1.0.0", "/b@1.0.0"),
        ("6.0", "/@s/b@1.0.0(c@1.0.0)", "/@s/b@1.0.0(c@1.0.0)"),
        ("6.0", "file:x(@s/b@1.0.0)", "file:x(@s/b@1.0.0)"),
        ("6.0", "@host.example/x.tgz", "@host.example/x.tgz"),
        ("6.0", "host.example/o/x/1234", "host.example/o/x/1234"),
        ("6.0", "link:../x", None),
    ],
)
def test_what_a_reference_means(version: str, reference: str, expected: str | None) -> None:
    assert find_key(version, "a", reference) == expected


def test_peers_and_patches_are_told_from_names() -> None:
    assert without_suffix("a@1.0.0(b@2.0.0(c@3.0.0))(patch_hash=x)") == "a@1.0.0"
    assert without_suffix("a@file:apps/(group)/lib(b@2.0.0)") == "a@file:apps/(group)/lib"
    assert without_suffix("a@1.0.0") == "a@1.0.0"
    assert without_suffix("a@1.0.0)") == "a@1.0.0)"
    assert without_suffix(")" * 1_000_000) == ")" * 1_000_000


def test_an_optional_package_stays_without_what_it_needs() -> None:
    lockfile = recorded_lockfile("unfit/pnpm10")
    parent = next(package for package in lockfile.packages.values() if package.name == "opt-parent")

    assert parent.optional and parent.needs == ()
    assert parent.wants == ("unfit-need@https://files.example.org/unfit-need-1.0.0.tgz",)


def test_what_configures_pnpm_is_listed_beside_the_packages() -> None:
    lockfile = recorded_lockfile("config/pnpm12")

    assert list(lockfile.packages) == ["ms@2.1.3", "config:is-number@7.0.0"]
    config = lockfile.packages["config:is-number@7.0.0"]
    assert config.dev and config.integrity and config.path not in (*lockfile.needs, *lockfile.wants)
    # pnpm's own version, which may be recorded in the same place, is none of the project's packages.
    assert list(recorded_lockfile("manager/pnpm11").packages) == ["ms@2.1.3"]


def test_what_configures_pnpm_may_need_more() -> None:
    front = {
        "lockfileVersion": "9.0",
        "importers": {".": {"configDependencies": {"a": {"specifier": "1.0.0", "version": "1.0.0"}}}},
        "packages": {"a@1.0.0": entry(), "b@2.0.0": entry(), "pnpm@11.0.0": entry()},
        "snapshots": {
            "a@1.0.0": {"optionalDependencies": {"b": "2.0.0"}},
            "b@2.0.0": {"dependencies": {"a": "1.0.0"}},
            "pnpm@11.0.0": {},
        },
    }
    packages = parsed(json.dumps(front).encode() + b"\n---\n" + lock()).packages

    assert set(packages) == {"config:a@1.0.0", "config:b@2.0.0"}
    assert all(package.dev and not package.needs and not package.wants for package in packages.values())


def test_the_digest_is_of_what_decides_the_tree() -> None:
    same = {**entry(), "deprecated": "use b"}
    digest = parsed(lock({"a@1.0.0": entry()})).digest

    assert parsed(lock({"a@1.0.0": same}, time={"a@1.0.0": "2026-01-01"})).digest == digest
    for other in (
        lock({"a@1.0.0": entry(os=["linux"])}),
        lock({"a@1.0.1": entry()}),
        lock({"a@1.0.0": entry()}, {"a": ("1.0.0", "1.0.0")}),
        lock({"a@1.0.0": entry()}, overrides={"b": "1.0.0"}),
        lock({"a@1.0.0": entry()}, patchedDependencies={"a@1.0.0": "0" * 64}),
        lock({"a@1.0.0": entry()}, settings={"autoInstallPeers": False}),
    ):
        assert parsed(other).digest != digest
    config, plain = recorded("config/pnpm12/lockfile"), recorded("manager/pnpm11/lockfile")
    assert parsed(config).digest != parsed(config.replace(b"sha512-41C", b"sha512-42C")).digest
    assert parsed(plain).digest == parsed(plain.partition(b"\n---\n")[2]).digest


def test_20000_packages_take_less_than_two_seconds() -> None:
    picked = random.Random(1)
    names = [f"@scope{number % 50}/package-{number}" if number % 3 else f"package-{number}" for number in range(20_000)]
    lines = ["lockfileVersion: '9.0'", "", "importers:", "", "  .:", "    dependencies:"]
    lines += [f"      '{name}':\n        specifier: ^1.0.0\n        version: 1.0.0" for name in names[:100]]
    lines += ["", "packages:", ""]
    lines += [
        f"  '{name}@1.0.0':\n    resolution: {{integrity: {HASH}}}\n    engines: {{node: '>=18'}}\n" for name in names
    ]
    lines += ["snapshots:", ""]
    for number, name in enumerate(names):
        needed = sorted({picked.randint(number, min(number + 200, 19_999)) for _ in range(3)} - {number})
        edges = "".join(f"\n      '{names[other]}': 1.0.0" for other in needed)
        lines.append(f"  '{name}@1.0.0':" + (f"\n    dependencies:{edges}\n" if edges else " {}\n"))
    content = "\n".join(lines).encode()
    assert len(content) > 5_000_000

    lockfile = within(2, lambda: parsed(content))

    assert len(lockfile.packages) == 20_000
    assert sum(not package.dev for package in lockfile.packages.values()) > 15_000


def test_the_format_is_in_the_table() -> None:
    assert (FORMAT.manager, FORMAT.names, FORMAT.ecosystem) == ("pnpm", ("pnpm-lock.yaml",), "node")
    assert FORMAT.workspace_file == "pnpm-workspace.yaml"
    assert refusal(b"lockfileVersion: 5.4\n").startswith("has lockfileVersion 5.4")
