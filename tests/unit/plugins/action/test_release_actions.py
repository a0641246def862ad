# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions release_bundle and release_stage: what goes to a host, and when nothing does."""

from __future__ import annotations

import base64
import errno
import json
import os
import typing as t
import zlib
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.playbook.task import Task
from ansible_collections.evenkeel.apphost.plugins.action import release_bundle, release_stage
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import controller

TREE = "a" * 64
SECRETS = {"PASSWORD": "hunter2", "PIN": 1, "DEBUG": True}


class FakeConnection:
    """A host: what is staged there, and everything that was asked of it, in order."""

    def __init__(
        self,
        staged: bool = False,
        transfer_fails: Exception | None = None,
        name: str = "app1",
        lacks_tree: bool = False,
        build_fails: bool | Exception = False,
        fetch_fails: Exception | None = None,
    ) -> None:
        self.staged = staged
        self.transfer_fails = transfer_fails
        self.name = name
        self.lacks_tree = lacks_tree
        self.build_fails = build_fails
        self.fetch_fails = fetch_fails
        self.asked: list[t.Any] = []
        self.module_args: dict[str, t.Any] = {}


class StageAction(release_stage.ActionModule):
    """The action with a host that only remembers."""

    def __init__(self, host: FakeConnection, arguments: dict[str, t.Any], check_mode: bool = False) -> None:
        self.host = host
        connection = MagicMock()
        connection._shell.join_path = lambda *parts: "/".join(parts)
        connection._shell.tmpdir = None
        connection.fetch_file = self._fetch_file
        super().__init__(task(arguments, check_mode), connection, MagicMock(), MagicMock(), MagicMock(), None)

    def _low_level_execute_command(self, cmd: str, **_options: t.Any) -> dict[str, t.Any]:
        self.host.asked.append(cmd)
        return {"rc": 0 if self.host.staged else 1}

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        self.host.asked.append("mktemp")
        self._connection._shell.tmpdir = "/tmp/x"
        return "/tmp/x"

    def _fetch_file(self, remote_path: str, local_path: str) -> None:
        if self.host.fetch_fails:
            raise self.host.fetch_fails
        Path(local_path).write_text(f"built on {self.host.name}")
        self.host.asked.append(("fetch", remote_path))

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        if self.host.transfer_fails:
            raise self.host.transfer_fails
        self.host.asked.append((local_path, remote_path))
        return remote_path

    def _fixup_perms2(self, *_paths: t.Any, **_options: t.Any) -> None:
        pass

    def _configure_module(self, module_name: str, module_args: t.Any, task_vars: t.Any) -> t.Any:
        self.host.asked.append(("payload", module_name))

    def _execute_module(self, name: str, module_args: dict[str, t.Any], **_options: t.Any) -> dict[str, t.Any]:
        self.host.asked.append(name)
        self.host.module_args = module_args
        if self.host.lacks_tree and module_args.get("build") is False:
            return {"changed": False, "needs_tree": {"identity": TREE, "platform": "linux x64"}}
        if isinstance(self.host.build_fails, Exception):
            raise self.host.build_fails
        if self.host.build_fails:
            return {"failed": True, "msg": "no registry"}
        return {"changed": True, **({"exported": "b" * 64} if "export" in module_args else {})}


def task(arguments: dict[str, t.Any], check_mode: bool = False) -> Task:
    made = Task()
    made.args = arguments
    made.check_mode = check_mode
    # The same for every host of a task.
    made._uuid = "the task"
    return made


def apps(root: Path, **dependencies: str) -> list[dict[str, t.Any]]:
    root.mkdir(exist_ok=True)
    (root / "server.js").write_text("")
    raw = {
        "name": "hello",
        "version": "1.0",
        "source": {"type": "directory", "path": str(root)},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {"web": {"command": "node server.js"}},
        "dependencies": dependencies,
    }
    return resolve_apps([raw])


