# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading uv.lock: recorded ones of every revision, broken ones, hostile ones, huge ones."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import PythonTarget, same
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import strong_integrity
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_conditions
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import normal_name, parse_marker
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uvlock import UvLock, parse

from .speed import within

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "uv"
REVISIONS = ["r0", "r1", "r2", "r3", "r5"]
PYPI = 'source = { registry = "https://pypi.org/simple" }\n'
ROOT = '[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\n'
MEND = "Run uv lock with a current uv and commit uv.lock."


def recorded(name: str) -> UvLock:
    return parse((FIXTURES / name).read_bytes(), "app/uv.lock", {})


def lock(*packages: str, head: str = "version = 1\n") -> UvLock:
    return parse("\n".join((head, *packages)).encode(), "app/uv.lock", {})


def package(name: str, *lines: str, version: str = "1.0", wheel: bool = True) -> str:
    hashed = "sha256:" + "ab" * 32
    url = f"https://files.pythonhosted.org/{name}-{version}-py3-none-any.whl"
    wheels = f'wheels = [\n    {{ url = "{url}", hash = "{hashed}" }},\n]\n' if wheel else ""
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n{PYPI}{wheels}' + "".join(
        f"{line}\n" for line in lines
    )


def refusal(*packages: str, head: str = "version = 1\n") -> str:
    with pytest.raises(ApphostError) as caught:
        lock(*packages, head=head)
    return caught.value.message.removeprefix("app/uv.lock: ").removesuffix(f". {MEND}")


@pytest.mark.parametrize("revision", REVISIONS)
def test_recorded_lockfile(revision: str) -> None:
    lockfile = recorded(f"single/{revision}.lock")

    assert (lockfile.name, lockfile.manager, lockfile.format) == ("uv.lock", "uv", f"1.{revision[1]}")
    assert len(lockfile.packages) == 27
    assert lockfile.needs == ("docopt", "httpx", "socksio")
    assert {"colorama", "pyasn1", "h2@4.3.0"} < {*lockfile.wants}
    assert lockfile.packages["shop-app"].source == Source.WORKSPACE
    docopt = lockfile.packages["docopt"]
    assert (docopt.version, docopt.has_install_script) == ("0.6.2", True)
    httpx = lockfile.packages["httpx"]
    assert (httpx.markers, httpx.optional, httpx.dev, httpx.has_install_script) == (None, False, False, False)
    assert {*httpx.needs} == {"certifi", "httpcore", "idna"}
    colorama = lockfile.packages["colorama"]
    assert colorama.markers == "(python_full_version < '3.12' and os_name == 'nt') or sys_platform == 'win32'"
    assert lockfile.packages["iniconfig@2.1.0"].dev
    assert not lockfile.packages["click@8.1.8"].dev
    assert lockfile.packages["click@8.1.8"].optional
    assert lockfile.projects[""].dependencies["httpx"] == ">=0.27,<1"
    assert {*lockfile.projects[""].dev} == {"iniconfig", "packaging"}


def test_all_revisions_describe_the_same_tree() -> None:
    """An older uv repeats a marker at the edges behind the one that has it."""
    first, *others = [recorded(f"single/{revision}.lock") for revision in REVISIONS]

    for other in others:
        assert (other.needs, other.wants, other.projects) == (first.needs, first.wants, first.projects)
        assert [*other.packages] == [*first.packages]
        for path, package in other.packages.items():
            locked = first.packages[path]
            assert {*package.needs, *package.wants} == {*locked.needs, *locked.wants}
            plain = dataclasses.replace(package, needs=locked.needs, wants=locked.wants, markers=locked.markers)
            assert plain == locked
            markers = [parse_marker(text) if text else None for text in (package.markers, locked.markers)]
            assert same(markers[0], markers[1], parse_conditions(">=3.9"))


@pytest.mark.parametrize("project", ["single/r5.lock", "workspace/uv.lock"])
@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_what_is_expected_is_what_uv_installed(project: str, python: str) -> None:
    lockfile = recorded(project)
    tried = json.loads((FIXTURES / project).with_name("installed.json").read_text())[python]
    projects = {package.name for package in lockfile.packages.values() if package.source == Source.WORKSPACE}
    installed = {normal_name(name): version for name, version in tried["installed"].items()}

    expected = expected_packages(lockfile, PythonTarget(tried["environment"]))

    assert {package.name: package.version for package in expected.values()} == {
        name: version for name, version in installed.items() if name not in projects
    }


