# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of a lockfile a project reaches, for formats that do not record it."""

from __future__ import annotations

import dataclasses
import types
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package


def reached(
    packages: t.Mapping[str, Package],
    roots: t.Iterable[str],
    optional: bool,
    originals: t.Mapping[str, str] = types.MappingProxyType({}),
) -> set[str]:
    """Paths of ``roots`` and of all that they need, and with ``optional`` of all that they can do without too.

    ``originals`` are paths of patched packages with those of what is patched, which is fetched too.
    """
    found: set[str] = set()
    todo = list(roots)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            package = packages[path]
            todo += package.needs
            if optional:
                todo += package.wants
            if path in originals:
                todo.append(originals[path])
    return found


def marked(
    packages: t.Mapping[str, Package],
    needs: t.Sequence[str],
    wants: t.Sequence[str],
    originals: t.Mapping[str, str] = types.MappingProxyType({}),
) -> dict[str, Package]:
    """The packages with ``dev`` and ``optional`` as they follow from what is asked for in production.

    What production does not reach is ``dev``; what it does not reach by needs alone is ``optional``, and so is the
    original of a patched package, which is not installed.
    """
    required = reached(packages, needs, optional=False)
    production = reached(packages, (*needs, *wants), optional=True, originals=originals)
    optional = production - required
    return {
        # The default, and what most of them are; another object for each would take a quarter of the time of reading.
        path: package
        if path in required
        else dataclasses.replace(package, dev=path not in production, optional=path in optional)
        for path, package in packages.items()
    }
