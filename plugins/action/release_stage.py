# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a bundle to the host, if the host needs it, and let the module stage it.

A small bundle rides along with the module's arguments: one round trip. For a large one, a look whether the folder of
the release is there costs one short command (it becomes that name only when complete); then the bundle is copied, not
for a release that is there, and the module is called, once. Ansible removes the temporary folder afterwards, whatever
happens.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import typing as t
import zlib

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Manifest, parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.secrets import read_secrets

MODULE = "evenkeel.apphost.release_stage"

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
        self._make_payloads(arguments.pop("call_next", None) or [], task_vars or {})
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
                arguments["bundle"] = self._carry_over(bundle, manifest)
        result: dict[str, t.Any] = self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
        return result

    def _make_payloads(self, modules: list[str], task_vars: dict[str, t.Any]) -> None:
        """Have Ansible make and keep what it sends for ``modules``, each by the turn of another host.

        The payload of this module is the largest; while the first host's turn makes it, the others can only wait for
        it (Ansible has a lock for that).
        """
        hosts = list(task_vars.get("ansible_play_hosts_all", ()))
        position = hosts.index(task_vars["inventory_hostname"]) if len(hosts) > 1 else 0
        last = position == len(hosts) - 1
        for module in modules[position - 1 : None if last else position] if position else ():
            self._configure_module(module, {}, task_vars)

    def _is_staged(self, manifest: Manifest) -> bool:
        folder = AppLayout(manifest["app"]).release(manifest["id"])
        return bool(self._low_level_execute_command(f"test -d {shlex.quote(folder)}")["rc"] == 0)

    def _existing(self, bundle: str, manifest: Manifest) -> str:
        if not os.path.isfile(bundle):
            raise AnsibleActionFail(
                f"app {manifest['app']}: the bundle {bundle} is not on the controller. Bundle it again."
            )
        return bundle

    def _carry_over(self, bundle: str, manifest: Manifest) -> str:
        """Copy the bundle and return its path on the host."""
        folder = self._make_tmp_path()
        remote = self._connection._shell.join_path(folder, "bundle.tar")
        try:
            self._transfer_file(bundle, remote)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            size = os.path.getsize(bundle) / 1024 / 1024
            raise AnsibleActionFail(
                f"app {manifest['app']}: the bundle ({size:.1f} MiB) cannot be copied to {folder} on the host. "
                f"Is there space? {error}"
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
