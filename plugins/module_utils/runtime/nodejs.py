# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js versions side by side: what is there, what is missing, and putting the missing in place.

::

    <version>/bin/node                   the program (provider distro: a link to the package's)
    <version>/bin/npm, npx           ->  ../lib/node_modules/npm/bin/…
    <version>/lib/node_modules/npm   ->  ../npm-<npm version>     switched by one rename, under whoever runs npm
    <version>/lib/npm-<npm version>/
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import replace_symlink
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import (
    NpmRegistry,
    Origin,
    Source,
    Wanted,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.store import RuntimeStore, Stamp
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.unpack import PROGRAM_MODE
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.versions import check_exact


def read_wanted(versions: t.Sequence[str], runtimes: t.Sequence[dict[str, t.Any]]) -> list[Wanted]:
    """The module's two lists as one, a version once; what an entry of ``runtimes`` says of it counts."""
    wanted: dict[str, Wanted] = {}
    for index, entry in enumerate(runtimes):
        where = f"runtimes[{index}]"
        version = check_exact(entry["version"], f"{where}.version")
        npm = check_exact(entry["npm"], f"{where}.npm") if entry.get("npm") else None
        pins = {
            name: Checksum.parse(text, f"{where}.checksums.{name}")
            for name, text in (entry.get("checksums") or {}).items()
            if text
        }
        new = Wanted(version, npm, pins)
        if wanted.setdefault(version, new) != new:
            raise ApphostError(f"says something else of {version} than an entry before it", where)
    for version in versions:
        wanted.setdefault(check_exact(version, "versions"), Wanted(version))
    return list(wanted.values())


class NodejsInstaller:
    """Brings the store to what is wanted.

    ``default_npm`` is for sources that bring no npm; without a registry such a source then goes without npm, unless the
    entry asks for one itself. ``run`` starts a program.
    """

    def __init__(
        self,
        store: RuntimeStore,
        source: Source,
        registry: NpmRegistry,
        arch: str,
        run: RunCommand,
        default_npm: str | None = None,
        warn: t.Callable[[str], None] | None = None,
    ) -> None:
        self.store = store
        self.source = source
        self.registry = registry
        self.arch = arch
        self.run = run
        self.default_npm = default_npm
        self.warn = warn

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        """:class:`ApphostError` for what cannot work, before anything is changed or asked."""
        self.source.check(wanted)
        for each in wanted:
            if each.npm:
                self.registry.require(f"npm {each.npm}")
        if any(not self.is_whole(each) for each in wanted):
            self.store.check_executable()

    # --- what is there ---

    def npm_wanted(self, wanted: Wanted) -> str | None:
        """The exact npm version to have, or None: what comes along is right."""
        if wanted.npm or self.source.brings_npm or not self.registry.registry:
            return wanted.npm
        return self.default_npm

    def has_node(self, wanted: Wanted) -> bool:
        """Whether it is in place as source and pin want it, and its program is still the one that was tried then."""
        stamp = self.store.stamp(wanted.version)
        pin = wanted.checksums.get(self.arch)
        return (
            stamp.get("version") == wanted.version
            and stamp.get("provider") == self.source.name
            and stamp.get("arch") == self.arch
            and (pin is None or stamp.get("checksum") == str(pin))
            and stamp.get("node") == _fingerprint(self.store.root(wanted.version))
        )

    def has_npm(self, wanted: Wanted) -> bool:
        """Whether npm is as wanted; any will do when none is named, but one that was there must still be."""
        root = self.store.root(wanted.version)
        npm = self.store.stamp(wanted.version).get("npm") or {}
        version, pin = self.npm_wanted(wanted), wanted.checksums.get("npm")
        if version is None:
            return not npm or os.path.exists(os.path.join(root, "bin", "npm"))
        return (
            npm.get("version") == version
            and (pin is None or npm.get("checksum") == str(pin))
            and os.path.exists(os.path.join(root, "bin", "npm"))
        )

    def is_whole(self, wanted: Wanted) -> bool:
        return self.has_node(wanted) and self.has_npm(wanted)

    def describe(self, version: str) -> str | None:
        """One line for a diff; None when the version is not installed."""
        stamp = self.store.stamp(version)
        npm = stamp.get("npm") or {}
        return f"Node.js {version} ({stamp['provider']}), npm {npm.get('version', 'none')}" if stamp else None

    def expected(self, wanted: Wanted) -> str:
        """What :meth:`describe` will say after the work, as far as it can be known before."""
        npm = self.npm_wanted(wanted) or ("its own" if self.source.brings_npm else "none")
        return f"Node.js {wanted.version} ({self.source.name}), npm {npm}"

    # --- the work ---

    def install(self, wanted: Wanted) -> bool:
        """Bring one version to what is wanted, inside ``store.changing()``; True when something had to be done."""
        if not self.has_node(wanted):
            with self.store.scratch(wanted.version) as scratch:
                self._install_node(wanted, scratch)
            return True
        if not self.has_npm(wanted):
            with self.store.scratch(wanted.version) as scratch:
                self._install_npm(wanted, scratch)
            return True
        return False

    def _install_node(self, wanted: Wanted, scratch: str) -> None:
        tree = os.path.join(scratch, "tree")
        origin = self.source.fetch(wanted, scratch, tree)
        self._try_node(tree, wanted.version, origin)
        npm = _adopt_npm(tree)
        version = self.npm_wanted(wanted)
        pin = wanted.checksums.get("npm")
        # Of an npm that came along nobody knows the package's checksum, so a pin asks for the package.
        if version and (pin or npm is None or npm["version"] != version):
            _remove_npms(tree)
            npm = self._fetch_npm(version, pin, scratch, tree, tree)
            _link_npm(tree, version)
        self.store.write_stamp(tree, {**self._node_stamp(wanted.version, origin, tree), "npm": npm})
        self._write_out(tree)
        self.store.replace(self.store.root(wanted.version), tree)

    def _install_npm(self, wanted: Wanted, scratch: str) -> None:
        """Another npm for a Node.js that is there: a new folder beside the old, then the link."""
        root = self.store.root(wanted.version)
        stamp = self.store.stamp(wanted.version)
        version = self.npm_wanted(wanted)
        if version is None:
            # Only its own npm would do, and that is gone: the whole version again.
            self._install_node(wanted, scratch)
            return
        npm = self._fetch_npm(version, wanted.checksums.get("npm"), scratch, scratch, root)
        self._write_out(scratch)
        os.makedirs(os.path.join(root, "lib"), exist_ok=True)
        self.store.replace(_npm_place(root, version), _npm_place(scratch, version))
        _link_npm(root, version)
        self.store.write_stamp(root, {**stamp, "npm": npm})
        # The one before stays, for an install that is running from it right now.
        _remove_npms(root, keep={version, (stamp.get("npm") or {}).get("version")})

    def _write_out(self, folder: str) -> None:
        """Have everything on the disk before a rename makes it count; one call, for there are thousands of files."""
        status, _out, err = self.run(["sync", "--file-system", folder])
        if status:
            raise ApphostError(f"cannot be written to the disk: {err.strip()}", folder)

    def _fetch_npm(self, version: str, pin: Checksum | None, scratch: str, into: str, node_root: str) -> Stamp:
        """Put npm into its place below ``into`` and try it with the Node.js in ``node_root``; its part of the stamp."""
        place = _npm_place(into, version)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        origin = self.registry.fetch("npm", version, pin, scratch, place, "npm")
        for program in ("npm-cli.js", "npx-cli.js"):
            os.chmod(os.path.join(place, "bin", program), PROGRAM_MODE)
        self._try_npm(os.path.join(node_root, "bin", "node"), os.path.join(place, "bin", "npm-cli.js"), version)
        return {"version": version, "source": origin.source, "checksum": origin.checksum}

    def _node_stamp(self, version: str, origin: Origin, tree: str) -> Stamp:
        return {
            "name": self.store.runtime,
            "version": version,
            "provider": self.source.name,
            "arch": self.arch,
            "source": origin.source,
            "checksum": origin.checksum,
            "node": _fingerprint(tree),
        }

    def _try_node(self, tree: str, version: str, origin: Origin) -> None:
        """Start the program once; every reason why it could not run says what to do."""
        program = os.path.join(tree, "bin", "node")
        if not os.path.exists(program):
            raise ApphostError("holds no bin/node", origin.source)
        try:
            status, out, err = self.run([program, "--version"])
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                raise ApphostError(
                    f"holds a program for another architecture than {self.arch}", origin.source
                ) from error
            hint = (
                "Its loader is missing: builds for glibc do not run on musl." if error.errno == errno.ENOENT else None
            )
            raise ApphostError(f"its bin/node cannot be started ({error.strerror})", origin.source, hint) from error
        if status:
            lines = err.strip().splitlines()
            why = lines[-1].replace(f"{program}: ", "") if lines else f"exit status {status}"
            missing = "shared libraries" in why
            do = "Add the package that has this library to nodejs_packages." if missing else None
            raise ApphostError(f"Node.js {version} does not run on this host: {why}", do=do)
        if out.strip() != f"v{version}":
            raise ApphostError(f"holds Node.js {out.strip().lstrip('v')}, not {version}", origin.source)

    def _try_npm(self, node: str, npm: str, version: str) -> None:
        """Start npm once; it says itself when this Node.js is too old for it."""
        status, out, err = self.run([node, npm, "--version"])
        if status or out.strip() != version:
            lines = (err.strip() or out.strip()).splitlines()
            raise ApphostError(f"npm {version} does not run: {lines[-1] if lines else f'exit status {status}'}")
        for line in err.splitlines():
            if self.warn and "does not support Node.js" in line:
                self.warn(line.partition("cli ")[2] or line)


def _fingerprint(root: str) -> dict[str, int] | None:
    """Size and time of the program, links followed: changes when somebody replaces it. None when it is not there."""
    try:
        status = os.stat(os.path.join(root, "bin", "node"))
    except OSError:
        return None
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _adopt_npm(tree: str) -> Stamp | None:
    """Give the npm that came along the place that any npm has here; None when none did."""
    place = os.path.join(tree, "lib", "node_modules", "npm")
    try:
        with open(os.path.join(place, "package.json"), encoding="utf-8") as file:
            version = str(json.load(file)["version"])
    except FileNotFoundError:
        return None
    os.rename(place, _npm_place(tree, version))
    _link_npm(tree, version)
    return {"version": version, "source": "came with Node.js", "checksum": None}


def _npm_place(root: str, version: str) -> str:
    return os.path.join(root, "lib", f"npm-{version}")


def _remove_npms(root: str, keep: t.Container[str | None] = ()) -> None:
    """Remove the npm folders of other versions."""
    prefix = _npm_place(root, "")
    for place in glob.glob(f"{glob.escape(prefix)}*"):
        if place[len(prefix) :] not in keep:
            shutil.rmtree(place)


def _link_npm(root: str, version: str) -> None:
    os.makedirs(os.path.join(root, "lib", "node_modules"), exist_ok=True)
    replace_symlink(f"../npm-{version}", os.path.join(root, "lib", "node_modules", "npm"))
    for program in ("npm", "npx"):
        replace_symlink(f"../lib/node_modules/npm/bin/{program}-cli.js", os.path.join(root, "bin", program))
