# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The subjects of the page of errors, and which places in the code belong to each."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from devtools.errors.places import Place

_DAMAGED = "The file was edited by hand, cut off or damaged on its way, or something else than its manager wrote it."
_BY_HAND = "The lockfile is of another version of {}, was edited by hand, or somebody means harm."
_REMAKE = "Make the lockfile again with its package manager; if it is a manifest, mend it."


@dataclass(frozen=True)
class Section:
    """A subject. ``cure`` is that of messages which have none of their own, as is ``cause``.

    Without a ``cause`` each place has to say its own, in a comment above it.
    """

    title: str
    about: str
    #: ``folder/file.py`` or ``folder/file.py:Class.function`` below ``module_utils``, with ``*``.
    places: tuple[str, ...]
    cure: str = ""
    cause: str | None = None


#: A place belongs to the first section that takes it.
SECTIONS = (
    Section(
        "Options",
        "What the playbook asks for cannot be meant, or does not fit this host.",
        (
            "install/options.py",
            "install/command.py",
            "install/installer.py:_owner",
            "install/plan.py",
            "install/managers/npmrc.py",
            "install/managers/make.py",
            "install/managers/yarn_berry.py:*.check",
            "install/managers/pnpm.py:*.check",
            "install/managers/python.py:PythonManager.check",
            "install/authorities.py",
            "install/managers/python.py:netrc",
        ),
    ),
    Section(
        "Finding the lockfile and its manifests",
        "With `manager: auto`, the lockfile that is in the app's folder decides.",
        (
            "lockfile/reader.py",
            "lockfile/workspaces.py",
            "lockfile/pnpmworkspace.py",
            "lockfile/jsonfile.py:read_regular_file",
            "install/managers/node.py:NodeManager.check",
        ),
    ),
    Section(
        "JSON",
        "`package.json` and npm's lockfiles.",
        ("lockfile/jsonfile.py",),
        cause=_DAMAGED,
        cure=_REMAKE,
    ),
    Section(
        "YAML",
        "`pnpm-lock.yaml`, `pnpm-workspace.yaml`, `.yarnrc.yml`, and `yarn.lock` of yarn 2 and later. Hosts have no "
        "reader of YAML, so the part of it is read that these managers write.",
        ("lockfile/yaml*.py",),
        cause=_DAMAGED,
        cure=_REMAKE,
    ),
    Section(
        "TOML",
        "`uv.lock` and `pyproject.toml`.",
        ("lockfile/tomlfile.py",),
        cause=_DAMAGED,
        cure=_REMAKE,
    ),
    Section(
        "The lines of yarn 1",
        "`yarn.lock` of yarn 1 has a format of its own.",
        ("lockfile/yarnfile.py",),
        cause=_DAMAGED,
        cure=_REMAKE,
    ),
    Section(
        "Values of a wrong type",
        "In a lockfile or a manifest; `<entry>` is where.",
        ("lockfile/packagejson.py",),
        cause=_DAMAGED,
        cure="Mend the file.",
    ),
    Section(
        "What npm's lockfile says",
        "`package-lock.json` and `npm-shrinkwrap.json`.",
        ("lockfile/npm.py:[!i]*",),
        cause=_BY_HAND.format("npm"),
        cure="Run npm install with a current npm and commit the lockfile.",
    ),
    Section(
        "What pnpm's lockfile says",
        "`pnpm-lock.yaml`.",
        ("lockfile/pnpm.py", "lockfile/pnpmlock.py", "lockfile/pnpmtree.py"),
        cause=_BY_HAND.format("pnpm"),
        cure="Run pnpm install with a current pnpm and commit the lockfile.",
    ),
    Section(
        "What yarn's lockfile says",
        "`yarn.lock` of yarn 1, and of yarn 2 and later.",
        (
            "lockfile/yarn_classic.py:[!i]*",
            "lockfile/yarn_berry.py:_[!c]*",
            "lockfile/berry_graph.py:Entries*",
            "lockfile/descriptors.py",
        ),
        cause=_BY_HAND.format("yarn"),
        cure="Run yarn install and commit the lockfile.",
    ),
    Section(
        "What uv's lockfile says",
        "`uv.lock`.",
        ("lockfile/uvlock.py", "lockfile/uvstep.py:*._locked", "lockfile/uvstep.py:*._ask"),
        cause=_BY_HAND.format("uv"),
        cure="Run uv lock with a current uv and commit uv.lock.",
    ),
    Section(
        "What pyproject.toml and requirements say",
        "Requirements, markers and versions are those of Python's packaging, in `uv.lock` and `requirements.txt` too.",
        ("lockfile/pyproject.py", "lockfile/pep*.py"),
        cause="It is not what Python's packaging tools understand, or uv alone understands it.",
        cure="Mend the file.",
    ),
    Section(
        "What requirements.txt says",
        "Only a file that says everything, each package with an exact version and its hashes, can be installed from. "
        "`<entry>` is the line.",
        ("lockfile/pip.py",),
        cause="The file was written by hand, or for `pip install` without hashes.",
        cure="Run pip-compile --generate-hashes, or uv pip compile --generate-hashes, and commit the file.",
    ),
    Section(
        "Lockfile and manifest out of step",
        "The lockfile was not made for the manifests that are there now. Package managers differ in how much of that "
        "they notice when they install.",
        (
            "lockfile/instep.py",
            "lockfile/npm.py:in_step",
            "lockfile/yarn_classic.py:in_step",
            "lockfile/berry_graph.py:Graph.*",
            "lockfile/uvstep.py",
            "lockfile/pnpmstep.py",
        ),
        cause="Somebody changed a manifest and did not make the lockfile again, or committed one of the two only.",
        cure="Run npm install, pnpm install, yarn install or uv lock, and commit the lockfile.",
    ),
    Section(
        "Supply-chain policy",
        "Asked of the lockfile alone, before anything is fetched.",
        ("lockfile/policy.py:_*", "lockfile/policy.py:check_platforms", "lockfile/age.py", "install/supply*.py"),
        cure="Wait until it is old enough, or name the package in supply.allow_young.",
    ),
    Section(
        "Runtime and package manager",
        "The host lacks what is needed, or the app is for another version of it.",
        (
            "lockfile/policy.py:check_engines",
            "lockfile/environments.py",
            "install/runtime.py",
            "install/managers/pinned.py:*.[!m]*",
            "install/managers/programs.py",
            "install/managers/node.py:*.program.fetch",
            "install/managers/python.py:inspect_python",
            "install/managers/python.py:*.prepare",
            "install/managers/pip.py:*.check",
            "install/managers/uv.py:*._find",
            "install/managers/uv.py:_version_of",
        ),
        cure="Change the runtime's version or update the packages, or set check_engines to false.",
    ),
    Section(
        "Fetching",
        "What the package manager said is in `manager_output`, shortened and without secrets.",
        (
            "install/words.py",
            "install/failure_kinds.py",
            "install/packed.py",
            "install/managers/*_words.py",
            "install/managers/*.py:*._explain",
            "install/managers/base.py",
        ),
        cure="Make the lockfile again with its package manager, and commit it.",
    ),
    Section(
        "Building",
        "The packages are there; before the tree is taken into the store, it is looked at.",
        ("install/build.py", "install/seal.py", "lockfile/tree.py", "lockfile/yarn_berry.py", "install/managers/*.py"),
        cause="A package's script did it, or the package manager did something else than its lockfile says.",
        cure="Run again; when it stays so, make the lockfile again.",
    ),
    Section(
        "Shipping a built tree",
        "A tree that was built elsewhere (`dependencies.build_on` of an app) is taken in by a host only as it was "
        "sealed there.",
        ("install/ship.py", "install/controller.py"),
        cause="The tar was cut off or changed on its way, or it is another one.",
        cure="Ship it again.",
    ),
    Section(
        "Store and placing",
        "A built tree is kept in the store, and put into the app's folder from there.",
        ("install/store.py", "install/place.py", "install/size.py", "install/materials.py", "files.py"),
    ),
)


def section_of(place: Place) -> Section | None:
    """The section that a place belongs to."""
    file = place.file.partition("module_utils/")[2]
    for section in SECTIONS:
        for pattern in section.places:
            if fnmatchcase(f"{file}:{place.function}" if ":" in pattern else file, pattern):
                return section
    return None
