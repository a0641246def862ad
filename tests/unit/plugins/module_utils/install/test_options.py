# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the module, and of an app, as a request."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.options import install_request
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import (
    Bounds,
    InstallRequest,
    Network,
    Registry,
    Supply,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy
from ansible_collections.evenkeel.apphost.plugins.modules.lockfile_install import ARGUMENT_SPEC

DEFAULTS = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}


def request(**options: t.Any) -> InstallRequest:
    return install_request("/app", "/store", options)


def test_the_modules_defaults_are_the_requests() -> None:
    assert install_request("/app", "/store", DEFAULTS) == request() == InstallRequest("/app", "/store")


def test_everything() -> None:
    assert request(
        runtime_root="/node",
        python="/usr/bin/python3.11",
        manager="pnpm",
        manager_version="10.33.0",
        manager_path="/usr/bin/uv",
        allow_scripts=["sharp"],
        build_user="builder",
        owner="shop",
        group="web",
        registry="https://one.example.com/",
        registry_token="1",
        registries=[{"scope": "@acme", "url": "https://two.example.com/", "token": "2", "user": "me"}],
        ca_file="/ca.pem",
        proxy="http://proxy:3128",
        no_proxy="localhost",
        offline=True,
        packed="/packed.tar",
        allowed_hosts=["a"],
        allow_http=["b"],
        allow_sources=["c"],
        allow_weak_integrity=["d"],
        supply={"minimum_age": 3.0, "allow_young": ["e"], "signatures": True, "audit": "high"},
        trust_project_config=True,
        check_engines=False,
        verify="full",
        max_size="1.5M",
        store_max_age=2.0,
        store_max_bytes="1G",
        cache_max_bytes=1000,
    ) == InstallRequest(
        folder="/app",
        store="/store",
        runtime_root="/node",
        python="/usr/bin/python3.11",
        manager="pnpm",
        manager_version="10.33.0",
        manager_path="/usr/bin/uv",
        allow_scripts=("sharp",),
        build_user="builder",
        owner="shop",
        group="web",
        network=Network(
            registries=(
                Registry("https://one.example.com/", token="1"),
                Registry("https://two.example.com/", "@acme", "2", "me"),
            ),
            ca_file="/ca.pem",
            proxy="http://proxy:3128",
            no_proxy="localhost",
            offline=True,
            packed="/packed.tar",
        ),
        policy=Policy(allowed_hosts=("a",), allow_http=("b",), allow_sources=("c",), allow_weak_integrity=("d",)),
        supply=Supply(minimum_age=3.0, allow_young=("e",), signatures=True, audit="high"),
        trust_project_config=True,
        check_engines=False,
        verify_full=True,
        max_size=1572864,
        store_bounds=Bounds(172800.0, 1024**3),
        cache_bytes=1000,
    )


def test_tokens_that_are_not_with_their_registries() -> None:
    network = request(
        registry="https://one.example.com/",
        registries=[{"scope": "@acme", "url": "https://two.example.com/"}],
        registry_tokens={"https://one.example.com": "1", "https://two.example.com/": "2"},
    ).network

    assert [registry.token for registry in network.registries] == ["1", "2"]


def test_a_token_without_a_registry() -> None:
    with pytest.raises(
        ApphostError, match=r"a registry token is set, but no registry\. Set the registry's address too\."
    ):
        request(registry_token="t0k3n")


@pytest.mark.parametrize("size", ["big", "12Q", "0", "-5M"])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(ApphostError, match=rf"max_size: '{size}' is no size\. Write it as 250M or 1\.5G\."):
        request(max_size=size)


def test_no_secret_is_shown() -> None:
    shown = repr(request(registry="https://one.example.com/", registry_token="s3cr3t", proxy="http://me:s3cr3t@proxy"))

    assert "s3cr3t" not in shown
