# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading requirements.txt with hashes: recorded ones, and everything that must not be installed from one."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import PythonTarget
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import strong_integrity
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import normal_name
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pip import FORMAT, PipLock, in_step, parse
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages

from .speed import within

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "pip"
INSTALLED = json.loads((FIXTURES / "installed.json").read_text())
SHA256 = "--hash=sha256:" + "ab" * 32
COMMIT = "44d72a3da56fd2abc6a65acd058d2b9190bd863f"
WHEEL = "a-1.0-py3-none-any.whl"


def recorded(name: str) -> PipLock:
    return parse((FIXTURES / name).read_bytes(), "app/requirements.txt", {})


def read(text: str) -> PipLock:
    return parse(text.encode(), "app/requirements.txt", {})


def refusal(text: str | bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "app/requirements.txt", {})
    assert (caught.value.where, caught.value.do) == ("app/requirements.txt", FORMAT.remake)
    return caught.value.what


@pytest.mark.parametrize(
    ("name", "count", "direct"),
    [
        ("piptools.txt", 13, ["docopt", "httpx", "setuptools"]),
        ("piptools-line.txt", 12, ["docopt", "httpx"]),
        (
            "uvpip.txt",
            21,
            ["colorama", "docopt", "httpx", "importlib-metadata", "setuptools@82.0.1", "setuptools@84.2.1"],
        ),
        (
            "uvexport.txt",
            21,
            ["colorama", "docopt", "httpx", "importlib-metadata", "pyasn1", "zipp@3.23.1", "zipp@4.1.2"],
        ),
    ],
)
def test_recorded_files(name: str, count: int, direct: list[str]) -> None:
    lockfile = recorded(name)

    assert (lockfile.manager, lockfile.name, lockfile.projects) == ("pip", "requirements.txt", {})
    assert in_step(lockfile, {}) == []
    assert len(lockfile.packages) == count
    assert sorted(lockfile.direct) == direct
    assert all(strong_integrity(package.integrity) for package in lockfile.packages.values())
    assert {*lockfile.needs, *lockfile.wants} == {*lockfile.packages}
    assert FORMAT.recognises
    assert FORMAT.recognises(lockfile.content)


@pytest.mark.parametrize(
    ("name", "python"), [(name, python) for name, pythons in INSTALLED.items() for python in pythons]
)
def test_what_is_expected_is_what_pip_installed(name: str, python: str) -> None:
    tried = INSTALLED[name][python]
    expected = expected_packages(recorded(name), PythonTarget(tried["environment"]))

    assert {package.name: package.version for package in expected.values()} == {
        normal_name(name): version for name, version in tried["installed"].items()
    }


def test_recorded_workspace_cannot_be_installed_by_hashes() -> None:
    lockfile = recorded("uvexport-workspace.txt")

    assert in_step(lockfile, {}) == [
        "line 3 asks for a folder to work in (-e .), which has no hash",
        "line 4 asks for a folder to work in (-e ./packages/core), which has no hash",
        "line 6 asks for a folder to work in (-e ./packages/tools), which has no hash",
        "line 10 asks for ./lib, a folder, which has no hash",
        f"line 36 asks for a repository (from-git @ git+https://git.example.org/from-git@{COMMIT}), which has no hash",
    ]
    assert lockfile.packages["sniffio"].source == Source.FILE
    assert lockfile.packages["h11"].source == Source.ADDRESS
    # Asked for twice, for one platform and for all others.
    assert lockfile.packages["six"].markers == "(sys_platform != 'linux') or (sys_platform == 'linux')"


def test_what_a_line_says() -> None:
    text = (
        "# A comment\n"
        "\n"
        "Foo.Bar[x,Y_z] == 1.0rc1 ; python_version < '3.12' \\\n"
        f"    {SHA256} \\\n"
        f"    --hash=sha512:{'CD' * 64}  # via -r in.txt, b\n"
        f"b==2 --hash sha384:{'ef' * 48}"
    )
    lockfile = read(text)
    foo, b = lockfile.packages.values()

    assert (foo.path, foo.name, foo.version, foo.source) == ("foo-bar", "foo-bar", "1.0rc1", Source.REGISTRY)
    assert (foo.markers, foo.optional, foo.resolved) == ("python_version < '3.12'", True, None)
    assert [value.split("-")[0] for value in (foo.integrity or "").split()] == ["sha256", "sha512"]
    assert (b.name, b.version, b.markers) == ("b", "2", None)
    assert (lockfile.needs, lockfile.wants) == (("b",), ("foo-bar",))
    assert lockfile.clean == (
        f"foo-bar[x,y-z]==1.0rc1 ; python_version < '3.12' {SHA256} --hash=sha512:{'cd' * 64}\n"
        f"b==2 --hash=sha384:{'ef' * 48}\n"
    )


