# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app may say about how its dependencies are installed: the options of ``lockfile_install`` that are its own.

Where a host keeps things, and every token, is not for an app to say.
"""

from __future__ import annotations

from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import (
    Choice,
    Field,
    Flag,
    ListOf,
    Number,
    Record,
    Text,
)

PACKAGE = Text(
    r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-zA-Z0-9~-][a-zA-Z0-9._~-]*",
    "the name of a package (such as sharp or @scope/name, without a version)",
    214,  # the npm registry's own limit
)
#: The name of a package, or a pattern of names.
PACKAGES = Text(r"(@[a-z0-9*~-][a-z0-9*._~-]*/)?[a-zA-Z0-9*~-][a-zA-Z0-9*._~-]*", "the name of a package", 214)
HOST = Text(r"\*|[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?", "a host (such as npm.example.com or localhost:4873)")
URL = Text(r"https?://[^\s/@]+(/[^\s?#]*)?", "an address (such as https://npm.example.com/, without a password)")

REGISTRY = Record(
    {
        "scope": Field(
            Text(r"@[a-zA-Z0-9~][a-zA-Z0-9._~-]*", "a scope such as @acme"),
            "The scope of the packages that come from there. Not for uv and pip, for which it is one more index.",
        ),
        "url": Field(URL, "Its address. A token for it belongs into `apphost_registry_tokens`.", required=True),
        "user": Field(Text(), "The user that the token belongs to, where the registry wants one."),
    }
)

SUPPLY = Record(
    {
        "minimum_age": Field(Number(0, 3650), "Days that every version must have been out.", unit="days"),
        "allow_young": Field(ListOf(PACKAGE), "Packages that may be of any age.", default=[]),
        "signatures": Field(Flag(), "Every package must carry a right signature of its registry (npm).", default=False),
        "audit": Field(
            Choice(("low", "moderate", "high", "critical")),
            "The lowest severity of a known vulnerability that stops the installation (npm).",
            default_words="no audit",
        ),
    }
)

DEPENDENCIES = Record(
    {
        "manager": Field(
            Choice(("auto", "npm", "pnpm", "yarn", "uv", "pip", "none")),
            "What installs the dependencies. `auto` goes by the lockfile it finds; `none` installs nothing.",
            default="auto",
        ),
        "manager_version": Field(
            Text(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*", "an exact version such as 10.33.0"),
            "The exact version of pnpm or yarn.",
            default_words="what `packageManager` in package.json names",
        ),
        "allow_scripts": Field(
            ListOf(PACKAGE),
            "Packages whose install scripts may run. The scripts of all others are not run.",
            default=[],
        ),
        "registry": Field(URL, "The registry of the packages.", default_words="the host's, else the manager's own"),
        "registries": Field(ListOf(REGISTRY), "More registries, each for the packages of one scope.", default=[]),
        "allowed_hosts": Field(
            ListOf(HOST),
            "Hosts that addresses in the lockfile may have, besides those of the registries.",
            default=[],
        ),
        "allow_http": Field(ListOf(HOST), "Hosts that may be asked without encryption.", default=[]),
        "allow_sources": Field(
            ListOf(PACKAGE),
            "Packages that may come from elsewhere than a registry: git, a plain address, a file or folder of the app.",
            default=[],
        ),
        "allow_weak_integrity": Field(
            ListOf(PACKAGES),
            "Packages that may have a weak hash in the lockfile, or none; `*` stands for any part of a name.",
            default=[],
        ),
        "trust_project_config": Field(
            Flag(),
            "Whether the manager reads the settings in the app's folder (`.npmrc` and the like) as they are.",
            default=False,
        ),
        "check_engines": Field(
            Flag(),
            "Whether an app, or a package, that is not for the runtime's version is refused (`engines.node`).",
            default=True,
        ),
        "max_size": Field(
            Text(r"[1-9][0-9]*(\.[0-9]+)?[KMGT]?", "a size such as 250M or 1.5G"),
            "What the dependencies may have at most. A larger tree is not put in place.",
            default_words="no limit",
            unit="bytes, with K, M, G or T",
        ),
        "build_on": Field(
            Choice(("host", "first_host", "controller")),
            "Where dependencies are built that a host lacks. `host`: on each host. `first_host`: on one host of each "
            "platform, and shipped to the others. `controller`: on the controller, whose platform has to be that of "
            "the hosts, and shipped to all. It does not change the release.",
            default="host",
        ),
        "supply": Field(SUPPLY, "More checks of where packages come from; they need the network.", default={}),
    }
)
