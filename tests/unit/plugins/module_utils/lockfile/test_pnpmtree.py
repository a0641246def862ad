# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pnpm installed from recorded lockfiles: as expected, as it wrote down itself, and in folders of known names."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmtree import (
    folder_names,
    installed_packages,
    is_copied,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Target,
    disagreements,
    expected_packages,
)

from tests.unit.plugins.module_utils.lockfile.pnpm_examples import entry, lock, recorded, recorded_lockfile

GLIBC = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")
MUSL = Target(cpu="arm64", libc="musl", node="20.20.2", npm="11.19.1")
RECORDED = [
    "single/pnpm8", "single/pnpm10", "single/pnpm12",
    "workspaces/pnpm8", "workspaces/pnpm9", "workspaces/pnpm10", "workspaces/pnpm12",
]  # fmt: skip


def installed(case: str) -> dict[str, Package]:
    return installed_packages(recorded(f"{case}/installed/lock"), recorded(f"{case}/installed/modules"), "app")


def expected(case: str, target: Target = GLIBC) -> set[str]:
    """Paths of what is expected, with the workspaces that are copied into the tree."""
    lockfile = recorded_lockfile(case)
    copied = {path for path, package in lockfile.packages.items() if is_copied(package) and not package.dev}
    return {path for path in expected_packages(lockfile, target) if not path.startswith("link:")} | copied


@pytest.mark.parametrize("case", RECORDED)
def test_what_pnpm_installed_is_what_is_expected(case: str) -> None:
    found = installed(case)

    assert set(found) == expected(case)
    assert len(found) == (15 if case.startswith("single") else 12)
    lockfile = recorded_lockfile(case)
    links = {path: package for path, package in lockfile.packages.items() if path.startswith("link:")}
    assert disagreements(lockfile, {**found, **links}, GLIBC) == []


@pytest.mark.parametrize("case", RECORDED)
def test_every_installed_package_has_a_folder_of_the_name_that_is_expected(case: str) -> None:
    folders = recorded(f"{case}/installed/folders").decode().split()

    assert len(folders) == len(set(folders)) > 10
    assert sorted(name for path in installed(case) for name in folder_names(path) if name in folders) == sorted(folders)


def test_another_platform_expects_its_own_packages() -> None:
    ours, other = expected("single/pnpm10"), expected("single/pnpm10", MUSL)

    assert other - ours == {"@img/sharp-libvips-linuxmusl-arm64@1.2.4", "@img/sharp-linuxmusl-arm64@0.34.5"}
    assert ours - other == {"@img/sharp-libvips-linux-x64@1.2.4", "@img/sharp-linux-x64@0.34.5"}


@pytest.mark.parametrize(
    ("case", "more", "less"),
    [
        # It also goes by what a package wants of pnpm.
        ("unfit/pnpm8", set(), {"engine-pnpm"}),
        ("unfit/pnpm10", set(), set()),
        # What an optional package needs is there even if it is for another platform.
        ("unfit/pnpm12", {"unfit-need", "ms"}, set()),
    ],
)
def test_what_optional_packages_need(case: str, more: set[str], less: set[str]) -> None:
    names = {package.name for package in installed(case).values()}
    lockfile = recorded_lockfile(case)
    wanted = {package.name for package in expected_packages(lockfile, GLIBC).values()}

    assert wanted == {"engine-npm", "engine-pnpm", "is-number", "must-unfit", "opt-parent"}
    assert names == (wanted | more) - less
    missing = [str(problem) for problem in disagreements(lockfile, installed(case), GLIBC)]
    assert len(missing) == len(less)


