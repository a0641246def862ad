# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package managers of Python have in common: the host's own Python, and a ``.venv`` that can be anywhere."""

from __future__ import annotations

import csv
import functools
import os
import re
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.facts import KIND, STATUS
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import check_addresses, proxies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.packed import FOLDER, take_out
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import PROGRAM, PythonTarget
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_version
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import normal_name
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages

VENV = ".venv"

#: Prints what decides a tree and is no marker variable, one a line; the last two are empty where there is no pip.
_INSPECT = (
    PROGRAM
    + r"""
import glob, re, sysconfig
print(sysconfig.get_config_var("SOABI") or "")
print(os.path.realpath(sys.executable))
# As a wheel, from which it runs as well: Debian's python3-pip-whl, which python3-venv brings, or Python's own.
places = ["/usr/share/python-wheels", os.path.join(os.path.dirname(os.__file__), "ensurepip", "_bundled")]
found = [path for place in places for path in sorted(glob.glob(os.path.join(place, "pip-*.whl")))]
version, path = "", ""
if found:
    path = os.path.join(found[0], "pip")
    version = re.match(r"pip-([^-]+)", os.path.basename(found[0]))[1]
else:
    try:
        import pip
        version, path = pip.__version__, os.path.dirname(pip.__file__)
    except ImportError:
        pass
print(version)
print(path)
"""
)

#: Run in the scratch project by its own Python, as the build user: makes the tree one that can be put anywhere.
_FINISH = r"""
import compileall, os, py_compile, sys
venv, home, version = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
folder = os.path.join(venv, "bin")
program = os.fsencode(folder) + b"/"
# Finds the Python beside it, wherever that is; to Python, it is a text in the first lines.
generic = b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n"
for name in os.listdir(folder):
    path = os.path.join(folder, name)
    if name.lower().startswith(("activate", "deactivate")):
        os.unlink(path)
    elif os.path.isfile(path) and not os.path.islink(path):
        with open(path, "r+b") as file:
            lines = file.read().split(b"\n")
            # Of a path that is too long for the kernel, the program is in the second line of three.
            first = 1 if lines[0].startswith(b"#!" + program) else 3
            if first == 1 or (lines[0] == b"#!/bin/sh" and len(lines) > 3 and program in lines[1]):
                file.seek(0)
                file.truncate()
                file.write(generic + b"\n".join(lines[first:]))
for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
    if os.path.exists(os.path.join(venv, name)):
        os.unlink(os.path.join(venv, name))
with open(os.path.join(venv, "pyvenv.cfg"), "w") as file:
    file.write("home = %s\ninclude-system-site-packages = false\nversion = %s\n" % (home, version))
if sys.argv[5:]:
    # Relative to its own folder.
    with open(os.path.join(sys.argv[4], "apphost-project.pth"), "w") as file:
        file.write("".join(path + "\n" for path in sys.argv[5:]))
# Nobody compares these with their sources: nobody can change either.
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
compileall.compile_dir(os.path.join(venv, "lib"), quiet=2, invalidation_mode=mode, stripdir=os.path.dirname(venv))
"""


@dataclass(frozen=True)
class Python:
    """The host's own Python."""

    #: The program itself, no link to it.
    path: str
    target: PythonTarget
    #: The ABI of compiled modules.
    abi: str
    #: Version and place of the pip that comes with it; empty: there is none.
    pip_version: str
    pip: str

    @property
    def version(self) -> str:
        return self.target.environment["python_full_version"]

    @property
    def minor(self) -> str:
        return self.target.environment["python_version"]


def inspect_python(path: str, run: RunCommand) -> Python:
    """What the Python at ``path`` is. Raises ApphostError."""
    if not os.access(path, os.X_OK):
        # The host has no such Python; the default is that of the distribution.
        raise ApphostError("is not there or not executable", path, "Install Python (python3), or name another.")
    _code, out, err = run([path, "-I", "-c", _INSPECT])
    lines = out.split("\n")
    try:
        target = PythonTarget.of(lines[0])
        return Python(lines[2], target, lines[1], lines[3], lines[4])
    except (ValueError, IndexError):
        # The program is no Python, or lacks a part of its standard library.
        do = "Install Python (python3), or name another."
        raise ApphostError(f"does not say what it is: {(err or out).strip()[:300]}", path, do) from None


