# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pnpm itself writes down in ``node_modules`` about what it installed, and where it puts a package.

``node_modules/.pnpm/lock.yaml`` is the lockfile without what is for development; ``node_modules/.modules.yaml`` names
the packages of it that were left out. A package is in ``node_modules/.pnpm/<folder>/node_modules/<name>``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_mapping

#: Relative to the project.
CURRENT_LOCKFILE = "node_modules/.pnpm/lock.yaml"
MODULES_FILE = "node_modules/.modules.yaml"

REBUILD = "Install again."
#: Longest name of a folder, unless a setting (``virtualStoreDirMaxLength``) says otherwise.
MAX_LENGTH = 120


def installed_packages(current: bytes, modules: bytes, project: str) -> dict[str, Package]:
    """The packages that pnpm says it installed into the folder ``project``, by the lockfile's path.

    ``current`` and ``modules`` are the contents of the two files. Links to folders are not among them. Raises
    ApphostError.
    """
    path = f"{project}/{MODULES_FILE}"
    skipped = set(ObjectReader(path, REBUILD).names(parse_mapping(modules, path, REBUILD), "skipped", ""))
    packages = parse_lockfile(current, f"{project}/{CURRENT_LOCKFILE}", {}).packages
    return {
        key: package
        for key, package in packages.items()
        if key not in skipped and _old_form(key) not in skipped and not key.startswith(("link:", "config:"))
    }


def is_copied(package: Package) -> bool:
    """Whether a folder of the project is copied into the tree, so that what is in it decides the tree."""
    return package.source in (Source.LINK, Source.WORKSPACE) and not package.path.startswith("link:")


def folder_names(path: str, max_length: int = MAX_LENGTH) -> tuple[str, ...]:
    """The names that a package's folder in ``node_modules/.pnpm`` may have, by version of pnpm: 12 and 11, 10, 9, 8.

    ``path`` is the lockfile's.
    """
    ours = path[1:] if path.startswith("/") else path
    signs = r'[\\/:*?"<>|#]'
    names = [_folder_name(ours, signs, escaped, _sha256, max_length) for escaped in (True, False)]
    signs = r'[\\/:*?"<>|]'
    names.append(_folder_name(ours, signs, False, _md5, max_length))
    # pnpm 8 goes by the form of its keys that it had before.
    before = path
    if not path.startswith(("/", "file:")):
        end = path.find("(") if "(" in path else len(path)
        slash = path.rfind("/", 0, end)
        before = f"{path[:slash]}@{path[slash + 1 :]}" if slash > 0 else path
    before = before[1:] if before.startswith("/") else before
    names.append(_folder_name(before, signs, False, _md5, max_length))
    return tuple(dict.fromkeys(names))


def _folder_name(path: str, signs: str, escaped: bool, digest: t.Callable[[str], str], max_length: int) -> str:
    name = re.sub(signs, "+", path)
    if "(" in name:
        name = re.sub(r"\)\(|\(|\)", "_", name[:-1] if name.endswith(")") else name)
    unclear = escaped and _is_unclear(path)
    trailing = len(name) - len(name.rstrip(". ")) if escaped else 0
    if trailing:
        name = name[:-trailing] + "+" * trailing
    mixed = name != name.lower() and not name.startswith("file+")
    if not (unclear or trailing or mixed or len(name) > max_length):
        return name
    digits = digest(path if unclear else name)
    return f"{name[: max_length - len(digits) - 1]}_{digits}"


def _is_unclear(path: str) -> bool:
    """Whether another path could have the same name, once its signs are replaced."""
    locator = path.partition("(")[0]
    if not locator.startswith("file:"):
        locator = locator[1:].partition("@")[2]
    _scheme, colon, location = locator.partition(":")
    if not colon or re.match(r"\d+\.\d+\.\d+", location):
        return False
    return re.search(r'[+\\:*?"<>|#]', location[2:] if location.startswith("//") else location) is not None


def _old_form(key: str) -> str:
    """``/name/1.0.0`` of ``/name@1.0.0``: how pnpm 8 writes what it left out."""
    name, at, version = key[2:].partition("@")
    return f"{key[:2]}{name}/{version}" if key.startswith("/") and at else key


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _md5(text: str) -> str:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
