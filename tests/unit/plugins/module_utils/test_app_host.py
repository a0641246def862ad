# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a host below a folder of the test, as the user who runs the test."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils import app_host
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_host import bring_about, steps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
BUILDER = "apphost-build"
APP = {"name": "shop", "user": ME, "group": MY_GROUP}


class Commands:
    """Remembers what would have been run; accounts that would have been added are ``there`` from then on."""

    def __init__(self, status: int = 0, err: str = "", there: set[str] | None = None) -> None:
        self.calls: list[list[str]] = []
        self.answer = (status, "", err)
        self.there = set() if there is None else there

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.calls.append(argv)
        if argv[0] in ("groupadd", "useradd"):
            self.there.add(f"{argv[0].removesuffix('add')} {argv[-1]}")
        return self.answer


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The accounts of a prepared host. All have the number of whoever runs the test."""
    accounts = {f"user {ME}", f"group {MY_GROUP}", f"user {BUILDER}", f"group {BUILDER}"}
    monkeypatch.setattr(app_host, "_uid", lambda name: os.getuid() if f"user {name}" in accounts else None)
    monkeypatch.setattr(app_host, "_gid", lambda name: os.getgid() if f"group {name}" in accounts else None)
    return accounts


@pytest.fixture
def base(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, there: set[str]) -> pathlib.Path:
    """A root folder in which root's name is that of whoever runs the test."""
    for folder in ("srv", "var/lib", "var/log", "etc/sysctl.d"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(app_host.Folder.__init__, "__defaults__", (ME, MY_GROUP))
    return tmp_path


def prepare(base: pathlib.Path, check_mode: bool = False, run: Commands | None = None, **options: t.Any) -> list[str]:
    wanted = steps(
        options.get("apps", [APP]),
        options.get("sysctl", {}),
        options.get("limits", {}),
        run or Commands(),
        str(base),
    )
    return [difference["after_header"].replace(str(base), "") for difference in bring_about(wanted, check_mode)]


def test_all_folders_are_made_once(base: pathlib.Path) -> None:
    made = prepare(base)
    assert "folder /srv/apphost/shop/releases" in made
    assert "folder /var/lib/apphost/shop/data" in made
    assert len(made) == 10
    assert prepare(base) == []


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("srv/apphost/.store", 0o755),
        ("srv/apphost/shop/releases", 0o755),
        ("var/lib/apphost/shop", 0o755),
        ("var/lib/apphost/shop/data", 0o750),
        ("var/log/apphost/shop", 0o755),
        ("var/log/apphost/shop/own", 0o750),
    ],
)
def test_only_the_apps_own_folders_are_closed(base: pathlib.Path, path: str, mode: int) -> None:
    prepare(base)
    assert (base / path).stat().st_mode & 0o7777 == mode


def test_a_mode_that_somebody_changed_is_set_right(base: pathlib.Path) -> None:
    prepare(base)
    data = base / "var/lib/apphost/shop/data"
    (data / "kept").write_text("kept")
    data.chmod(0o777)
    assert prepare(base) == ["folder /var/lib/apphost/shop/data"]
    assert data.stat().st_mode & 0o7777 == 0o750
    assert (data / "kept").read_text() == "kept"


def test_check_mode_says_the_same_and_makes_nothing(base: pathlib.Path) -> None:
    run = Commands()
    planned = prepare(base, check_mode=True, run=run, limits={"nofile": 1})
    assert not (base / "srv/apphost").exists()
    assert run.calls == []
    assert planned == prepare(base, limits={"nofile": 1})


def test_a_link_to_another_disk_is_followed(base: pathlib.Path) -> None:
    (base / "big").mkdir()
    (base / "srv/apphost").symlink_to(base / "big")
    prepare(base)
    assert (base / "big/shop/releases").is_dir()
    assert (base / "srv/apphost").is_symlink()
    assert prepare(base) == []


def test_a_file_in_the_way_is_an_error(base: pathlib.Path) -> None:
    (base / "srv/apphost").write_text("")
    with pytest.raises(ApphostError, match="srv/apphost: is not a folder"):
        prepare(base)


@pytest.mark.parametrize(
    ("account", "home"), [(BUILDER, "/nonexistent"), ("apphost-shop", "/var/lib/apphost/shop")], ids=["builder", "app"]
)
def test_an_account_that_is_missing_is_a_system_account_without_login(
    base: pathlib.Path, there: set[str], account: str, home: str
) -> None:
    there -= {f"user {account}", f"group {account}"}
    run = Commands(there=there)
    apps = [{"name": "shop", "user": "apphost-shop", "group": "apphost-shop"}] if account != BUILDER else []
    made = prepare(base, run=run, apps=apps)
    assert [name for name in made if "folder" not in name] == [f"group {account}", f"user {account}"]
    assert run.calls == [
        ["groupadd", "--system", account],
        [
            *("useradd", "--system", "--gid", account, "--home-dir", home, "--no-create-home"),
            *("--shell", "/usr/sbin/nologin", account),
        ],
    ]


def test_a_refused_account_is_said_in_the_programs_words(base: pathlib.Path) -> None:
    apps = [{"name": "shop", "user": "x", "group": "y-y"}]
    with pytest.raises(ApphostError, match="y-y: groupadd failed: groupadd: full"):
        prepare(base, run=Commands(9, "groupadd: full\n"), apps=apps)


def test_kernel_settings_are_written_and_applied_once(base: pathlib.Path) -> None:
    prepare(base)
    run = Commands()
    wanted = {"vm.swappiness": 10, "net.core.somaxconn": 8192}
    assert prepare(base, run=run, sysctl=wanted) == ["file /etc/sysctl.d/60-apphost.conf"]
    path = base / "etc/sysctl.d/60-apphost.conf"
    assert path.read_text().splitlines()[1:] == ["net.core.somaxconn = 8192", "vm.swappiness = 10"]
    assert [call[0] for call in run.calls] == ["/usr/lib/systemd/systemd-sysctl"]
    assert prepare(base, run=run, sysctl=wanted) == []
    assert len(run.calls) == 1


def test_a_setting_the_kernel_refuses_is_an_error_every_time(base: pathlib.Path) -> None:
    for _run in range(2):
        with pytest.raises(ApphostError, match="Couldn't write"):
            prepare(base, run=Commands(1, "Couldn't write '1' to 'x'"), sysctl={"x": 1})


def test_limits_are_for_each_apps_user_and_go_when_they_are_taken_out(base: pathlib.Path) -> None:
    prepare(base)
    assert prepare(base, limits={"nofile": 65536, "core": 0}) == ["file /etc/security/limits.d/60-apphost.conf"]
    path = base / "etc/security/limits.d/60-apphost.conf"
    assert path.read_text().splitlines()[1:] == [f"{ME} - core 0", f"{ME} - nofile 65536"]
    assert prepare(base) == ["file /etc/security/limits.d/60-apphost.conf"]
    assert not path.exists()