def test_recorded_workspace() -> None:
    lockfile = recorded("workspace/uv.lock")
    packages = lockfile.packages

    assert [*lockfile.projects] == ["", "packages/core", "packages/tools"]
    sources = {name: packages[name].source for name in ("from-git", "outside", "sniffio", "h11", "hyperframe")}
    assert sources == {
        "from-git": Source.GIT,
        "outside": Source.LINK,
        "sniffio": Source.FILE,
        "h11": Source.ADDRESS,
        "hyperframe": Source.REGISTRY,
    }
    commit = "44d72a3da56fd2abc6a65acd058d2b9190bd863f"
    assert packages["from-git"].resolved == f"https://git.example.org/from-git?tag=v0.4.0#{commit}"
    assert packages["from-git"].integrity is None
    assert (packages["outside"].resolved, packages["outside"].has_install_script) == ("lib", True)
    assert packages["sniffio"].resolved == "archives/sniffio-1.3.1-py3-none-any.whl"
    assert strong_integrity(packages["sniffio"].integrity)
    assert (packages["h11"].resolved or "").endswith("h11-0.16.0-py3-none-any.whl")
    # An extra of another project is asked for by the one that asks for the extra; one that nobody asks for is optional.
    assert "hpack@4.2.0" in lockfile.wants
    assert "shop-core" not in lockfile.needs
    assert (packages["docopt"].optional, packages["docopt"].dev) == (True, False)
    # The same version from two registries is two packages.
    assert packages["six@1.17.0 (registry https://pypi.org/simple)"].markers == "sys_platform != 'linux'"
    assert packages["six@1.17.0 (registry https://pypi.org/simple/)"].markers == "sys_platform == 'linux'"


def test_recorded_conflicts() -> None:
    """Extras that exclude each other: without any of them, the one version is installed."""
    packages = recorded("conflicts.lock").packages
    target = PythonTarget({"platform_python_implementation": "CPython", "sys_platform": "linux"})

    assert target.fits(packages["idna@3.0"])
    assert not target.fits(packages["idna@3.4"])


def test_markers_on_the_way_count_together() -> None:
    lockfile = lock(
        ROOT + 'dependencies = [{ name = "a", marker = "os_name == \'nt\'" }, { name = "b" }]\n',
        package("a", 'dependencies = [{ name = "c" }]'),
        package("b", 'dependencies = [{ name = "d", marker = "python_version < \'3.9\'" }]'),
        package("c"),
        package("d", 'dependencies = [{ name = "c", marker = "sys_platform == \'win32\'" }]'),
    )
    markers = {name: found.markers for name, found in lockfile.packages.items()}

    assert markers == {
        "app": None,
        "a": "os_name == 'nt'",
        "b": None,
        "c": "(os_name == 'nt') or (python_version < '3.9') and (sys_platform == 'win32')",
        "d": "python_version < '3.9'",
    }
    assert (lockfile.needs, lockfile.wants) == (("b",), ("a",))


def test_a_marker_that_every_python_meets_is_none() -> None:
    asked = (
        '{ name = "a", marker = "python_full_version < \'3.10\'" }, { name = "b", marker = "python_version > \'3\'" }'
    )
    lockfile = lock(
        ROOT + f"dependencies = [{asked}]\n",
        package("a", 'dependencies = [{ name = "c" }]'),
        package("b", 'dependencies = [{ name = "c", marker = "python_full_version >= \'3.10\'" }]'),
        package("c"),
        head='version = 1\nrequires-python = ">=3.9"\n',
    )

    assert {name: found.markers for name, found in lockfile.packages.items()} == {
        "app": None,
        "a": "python_full_version < '3.10'",
        "b": None,
        "c": None,
    }