ADDRESS = "http://127.0.0.1:48731"
FILE = "a-very-long-file-name-of-an-archive-that-does-not-end-before-the-limit-of-one-hundred-and-twenty-1.0.0.tgz"
COMMIT = "166381bb0f5d4753f1b5bfa3b0e6b03570e672cb"
GIT = "git-lib@git+https+++git.example.org+team+git-lib.git"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/debug@4.4.3", {8: "debug@4.4.3"}),
        ("@img/colour@1.1.0", {9: "@img+colour@1.1.0", 12: "@img+colour@1.1.0"}),
        ("/@img/colour@1.1.0", {8: "@img+colour@1.1.0"}),
        ("/use-sync-external-store@1.7.0(react@18.3.1)", {8: "use-sync-external-store@1.7.0_react@18.3.1"}),
        ("/JSONStream@1.3.5", {8: "JSONStream@1.3.5_r3os6ifnv5rfzwtsmjig3b325i"}),
        (
            "JSONStream@1.3.5",
            {
                9: "JSONStream@1.3.5_r3os6ifnv5rfzwtsmjig3b325i",
                10: "JSONStream@1.3.5_fb8f73c374dcf7070ffed90b688edabd",
                12: "JSONStream@1.3.5_fb8f73c374dcf7070ffed90b688edabd",
            },
        ),
        (
            f"packed@{ADDRESS}/extra-1.0.0.tgz",
            {
                9: "packed@http+++127.0.0.1+48731+extra-1.0.0.tgz",
                10: "packed@http+++127.0.0.1+48731+extra-1.0.0.tgz",
                11: "packed@http+++127.0.0.1+48731+extra-1.0.0.tgz_6961a03f31f58b668923c3fbeb06cf58",
                12: "packed@http+++127.0.0.1+48731+extra-1.0.0.tgz_6961a03f31f58b668923c3fbeb06cf58",
            },
        ),
        (
            f"packed@{ADDRESS}/{FILE}",
            {
                9: f"packed@http+++127.0.0.1+48731+{FILE[:63]}_myr5sxbbtesgtysqxylua5hlci",
                10: f"packed@http+++127.0.0.1+48731+{FILE[:57]}_1fa81fd604bc290064afbe81052a3961",
                11: f"packed@http+++127.0.0.1+48731+{FILE[:57]}_1b1c1b3a98b40804c4021ecea8610559",
                12: f"packed@http+++127.0.0.1+48731+{FILE[:57]}_1b1c1b3a98b40804c4021ecea8610559",
            },
        ),
        (f"@127.0.0.1+48731/{FILE}", {8: f"@127.0.0.1+48731@{FILE[:76]}_x34wseo5ww3gkn4rfisqebdgoq"}),
        ("@127.0.0.1+48731/extra-1.0.0.tgz", {8: "@127.0.0.1+48731@extra-1.0.0.tgz"}),
        (
            f"git-lib@git+https://git.example.org/team/git-lib.git#{COMMIT}",
            {
                9: f"{GIT}#{COMMIT}",
                10: f"{GIT}+{COMMIT}",
                12: f"{GIT}+{COMMIT[:34]}_d7e88a3c1c14ef26256b4097cb21e82a",
            },
        ),
        (f"git.example.org/team/git-lib/{COMMIT}", {8: f"git.example.org+team+git-lib@{COMMIT}"}),
        ("file:vendor/dir", {8: "file+vendor+dir"}),
        ("dir@file:vendor/dir", {10: "dir@file+vendor+dir", 12: "dir@file+vendor+dir"}),
    ],
)
def test_recorded_names_of_folders(path: str, names: dict[int, str]) -> None:
    assert set(names.values()) <= set(folder_names(path))
    assert len(folder_names(path)) <= 4
    assert all(len(name) <= 60 for name in folder_names(f"{path}({path})", max_length=60))


def test_whose_content_is_copied() -> None:
    packages = recorded_lockfile("sources/pnpm10").packages
    assert {path for path, package in packages.items() if is_copied(package)} == {"dir@file:vendor/dir"}
    packages = recorded_lockfile("workspaces/pnpm10").packages
    assert {path for path, package in packages.items() if is_copied(package)} == {
        "@shop/lib@file:packages/lib(react@17.0.2)"
    }


def test_broken_records_are_refused() -> None:
    current = lock({"a@1.0.0": entry()}, {"a": ("1", "1.0.0")})
    assert set(installed_packages(current, b"skipped: []\n", "app")) == {"a@1.0.0"}
    assert set(installed_packages(current, b"skipped:\n  - a@1.0.0\n", "app")) == set()
    for modules, problem in (
        (b"", r"^app/node_modules/\.modules\.yaml: is empty\. Install again\.$"),
        (b"skipped: {a: b}\n", r"^app/node_modules/\.modules\.yaml: skipped is no list of strings\. Install again\.$"),
    ):
        with pytest.raises(ApphostError, match=problem):
            installed_packages(current, modules, "app")
    with pytest.raises(ApphostError, match=r"^app/node_modules/\.pnpm/lock\.yaml: is empty"):
        installed_packages(b"", b"skipped: []\n", "app")
