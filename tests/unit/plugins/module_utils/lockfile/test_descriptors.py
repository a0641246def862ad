# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little languages in a yarn.lock: descriptors, locators, conditions."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import descriptors, yarn_berry
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Source

COMMIT = "bd612f737550e40edfcbf93192aa655b7f980155"
AT_ROOT = "::locator=app%40workspace%3A."
AT_WEB = "::locator=%40x%2Fweb%40workspace%3Apackages%2Fweb"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ms@npm:^2.1.3", ("ms", "npm:^2.1.3")),
        ("@scope/a@workspace:packages/a", ("@scope/a", "workspace:packages/a")),
        ("old@npm:@scope/new@1", ("old", "npm:@scope/new@1")),
    ],
)
def test_split(text: str, parts: tuple[str, str]) -> None:
    assert descriptors.split(text) == parts


@pytest.mark.parametrize(
    "text", ["", "@", "a", "a@", "@a/b", "../a@1", "@a/../b@1", "a/b@1", ".bin@1", "a\n@1", "@a@1"]
)
def test_no_name_with_a_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no package's name|does not|has a character"):
        descriptors.split(text)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("^1.0.0", "npm:^1.0.0"),
        ("", "npm:"),
        ("latest", "npm:latest"),
        ("npm:^1.0.0", "npm:^1.0.0"),
        ("workspace:^", "workspace:^"),
        ("owner/repository", "owner/repository"),
        ("./folder", "./folder"),
        ("patch:a@^1.0.0#./a.patch", "patch:a@npm:^1.0.0#./a.patch"),
        ("patch:@s/a@npm%3A%5E1.0.0#~/a.patch", "patch:@s/a@npm:^1.0.0#~/a.patch"),
    ],
)
def test_ranges_as_they_are_compared(written: str, compared: str) -> None:
    assert descriptors.with_protocol(written) == compared
    assert descriptors.with_protocol(compared) == compared


@pytest.mark.parametrize(
    ("wanted", "plain", "alias"),
    [
        ("npm:^1.0.0", "^1.0.0", None),
        ("npm:ms@^2.0.0", "npm:ms@^2.0.0", "ms"),
        ("npm:@scope/a@1", "npm:@scope/a@1", "@scope/a"),
        ("npm:@scope/a", "npm:@scope/a", "@scope/a"),
        ("workspace:^", "workspace:^", None),
        ("git@example.com:a.git", "git@example.com:a.git", None),
    ],
)
def test_aliases(wanted: str, plain: str, alias: str | None) -> None:
    assert (descriptors.without_protocol(wanted), descriptors.alias_of(wanted)) == (plain, alias)


@pytest.mark.parametrize(
    ("wanted", "inner"),
    [
        ("patch:resolve@^1.0.0#optional!builtin<compat/resolve>", "npm:^1.0.0"),
        ("patch:resolve@npm%3A^1.0.0#~builtin<compat/resolve>", "npm:^1.0.0"),
        ("patch:resolve@npm%3A^1.0.0#~/resolve.patch", None),
        ("npm:^1.0.0", None),
    ],
)
def test_patches_of_yarn_itself(wanted: str, inner: str | None) -> None:
    assert descriptors.builtin_patch_of(descriptors.with_protocol(wanted)) == inner


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        (None, {}),
        ("os=darwin", {"os": ("darwin",)}),
        ("os=linux & cpu=x64 & libc=glibc", {"os": ("linux",), "cpu": ("x64",), "libc": ("glibc",)}),
        ("(os=linux | os=darwin) & !cpu=arm64", {"os": ("linux", "darwin"), "cpu": ("!arm64",)}),
        ("(!os=win32 | !os=aix)", {"os": ("!win32", "!aix")}),
    ],
)
def test_conditions(text: str | None, lists: dict[str, tuple[str, ...]]) -> None:
    assert descriptors.conditions(text) == lists


@pytest.mark.parametrize(
    "text",
    [
        "linux",
        "os=",
        "os=linux | cpu=x64",
        "(os=linux | cpu=x64)",
        "os=linux & os=darwin",
        "((os=a))",
        "vm=a",
        "os=a & ",
    ],
)
def test_conditions_that_are_not_understood(text: str) -> None:
    with pytest.raises(ValueError, match="has conditions that are not understood"):
        descriptors.conditions(text)