def test_all_hashes_count() -> None:
    digests = {"sha256": "ab" * 32, "sha384": "cd" * 48, "sha512": "ef" * 64}
    files = [
        f'{{ url = "https://h/a-1-{name}-none-any.whl", hash = "{name}:{digest}" }}' for name, digest in digests.items()
    ]
    sdist = files[2].replace("-sha512-none-any.whl", ".tar.gz")
    found = lock(ROOT, package("a", f"wheels = [{', '.join(files[:2])}]", f"sdist = {sdist}", wheel=False))

    assert found.packages["a"].integrity == " ".join(
        f"{name}-{base64.b64encode(bytes.fromhex(digest)).decode()}" for name, digest in digests.items()
    )


@pytest.mark.parametrize(
    ("hashed", "integrity"),
    [
        ("", None),
        (', hash = "md5:0123"', "md5-0123"),
        (f', hash = "sha256:{"ab" * 31}"', "sha256-" + "ab" * 31),
        (f', hash = "sha512:{"ab" * 32}"', "sha512-" + "ab" * 32),
        (f', hash = "sha256:{"AB" * 32}"', "sha256-" + "AB" * 32),
    ],
)
def test_an_archive_without_a_strong_hash_makes_the_package_weak(hashed: str, integrity: str | None) -> None:
    """That one would be taken without a check."""
    sdist = f'sdist = {{ url = "https://h/a-1.tar.gz"{hashed} }}'
    found = lock(ROOT, package("a", sdist)).packages["a"]

    assert found.integrity == integrity
    assert not strong_integrity(found.integrity)


def test_every_host_that_is_asked_is_an_address() -> None:
    hashed = f'hash = "sha256:{"ab" * 32}"'
    urls = [
        "https://one/x/a-1-py3-none-any.whl",
        "https://one/y/a-1-cp39-none-any.whl",
        "http://two/a-1-cp310-none-any.whl",
    ]
    wheels = ", ".join(f'{{ url = "{url}", {hashed} }}' for url in urls)
    found = lock(ROOT, package("a", f"wheels = [{wheels}]", wheel=False))

    assert (found.packages["a"].resolved or "").split() == [urls[2], urls[0], "https://pypi.org/simple"]


def test_a_folder_of_archives_is_no_registry() -> None:
    text = package("a").replace("https://pypi.org/simple", "../wheels").replace("url = ", "path = ")
    assert lock(ROOT, text.replace("https://files.pythonhosted.org/", "")).packages["a"].source == Source.FILE


def test_its_own_version_does_not_decide_what_is_installed() -> None:
    def digest(text: str) -> str:
        return parse(text.encode(), "uv.lock", {}).digest

    text = (FIXTURES / "workspace/uv.lock").read_text()
    bumped = text.replace('name = "shop-core"\nversion = "0.1.0"', 'name = "shop-core"\nversion = "0.2.0"')
    other = text.replace('name = "idna"\nversion = "3.20"', 'name = "idna"\nversion = "3.21"').replace(
        "/idna-3.20", "/idna-3.21"
    )

    assert len({text, bumped, other}) == 3
    assert digest(bumped) == digest(text) != digest(other)


def test_a_workspace_without_a_project_of_its_own() -> None:
    head = 'version = 1\n\n[manifest]\nmembers = ["one"]\n\n[manifest.dependency-groups]\ndev = [{ name = "tool" }]\n'
    lockfile = lock(
        ROOT.replace('"app"', '"one"').replace('virtual = "."', 'editable = "packages/one"'),
        'dependencies = [{ name = "a" }]\n',
        package("a"),
        package("tool"),
        head=head,
    )

    assert [*lockfile.projects] == ["packages/one"]
    assert lockfile.needs == ("a",)
    assert (lockfile.packages["tool"].dev, lockfile.packages["a"].dev) == (True, False)


