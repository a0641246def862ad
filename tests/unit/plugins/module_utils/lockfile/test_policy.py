# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused on the lockfile alone."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import shown
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import (
    Policy,
    check_engines,
    check_platforms,
    check_policy,
    policy_problems,
)

SHA512 = "sha512-" + "A" * 86 + "=="
SHA1 = "sha1-" + "A" * 27 + "="
PUBLIC = "https://registry.npmjs.org"
COMMIT = "0123456789" * 4


def refusal(check: t.Callable[..., None], *arguments: t.Any) -> str:
    with pytest.raises(ApphostError) as caught:
        check(*arguments)
    return caught.value.message


def lockfile(packages: dict[str, t.Any] | None = None, **root: t.Any) -> t.Any:
    content = json.dumps({"lockfileVersion": 3, "packages": {"": root, **(packages or {})}})
    return parse_lockfile(content.encode(), "package-lock.json")


def manifest(**value: t.Any) -> t.Any:
    return parse_manifest(json.dumps(value).encode(), "package.json")


def manifests(**value: t.Any) -> t.Any:
    return {"": manifest(**value)}


def problems(entry: dict[str, t.Any], policy: Policy | None = None, path: str = "node_modules/a") -> list[str]:
    entry = {"version": "1.0.0", "integrity": SHA512, **entry}
    folder: dict[str, t.Any] = {"lib": {}} if entry.get("resolved") == "lib" else {}
    return [*policy_problems(lockfile({path: entry, **folder}), policy or Policy())]


def of_manager(manager: str, *packages: Package) -> Lockfile:
    by_path = {package.path: package for package in packages}
    return Lockfile("x", "x", b"", manager, "1", "", "", {}, tuple(by_path), (), by_path)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"integrity": None}, "a@1.0.0 has no integrity hash"),
        ({"integrity": SHA1}, "a@1.0.0 has only a weak integrity hash (sha1)"),
        ({"integrity": None, "dev": True}, "a@1.0.0 has no integrity hash"),
        ({"integrity": None, "inBundle": True}, "a@1.0.0 has no integrity hash"),
        ({"version": None, "integrity": None, "link": True, "resolved": "lib"}, "a is a link to the folder lib"),
        ({"resolved": "file:a.tgz"}, "a@1.0.0 comes from a local archive, file:a.tgz"),
        (
            {"resolved": f"git+ssh://git@example.com/a.git#{COMMIT}"},
            f"a@1.0.0 comes from a git repository, git+ssh://example.com/a.git#{COMMIT}",
        ),
        (
            {"resolved": "https://example.com/a-1.0.0.tgz"},
            "a@1.0.0 comes from https://example.com/a-1.0.0.tgz, not from a registry as this package",
        ),
        (
            {"resolved": f"{PUBLIC}/evil/-/evil-1.0.0.tgz"},
            f"a@1.0.0 comes from {PUBLIC}/evil/-/evil-1.0.0.tgz, not from a registry as this package",
        ),
        (
            {"resolved": f"{PUBLIC}/a/-/a-0.9.0.tgz"},
            f"a@1.0.0 comes from {PUBLIC}/a/-/a-0.9.0.tgz, not from a registry as this package",
        ),
        (
            {"resolved": "https://npm.example.com/a/-/a-1.0.0.tgz"},
            "a@1.0.0 is fetched from npm.example.com, which is none of the allowed registries",
        ),
        (
            {"resolved": "https://registry.npmjs.org:8443/a/-/a-1.0.0.tgz"},
            "a@1.0.0 is fetched from registry.npmjs.org:8443, which is none of the allowed registries",
        ),
        (
            {"resolved": "http://registry.npmjs.org/a/-/a-1.0.0.tgz"},
            "a@1.0.0 is fetched without encryption, from http://registry.npmjs.org/a/-/a-1.0.0.tgz",
        ),
        (
            {"resolved": "https://me:secret@registry.npmjs.org/a/-/a-1.0.0.tgz"},
            "the address of a@1.0.0 has a user's name in it",
        ),
    ],
)
def test_entries_that_are_refused(entry: dict[str, t.Any], problem: str) -> None:
    assert problems(entry) == [problem]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"resolved": f"{PUBLIC}/a/-/a-1.0.0.tgz"},
        {"integrity": f"{SHA1} {SHA512}"},
    ],
)
def test_entries_that_are_let_pass(entry: dict[str, t.Any]) -> None:
    assert problems(entry) == []


