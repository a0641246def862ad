# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_addresses: the first address that an inventory gives."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.filter.host_addresses import host_addresses


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"apphost_address": "10.0.0.1", "ansible_host": "192.0.2.1"}, "10.0.0.1"),
        ({"ansible_host": "192.0.2.1"}, "192.0.2.1"),
        ({}, "app1"),
    ],
)
def test_the_nearest_address_counts(variables: dict[str, t.Any], address: str) -> None:
    assert host_addresses(["app1"], {"app1": variables, "app2": {}}) == [{"name": "app1", "address": address}]


def test_the_order_of_the_inventory_is_kept() -> None:
    assert [one["name"] for one in host_addresses(["b", "a"], {"a": {}, "b": {}})] == ["b", "a"]
