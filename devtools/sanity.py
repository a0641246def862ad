# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ansible-test sanity`` on the collection as users get it, in a folder of its own.

ansible-test makes virtual environments for its tests, keeps them in its home, and starts every Python it finds.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

from devtools import package
from devtools.environment import tool, tool_environment
from devtools.outcome import Tally
from devtools.paths import DEV, LOGS, ROOT
from devtools.terminal import attempt, output_of, run_logged

FOLDER = DEV / "sanity"
COPY = FOLDER / "ansible_collections" / "evenkeel" / "apphost"
HOME = FOLDER / "home"
PYTHONS = FOLDER / "pythons"
LOG = "sanity"

# What ansible-test 2.19 would download from a server of its own to give a new environment pip; Python brings pip along.
GET_PIP = HOME / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
GET_PIP_SCRIPT = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"

# The Pythons that ansible-core 2.19 knows and that the collection's modules may meet.
MINORS = range(9, 14)


def run() -> None:
    """Run all sanity tests."""
    _copy()
    _link_pythons()
    GET_PIP.parent.mkdir(parents=True, exist_ok=True)
    GET_PIP.write_text(GET_PIP_SCRIPT)
    environment = tool_environment()
    environment |= {
        "HOME": str(HOME),
        "PATH": os.pathsep.join([str(PYTHONS), environment["PATH"]]),
        # A new HOME must not hide how a person reaches the package index.
        **{name: path for name, path in _pip_settings().items() if name not in os.environ},
    }
    run_logged([tool("ansible-test"), "sanity", "--local", "--color", "no"], LOG, env=environment, cwd=COPY, what=LOG)


def count() -> Tally | None:
    """How the tests of the last run ended."""
    log = LOGS / f"{LOG}.log"
    return read(log.read_text()) if log.exists() else None


def read(output: str) -> Tally | None:
    """The same from ansible-test's output; None when no test began."""
    ran = len(re.findall(r'^Running sanity test "', output, re.MULTILINE))
    failed = re.search(r"The (\d+) sanity test\(s\) listed below", output)
    failures = int(failed[1]) if failed else 0
    return Tally(ran - failures, failures) if ran else None


def _copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    with tarfile.open(package.build()) as archive:
        archive.extractall(COPY, filter="data")
    (COPY / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "config.yml", COPY / "tests")
    # ansible-test asks git which files there are; in this folder the checkout's git would say none, .dev is ignored.
    output_of(["git", "init", "--quiet", COPY])
    (COPY / ".git" / "info" / "exclude").write_text("tests/output/\n")


def _link_pythons() -> None:
    """Put the Pythons that work first in the path: the shims of pyenv exist for Pythons that do not start."""
    shutil.rmtree(PYTHONS, ignore_errors=True)
    PYTHONS.mkdir()
    for minor in MINORS:
        if executable := _python(minor):
            (PYTHONS / f"python3.{minor}").symlink_to(executable)


def _python(minor: int) -> str | None:
    """Where Python 3.<minor> is; None when there is none that starts."""
    if minor == sys.version_info.minor:
        return sys.executable
    name = f"python3.{minor}"
    if not shutil.which(name):
        return None
    asked = attempt([name, "-c", "import sys; print(sys.executable)"], env={**os.environ, **_pyenv()})
    return asked.stdout.strip() if asked.returncode == 0 else None


def _pyenv() -> dict[str, str]:
    """With pyenv: make all its versions available, not only the chosen ones."""
    if not shutil.which("pyenv"):
        return {}
    return {"PYENV_VERSION": ":".join(attempt(["pyenv", "versions", "--bare"]).stdout.split())}


def _pip_settings() -> dict[str, str]:
    asked = attempt([tool("python"), "-m", "pip", "cache", "dir"])
    settings = {"PIP_CACHE_DIR": asked.stdout.strip()} if asked.returncode == 0 else {}
    config = Path.home() / ".config" / "pip" / "pip.conf"
    return {**settings, "PIP_CONFIG_FILE": str(config)} if config.exists() else settings