def test_what_comes_inside_another_package_needs_no_hash_of_its_own() -> None:
    entry = {"version": "1.0.0", "integrity": SHA512}
    inside = {"version": "1.0.0", "inBundle": True}

    check_policy(
        lockfile(
            {
                "node_modules/a": {**entry, "bundleDependencies": ["b"]},
                "node_modules/a/node_modules/b": {**inside, "dependencies": {"c": "1"}},
                "node_modules/a/node_modules/c": inside,
            }
        ),
        Policy(),
    )
    # npm would fetch them: nobody above bundles them.
    claims = {"node_modules/a": entry, "node_modules/a/node_modules/b": inside, "node_modules/c": inside}
    assert policy_problems(lockfile(claims), Policy()) == [
        "b@1.0.0 has no integrity hash",
        "c@1.0.0 has no integrity hash",
    ]


def test_everything_is_told_at_once_with_every_cure() -> None:
    entry = {"version": "1.0.0", "integrity": SHA512}
    packages: dict[str, t.Any] = {f"node_modules/weak{number}": {"version": "1.0.0"} for number in range(5)}
    packages["node_modules/git"] = {**entry, "resolved": f"git+https://example.com/a.git#{COMMIT}"}
    packages["node_modules/host"] = {**entry, "resolved": "https://npm.example.com/host/-/host-1.0.0.tgz"}

    message = refusal(check_policy, lockfile(packages), Policy())

    assert message.startswith("package-lock.json: weak0@1.0.0 has no integrity hash; weak1@1.0.0 has no")
    assert "weak4@1.0.0 has no integrity hash; and 2 more. " in message
    for option in ("allow_weak_integrity", "allow_sources", "allowed_hosts"):
        assert message.count(option) == 1


def test_what_is_allowed_by_name() -> None:
    policy = Policy(allow_weak_integrity=("a",))
    assert problems({"integrity": SHA1}, policy) == []
    assert problems({"integrity": None}, policy) == []
    assert problems({"integrity": None}, policy, "node_modules/b") != []
    assert problems({"resolved": "file:a.tgz"}, policy) != []

    policy = Policy(allow_sources=("a",))
    assert problems({"resolved": "file:a.tgz", "integrity": None}, policy) == []
    assert problems({"resolved": "lib", "link": True}, policy) == []
    assert problems({"resolved": "file:b.tgz"}, policy, "node_modules/b") != []
    # A plain address has to be nailed down, and a repository to name the commit.
    assert problems({"resolved": "https://example.com/a.tgz"}, policy) == []
    assert problems({"resolved": "https://example.com/a.tgz", "integrity": None}, policy) != []
    for address in (
        "git+ssh://git@example.com/a.git",
        "git+ssh://git@example.com:owner/a.git",
        "git+https://example.com/a.git",
        "github:owner/a",
        "owner/a",
    ):
        assert problems({"resolved": f"{address}#{COMMIT}", "integrity": None}, policy) == []
        assert problems({"resolved": f"{address}#main", "integrity": None}, policy) == [
            f"a@1.0.0 comes from a git repository, {address.replace('git@', '')}#main, without its commit"
        ]


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [("@img/sharp-linux-x64", True), ("@img/*", True), ("@img/sharp-*-x64", True), ("*", True), ("@im?/*", False)],
)
def test_weak_hashes_may_be_allowed_by_pattern(pattern: str, allowed: bool) -> None:
    path = "node_modules/@img/sharp-linux-x64"

    assert (problems({"integrity": SHA1}, Policy(allow_weak_integrity=(pattern,)), path) == []) is allowed
    # Where packages come from is never allowed by pattern.
    assert problems({"resolved": "file:a.tgz"}, Policy(allow_sources=(pattern.replace("x64", "*"),)), path) != []