class PythonManager(Manager):
    """A package manager of Python."""

    trusts_only_given = True

    def __init__(self, project: Project, request: InstallRequest, python: Python) -> None:
        super().__init__(project, request)
        self.python = python

    @property
    def target(self) -> PythonTarget:
        return self.python.target

    @property
    def places(self) -> tuple[str, ...]:
        return (VENV,)

    @property
    def outside(self) -> frozenset[str]:
        return frozenset({self.python.path})

    @property
    def site(self) -> str:
        """Where the packages are, relative to the project."""
        return f"{VENV}/lib/python{self.python.minor}/site-packages"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"{VENV}/bin", self.site)

    def facts(self) -> list[tuple[str, str]]:
        programs = [self.request.python, self.python.path, os.path.dirname(self.python.pip)]
        folders = [os.path.join(folder, "src") for folder in self.project.manifests]
        return [*((STATUS, path) for path in programs if path), *((KIND, path) for path in folders)]

    def check(self) -> None:
        check_addresses(self.request.network)
        self.check_supplies()
        for registry in self.request.network.registries:
            if registry.scope is not None:
                # npm chooses a registry by the scope of a package's name; for Python all of them are asked.
                what = f"the registry {registry.url} is for the scope {registry.scope}"
                raise ApphostError(what, self.project.lockfile.path, "Packages of Python have no scopes.")
        for package in self.expected.values():
            if package.source in (Source.LINK, Source.FILE):
                # It does not come from an index, and the tree would only work beside it.
                raise ApphostError(
                    f"{package.spec} is a local folder or archive, at {(package.resolved or '?')[:200]}",
                    self.project.lockfile.path,
                    "Publish it in an index, or make it a member of the workspace.",
                )

    def inputs(self) -> dict[str, t.Any]:
        return {
            "runtime": self.python.version,
            "implementation": self.target.environment["implementation_name"],
            "abi": self.python.abi,
            "python": self.python.path,
            "manager_version": self.version,
            "sources": self.source_folders,
        }

    @functools.cached_property
    def expected(self) -> dict[str, Package]:
        """What belongs on this host, by path."""
        return expected_packages(self.project.lockfile, self.target)

    @property
    def source_folders(self) -> list[str]:
        """Folders of the project whose modules Python is to find, besides the packages."""
        return []

    @property
    def not_built(self) -> list[str]:
        """Names of packages of which only ready-made archives are taken: building one runs its code."""
        names = {normal_name(package.known_as) for package in self.project.lockfile.packages.values()}
        return sorted(names - {normal_name(name) for name in self.request.allow_scripts})

    @property
    def builds(self) -> bool:
        """Whether packages may be built, and run code for it."""
        names = {normal_name(package.known_as) for package in self.project.lockfile.packages.values()}
        return bool(names & {normal_name(name) for name in self.request.allow_scripts})

    def environment(self, job: Job) -> dict[str, str]:
        """All that the manager, and a build, gets to see; ways and certificates as every program of Python has them."""
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NETRC": os.path.join(job.home, ".netrc")}
        if self.request.network.ca_file:
            variables.update(dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), job.authorities))
        return variables

    def prepare(self, job: Job) -> None:
        """Make the empty environment, and write what is needed to get at the packages."""
        job.write("home/.netrc", netrc(self.request))
        code, out, err = job.call([self.python.path, "-I", "-m", "venv", "--without-pip", VENV], {})
        if code:
            # The distribution may have packed venv apart from Python.
            do = "Install python3-venv on the host."
            raise ApphostError(f"cannot make {VENV}: {(err or out).strip()[:300]}", self.python.path, do)

    @property
    def ways(self) -> dict[str, str]:
        """The proxy as variables, which may hold a password."""
        names = {"proxy": "http_proxy", "https-proxy": "https_proxy", "noproxy": "no_proxy"}
        return {names[setting]: value for setting, value in proxies(self.request.network, os.environ).items()}

    @property
    def secrets(self) -> list[str]:
        """What must not be shown of what a manager says."""
        return [*self.request.network.secrets, *self.ways.values()]

    def links_to_packed(self, job: Job, packed: str) -> list[str]:
        """The options by which pip, and uv, take everything from a packed set."""
        found = take_out(packed, self.expected.values(), job)
        folders = {
            os.path.normpath(f"../{FOLDER}/{os.path.dirname(file)}") for files in found.values() for file in files
        }
        return ["--no-index", *(f"--find-links={folder}" for folder in sorted(folders))]

    def installed(self, job: Job) -> dict[str, Installed]:
        known = {self._key(package): package for package in self.expected.values()}
        found: dict[str, Installed] = {}
        site = os.path.join(job.project, self.site)
        for name in sorted(os.listdir(site)):
            if name.endswith(".dist-info"):
                own, _dash, version = name[: -len(".dist-info")].partition("-")
                package = known.get((normal_name(own), _version(version)))
                if package is None:
                    package = Package(path=f"{normal_name(own)}=={version}", name=own, version=version)
                folder = f"{self.site}/{name}"
                found[package.path] = Installed(package, (folder,), "METADATA", files=self._files(job, folder))
        return found

    def _key(self, package: Package) -> tuple[str, t.Any]:
        return normal_name(package.known_as), _version(package.version or "")

    def _files(self, job: Job, folder: str) -> tuple[str, ...]:
        """The files of a package as its RECORD lists them, relative to the project."""
        try:
            content = read_regular_file(os.path.join(job.project, folder, "RECORD"))
        except ApphostError:
            content = None
        rows = csv.reader((content or b"").decode("utf-8", "replace").splitlines())
        return tuple(os.path.normpath(os.path.join(self.site, row[0])) for row in rows if row)

    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        wanted = {path for path, package in self.expected.items() if package.source != Source.WORKSPACE}
        strange = [one.package.spec for path, one in installed.items() if path not in wanted]
        missing = [self.expected[path].spec for path in sorted(wanted - {*installed})]
        return [
            *(Problem(f"{spec} is not in the lockfile") for spec in strange),
            *(Problem(f"{spec} is missing") for spec in missing),
        ]

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        """Nothing to do: what is built is built when it is fetched."""

    def finish(self, job: Job) -> None:
        python = os.path.join(VENV, "bin", "python")
        home = os.path.dirname(self.python.path)
        up = "/".join([".."] * (self.site.count("/") + 1))
        sources = [f"{up}/{folder}".rstrip("/") for folder in self.source_folders]
        words = [VENV, home, self.python.version, self.site, *sources]
        code, out, err = job.call([python, "-I", "-c", _FINISH, *words], {})
        if code:
            # What was installed replaced a part of the environment that it is installed into.
            do = "Look for a package that brings files of Python's own."
            raise ApphostError(f"cannot be made to work elsewhere: {(err or out).strip()[-300:]}", VENV, do)


@functools.lru_cache(maxsize=4096)
def _version(text: str) -> t.Any:
    """A version as it is compared; what is none is only equal to itself."""
    version = parse_version(text)
    return version.key if version else text


def netrc(request: InstallRequest) -> bytes:
    """The tokens of the registries by host, as pip and uv read them; in a file that only the build user can read."""
    lines = []
    for registry in request.network.registries:
        if registry.token:
            host = urllib.parse.urlsplit(registry.url).hostname
            if re.search(r"\s", registry.token + (registry.user or "")):
                # The file that tokens are written to for pip and uv ends a word at a space.
                raise ApphostError(f"the token for {host} has a space in it", do="Look where it comes from.")
            lines.append(f"machine {host} login {registry.user or '__token__'} password {registry.token}\n")
    return "".join(lines).encode()
