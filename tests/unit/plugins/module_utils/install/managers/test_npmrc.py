# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings files for npm, pnpm and yarn 1."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import (
    check_addresses,
    settings_file,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry


def as_npm_reads(text: str) -> str:
    """What npm makes of a value, where HOME is /root (its env-replace, npm 11)."""

    def replaced(match: re.Match[str]) -> str:
        backslashes = match[1]
        if len(backslashes) % 2:
            return match[0][(len(backslashes) + 1) // 2 :]
        return backslashes[: len(backslashes) // 2] + ("/root" if match[2] == "HOME" else match[0][len(backslashes) :])

    return re.sub(r"(?<!\\)(\\*)\$\{([^${}?]+)(\?)?\}", replaced, text)


@pytest.mark.parametrize(
    "value",
    ["${HOME}", r"a\${HOME}", r"a\\${HOME}b", "{${HOME}}", "$HOME", "${HOME?}", "${HOME?x}", "${}", 'a"${HOME}\n'],
)
def test_a_value_means_itself(value: str) -> None:
    name, _equals, written = settings_file({"token": value}).decode().rstrip("\n").partition("=")

    assert (name, as_npm_reads(json.loads(written))) == ("token", value)


def test_a_name_means_itself() -> None:
    name = settings_file({"//host/${HOME}/:_authToken": "t"}).decode().partition("=")[0]

    assert as_npm_reads(name) == "//host/${HOME}/:_authToken"


def test_numbers_and_switches() -> None:
    assert settings_file({"fetch-retries": 2, "color": False}) == b"color=false\nfetch-retries=2\n"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("npm.example.com", "the registry 'npm.example.com' is no address. Write it as https://host/path/."),
        ("ftp://host/", "the registry 'ftp://host/' is no address. Write it as"),
        (
            "https://me:sesame@host/",
            "the address of the registry https://host/ has a name or a password in it. Put the",
        ),
        ("https://sesame@host/", "the address of the registry https://host/ has a name or a password in it."),
        # No address, because of the slash in the password.
        ("https://me:ses/ame@host/", "the registry 'https://host/' is no address."),
    ],
)
def test_addresses_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(ApphostError) as caught:
        check_addresses(Network((Registry(url),)))

    assert caught.value.message.startswith(words)
    assert "ame" not in caught.value.message.replace("a name", "")


@pytest.mark.parametrize("url", ["https://host", "http://localhost:4873/", "https://host/team/@acme/"])
def test_addresses_that_are_fine(url: str) -> None:
    check_addresses(Network((Registry(url),)))
