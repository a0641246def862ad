# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build one tree with npm: fetch, run what is allowed to run, check, seal, and take it into the store."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import npm
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account, as_account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.seal import seal
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import (
    Tree,
    hidden_sha256,
    installed_packages,
    write_marker,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import joined
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import disagreements

#: What npm's hidden lockfile would say of a tree without packages, for which it writes none.
NO_PACKAGES = b'{"lockfileVersion": 3, "packages": {}}\n'


def build(plan: Plan, store: TreeStore, account: Account | None, run: RunCommand) -> Tree:
    """Build the tree of ``plan`` into the store, whose lock is held. Raises ApphostError; then nothing is left."""
    with store.scratch() as scratch:
        work = os.path.join(scratch, "work")
        _fetch(plan, store, account, work, run)
        tree = os.path.join(work, "project", "node_modules")
        if not os.path.isdir(tree) and not plan.after():
            os.mkdir(tree)
            store.write(npm.hidden_lockfile(tree), NO_PACKAGES)
        packages = installed_packages(tree)
        if packages is None:
            raise ApphostError("npm did not write down what it installed", plan.lockfile.path)
        problems = disagreements(plan.lockfile, packages, plan.target)
        if problems:
            what = f"what npm installed is not what the lockfile says: {joined(problems)}"
            do = "Run again; when it stays so, run npm install and commit the lockfile."
            raise ApphostError(what, plan.lockfile.path, do)
        allowed = {path for path, package in packages.items() if plan.may_run(package)}
        if allowed:
            _run_scripts(plan, store, account, work, allowed, run)

        # From here on no process of the build is left, and nobody but us can reach the tree.
        final = os.path.join(scratch, "final")
        os.mkdir(final, 0o700)
        sealed = os.path.join(final, "node_modules")
        os.rename(tree, sealed)
        remove(work)
        files, size = seal(sealed, as_root=account is not None)
        result = Tree(
            identity=plan.identity,
            packages=len(packages),
            files=files + 1,
            bytes=size,
            scripts_skipped=plan.scripts_skipped(packages.values()),
            hidden_sha256=hidden_sha256(sealed),
        )
        write_marker(sealed, result)
        # A tree that has its name must have its bytes too, even if the power fails now.
        code, _out, err = run(["sync", "--file-system", sealed])
        if code:
            raise ApphostError(f"cannot be written to the disk: {err.strip()[:300]}", sealed)
        store.publish(final, plan.identity)
        return result


def _fetch(plan: Plan, store: TreeStore, account: Account | None, work: str, run: RunCommand) -> None:
    request = plan.request
    project = os.path.join(work, "project")
    store.write(os.path.join(project, "package.json"), npm.scratch_manifest(plan.manifest, plan.allow_scripts))
    # npm 12 no longer reads a shrinkwrap; the content is the same.
    store.write(os.path.join(project, "package-lock.json"), plan.lockfile.content)
    store.write(os.path.join(project, ".npmrc"), npm.settings_file(plan.settings))
    proxies = npm.proxies_of(os.environ)
    settings = npm.user_settings(store.cache, request.registry, request.registry_token, proxies)
    store.write(os.path.join(work, "home", ".npmrc"), npm.settings_file(settings))
    code, words = _npm(plan, account, work, [*npm.CI, "--prefer-offline"], run)
    if code == "ETARGET":
        # The cache knows the package from before this version came out, and npm does not look again by itself.
        code, words = _npm(plan, account, work, [*npm.CI, "--prefer-online"], run)
    if code is None:
        return
    if code in ("ENOSPC", "EDQUOT"):
        # It is only a cache, and the disk is full.
        remove(store.cache)
    secrets = [secret for secret in (request.registry_token, *proxies.values()) if secret]
    raise npm.explain(code, words, plan.lockfile, request.registry, secrets)


def _run_scripts(
    plan: Plan, store: TreeStore, account: Account | None, work: str, allowed: t.Iterable[str], run: RunCommand
) -> None:
    """Run the lifecycle scripts of the packages at ``allowed``, without the token; nothing of them outlives this."""
    settings = npm.user_settings(store.cache, plan.request.registry, None, {})
    store.write(os.path.join(work, "home", ".npmrc"), npm.settings_file(settings))
    # By path: a name would also run a package that only calls itself so.
    argv = ["rebuild", *(f"./{path}" for path in sorted(allowed)), "--foreground-scripts", "--json"]
    code, words = _npm(plan, account, work, argv, run, contained=True)
    if code is not None:
        raise ApphostError(
            f"the lifecycle scripts of {', '.join(plan.allow_scripts)} failed: {npm.shortened(words, [])}",
            plan.lockfile.path,
            "Install what they need on the host, or take the package out of allow_scripts.",
        )


def _npm(
    plan: Plan, account: Account | None, work: str, argv: t.Sequence[str], run: RunCommand, contained: bool = False
) -> tuple[str | None, str]:
    """Run npm; returns its error code (``None``: it succeeded) and its words."""
    home, temporary, project = (os.path.join(work, name) for name in ("home", "tmp", "project"))
    environment = npm.build_environment(plan.runtime.root, home, temporary, plan.request.ca_file)
    code, out, err = run(as_account([plan.runtime.npm, *argv], account, project, environment, contained))
    return npm.failure(out, err) if code else (None, "")
