# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``ansible_collections.evenkeel.apphost`` importable from this checkout, as Ansible itself would.

And note which error messages the tests produce, when all of them run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from hypothesis import settings

from devtools.errors.record import Record
from devtools.paths import link_collection

if not any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path):
    _AnsibleCollectionFinder(paths=[str(link_collection())])._install()

# The same examples in every run, however busy the machine is, and nothing remembered in the checkout.
settings.register_profile("evenkeel", derandomize=True, deadline=None, database=None)
settings.load_profile("evenkeel")

#: Needs to see what all other tests did.
LAST = Path(__file__).parent / "test_errors_are_produced.py"
RECORD = Record()


@pytest.fixture(scope="session")
def error_record() -> Record:
    """The errors that the tests so far produced."""
    return RECORD


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run ``LAST`` at the end, or leave it out when some of the other tests are not run."""
    last = [item for item in items if item.path == LAST]
    others = [item for item in items if item.path != LAST]
    all_files = {LAST, *(item.path for item in others)}.issuperset(LAST.parent.rglob("test_*.py"))
    if last and all_files and not any(config.getoption(option) for option in ("keyword", "markexpr", "deselect", "lf")):
        items[:] = [*others, *last]
        _watch()
    elif last:
        items[:] = others
        config.hook.pytest_deselected(items=last)


def _watch() -> None:
    from ansible_collections.evenkeel.apphost.plugins.module_utils import common

    patch = pytest.MonkeyPatch()
    patch.setattr(common.ApphostError, "__init__", RECORD.watch(common.ApphostError.__init__))
    patch.setattr(common.Problem, "__new__", RECORD.watch(common.Problem.__new__))