@pytest.mark.parametrize("scheme", ["git", "git+http", "http"])
def test_what_is_allowed_by_name_is_encrypted_too(scheme: str) -> None:
    address = f"{scheme}://example.com/a.git#{COMMIT}"
    policy = Policy(allow_sources=("a",))

    assert problems({"resolved": address}, policy) == [f"a@1.0.0 is fetched without encryption, from {address}"]
    assert problems({"resolved": address}, Policy(allow_sources=("a",), allow_http=("example.com",))) == []


@pytest.mark.parametrize(
    ("allowed", "address", "passes"),
    [
        ("npm.example.com", "https://npm.example.com/a/-/a-1.0.0.tgz", True),
        ("npm.example.com", "https://NPM.example.com:443/a/-/a-1.0.0.tgz", True),
        ("npm.example.com", "https://npm.example.com:4873/a/-/a-1.0.0.tgz", False),
        ("npm.example.com:4873", "https://npm.example.com:4873/a/-/a-1.0.0.tgz", True),
        ("npm.example.com", "https://npm.example.com.evil.example/a/-/a-1.0.0.tgz", False),
        ("npm.example.com", "https://evil.example/npm.example.com/a/-/a-1.0.0.tgz", False),
        ("npm.example.com/team/", "https://npm.example.com/team/a/-/a-1.0.0.tgz", True),
        ("npm.example.com/team/", "https://npm.example.com/other/a/-/a-1.0.0.tgz", False),
        ("npm.example.com/team", "https://npm.example.com/team-of-others/a/-/a-1.0.0.tgz", False),
        ("https://NPM.example.com", "https://npm.example.com/a/-/a-1.0.0.tgz", True),
        ("https://npm.example.com:4873/team", "https://npm.example.com:4873/team/a/-/a-1.0.0.tgz", True),
        # Whoever names hosts means these and no others.
        ("npm.example.com", f"{PUBLIC}/a/-/a-1.0.0.tgz", False),
    ],
)
def test_allowed_hosts(allowed: str, address: str, passes: bool) -> None:
    assert (problems({"resolved": address}, Policy(allowed_hosts=(allowed,))) == []) is passes


def test_without_an_address_it_is_the_registry_that_is_asked() -> None:
    assert problems({}, Policy(registries={"": "https://npm.example.com/"})) == []
    assert problems({}, Policy(registries={"": "https://npm.example.com/"}, allowed_hosts=("other.example.com",))) == []
    assert problems({}, Policy(allowed_hosts=("npm.example.com",))) == [
        "a@1.0.0 is fetched from registry.npmjs.org, which is none of the allowed registries"
    ]


def test_a_scope_has_a_registry_of_its_own() -> None:
    scoped = "node_modules/@acme/a"
    policy = Policy(registries={"@acme": "https://npm.acme.example"}, allowed_hosts=("npm.acme.example",))

    assert problems({}, policy, scoped) == []
    for entry in ({}, {"resolved": f"{PUBLIC}/a/-/a-1.0.0.tgz"}):
        assert problems(entry, policy) == [
            "a@1.0.0 is fetched from registry.npmjs.org, which is none of the allowed registries"
        ]
    assert problems({"resolved": "https://npm.acme.example/@acme/a/-/a-1.0.0.tgz"}, policy, scoped) == []


def test_npm_asks_the_configured_registry_instead_of_its_default_one() -> None:
    public = {"resolved": f"{PUBLIC}/a/-/a-1.0.0.tgz"}
    policy = Policy(registries={"": "https://npm.example.com/"}, allowed_hosts=("npm.example.com",))
    yarns = Package("a", "a", "1.0.0", resolved=public["resolved"], integrity=SHA512)

    assert problems(public, policy) == []
    assert problems({"resolved": "https://me:secret@registry.npmjs.org/a/-/a-1.0.0.tgz"}, policy) != []
    # Others do as the lockfile says.
    assert policy_problems(of_manager("yarn", yarns), policy) == [
        "a@1.0.0 is fetched from registry.npmjs.org, which is none of the allowed registries"
    ]
    assert policy_problems(of_manager("yarn", yarns), Policy(registries=policy.registries)) == []


