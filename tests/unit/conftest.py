"""Make ``ansible_collections.evenkeel.apphost`` importable from this checkout, as Ansible itself would."""

from __future__ import annotations

import pathlib
import sys

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from hypothesis import settings

ROOT = pathlib.Path(__file__).resolve().parents[2]


def collections_path() -> pathlib.Path:
    """The folder above ``ansible_collections`` that leads to this checkout (in ``.dev`` when it is elsewhere)."""
    if ROOT.parts[-3:] == ("ansible_collections", "evenkeel", "apphost"):
        return ROOT.parents[2]
    home = ROOT / ".dev" / "collections"
    link = home / "ansible_collections" / "evenkeel" / "apphost"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT)
    return home


if not any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path):
    _AnsibleCollectionFinder(paths=[str(collections_path())])._install()

# The same examples in every run, however busy the machine is, and nothing remembered in the checkout.
settings.register_profile("evenkeel", derandomize=True, deadline=None, database=None)
settings.load_profile("evenkeel")
