# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of a lockfile a project reaches, for formats that do not record it."""

from __future__ import annotations

import dataclasses
import types
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package

Packages = t.Mapping[str, Package]
Edges = t.Callable[[Package], t.Iterable[str]]


def needs_of(package: Package) -> t.Iterable[str]:
    """What it cannot do without."""
    return package.needs


def all_of(package: Package) -> t.Iterable[str]:
    """What it needs, and what it can do without."""
    return (*package.needs, *package.wants)


def reached(packages: Packages, roots: t.Iterable[str], following: Edges) -> set[str]:
    """Paths of ``roots`` and of all that follows from them, as far as ``packages`` has them."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        path = todo.pop()
        if path in packages and path not in found:
            found.add(path)
            todo += following(packages[path])
    return found


def with_originals(originals: t.Mapping[str, str]) -> Edges:
    """Everything of a package, and what a patched one is made of, which is fetched too.

    ``originals`` are paths of patched packages with those of what is patched.
    """
    return lambda package: (*all_of(package), *([originals[package.path]] if package.path in originals else ()))


def marked(
    packages: Packages,
    needs: t.Sequence[str],
    wants: t.Sequence[str],
    originals: t.Mapping[str, str] = types.MappingProxyType({}),
) -> dict[str, Package]:
    """The packages with ``dev`` and ``optional`` as they follow from what is asked for in production.

    What production does not reach is ``dev``; what it does not reach by needs alone is ``optional``, and so is the
    original of a patched package, which is not installed.
    """
    required = reached(packages, needs, needs_of)
    production = reached(packages, (*needs, *wants), with_originals(originals))
    optional = production - required
    return {
        # The default, and what most of them are; another object for each would take a quarter of the time of reading.
        path: package
        if path in required
        else dataclasses.replace(package, dev=path not in production, optional=path in optional)
        for path, package in packages.items()
    }