def test_a_registry_without_encryption_is_the_operators_own_word() -> None:
    plain = {"resolved": "http://npm.lab:4873/a/-/a-1.0.0.tgz"}

    assert problems(plain, Policy(registries={"": "http://npm.lab:4873"})) == []
    assert problems(plain, Policy(allowed_hosts=("npm.lab:4873",), allow_http=("npm.lab:4873",))) == []
    for policy in (
        Policy(allowed_hosts=("npm.lab:4873",)),
        Policy(registries={"": "https://npm.lab:4873"}),
        Policy(registries={"": "http://npm.lab:4874"}, allowed_hosts=("npm.lab:4873",)),
    ):
        assert problems(plain, policy) == [
            "a@1.0.0 is fetched without encryption, from http://npm.lab:4873/a/-/a-1.0.0.tgz"
        ]


@pytest.mark.parametrize("allowed", ["npm.lab:4873", "http://npm.lab:4873", "http://npm.lab:4873/"])
def test_a_host_without_encryption_is_named_in_any_form(allowed: str) -> None:
    plain = {"resolved": "http://npm.lab:4873/a/-/a-1.0.0.tgz"}

    assert problems(plain, Policy(allowed_hosts=(allowed,), allow_http=(allowed,))) == []


@pytest.mark.parametrize(
    "address",
    [
        "git+ext::sh -c id",
        "git+file:///srv/secret",
        "git+ftp://example.com/a.git",
        "github:-u./a",
        "git+ssh://git@example.com:../../a.git",
        "git+ssh://git@-oProxyCommand=id:a/b.git",
    ],
)
def test_a_repository_that_cannot_be_relied_on(address: str) -> None:
    address = f"{address}#{COMMIT}"

    assert problems({"resolved": address}, Policy(allow_sources=("a",), allow_http=("*",))) == [
        f"a@1.0.0 has an address that cannot be relied on, {shown(address)!r}"
    ]


def test_where_the_registries_are_not_known_every_host_passes() -> None:
    policy = Policy(allowed_hosts=("*",), allow_http=("*",))

    assert problems({"resolved": "http://npm.lab:4873/a/-/a-1.0.0.tgz"}, policy) == []
    assert problems({"resolved": "http://npm.lab:4873/b/-/b-1.0.0.tgz"}, policy) != []


def test_addresses_that_are_not_the_names_own_whoever_read_the_lockfile() -> None:
    address = f"{PUBLIC}/evil/-/evil-1.0.0.tgz"
    package = Package("a@1", "a", "1.0.0", resolved=address, integrity=SHA512)
    broken = Package("b@1", "b", "1.0.0", resolved="https://evil.example\\@registry.npmjs.org/b", integrity=SHA512)

    assert policy_problems(of_manager("pnpm", package, broken), Policy()) == [
        f"a@1.0.0 is fetched from {address}, the address of something else",
        "b@1.0.0 has an address that cannot be relied on, 'https://registry.npmjs.org/b'",
    ]


def test_yarns_packages_for_one_platform() -> None:
    def package(name: str, **more: t.Any) -> Package:
        return Package(f"{name}@1", name, "1.0.0", **{"cpu": ("x64",), **more})

    lockfile = of_manager(
        "yarn",
        package("@img/here"),
        package("@img/there", cpu=("arm64",)),
        package("allowed"),
        package("tool", dev=True),
        package("hashed", integrity=SHA512),
        package("usual", cpu=()),
    )
    policy = Policy(allow_weak_integrity=("allow*",))

    # Which of them are fetched is not known before the host is.
    assert policy_problems(lockfile, policy) == ["usual@1.0.0 has no integrity hash"]
    with pytest.raises(ApphostError) as caught:
        check_platforms(lockfile, policy, lambda package: "x64" in package.cpu)
    assert caught.value.what == (
        "@img/here@1.0.0 has no integrity hash, for yarn records none of packages for one platform"
    )
    assert caught.value.do == "Allow them by allow_weak_integrity, like @img/*, if you trust the registry."
    check_platforms(lockfile, policy, lambda _package: False)


