# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of this collection promise, said once.

A module extends this fragment and adds ``support`` (and ``details`` where it is not full)::

    extends_documentation_fragment:
      - evenkeel.apphost._attributes
      - evenkeel.apphost._attributes.changes     # or .info for a module that only reads
"""

from __future__ import annotations


class ModuleDocFragment:
    # What the three words mean.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the status it would have without changing anything.
  diff_mode:
    description: Returns what has changed, or would change in C(check_mode), in diff mode.
  idempotent:
    description: When run a second time with the same arguments and nothing else has changed, it changes nothing.
"""

    # A module that changes things, with all three.
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: This module never changes anything.
  diff_mode:
    support: N/A
    details: This module never changes anything.
  idempotent:
    support: full
"""
