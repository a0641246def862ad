# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program with its configuration: what is done, in which order, and what is left when something fails."""

from __future__ import annotations

import os
import pathlib
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.service_config import File, ServiceConfig, Wanted
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import UnitState
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import Systemd

SERVICE = "nginx.service"
CONF = "/etc/nginx/conf.d/apphost.conf"
UNIT = "/etc/systemd/system/some.service"
PENDING = "/run/apphost-nginx.service.pending"
WANTED = Wanted(
    service=SERVICE,
    packages=["nginx"],
    folders=["/var/log/apphost/hello"],
    files=[File(CONF, "server {}\n")],
    absent=["/etc/nginx/sites-enabled/default"],
    check=["nginx", "-t"],
    on_change="reload",
)


class Host:
    """A host in a folder: answers commands, remembers those that change something, looks at what the check sees."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.installed = False
        self.enabled = False
        self.active = "inactive"
        self.defined = False
        self.commands: list[str] = []
        self.seen: dict[str, str] = {}
        self.check_answer: tuple[int, str, str] = (0, "", "")
        self.fail: str | None = None

    def path(self, name: str) -> pathlib.Path:
        return self.base / name.lstrip("/")

    def write(self, name: str, content: str, mode: int = 0o644) -> pathlib.Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        words = " ".join(argv)
        if argv[0] == "dpkg-query":
            return 0, "nginx installed 1.22\n" if self.installed else "", ""
        if words.startswith("systemctl show"):
            loaded = "loaded" if self.defined else "not-found"
            enabled = "enabled" if self.enabled else "disabled"
            return 0, f"Id={SERVICE}\nLoadState={loaded}\nActiveState={self.active}\nUnitFileState={enabled}\n", ""
        if argv[0] == "unshare":
            return self._check(argv)
        self.commands.append(words)
        if words == self.fail:
            return 1, "", "it broke"
        verb = argv[1] if argv[0] == "systemctl" else argv[0]
        if verb == "apt-get":
            self.installed = self.defined = True
        elif verb in ("start", "stop"):
            self.active = "active" if verb == "start" else "inactive"
        elif verb in ("enable", "disable"):
            self.enabled = verb == "enable"
        return 0, "", ""

    def _check(self, argv: list[str]) -> tuple[int, str, str]:
        pairs = argv[argv.index("sh", 4) + 1 : argv.index("--")]
        assert argv[argv.index("--") + 1 :] == list(WANTED.check)
        assert all(os.path.exists(place) for place in pairs[1::2]), "nothing can be laid over what is not there"
        self.commands.append("check")
        self.seen = {
            place[len(str(self.base)) :]: pathlib.Path(candidate).read_text()
            for candidate, place in zip(pairs[::2], pairs[1::2], strict=True)
        }
        return self.check_answer

    def config(self) -> ServiceConfig:
        return ServiceConfig(self.run, Apt(self.run), Systemd(self.run, base=str(self.base)), str(self.base))

    def snapshot(self) -> dict[str, t.Any]:
        """Every file, link and folder with its content and mode."""
        return {
            str(path): (path.is_symlink(), path.read_text() if path.is_file() else None, path.lstat().st_mode)
            for path in sorted(self.base.rglob("*"))
        }


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> Host:
    """A host where nothing is there yet."""
    host = Host(tmp_path)
    host.path("/run").mkdir()
    return host


@pytest.fixture
def serving(bare: Host) -> Host:
    """A host that is as it should be."""
    bare.config().bring_about(WANTED)
    bare.commands = []
    return bare


def test_a_bare_host(bare: Host) -> None:
    outcome = bare.config().bring_about(WANTED)
    assert bare.commands == [
        f"systemctl mask --runtime {SERVICE}",
        "apt-get --quiet install --yes --no-install-recommends nginx",
        f"systemctl unmask --runtime {SERVICE}",
        "check",
        f"systemctl enable -- {SERVICE}",
        f"systemctl reset-failed -- {SERVICE}",
        f"systemctl start -- {SERVICE}",
    ]
    assert outcome.done == [
        "package nginx",
        "folder /var/log/apphost/hello",
        f"write {CONF}",
        f"enable {SERVICE}",
        f"start {SERVICE}",
    ]
    assert bare.path(CONF).read_text() == "server {}\n"
    assert not bare.path(PENDING).exists()


def test_a_second_run_does_nothing(serving: Host) -> None:
    before = serving.snapshot()
    assert serving.config().bring_about(WANTED).done == []
    assert serving.commands == []
    assert serving.snapshot() == before


def test_check_mode_says_what_would_be_done_and_does_nothing(bare: Host) -> None:
    before = bare.snapshot()
    said = bare.config().bring_about(WANTED, check_mode=True)
    assert bare.snapshot() == before
    assert bare.commands == []
    assert said == bare.config().bring_about(WANTED)


def test_a_changed_file_is_checked_in_its_place_and_taken_over_by_a_reload(serving: Host) -> None:
    changed = replace(WANTED, files=[File(CONF, "server { new; }\n")])
    outcome = serving.config().bring_about(changed)
    assert serving.seen == {CONF: "server { new; }\n"}
    assert serving.commands == ["check", f"systemctl reload {SERVICE}"]
    assert outcome.done == [f"write {CONF}", f"reload {SERVICE}"]
    (change,) = outcome.changes
    assert change.as_diff() == {
        "before": "server {}\n",
        "after": "server { new; }\n",
        "before_header": CONF,
        "after_header": CONF,
    }


def test_a_service_that_needs_no_word_gets_none(serving: Host) -> None:
    changed = replace(WANTED, files=[File(CONF, "new")], on_change=None)
    assert serving.config().bring_about(changed).done == [f"write {CONF}"]


@pytest.mark.parametrize("check_mode", [False, True])
def test_refused_files_are_never_in_force(serving: Host, check_mode: bool) -> None:
    before = serving.snapshot()
    serving.check_answer = (1, "", "nginx: unknown directive\n\n")
    with pytest.raises(
        ApphostError, match=r"nginx refuses the new configuration: nginx: unknown directive\. The old one"
    ):
        serving.config().bring_about(replace(WANTED, files=[File(CONF, "nonsense")]), check_mode)
    assert serving.snapshot() == before
    assert serving.commands == ["check"]


def test_refused_new_files_leave_nothing_behind(bare: Host) -> None:
    bare.check_answer = (1, "", "no")
    with pytest.raises(ApphostError):
        bare.config().bring_about(WANTED)
    assert not bare.path(CONF).exists()
    assert bare.active == "inactive"


@pytest.mark.parametrize(
    "answer", [(125, "", "mount: permission denied"), (1, "", "unshare: unshare failed: Operation not permitted")]
)
def test_what_cannot_be_checked_is_not_written(serving: Host, answer: tuple[int, str, str]) -> None:
    serving.check_answer = answer
    with pytest.raises(ApphostError, match="cannot be checked"):
        serving.config().bring_about(replace(WANTED, files=[File(CONF, "new")]))
    assert serving.path(CONF).read_text() == "server {}\n"


def test_check_mode_asks_the_program_only_when_everything_is_there(serving: Host) -> None:
    serving.path(CONF).unlink()
    serving.config().bring_about(WANTED, check_mode=True)
    assert serving.commands == []


def test_an_interrupted_run_is_finished_by_the_next(serving: Host) -> None:
    changed = replace(WANTED, files=[File(CONF, "new")])
    serving.fail = f"systemctl reload {SERVICE}"
    with pytest.raises(ApphostError, match="systemctl reload failed: it broke"):
        serving.config().bring_about(changed)
    serving.fail, serving.commands = None, []
    assert serving.config().bring_about(changed, check_mode=True).done == [f"reload {SERVICE}"]
    assert serving.config().bring_about(changed).done == [f"reload {SERVICE}"]
    # It may have been interrupted before systemd was told of new units.
    assert serving.commands == ["systemctl daemon-reload", f"systemctl reload {SERVICE}"]
    assert serving.config().bring_about(changed).done == []


def test_a_run_that_was_killed_while_it_installed_left_the_service_masked(serving: Host) -> None:
    serving.active, serving.defined, serving.enabled = "inactive", False, False
    assert serving.config().bring_about(WANTED).done == [f"enable {SERVICE}", f"start {SERVICE}"]
    assert serving.commands[0] == f"systemctl unmask --runtime {SERVICE}"


def test_files_that_must_not_be_there_are_removed(serving: Host) -> None:
    available = serving.write("/etc/nginx/sites-available/default", "theirs")
    link = serving.path("/etc/nginx/sites-enabled/default")
    link.parent.mkdir()
    link.symlink_to(available)
    assert serving.config().bring_about(WANTED).done == ["remove /etc/nginx/sites-enabled/default", f"reload {SERVICE}"]
    assert serving.seen == {"/etc/nginx/sites-enabled/default": ""}
    assert not link.is_symlink()
    assert available.read_text() == "theirs"


def test_a_link_that_leads_nowhere_is_removed(serving: Host) -> None:
    link = serving.path("/etc/nginx/sites-enabled/default")
    link.parent.mkdir()
    link.symlink_to("/nowhere")
    serving.config().bring_about(replace(WANTED, absent=["/etc/nginx/sites-enabled/*"]))
    # The pattern does not see it: nothing reads it either.
    serving.config().bring_about(WANTED)
    assert serving.seen == {}


def test_a_pattern_spares_what_is_wanted(bare: Host) -> None:
    for app in ("one", "two"):
        bare.write(f"/etc/systemd/system/{app}.d/10.conf", "text")
    files = [File("/etc/systemd/system/two.d/10.conf", "text")]
    outcome = bare.config().bring_about(Wanted(files=files, absent=["/etc/systemd/system/*.d/10.conf"]))
    assert outcome.done == ["remove /etc/systemd/system/one.d/10.conf"]
    assert bare.commands == ["systemctl daemon-reload"]
    assert bare.path("/etc/systemd/system/two.d/10.conf").exists()


def test_new_units_are_known_before_they_are_started(bare: Host) -> None:
    wanted = Wanted(service=SERVICE, files=[File(UNIT, "[Unit]\n")])
    bare.config().bring_about(wanted)
    verbs = [command.split()[1] for command in bare.commands]
    assert verbs == ["daemon-reload", "unmask", "enable", "reset-failed", "start"]


def test_what_is_to_go_is_stopped_before_its_files_are_removed(serving: Host) -> None:
    gone = replace(WANTED, running=False, packages=[], files=[], absent=[CONF])
    outcome = serving.config().bring_about(gone)
    assert outcome.done == [f"remove {CONF}", f"stop {SERVICE}", f"disable {SERVICE}"]
    assert serving.commands == [f"systemctl stop -- {SERVICE}", f"systemctl disable -- {SERVICE}"]
    assert not serving.path(CONF).exists()
    assert serving.config().bring_about(gone).done == []


def test_a_wrong_mode_is_a_difference(serving: Host) -> None:
    serving.path(CONF).chmod(0o600)
    assert serving.config().bring_about(WANTED).done == [f"write {CONF}", f"reload {SERVICE}"]
    assert serving.path(CONF).stat().st_mode & 0o777 == 0o644


def test_folders_are_open_whatever_the_umask_and_left_alone_when_there(bare: Host) -> None:
    mask = os.umask(0o077)
    try:
        wanted = Wanted(folders=["/var/log/apphost/hello"], files=[File("/etc/apphost/deep/file", "")])
        bare.config().bring_about(wanted)
    finally:
        os.umask(mask)
    for folder in ("/var/log/apphost", "/var/log/apphost/hello", "/etc/apphost/deep"):
        assert bare.path(folder).stat().st_mode & 0o777 == 0o755
    bare.path("/var/log/apphost/hello").chmod(0o700)
    assert bare.config().bring_about(wanted).done == []
    assert bare.path("/var/log/apphost/hello").stat().st_mode & 0o777 == 0o700


def test_the_state_of_the_fake_is_systemds(bare: Host) -> None:
    """The fake answers in the words that the real parser reads."""
    state = Systemd(bare.run).states([SERVICE])[SERVICE]
    assert isinstance(state, UnitState)
    assert not state.defined
