# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a bundle to the host, if the host needs it, and let the module stage it.

A small bundle rides along with the module's arguments: one round trip. For a large one, a look whether the folder of
the release is there costs one short command (it becomes that name only when complete); then the bundle is copied, not
for a release that is there, and the module is called, once. Ansible removes the temporary folder afterwards, whatever
happens.

Dependencies are built on the host, unless the app's ``build_on`` says otherwise: then the module first says whether the
host lacks them (one that does not has staged the release by that call, as always), and the first host that lacks them,
or the controller, builds them for all others of its platform.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import tempfile
import typing as t
import zlib

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.depot import Depot, Parcel
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Manifest, parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.secrets import read_secrets

MODULE = "evenkeel.apphost.release_stage"

HOST, FIRST_HOST, CONTROLLER = "host", "first_host", "controller"
THE_CONTROLLER = "the controller"
_BUILDERS = {FIRST_HOST: "one host of each platform and shipped", CONTROLLER: f"{THE_CONTROLLER} and shipped"}

# Bytes of a tar. Larger ones would make a payload that Ansible keeps in memory once for each fork.
SMALL_BUNDLE = 4 * 1024 * 1024


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.release_stage``."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return what the module returns."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        bundle = arguments.pop("bundle", None)
        self._vars = task_vars or {}
        self._make_payloads(arguments.pop("call_next", None) or [])
        self._store = arguments.pop("controller_store", None)
        try:
            manifest = parse_manifest(arguments.get("release"), "release_stage: release")
            arguments["secrets"] = _secrets(manifest["app"], arguments.get("secrets"))
        except ApphostError as error:
            raise AnsibleActionFail(error.message) from None
        if bundle and not self._task.check_mode:
            bundle = self._existing(os.path.expanduser(bundle), manifest)
            packed = pack_small(bundle)
            if packed:
                arguments["bundle_data"] = packed
            elif not self._is_staged(manifest):
                what = f"app {manifest['app']}: the bundle"
                arguments["bundle"] = self._carry_over(bundle, "bundle.tar", what)
            if self._build_on(manifest) != HOST:
                return self._stage_shipped(arguments, manifest, bundle)
        result = self._call(arguments)
        if self._task.check_mode and result.get("changed") and self._build_on(manifest) != HOST:
            result["msg"] = f"Dependencies that hosts lack would be built on {_BUILDERS[self._build_on(manifest)]}."
        return result

    def _make_payloads(self, modules: list[str]) -> None:
        """Have Ansible make and keep what it sends for ``modules``, each by the turn of another host.

        The payload of this module is the largest; while the first host's turn makes it, the others can only wait for
        it (Ansible has a lock for that).
        """
        waiting = list(self._vars.get("ansible_play_hosts_all", ()))[1:]
        for number, module in enumerate(modules):
            # The last one takes what is left.
            if waiting and waiting[min(number, len(waiting) - 1)] == self._host:
                self._configure_module(module, {}, self._vars)

    def _call(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        result: dict[str, t.Any] = self._execute_module(MODULE, module_args=arguments, task_vars=self._vars)
        return result

    def _build_on(self, manifest: Manifest) -> str:
        """Where the release's dependencies are built; a host that is alone builds its own."""
        build_on: str = manifest["dependencies"].get("build_on", HOST)
        alone = len(self._vars.get("ansible_play_hosts_all", ())) < 2
        return HOST if build_on == FIRST_HOST and alone else build_on

    def _stage_shipped(self, arguments: dict[str, t.Any], manifest: Manifest, bundle: str) -> dict[str, t.Any]:
        """Stage with dependencies that are built once, if this host lacks them."""
        answer = self._call({**arguments, "build": False})
        lack = answer.get("needs_tree")
        if not lack:
            return answer
        identity, app = lack["identity"], manifest["app"]
        depot = Depot(os.path.join(constants.DEFAULT_LOCAL_TMP, "apphost-trees"))
        with depot.turn(identity):
            parcel = depot.find(identity)
            if parcel is None:
                self._stop_after_failure(depot, identity, app)
                with self._giving_up(depot, identity):
                    if self._build_on(manifest) == FIRST_HOST:
                        return self._build_for_all(arguments, depot, identity, app)
                    parcel = self._build_here(arguments, manifest, bundle, depot, lack)
        path = self._carry_over(parcel.path, "tree.tar", f"app {app}: the built dependencies")
        result = self._call({**arguments, "shipped": {"path": path, "sha256": parcel.sha256}})
        return {**result, "built_on": parcel.builder}

    def _stop_after_failure(self, depot: Depot, identity: str, app: str) -> None:
        builder = depot.given_up_by(identity, self._task._uuid)
        # A host that tries again (`until`) may.
        if builder and builder != self._host:
            raise AnsibleActionFail(
                f"app {app}: not staged, for its dependencies could not be built. The error of {builder} says why."
            )

    @contextlib.contextmanager
    def _giving_up(self, depot: Depot, identity: str) -> t.Iterator[None]:
        """Tell the other hosts of a failure. After a lost connection one of them builds."""
        try:
            yield
        except AnsibleConnectionFailure:
            raise
        except AnsibleError:
            depot.give_up(identity, self._task._uuid, self._host)
            raise

    @property
    def _host(self) -> str:
        return str(self._vars.get("inventory_hostname"))

    def _build_for_all(self, arguments: dict[str, t.Any], depot: Depot, identity: str, app: str) -> dict[str, t.Any]:
        """Stage on this host, which builds, and take what it built to the depot."""
        remote = self._connection._shell.join_path(self._remote_folder(), "tree.tar")
        result = self._call({**arguments, "export": remote})
        sha256 = result.pop("exported", None)
        if result.get("failed"):
            depot.give_up(identity, self._task._uuid, self._host)
        elif sha256:
            try:
                self._connection.fetch_file(remote, depot.path(identity))
            except AnsibleConnectionFailure:
                raise
            except AnsibleError as error:
                raise AnsibleActionFail(
                    f"app {app}: the built dependencies cannot be fetched to {depot.folder} on the controller. "
                    f"Is there space? {error}"
                ) from error
            depot.put(identity, sha256, self._host)
        return result

    def _build_here(
        self, arguments: dict[str, t.Any], manifest: Manifest, bundle: str, depot: Depot, lack: dict[str, str]
    ) -> Parcel:
        """Build on the controller."""
        # Only loaded where something is built.
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install import controller
        from ansible_collections.evenkeel.apphost.plugins.module_utils.release.stage import asked_for
        from ansible_collections.evenkeel.apphost.plugins.module_utils.release.unpack import unpack
        from ansible_collections.evenkeel.apphost.plugins.modules.release_stage import ARGUMENT_SPEC, host_options

        identity = lack["identity"]
        options = host_options(ArgumentSpecValidator(ARGUMENT_SPEC).validate(arguments).validated_parameters)
        if not os.path.exists(options.get("ca_file") or ""):
            # It is a file of the hosts; here the system's own certificates have to do then.
            options["ca_file"] = None
        store = self._store or controller.default_store()
        root = controller.runtime_here(manifest["runtime"]["root"])
        try:
            with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as folder:
                unpack(bundle, folder)
                request = asked_for(manifest, folder, os.path.expanduser(store), root, options)
                sha256 = controller.build_here(
                    request, identity, lack["platform"], depot.path(identity), controller.run_here
                )
        except (ApphostError, OSError) as error:
            said = error if isinstance(error, ApphostError) else from_os_error(error)
            raise AnsibleActionFail(f"app {manifest['app']}, built on the controller: {said.message}") from None
        return depot.put(identity, sha256, THE_CONTROLLER)

    def _is_staged(self, manifest: Manifest) -> bool:
        folder = AppLayout(manifest["app"]).release(manifest["id"])
        return bool(self._low_level_execute_command(f"test -d {shlex.quote(folder)}")["rc"] == 0)

    def _existing(self, bundle: str, manifest: Manifest) -> str:
        if not os.path.isfile(bundle):
            raise AnsibleActionFail(
                f"app {manifest['app']}: the bundle {bundle} is not on the controller. Bundle it again."
            )
        return bundle

    def _remote_folder(self) -> str:
        """Ansible's temporary folder for this task on the host; it knows, and removes, only one."""
        return str(self._connection._shell.tmpdir or self._make_tmp_path())

    def _carry_over(self, path: str, name: str, what: str) -> str:
        """Copy a file and return its path on the host; ``what`` it is, for people."""
        folder = self._remote_folder()
        remote = self._connection._shell.join_path(folder, name)
        try:
            self._transfer_file(path, remote)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            size = os.path.getsize(path) / 1024 / 1024
            raise AnsibleActionFail(
                f"{what} ({size:.1f} MiB) cannot be copied to {folder} on the host. Is there space? {error}"
            ) from error
        # Costs nothing when root takes over, which reads everything.
        self._fixup_perms2((folder, remote), execute=False)
        return str(remote)


def pack_small(bundle: str) -> str | None:
    """The bundle as text that rides along with the module's arguments; None when it is too large for that.

    A copy takes four round trips (look, make a folder, copy, mode), the ride none.
    """
    if os.path.getsize(bundle) > SMALL_BUNDLE:
        return None
    with open(bundle, "rb") as file:
        return base64.b64encode(zlib.compress(file.read())).decode()


def _secrets(app: str, secrets: t.Any) -> str | None:
    """The secrets as JSON text, with numbers and booleans as the strings they are in the environment."""
    if isinstance(secrets, str):
        secrets = json.loads(secrets) if secrets else None
    read = read_secrets({app: secrets or {}}, "release_stage: secrets")[app]
    return json.dumps(read) if read else None