def bundle(tmp_path: Path, check_mode: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    given = {"apps": apps(tmp_path / "hello"), "dest": str(tmp_path / "bundles"), **arguments}
    action = release_bundle.ActionModule(
        task(given, check_mode), MagicMock(), MagicMock(), MagicMock(), MagicMock(), None
    )
    return action.run(task_vars={})


def stage(
    host: FakeConnection, check_mode: bool = False, task_vars: dict[str, t.Any] | None = None, **arguments: t.Any
) -> dict[str, t.Any]:
    known = {"inventory_hostname": host.name, "ansible_play_hosts_all": ["app1", "app2", "app3"]}
    return StageAction(host, arguments, check_mode).run(task_vars=task_vars or known)


@pytest.fixture
def bundled(tmp_path: Path) -> dict[str, t.Any]:
    result = bundle(tmp_path, secrets={"hello": SECRETS})
    return {"release": result["releases"]["hello"], "bundle": result["bundles"]["hello"]}


def test_bundling_is_never_a_change_and_shows_no_secret(tmp_path: Path) -> None:
    result = bundle(tmp_path, secrets={"hello": SECRETS})
    assert result["changed"] is False
    assert Path(result["bundles"]["hello"]).is_file()
    assert "hunter2" not in json.dumps(result)
    assert bundle(tmp_path, secrets={"hello": {**SECRETS, "PIN": "1", "DEBUG": "true"}}) == result
    assert bundle(tmp_path)["releases"] != result["releases"]


def test_bundling_in_check_mode_writes_nothing(tmp_path: Path) -> None:
    checked = bundle(tmp_path, check_mode=True)
    assert not (tmp_path / "bundles").exists()
    assert bundle(tmp_path) == checked


def test_what_cannot_be_bundled_fails_in_words(tmp_path: Path) -> None:
    missing = apps(tmp_path / "hello")
    missing[0]["source"]["path"] = str(tmp_path / "none")
    with pytest.raises(AnsibleActionFail, match=f"^app hello: source path {tmp_path}/none does not exist$"):
        bundle(tmp_path, apps=missing)
    with pytest.raises(AnsibleActionFail, match=r"secrets\.hello\.PASSWORD") as caught:
        bundle(tmp_path, secrets={"hello": {"PASSWORD": ["hunter2"]}})
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bundle counts as large."""
    monkeypatch.setattr(release_stage, "SMALL_BUNDLE", 0)


def test_a_small_bundle_rides_along_with_the_call(bundled: dict[str, t.Any]) -> None:
    host = FakeConnection()
    stage(host, **bundled, secrets=SECRETS)
    assert host.asked == ["evenkeel.apphost.release_stage"]
    assert "bundle" not in host.module_args
    carried = zlib.decompress(base64.b64decode(host.module_args["bundle_data"]))
    assert carried == Path(bundled["bundle"]).read_bytes()


@pytest.mark.usefixtures("large")
def test_a_new_release_is_one_look_one_copy_one_call(bundled: dict[str, t.Any]) -> None:
    host = FakeConnection()
    assert stage(host, **bundled, secrets=SECRETS, ca_file="/ca.crt")["changed"] is True
    assert host.asked == [
        f"test -d /srv/apphost/hello/releases/{bundled['release']['id']}",
        "mktemp",
        (bundled["bundle"], "/tmp/x/bundle.tar"),
        "evenkeel.apphost.release_stage",
    ]
    assert json.loads(host.module_args.pop("secrets")) == {"PASSWORD": "hunter2", "PIN": "1", "DEBUG": "true"}
    assert host.module_args == {"release": bundled["release"], "bundle": "/tmp/x/bundle.tar", "ca_file": "/ca.crt"}


@pytest.mark.usefixtures("large")
def test_a_release_that_is_there_is_not_copied_again(bundled: dict[str, t.Any]) -> None:
    host = FakeConnection(staged=True)
    stage(host, **bundled, secrets=SECRETS)
    assert len(host.asked) == 2
    assert host.asked[1] == "evenkeel.apphost.release_stage"
    assert "bundle" not in host.module_args


@pytest.mark.parametrize(
    ("hosts", "made"),
    [
        (["a"], {"a": []}),
        (["a", "b"], {"a": [], "b": ["x.y.next", "x.y.last"]}),
        (["a", "b", "c"], {"a": [], "b": ["x.y.next"], "c": ["x.y.last"]}),
        (["a", "b", "c", "d"], {"a": [], "b": ["x.y.next"], "c": ["x.y.last"], "d": []}),
    ],
    ids=["one host", "two", "three", "four"],
)
def test_what_is_called_next_is_made_by_hosts_that_wait(
    bundled: dict[str, t.Any], hosts: list[str], made: dict[str, list[str]]
) -> None:
    for name, modules in made.items():
        host = FakeConnection()
        known = {"ansible_play_hosts_all": hosts, "inventory_hostname": name}
        stage(host, task_vars=known, call_next=["x.y.next", "x.y.last"], **bundled)
        assert host.asked == [*(("payload", module) for module in modules), "evenkeel.apphost.release_stage"]
        assert "call_next" not in host.module_args


def test_check_mode_is_one_call(bundled: dict[str, t.Any]) -> None:
    host = FakeConnection()
    stage(host, check_mode=True, **bundled)
    assert host.asked == ["evenkeel.apphost.release_stage"]
    assert not {"bundle", "bundle_data"} & host.module_args.keys()


@pytest.mark.parametrize("given", [{}, {"secrets": {}}, {"secrets": None}, {"secrets": "{}"}])
def test_no_secrets_are_no_text_that_ansible_would_blank_everywhere(
    bundled: dict[str, t.Any], given: dict[str, t.Any]
) -> None:
    host = FakeConnection(staged=True)
    stage(host, **bundled, **given)
    assert host.module_args["secrets"] is None


def test_a_bundle_that_is_not_on_the_controller_fails_in_words(bundled: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail, match=r"app hello: the bundle /none\.tar is not on the controller"):
        stage(FakeConnection(), release=bundled["release"], bundle="/none.tar")


@pytest.mark.usefixtures("large")
def test_a_copy_that_fails_says_where_it_went(bundled: dict[str, t.Any]) -> None:
    host = FakeConnection(transfer_fails=AnsibleError("failed to transfer file"))
    with pytest.raises(AnsibleActionFail, match=r"cannot be copied to /tmp/x on the host. Is there space\? failed"):
        stage(host, **bundled)
    gone = FakeConnection(transfer_fails=AnsibleConnectionFailure("no route"))
    with pytest.raises(AnsibleConnectionFailure):
        stage(gone, **bundled)


@pytest.mark.parametrize("release", [None, {}, {"schema": 1}, "shop"])
def test_what_is_no_manifest_reaches_no_host(bundled: dict[str, t.Any], release: t.Any) -> None:
    host = FakeConnection()
    with pytest.raises(AnsibleActionFail, match=r"^release_stage: release: "):
        stage(host, **{**bundled, "release": release})
    assert host.asked == []


@pytest.fixture
def first_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    """The arguments for an app that is built on the first host."""
    return shared(tmp_path, monkeypatch, "first_host")


def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_on: str) -> dict[str, t.Any]:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    result = bundle(tmp_path, apps=apps(tmp_path / "hello", build_on=build_on))
    return {"release": result["releases"]["hello"], "bundle": result["bundles"]["hello"]}


def test_a_host_that_has_the_dependencies_costs_one_call(first_host: dict[str, t.Any]) -> None:
    host = FakeConnection()
    assert stage(host, **first_host) == {"changed": True}
    assert host.asked == ["evenkeel.apphost.release_stage"]


def test_one_host_builds_and_the_others_get_what_it_built(first_host: dict[str, t.Any], tmp_path: Path) -> None:
    one, two, three = (FakeConnection(name=name, lacks_tree=True) for name in ("app1", "app2", "app3"))

    assert stage(one, **first_host) == {"changed": True}
    assert one.asked == [
        "evenkeel.apphost.release_stage",
        "mktemp",
        "evenkeel.apphost.release_stage",
        ("fetch", "/tmp/x/tree.tar"),
    ]
    assert one.module_args["export"] == "/tmp/x/tree.tar"
    assert "build" not in one.module_args

    for host in (two, three):
        assert stage(host, **first_host) == {"changed": True, "built_on": "app1"}
        tar = str(tmp_path / "apphost-trees" / f"{TREE}.tar")
        assert host.asked[1:3] == ["mktemp", (tar, "/tmp/x/tree.tar")]
        assert host.module_args["shipped"] == {"path": "/tmp/x/tree.tar", "sha256": "b" * 64}
        assert "bundle_data" in host.module_args


def test_what_cannot_be_built_is_said_once_and_tried_once(first_host: dict[str, t.Any]) -> None:
    one, two = FakeConnection(lacks_tree=True, build_fails=True), FakeConnection(name="app2", lacks_tree=True)
    assert stage(one, **first_host) == {"failed": True, "msg": "no registry"}
    with pytest.raises(AnsibleActionFail, match=r"could not be built\. The error of app1 says why\."):
        stage(two, **first_host)
    assert two.asked == ["evenkeel.apphost.release_stage"]
    # Asked to try again, the host does.
    one.build_fails = False
    assert stage(one, **first_host)["changed"] is True
    assert stage(two, **first_host)["built_on"] == "app1"


def test_a_host_that_is_lost_while_it_builds_gives_the_turn_to_another(first_host: dict[str, t.Any]) -> None:
    lost = FakeConnection(lacks_tree=True, build_fails=AnsibleConnectionFailure("no route"))
    with pytest.raises(AnsibleConnectionFailure):
        stage(lost, **first_host)
    two = FakeConnection(name="app2", lacks_tree=True)
    assert stage(two, **first_host) == {"changed": True}
    assert two.module_args["export"] == "/tmp/x/tree.tar"


def test_what_cannot_be_fetched_fails_in_words(first_host: dict[str, t.Any]) -> None:
    host = FakeConnection(lacks_tree=True, fetch_fails=AnsibleError("failed to transfer file"))
    with pytest.raises(AnsibleActionFail, match=r"cannot be fetched to .*/apphost-trees on the controller\. Is there"):
        stage(host, **first_host)
    gone = FakeConnection(lacks_tree=True, fetch_fails=AnsibleConnectionFailure("no route"))
    with pytest.raises(AnsibleConnectionFailure):
        stage(gone, **first_host)


def test_a_host_that_is_alone_builds_at_once(first_host: dict[str, t.Any]) -> None:
    host = FakeConnection(lacks_tree=True)
    alone = {"inventory_hostname": "app1", "ansible_play_hosts_all": ["app1"]}
    assert StageAction(host, first_host).run(task_vars=alone) == {"changed": True}
    assert host.asked == ["evenkeel.apphost.release_stage"]
    assert not {"build", "export"} & host.module_args.keys()


def test_check_mode_builds_nothing_anywhere(first_host: dict[str, t.Any], tmp_path: Path) -> None:
    host = FakeConnection(lacks_tree=True)
    said = stage(host, check_mode=True, **first_host)["msg"]
    assert said == "Dependencies that hosts lack would be built on one host of each platform and shipped."
    assert host.asked == ["evenkeel.apphost.release_stage"]
    assert not (tmp_path / "apphost-trees").exists()


def test_the_controller_builds_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared(tmp_path, monkeypatch, "controller")
    requests = []

    def build_here(request: t.Any, identity: str, platform: str, path: str, _run: t.Any) -> str:
        requests.append((request, identity, platform, sorted(os.listdir(request.folder))))
        Path(path).write_text("built here")
        return "c" * 64

    monkeypatch.setattr(controller, "build_here", build_here)
    more: dict[str, t.Any] = {
        "controller_store": str(tmp_path / "trees"),
        "ca_file": "/none.crt",
        "registry": "https://r.invalid",
        "registry_tokens": {"https://r.invalid": "token"},
        "store_max_age": "7",
    }
    for name in ("app1", "app2"):
        host = FakeConnection(name=name, lacks_tree=True)
        assert stage(host, **given, **more) == {"changed": True, "built_on": "the controller"}
        assert host.module_args["shipped"] == {"path": "/tmp/x/tree.tar", "sha256": "c" * 64}
        assert "controller_store" not in host.module_args
        assert host.module_args["ca_file"] == "/none.crt"
    assert "the controller and shipped" in stage(FakeConnection(), check_mode=True, **given)["msg"]
    [(request, identity, platform, files)] = requests
    assert (identity, platform, files) == (TREE, "linux x64", ["server.js"])
    assert (request.store, request.network.ca_file) == (str(tmp_path / "trees"), None)
    assert request.network.registries[0].token == "token"
    assert request.store_bounds.max_age == 7 * 86400
    assert not os.path.exists(request.folder)


def test_a_controller_whose_disk_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared(tmp_path, monkeypatch, "controller")

    def build_here(*_arguments: t.Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")

    monkeypatch.setattr(controller, "build_here", build_here)
    with pytest.raises(AnsibleActionFail, match=r"^app hello, built on the controller: /tmp/x: no space left"):
        stage(FakeConnection(lacks_tree=True), **given)


def test_a_controller_that_does_not_fit_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared(tmp_path, monkeypatch, "controller")

    def build_here(*_arguments: t.Any) -> str:
        raise ApphostError("a tree that is built on the controller does not fit", do="Do something.")

    monkeypatch.setattr(controller, "build_here", build_here)
    one, two = (FakeConnection(name=name, lacks_tree=True) for name in ("app1", "app2"))
    with pytest.raises(
        AnsibleActionFail, match=r"^app hello, built on the controller: a tree .* not fit\. Do something"
    ):
        stage(one, **given)
    with pytest.raises(AnsibleActionFail, match=r"The error of app1 says why\."):
        stage(two, **given)