BROKEN: dict[str, tuple[list[str], str]] = {
    "no version": ([""], "has version None; 1 is understood"),
    "another version": (["version = 2"], "has version 2; 1 is understood"),
    "no number": (["version = true"], "has version True; 1 is understood"),
    "revision": (['version = 1\nrevision = "3"'], "has a revision that is no number"),
    "old": (['version = 1\n[[distribution]]\nname = "a"'], "was written by a uv before 0.3"),
    "no list": (["version = 1\npackage = 1"], "package is no list of tables"),
    "no tables": (["version = 1\npackage = [1]"], "package is no list of tables"),
    "python": (['version = 1\nrequires-python = "3.9"'], "requires-python: '3.9' is no condition on a version"),
    "members": (["version = 1\nmanifest = { members = [1] }"], "manifest.members is no list of strings"),
    "missing member": (
        ['version = 1\nmanifest = { members = ["x"] }'],
        "has no package for the workspace's project x",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_heads(case: str) -> None:
    (head,), what = BROKEN[case]

    assert refusal(head=head or "x = 1\n") == what


A = package("a")
HOSTILE = {
    "no name": ('[[package]]\nversion = "1"', "has a package with the name 'None', which is no normalised one"),
    "name that leads out": (package("../a"), "has a package with the name '../a', which is no normalised one"),
    "name that is an option": (package("--index-url"), "has a package with the name '--index-url'"),
    "name in another spelling": (package("A.b"), "has a package with the name 'A.b', which is no normalised one"),
    "twice": (A + A, "has the package a@1.0 (registry https://pypi.org/simple) twice"),
    "version": (package("a", version="../1"), "the package a has the version '../1', which is none"),
    "version of another type": (A.replace('version = "1.0"', "version = 1.0"), "has the version '1.0', which is none"),
    "no source": (A.replace(PYPI, ""), "the package a has no source that is understood"),
    "two sources": (A.replace("{ reg", '{ virtual = ".", reg'), "the package a has no source that is understood"),
    "new source": (A.replace("registry", "torrent"), "the package a has no source that is understood"),
    "source with white space": (
        A.replace("pypi.org", "pypi.org evil"),
        "the package a has no source that is understood",
    ),
    "archive of another package": (
        A.replace("org/a-1", "org/b-1"),
        "the package a has an archive of another name: 'b-1.0-py3-none-any.whl'",
    ),
    "archive of a name with more": (
        A.replace("org/a-1", "org/a_evil-1"),
        "the package a has an archive of another name: 'a_evil-",
    ),
    "archive of another version": (A.replace("org/a-1", "org/a-2"), "the package a has an archive of another name"),
    "archive of a longer name": (A.replace("org/a-1", "org/aa-1"), "the package a has an archive of another name"),
    "archive with white space": (A.replace("org/a-1", "org/ a-1"), "which is no address"),
    "archive with a line end": (A.replace("org/a-1", "org/\\na-1"), "which is no address"),
    "archive elsewhere": (
        A.replace("url = ", "path = ").replace("https://files.pythonhosted.org", "../.."),
        "has an archive at '../../a-1.0-py3-none-any.whl', which is no address",
    ),
    "archive without a table": (A.replace("wheels = [", "wheels = [1,"), "the archives of a are no tables"),
    "archives without a list": (package("a", "wheels = 1", wheel=False), "the archives of a are no tables"),
    "address of another type": (
        A.replace('url = "', 'url = 1, x = "'),
        "has an archive whose address or hash is no text",
    ),
    "hash of another type": (
        A.replace('hash = "', 'hash = 1, x = "'),
        "has an archive whose address or hash is no text",
    ),
    "dependencies": (package("a", "dependencies = 1"), "the dependencies of a are no list of tables"),
    "dependency": (package("a", "dependencies = [1]"), "the dependencies of a are no list of tables"),
    "unknown dependency": (package("a", 'dependencies = [{ name = "b" }]'), "a asks for b, which has no entry"),
    "ambiguous dependency": (
        package("a", 'dependencies = [{ name = "b" }]') + package("b") + package("b", version="2.0"),
        "a asks for b, which has several entries",
    ),
    "dependency in a missing version": (
        package("a", 'dependencies = [{ name = "b", version = "3" }]') + package("b") + package("b", version="2.0"),
        "a asks for b, which has no entry",
    ),
    "marker of another type": (
        package("a", 'dependencies = [{ name = "a", marker = 1 }]'),
        "a asks for a with a marker that is no text",
    ),
    "marker": (
        ROOT + 'dependencies = [{ name = "a", marker = "import os" }]\n' + A,
        "the package a: the marker 'import os' is not understood",
    ),
    "extra": (package("a", 'dependencies = [{ name = "a", extra = [1] }]'), "extra is no list of strings"),
    "extras": (package("a", "optional-dependencies = 1"), "a.optional-dependencies is no object"),
    "groups": (ROOT + "dev-dependencies = 1\n", "app.dev-dependencies is no object"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_packages(case: str) -> None:
    text, what = HOSTILE[case]

    assert what in refusal(text)


@pytest.mark.parametrize("folder", ["..", "../x", "/x", "a/../../x"])
def test_a_project_lies_below_the_lockfile(folder: str) -> None:
    text = f'[[package]]\nname = "app"\nsource = {{ editable = "{folder}" }}\n'

    assert refusal(text, head='version = 1\nmanifest = { members = ["app"] }') == (
        "the project app is not in a folder of its own below the lockfile's"
    )


def test_two_projects_in_one_folder() -> None:
    text = "".join(f'[[package]]\nname = "{name}"\nsource = {{ editable = "x" }}\n' for name in "ab")

    assert refusal(text, head='version = 1\nmanifest = { members = ["a", "b"] }') == (
        "the project b is not in a folder of its own below the lockfile's"
    )


def test_a_folder_that_is_no_project_is_a_link() -> None:
    text = '[[package]]\nname = "x"\nversion = "1"\nsource = { directory = "../x" }\n'

    assert lock(ROOT, text).packages["x"].source == Source.LINK


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"version = 1\nversion = 1\n", 'is no TOML: "version" is given twice (line 2, column 1)'),
        (b"version = \xff\n", "is not UTF-8 (byte 10)"),
        (b"<<<<<<< HEAD\nversion = 1\n", "holds the marks of an unresolved merge"),
        (b"a = " + b"[" * 5000, "is no TOML: is nested too deeply (line 1, column 105)"),
    ],
)
def test_what_is_no_lockfile(content: bytes, what: str) -> None:
    with pytest.raises(ApphostError) as caught:
        parse(content, "app/uv.lock", {})
    assert caught.value.message == f"app/uv.lock: {what}. {MEND}"


def test_too_many_ways_with_markers() -> None:
    packages = [
        package(f"n{layer}", f"dependencies = [{asked('a', layer)}, {asked('b', layer)}]") for layer in range(12)
    ]

    assert refusal(ROOT + 'dependencies = [{ name = "n0" }]\n', *packages, package("n12")) == (
        "there are too many ways with markers that lead to n8"
    )


def asked(marker: str, layer: int) -> str:
    return f'{{ name = "n{layer + 1}", marker = "os_name == \'{marker}{layer}\'" }}'


def test_cycles() -> None:
    lockfile = lock(
        ROOT + 'dependencies = [{ name = "a" }]\n',
        package("a", 'dependencies = [{ name = "b", extra = ["x"] }]'),
        package(
            "b",
            'dependencies = [{ name = "a" }]',
            '[package.optional-dependencies]\nx = [{ name = "b", extra = ["x"] }]',
        ),
    )

    assert lockfile.packages["a"].needs == ("b",)
    assert lockfile.packages["b"].needs == ("a",)


def huge(count: int) -> t.Iterator[str]:
    yield 'version = 1\nrevision = 3\nrequires-python = ">=3.9"\n\n' + ROOT + 'dependencies = [{ name = "p0" }]\n'
    for index in range(count):
        names = [f"p{other}" for other in (index + 1, index + 7) if other < count]
        asks = "".join(f'    {{ name = "{name}" }},\n' for name in names)
        asks += f'    {{ name = "p{index}", marker = "sys_platform == \'win32\'" }},\n' if index % 5 == 0 else ""
        files = [
            f'{{ url = "https://files.pythonhosted.org/packages/{index:060x}/p{index}-1.0{end}", '
            f'hash = "sha256:{index:064x}", size = 12345, upload-time = "2024-12-04T17:35:28.174Z" }}'
            for end in (".tar.gz", "-py3-none-any.whl")
        ]
        yield (
            f'\n[[package]]\nname = "p{index}"\nversion = "1.0"\n{PYPI}dependencies = [\n{asks}]\n'
            f"sdist = {files[0]}\nwheels = [\n    {files[1]},\n]\n"
        )


def test_twenty_thousand_packages_take_less_than_two_seconds() -> None:
    content = "".join(huge(20_000)).encode()

    lockfile = within(2, lambda: parse(content, "uv.lock", {}))

    assert len(lockfile.packages) == 20_001
    assert lockfile.packages["p19999"].markers is None