def test_what_pip_is_given_says_the_same() -> None:
    for path in FIXTURES.glob("*.txt"):
        lockfile = recorded(path.name)
        again = read(lockfile.clean)

        assert (again.packages, again.clean, again.digest) == (lockfile.packages, lockfile.clean, lockfile.digest)


def test_comments_do_not_decide_what_is_installed() -> None:
    one, other = read(f"a==1 {SHA256}\n# via b\n"), read(f"# x\n\na == 1 \\\n  {SHA256}")

    assert one.digest == other.digest != read(f"a==1 {SHA256.replace('ab', 'ac')}").digest
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    ("comments", "direct"),
    [
        ("", {"a", "b"}),
        ("# via b", {"b"}),
        ("# via b, app", {"a", "b"}),
        ("# via\n    #   b", {"b"}),
        ("# via\n    #   b\n    #   -r in.txt", {"a", "b"}),
        ("# via\n    # not one of them", {"b"}),
        ("# via B\n\n# Some more words about it", {"b"}),
        ("# viaduct", {"a", "b"}),
        ("# via", {"b"}),
    ],
)
def test_direct_is_what_comments_say(comments: str, direct: set[str]) -> None:
    assert read(f"b==1 {SHA256}\na==1 {SHA256}\n    {comments}\n").direct == direct


@pytest.mark.parametrize(
    ("line", "source", "name", "version", "script"),
    [
        (f"a @ https://host/x/{WHEEL}", Source.ADDRESS, "a", "1.0", False),
        (f"https://host/x/{WHEEL}", Source.ADDRESS, "a", "1.0", False),
        ("https://host/x/a-1.0.tar.gz#egg=a", Source.ADDRESS, "a", None, True),
        ("a@https://host/x/a-1.0.tar.gz ; os_name == 'posix'", Source.ADDRESS, "a", None, True),
        (f"./wheels/{WHEEL}", Source.FILE, "a", "1.0", False),
        (f"wheels/{WHEEL}", Source.FILE, "a", "1.0", False),
        (WHEEL, Source.FILE, "a", "1.0", False),
    ],
)
def test_archives(line: str, source: str, name: str, version: str | None, script: bool) -> None:
    lockfile = read(f"{line} {SHA256}")
    (package,) = lockfile.packages.values()

    assert lockfile.problems == ()
    assert (package.source, package.name, package.version) == (source, name, version)
    assert package.has_install_script is script
    assert strong_integrity(package.integrity)
    assert read(lockfile.clean).packages == lockfile.packages


PROBLEMS = {
    "a>=1": "asks for a in >=1, which is no exact version",
    "a": "asks for a in any version, which is no exact version",
    "a==1.*": "asks for a in ==1.*, which is no exact version",
    "a==1,!=2": "asks for a in ==1,!=2, which is no exact version",
    "-e .": "asks for a folder to work in (-e .), which has no hash",
    "--editable=git+https://user:secret@host/a.git#egg=a": (
        "asks for a folder to work in (--editable git+https://host/a.git#egg=a), which has no hash"
    ),
    "git+https://host/a@v1#egg=a": "asks for a repository (git+https://host/a@v1#egg=a), which has no hash",
    "a @ hg+ssh://host/a": "asks for a repository (a @ hg+ssh://host/a), which has no hash",
    "./folder": "asks for ./folder, a folder, which has no hash",
    "a @ ./folder": "asks for a @ ./folder, a folder, which has no hash",
    ".": "does not begin with a package's name",
    "./a-1.0.tar.gz": "asks for ./a-1.0.tar.gz, without a name (write: name @ address)",
    "https://host/a.tar.gz": "asks for https://host/a.tar.gz, without a name (write: name @ address)",
    "-r other.txt": "includes another file (-r other.txt): only one file with everything is installed",
    "-r../../etc/passwd": "includes another file (-r ../../etc/passwd)",
    "--requirement=https://host/x": "includes another file (--requirement https://host/x)",
    "-c constraints.txt": "includes another file (-c constraints.txt)",
    "--constraint c": "includes another file (--constraint c)",
    "--index-url https://u:secret@host/simple": (
        "sets --index-url https://host/simple: where packages come from is not up to the app's files"
    ),
    "-i https://host": "sets -i https://host: where packages come from is not up to the app's files",
    "-ihttps://host": "sets -i https://host: where packages come from is not up to the app's files",
    "--extra-index-url=https://host": "sets --extra-index-url https://host",
    "--find-links /x": "sets --find-links /x",
    "-f x": "sets -f x",
    "--trusted-host host": "sets --trusted-host host",
    "--no-binary :all:": "has the option --no-binary :all:, which is not taken from the app's files",
    "--use-feature=x": "has the option --use-feature x, which is not taken from the app's files",
    "--config-settings x": "has the option --config-settings x, which is not taken from the app's files",
    "a==${VERSION}": "takes ${VERSION} from the environment",
    f"a==1 --config-settings=x {SHA256}": "has the option --config-settings for a, which is not taken",
    "a==1 --hash=md5:0123": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
    f"a==1 --hash=sha256:{'ab' * 31}": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
    f"a==1 --hash=sha512:{'ab' * 32}": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
    "a==1 --hash": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
    f"a==1 {SHA256} --hash=": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
    "a==1 --hash=sha256:xyz": "has a hash for a that is no whole SHA-256, SHA-384 or SHA-512",
}


