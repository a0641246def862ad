# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an address is the one of the package that is said to be there."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import (
    Address,
    is_distribution_file,
    is_distribution_of,
    is_git,
    is_tarball_of,
    parse,
    shown,
)

PUBLIC = "https://registry.npmjs.org"
OWN = "https://npm.example.com"
SHA = "0123456789" * 4


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{PUBLIC}/ms/-/ms-2.0.0.tgz", "ms"),
        (f"{PUBLIC}/@s/ms/-/ms-2.0.0.tgz", "@s/ms"),
        (f"{PUBLIC}/@s%2fms/-/ms-2.0.0.tgz", "@s/ms"),
        ("https://registry.yarnpkg.com/ms/-/ms-2.0.0.tgz", "ms"),
        (f"{OWN}/ms/-/ms-2.0.0.tgz", "ms"),
        (f"{OWN}:8443/api/npm/remote/ms/-/ms-2.0.0.tgz", "ms"),
        # GitLab, Gitea, GitHub
        (f"{OWN}/api/v4/projects/1/packages/npm/@s/ms/-/@s/ms-2.0.0.tgz", "@s/ms"),
        (f"{OWN}/api/packages/me/npm/@s%2Fms/-/2.0.0/ms-2.0.0.tgz", "@s/ms"),
        (f"{OWN}/download/@s/ms/2.0.0/{SHA}", "@s/ms"),
    ],
)
def test_addresses_of_a_package(address: str, name: str) -> None:
    assert is_tarball_of(address, name, "2.0.0")
    assert not is_tarball_of(address, name, "2.0.1")
    assert not is_tarball_of(address, "evil", "2.0.0")


@pytest.mark.parametrize(
    "address",
    [
        f"{PUBLIC}/evil/-/evil-2.0.0.tgz",
        f"{PUBLIC}/evil/-/ms-2.0.0.tgz",
        f"{PUBLIC}/@evil/ms/-/ms-2.0.0.tgz",
        f"{OWN}/@evil/ms/-/ms-2.0.0.tgz",
        f"{OWN}/%40evil/ms/-/ms-2.0.0.tgz",
        f"{OWN}/download/@evil/ms/2.0.0/{SHA}",
        f"{PUBLIC}/npm/ms/-/ms-2.0.0.tgz",
        f"{PUBLIC}/ms/-/ms-2.0.0.tgz?version=1.0.0",
        f"{OWN}/download/ms/2.0.0/evil-2.0.0.tgz",
        f"{PUBLIC}/ms/-/ms-2.0.0.tgz/../../../evil/-/evil-2.0.0.tgz",
        f"{OWN}/x/%2e%2e/ms/-/ms-2.0.0.tgz",
        f"{PUBLIC}/evil/-/evil-2.0.0.tgz?/ms/-/ms-2.0.0.tgz",
        "https://evil.example?@registry.npmjs.org/ms/-/ms-2.0.0.tgz",
        f"{PUBLIC}/evil/-/evil-2.0.0.tgz#/ms/-/ms-2.0.0.tgz",
        f"{OWN}/ms\\-/ms/-/ms-2.0.0.tgz",
        "ftp://registry.npmjs.org/ms/-/ms-2.0.0.tgz",
        "https:registry.npmjs.org/ms/-/ms-2.0.0.tgz",
        "file:ms/-/ms-2.0.0.tgz",
    ],
)
def test_addresses_of_something_else(address: str) -> None:
    assert not is_tarball_of(address, "ms", "2.0.0")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "@s", "@/a", "../ms", "a?b", "a#b", "@s/../ms"])
def test_no_address_belongs_to_a_name_that_is_none(name: str) -> None:
    assert not is_tarball_of(f"{OWN}/{name}/-/{name.rpartition('/')[2]}-2.0.0.tgz", name, "2.0.0")


def test_build_metadata_is_not_in_the_address() -> None:
    assert is_tarball_of(f"{PUBLIC}/ms/-/ms-2.0.0-rc.1.tgz", "ms", "2.0.0-rc.1+build.5")
    assert not is_tarball_of(f"{PUBLIC}/ms/-/ms-.tgz", "ms", None)