def test_python_packages() -> None:
    def found(policy: Policy, **more: t.Any) -> list[str]:
        package = Package("my-pkg==1.0", "my-pkg", "1.0", integrity=SHA512, **more)
        return [*policy_problems(of_manager("uv", package), policy)]

    files = "https://files.pythonhosted.org/packages/aa/bb"
    assert found(Policy()) == []
    assert found(Policy(), resolved="https://pypi.org/simple") == []
    assert found(Policy(), resolved=f"{files}/my_pkg-1.0-py3-none-any.whl") == []
    assert found(Policy(), resolved=f"{files}/evil-1.0-py3-none-any.whl") == [
        f"my-pkg@1.0 is fetched from {files}/evil-1.0-py3-none-any.whl, the address of something else"
    ]
    # Several files are at several addresses.
    assert found(Policy(), resolved=f"https://pypi.org/simple {files}/my_pkg-1.0.tar.gz") == []
    assert found(Policy(), resolved="https://pypi.org/simple https://evil.example/my_pkg-1.0.tar.gz") == [
        "my-pkg@1.0 is fetched from evil.example, which is none of the allowed registries"
    ]
    assert found(Policy(), resolved="https://pypi.example.com/simple") == [
        "my-pkg@1.0 is fetched from pypi.example.com, which is none of the allowed registries"
    ]
    git = f"git+https://example.com/my-pkg?rev=main#{COMMIT}"
    assert found(Policy(), source=Source.GIT, resolved=git) != []
    assert found(Policy(allow_sources=("My_Pkg",)), source=Source.GIT, resolved=git) == []


def test_the_policy_in_a_modules_options() -> None:
    options = {"allow_sources": ["a"], "allow_http": None, "allowed_hosts": [], "path": "/srv/shop"}

    assert Policy.of(options, {"": "https://npm.example.com"}) == Policy(
        allow_sources=("a",), registries={"": "https://npm.example.com"}
    )
    assert Policy.of(options) == Policy(allow_sources=("a",))


def test_the_apps_own_engines() -> None:
    asks = manifests(engines={"node": "^20 || ^22"})

    check_engines(lockfile(), asks, "22.1.0")
    assert refusal(check_engines, lockfile(), asks, "24.21.0") == (
        "package.json: the app is for Node.js ^20 || ^22, its runtime is 24.21.0. "
        "Change the runtime's version, or engines.node in package.json."
    )


def test_the_engines_of_a_workspace() -> None:
    asks = {**manifests(), "web": manifest(engines={"node": "<20"})}
    lock = lockfile({"web": {"engines": {"node": "<20"}}}, workspaces=["web"])

    assert "the workspace is for Node.js <20, its runtime is 24.21.0" in refusal(check_engines, lock, asks, "24.21.0")
    check_engines(lock, manifests(), "24.21.0")


def test_engines_of_packages_that_cannot_be_left_out() -> None:
    old = {"version": "1.0.0", "integrity": SHA512, "engines": {"node": "<20"}}

    assert "a@1.0.0 is for Node.js <20, the runtime is 24.21.0" in refusal(
        check_engines, lockfile({"node_modules/a": old}), manifests(), "24.21.0"
    )
    for reason in ("dev", "optional", "devOptional"):
        check_engines(lockfile({"node_modules/a": {**old, reason: True}}), manifests(), "24.21.0")


@pytest.mark.parametrize("engines", ["node 20", {"node": 20}, {"node": "whatever"}, {"npm": "6"}])
def test_engines_that_say_nothing_understandable_let_pass(engines: t.Any) -> None:
    check_engines(lockfile(), manifests(engines=engines), "24.21.0")