@pytest.mark.parametrize(
    ("locator", "source", "version", "resolved"),
    [
        ("ms@npm:2.1.3", Source.REGISTRY, "2.1.3", None),
        (
            "@s/a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fnpm.example.com%2F%40s%2Fa%2F-%2Fa-1.0.0.tgz",
            Source.REGISTRY,
            "1.0.0",
            "https://npm.example.com/@s/a/-/a-1.0.0.tgz",
        ),
        (
            "a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fexample.com%2Fevil.tgz",
            Source.ADDRESS,
            "1.0.0",
            "https://example.com/evil.tgz",
        ),
        ("a@workspace:packages/a", Source.WORKSPACE, None, "packages/a"),
        ("a@workspace:.", Source.WORKSPACE, None, ""),
        (f"a@link:./vendor/a{AT_ROOT}", Source.LINK, None, "vendor/a"),
        (f"a@portal:../../vendor/a{AT_WEB}", Source.LINK, None, "vendor/a"),
        ("a@file:./a#./a::hash=c2b036&locator=app%40workspace%3A.", Source.LINK, None, "a"),
        (f"a@file:./a.tgz{AT_WEB}", Source.FILE, None, "packages/web/a.tgz"),
        ("a@https://example.com/a.tgz", Source.ADDRESS, None, "https://example.com/a.tgz"),
        (
            f"a@https://example.com/a.git#commit={COMMIT}",
            Source.GIT,
            None,
            f"https://example.com/a.git#commit={COMMIT}",
        ),
        (f"a@git@example.com:a.git#commit={COMMIT}", Source.GIT, None, f"git@example.com:a.git#commit={COMMIT}"),
        ("a@patch:a@npm%3A1.0.0#~/a.patch::version=1.0.0&hash=2e9c5b", Source.REGISTRY, "1.0.0", None),
        (f"a@patch:a@npm%3A1.0.0#./a.patch{AT_WEB}", Source.REGISTRY, "1.0.0", None),
        ("a@patch:a@npm%3A1.0.0#~builtin<compat/a>::version=1.0.0&hash=1", Source.REGISTRY, "1.0.0", None),
        ("a@patch:a@https%3A//example.com/a.tgz#optional!~/a.patch", Source.ADDRESS, None, "https://example.com/a.tgz"),
    ],
)
def test_where_content_comes_from(locator: str, source: str, version: str | None, resolved: str | None) -> None:
    found = descriptors.reference(locator)

    assert (found.source, found.version, found.resolved) == (source, version, resolved)
    assert found.name == descriptors.split(locator)[0]


def test_a_patch_of_another_package_has_its_name() -> None:
    found = descriptors.reference("a@patch:b@npm%3A1.0.0#~/a.patch")

    assert (found.name, found.patched) == ("b", "b@npm:1.0.0")


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("a@workspace:../b", "leads out of the project: ../b"),
        ("a@workspace:/etc", "leads out of the project"),
        ("a@workspace:packages/../../b", "leads out of the project"),
        ("a@workspace:~", "leads out of the project"),
        ("a@workspace:a\\..\\..\\b", "leads out of the project"),
        ("a@link:/etc", "leads out of the project"),
        (f"a@portal:../../../b{AT_WEB}", "leads out of the project"),
        (f"a@file:../b.tgz{AT_ROOT}", "leads out of the project"),
        ("a@patch:a@npm%3A1.0.0#~/../../etc/passwd", "leads out of the project"),
        ("a@patch:a@npm%3A1.0.0#./a.patch&/etc/passwd", "leads out of the project"),
        ("a@patch:a@npm%3A1.0.0", "is a patch without a file"),
        ("a@patch:..%2Fa@npm%3A1.0.0#~/a.patch", "does not"),
        ("a@exec:./make.js", "runs a program of the project when it is fetched"),
        ("a@ftp://example.com/a.tgz", "has a protocol that is not understood: ftp"),
        ("a@1.0.0", "has a reference without a protocol: 1.0.0"),
    ],
)
def test_a_locator_that_is_refused(locator: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        descriptors.reference(locator)


def patched(times: int) -> str:
    locator = "a@npm:1.0.0"
    for _level in range(times):
        locator = f"a@patch:{locator.replace('%', '%25').replace('#', '%23').replace(':', '%3A')}#~/a.patch"
    return locator


def test_patches_of_patches_have_an_end() -> None:
    assert descriptors.reference(patched(5)).version == "1.0.0"
    with pytest.raises(ValueError, match="is a patch of more than 5 patches"):
        descriptors.reference(patched(6))


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("a", "is no package's name with a range"),
        ("a@1.0.0", "has a reference without a protocol: 1.0.0"),
        ("a@ftp://host/a", "has a protocol that is not understood: ftp"),
        ("a@patch:a@npm%3A1.0.0", "is a patch without a file: patch:a@npm%3A1.0.0"),
        (patched(6), "is a patch of more than 5 patches"),
    ],
)
def test_a_lockfile_with_such_a_locator(locator: str, words: str) -> None:
    text = f'__metadata:\n  version: 8\n  cacheKey: 10c0\n\n"a@npm:1":\n  resolution: "{locator}"\n'

    with pytest.raises(ApphostError) as caught:
        yarn_berry.parse_lockfile(text.encode(), "app/yarn.lock", {})

    assert caught.value.message == f'app/yarn.lock: "a@npm:1" {words}. Run yarn install and commit the lockfile.'