@pytest.mark.parametrize(
    ("file", "belongs"),
    [
        ("my_pkg-1.0.0-py3-none-any.whl", True),
        ("My.Pkg-1.0.0-1-cp311-cp311-manylinux_2_17_x86_64.whl", True),
        ("my-pkg-1.0.0.tar.gz", True),
        ("my-pkg-1.0.tar.gz", True),
        ("my-pkg-1-0-0.tar.gz", True),
        ("my-pkg-1.0.1.tar.gz", False),
        ("my-pkg-1.0.0b1.tar.gz", False),
        ("my-pkg-2-1.0.0.tar.gz", False),
        ("my_pkg-1.0.0.zip", True),
        ("my_pkg-1.0.0.1-py3-none-any.whl", False),
        ("my_pkg_evil-1.0.0-py3-none-any.whl", False),
        ("my_pkg-evil-1.0.0.tar.gz", False),
        ("pkg-1.0.0.tar.gz", False),
        ("my_pkg-1.0.0.whl", False),
        ("my_pkg-1.0.0-any.whl", False),
        ("", False),
    ],
)
def test_files_of_a_python_package(file: str, belongs: bool) -> None:
    assert is_distribution_of(f"https://files.example.com/aa/{file}", "my-pkg", "1.0.0") is belongs


def test_archives_of_odd_versions() -> None:
    assert is_distribution_file("Old-1.0-beta.tar.gz", "old", "1.0b0")
    assert is_distribution_file("a-1!2.0+cu118-py3-none-any.whl", "a", "1!2.0+cu118")
    assert is_distribution_file("a-2024.1.tar.gz", "a", None)
    assert not is_distribution_file("a-evil-1.0.tar.gz", "a", None)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("https://Example.COM:443/a", Address("https", "example.com", "/a", False)),
        ("http://example.com:8080", Address("http", "example.com:8080", "/", False)),
        ("git+ssh://git@example.com/a.git#v1", Address("ssh", "example.com", "/a.git", True, "#v1")),
        ("https://me:pass@[::1]:8443/a?b", Address("https", "[::1]:8443", "/a", True, "?b")),
        # Node.js takes a backslash for a slash, and would go to evil.example.
        ("https://evil.example\\@example.com/a", None),
        ("https://evil.example/\\@example.com/a", None),
        ("https://evil.example%2f@example.com/a", Address("https", "example.com", "/a", True)),
        ("https://evil.example?@example.com/a", Address("https", "evil.example", "/", False, "?@example.com/a")),
        ("https://evil.example#@example.com/a", Address("https", "evil.example", "/", False, "#@example.com/a")),
        ("https://exam%70le.com/a", None),
        ("https://example.com/a\nb", None),
        ("https://example.com\t/a", None),
        ("https://exämple.com/a", None),
        ("https:///a", None),
        ("https:example.com/a", None),
        ("example.com/a", None),
        ("https://example.com/a/../b", None),
        ("https://example.com/a/%2e%2E/b", None),
    ],
)
def test_parts_of_an_address(address: str, parts: Address | None) -> None:
    assert parse(address) == parts


@pytest.mark.parametrize(
    ("address", "git"),
    [
        ("git+ssh://git@example.com/a.git#v1", True),
        ("git://example.com/a.git", True),
        ("github:owner/a", True),
        ("owner/a#v1", True),
        ("../a", False),
        ("./a", False),
        ("https://example.com/a.tgz", False),
        ("1.0.0", False),
    ],
)
def test_what_is_cloned(address: str, git: bool) -> None:
    assert is_git(address) is git


def test_a_shown_address_has_no_secret() -> None:
    assert shown("https://me:secret@example.com/a?token=secret") == "https://example.com/a"
    assert shown("https://example.com/a.git?rev=main#0123") == "https://example.com/a.git#0123"
    assert shown("git+ssh://me:se@cret@example.com/a") == "git+ssh://cret@example.com/a"
    assert len(shown("https://example.com/" + "a" * 500)) == 201