@pytest.mark.parametrize("line", [line for line in PROBLEMS if line != "."])
def test_what_cannot_be_installed_by_hashes_is_a_problem(line: str) -> None:
    bare = line.startswith("-") or "hash" in line
    lockfile = read(f"b==1 {SHA256}\n{line}{'' if bare else f' {SHA256}'}\n")

    (problem,) = in_step(lockfile, {})
    assert problem.startswith(f"line 2 {PROBLEMS[line]}")
    assert "secret" not in problem
    assert [*lockfile.packages] == ["b"]
    assert lockfile.clean == f"b==1 {SHA256}\n"


def test_a_requirement_without_a_hash_is_a_problem() -> None:
    assert in_step(read("a==1\nb==1 " + SHA256), {}) == ["line 1 asks for a without a --hash"]


@pytest.mark.parametrize("line", ["--require-hashes", "--only-binary :all:", "--pre", "--no-index"])
def test_options_that_change_nothing(line: str) -> None:
    assert read(f"{line}\na==1 {SHA256}").problems == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        ("# only comments", "asks for nothing"),
        (b"a==1 # \xff", "is not UTF-8 (byte 7)"),
        ("# -*- coding: utf-7 -*-\na==1", "says that it is in utf-7, and only UTF-8 is understood"),
        ("# x\u2028--index-url https://evil", "has a control character ('\\u2028') in line 1"),
        ("# x\n# \x0c-r evil", "has a control character ('\\x0c') in line 2"),
        ("# x\r-r evil", "has a control character ('\\r') in line 1"),
        ("a==1 \x00", "has a control character ('\\x00') in line 1"),
        ("<<<<<<< ours\na==1\n", "holds the marks of an unresolved merge"),
        ("a\\b==1", "line 1 has a backslash that is not at its end"),
        (f"../a-1.0-py3-none-any.whl {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"x/../../{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"x/%2e%2e/%2e%2e/{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"/opt/{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"~/{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"file:///opt/{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"a @ ftp://host/{WHEEL} {SHA256}", "line 1 asks for a file that is not below its folder"),
        (f"=1 {SHA256}", "line 1: '=1' does not begin with a package's name"),
        (f". {SHA256}", "line 1: '.' does not begin with a package's name"),
        (f"a==1; x {SHA256}", "line 1: the marker ' x' is not understood"),
        (f"a=1 {SHA256}", "line 1: '=1' is no condition on a version"),
        (f"a==1 {SHA256}\na==1 {SHA256.replace('ab', 'cd')}", "asks for a twice, and not for the same"),
    ],
)
def test_what_is_no_such_file(text: str | bytes, what: str) -> None:
    assert refusal(text).startswith(what)


def test_a_file_without_hashes_is_no_lockfile() -> None:
    assert FORMAT.recognises
    assert not FORMAT.recognises(b"flask>=2\n")
    assert read("flask>=2\n").problems == ("line 1 asks for flask without a --hash",)


def test_continuations() -> None:
    assert [*read(f"a==1 \\\n {SHA256}\\").packages] == ["a"]
    assert [*read(f"a==1 \\\r\n {SHA256}\r\nb==1 {SHA256}\r\n").packages] == ["a", "b"]
    # A comment ends what was continued, so this one has no hash.
    assert read(f"a==1 \\\n# x \\\n {SHA256}").problems[0] == "line 1 asks for a without a --hash"


def test_twenty_thousand_requirements_take_less_than_two_seconds() -> None:
    lines = [
        f"p{index}==1.{index} ; python_full_version >= '3.9' \\\n    --hash=sha256:{index:064x} \\\n"
        f"    --hash=sha256:{index + 1:064x}\n    # via\n    #   -r requirements.in\n    #   p{index + 1}\n"
        for index in range(20_000)
    ]
    content = "".join(lines).encode()

    lockfile = within(2, lambda: parse(content, "requirements.txt", {}))

    assert len(lockfile.packages) == 20_000


@pytest.mark.parametrize(
    "text",
    [
        "a==1 \\\n" * 200_000,
        "a " * 500_000,
        "#" * 1_000_000,
        "a" + " " * 1_000_000 + "b",
        " " * 1_000_000 + "#x",
        "-" * 1_000_000,
    ],
)
def test_hostile_files_take_linear_time(text: str) -> None:
    def refused() -> None:
        with pytest.raises(ApphostError):
            parse(f"{text}\n\n=".encode(), "requirements.txt", {})

    within(5, refused)  # with quadratic time: minutes
