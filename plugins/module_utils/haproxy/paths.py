# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on a balancer: HAProxy's sockets as Debian's package and the role ``balancer`` have them, and ours."""

from __future__ import annotations

STATS_SOCKET = "/run/haproxy/admin.sock"
MASTER_SOCKET = "/run/haproxy-master.sock"

# ``drained.json`` (see marks.py) and ``server-state``, which HAProxy reads when it starts.
STATE_FOLDER = "/var/lib/apphost-balancer"

# Writes ``server-state``, and reloads HAProxy with it. The role ``balancer`` installs it; without it a restart of
# HAProxy forgets what is drained.
HELPER = "/usr/local/sbin/apphost-haproxy"
