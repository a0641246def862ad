# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that makes a request of options: of the module lockfile_install, and of what an app declares."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import (
    CACHE_BYTES,
    STORE_BOUNDS,
    Bounds,
    InstallRequest,
    Network,
    Registry,
    Shipped,
    Supply,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import PYTHON, Policy

Options = t.Mapping[str, t.Any]

_DAY = 86400.0
#: Options that are fields of the request under the same name.
_PLAIN = (
    "runtime_root",
    "python",
    "manager",
    "manager_version",
    "manager_path",
    "build_user",
    "owner",
    "group",
    "trust_project_config",
    "check_engines",
    "timeout",
)


def install_request(folder: str, store: str, options: Options) -> InstallRequest:
    """What ``options`` ask for; one that is not there, or ``None``, has its default. Raises ApphostError.

    ``registry_tokens`` maps addresses of registries to tokens, for where the tokens are not with the registries.
    """
    plain = {name: options[name] for name in _PLAIN if options.get(name) is not None}
    supply = options.get("supply") or {}
    return InstallRequest(
        folder=folder,
        store=store,
        allow_scripts=tuple(options.get("allow_scripts") or ()),
        network=_network(options),
        policy=Policy.of(options),
        supply=Supply(
            minimum_age=supply.get("minimum_age"),
            allow_young=tuple(supply.get("allow_young") or ()),
            signatures=bool(supply.get("signatures")),
            audit=supply.get("audit"),
        ),
        verify_full=options.get("verify") == "full",
        max_size=parse_size(options, "max_size"),
        store_bounds=_store_bounds(options),
        cache_bytes=parse_size(options, "cache_max_bytes") or CACHE_BYTES,
        may_build=options.get("build") is not False,
        shipped=Shipped(**options["shipped"]) if options.get("shipped") else None,
        **plain,
    )


def app_options(dependencies: Options, host: Options, manager: str | None) -> dict[str, t.Any]:
    """The options for an app whose ``dependencies`` say so, on a host that says the rest; what the app says counts.

    The host's registry is one of Node.js packages, and its token is for no other one. ``manager`` is the lockfile's.
    """
    own = {name: value for name, value in dependencies.items() if value is not None}
    shared = ("registry", "registry_token")
    others = "registry" in own or manager in PYTHON
    return {**{name: value for name, value in host.items() if not (others and name in shared)}, **own}


def parse_size(options: Options, name: str) -> int | None:
    """A number of bytes such as ``250M`` or ``1.5 GB`` (multiples of 1,024); ``None``: not given."""
    value = options.get(name)
    if value is None:
        return None
    try:
        size = human_to_bytes(value, default_unit="B")
    except ValueError:
        size = 0
    if size <= 0:
        # The option that comes first is no number of bytes, or is not more than 0.
        raise ApphostError(f"{value!r} is no size", name, "Write it as 250M or 1.5G.")
    return int(size)


def _store_bounds(options: Options) -> Bounds:
    days = options.get("store_max_age")
    max_age = STORE_BOUNDS.max_age if days is None else days * _DAY
    return Bounds(max_age, parse_size(options, "store_max_bytes"))


def _network(options: Options) -> Network:
    registries = []
    if options.get("registry"):
        default = {"url": options["registry"], "token": options.get("registry_token")}
        registries.append(_registry(default, options))
    elif options.get("registry_token"):
        # It is not said which registry may get the token.
        raise ApphostError("a registry token is set, but no registry", do="Set the registry's address too.")
    registries += [_registry(entry, options) for entry in options.get("registries") or ()]
    return Network(
        registries=tuple(registries),
        ca_file=options.get("ca_file"),
        proxy=options.get("proxy"),
        no_proxy=options.get("no_proxy"),
        offline=bool(options.get("offline")),
        packed=options.get("packed"),
    )


def _registry(entry: Options, options: Options) -> Registry:
    tokens = options.get("registry_tokens") or {}
    url = entry["url"]
    token = entry.get("token") or tokens.get(url) or tokens.get(url.rstrip("/"))
    return Registry(url=url, scope=entry.get("scope"), token=token, user=entry.get("user"))
