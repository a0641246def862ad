# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as ``.npmrc`` has them, which npm, pnpm and yarn 1 read: registries, tokens, proxies."""

from __future__ import annotations

import base64
import json
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import parse, shown

Settings = dict[str, t.Union[str, int, bool]]

#: Behaviour that must not depend on somebody's configuration. Times in milliseconds: npm's own defaults wait up to
#: 70 s between two attempts and 300 s for an answer, with a deploy standing still meanwhile.
FIXED_SETTINGS: Settings = {
    "color": False,
    "fetch-retries": 2,
    "fetch-retry-maxtimeout": 10000,
    "fetch-retry-mintimeout": 1000,
    "fetch-timeout": 60000,
    "loglevel": "warn",
    "logs-max": 0,
    "progress": False,
    "update-notifier": False,
}


#: What npm and pnpm put a variable of the environment in place of, with what takes part in that.
_VARIABLE = re.compile(r"(\\*)(\$\{[^${}?]+\??\})")


def settings_file(settings: t.Mapping[str, str | int | bool]) -> bytes:
    """An ``.npmrc``; every text is quoted, so that it cannot become a setting of its own, and means itself."""
    values = {name: _literal(value) if isinstance(value, str) else value for name, value in settings.items()}
    return "".join(f"{_literal(name)}={json.dumps(values[name])}\n" for name in sorted(values)).encode()


def _literal(text: str) -> str:
    """A text of which ``${HOME}`` stays what it is: an odd number of backslashes does that, and half of them stay."""
    return _VARIABLE.sub(r"\1\1\\\2", text)


def registry_settings(network: Network, with_tokens: bool) -> Settings:
    """The registries as ``.npmrc`` has them."""
    settings: Settings = {}
    for registry in network.registries:
        settings[f"{registry.scope}:registry" if registry.scope else "registry"] = registry.url
        if registry.token and with_tokens:
            place = registry.url.split(":", 1)[-1].rstrip("/")
            if registry.user:
                settings[f"{place}/:username"] = registry.user
                settings[f"{place}/:_password"] = _base64(registry.token)
            else:
                settings[f"{place}/:_authToken"] = registry.token
    return settings


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def proxies(network: Network, environment: t.Mapping[str, str]) -> dict[str, str]:
    """The proxy as ``.npmrc`` has it: the one asked for, else that of this process (of a play's ``environment:``)."""
    found = {}
    given = {"https-proxy": network.proxy, "proxy": network.proxy, "noproxy": network.no_proxy}
    for setting, names in (
        ("https-proxy", ("https_proxy", "HTTPS_PROXY")),
        ("proxy", ("http_proxy", "HTTP_PROXY")),
        ("noproxy", ("no_proxy", "NO_PROXY")),
    ):
        value = given[setting] or next((environment[name] for name in names if environment.get(name)), None)
        if value:
            found[setting] = value
    return found


def check_addresses(network: Network) -> None:
    """Refuse registries whose address is none, or holds a password. Raises ApphostError."""
    for registry in network.registries:
        address = parse(registry.url)
        if address is None or address.scheme not in ("https", "http"):
            # The address of one of the registries is not one of HTTP or HTTPS.
            place = re.sub(r"//.*@", "//", registry.url)
            raise ApphostError(f"the registry {place!r} is no address", do="Write it as https://host/path/.")
        if address.user:
            # What is in the address is in logs, and every lifecycle script gets to know it.
            do = "Put the password into registry_token, or into the registry's own user and token."
            what = f"the address of the registry {shown(registry.url)} has a name or a password in it"
            raise ApphostError(what, do=do)


def check_scopes(network: Network) -> None:
    """Refuse scopes that are none, or that have two registries. Raises ApphostError."""
    for registry in network.registries:
        if registry.scope is not None and not re.fullmatch(r"@[a-zA-Z0-9~][a-zA-Z0-9._~-]*", registry.scope):
            # The scope of one of the registries is not written as packages have it.
            raise ApphostError(f"the scope {registry.scope!r} of a registry is none", do="Write it as @acme.")
    if len({registry.scope for registry in network.registries}) < len(network.registries):
        # Two of the registries have the same scope, or both have none.
        raise ApphostError("two registries are for the same packages", do="Give each a scope of its own.")
