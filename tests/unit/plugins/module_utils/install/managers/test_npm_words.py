# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm's failures in words, its settings, and what of an app's own .npmrc is taken."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import words as words_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers import npm, npm_words, npmrc
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile

FAILURES = json.loads((pathlib.Path(__file__).parents[1] / "fixtures" / "npm-failures.json").read_text())
REGISTRY = "https://me:pass@npm.example.com:8443/team/"
WRONG = "sha512-AAAAubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="
LOCKFILE = parse_lockfile(
    json.dumps(
        {"lockfileVersion": 3, "packages": {"": {}, "node_modules/ms": {"version": "2.1.3", "integrity": WRONG}}}
    ).encode(),
    "app/package-lock.json",
)


def explained(code: str, words: str = "it went wrong", registry: str | None = None) -> str:
    return npm_words.explain(code, words, "npm ci, app/package-lock.json", registry, [], LOCKFILE).message.removeprefix(
        "npm ci, app/package-lock.json: "
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "EINTEGRITY",
            (
                "ms@2.1.3 from the npm registry is not what the lockfile was made with (integrity mismatch). Somebody "
                "changed the package at the registry, or the lockfile by hand: find out before you go on."
            ),
        ),
        (
            "ECONNREFUSED",
            (
                "the registry 127.0.0.1:9 cannot be reached (ECONNREFUSED). "
                "Check the registry's address, the network and the proxy; nothing was changed."
            ),
        ),
        (
            "EUSAGE",
            (
                "the lockfile does not match package.json: Invalid: lock file's ms@2.1.3 does not satisfy ms@1.0.0. "
                "Run npm install and commit the lockfile."
            ),
        ),
        (
            "ETARGET",
            (
                "the npm registry lacks a version that the lockfile names: No matching version found for evil@1.0.1. "
                "Was it withdrawn, or is the registry a mirror that lags behind?"
            ),
        ),
        (
            "E401",
            (
                "the npm registry refuses access (E401). "
                "Check the registry token. (An .npmrc of the artifact is not read for registries or tokens.)"
            ),
        ),
    ],
)
def test_recorded_failures(name: str, message: str) -> None:
    code, words = npm_words.failure(FAILURES[name], "")

    assert code == name
    assert explained(code, words) == message


def test_a_failure_without_json() -> None:
    err = "npm warn old\nnpm error code E503\nnpm error 503 Service Unavailable\nnpm error try later\n"

    assert npm_words.failure("", err) == ("E503", "503 Service Unavailable\ntry later")
    assert npm_words.failure('{"error": 1}', "env: no such file") == ("", "env: no such file")
    assert npm_words.failure("only this", "") == ("", "only this")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ENOSPC", "no space left on the device"),
        ("EDQUOT", "no space left on the device"),
        ("ENOTFOUND", "the registry npm.example.com:8443 cannot be reached (ENOTFOUND)"),
        ("EPIPE", "the registry npm.example.com:8443 breaks off in the middle of a package (EPIPE)"),
        ("ETRANSFERTIMEOUT", "the registry npm.example.com:8443 does not answer in time (ETRANSFERTIMEOUT)"),
        ("E407", "the proxy refuses access (E407). Check the account in the proxy's address."),
        ("SELF_SIGNED_CERT_IN_CHAIN", "the certificate of the registry npm.example.com:8443 is not trusted"),
        ("E404", "the registry npm.example.com:8443 does not have a package: it went wrong"),
        ("EWHATEVER", "npm failed (EWHATEVER): it went wrong"),
        ("", "npm failed: it went wrong"),
    ],
)
def test_other_failures(code: str, words: str) -> None:
    message = explained(code, registry=REGISTRY)

    assert words in message
    assert "pass" not in message


@pytest.mark.parametrize(
    ("code", "said", "known_as", "again"),
    [
        ("FETCH_ERROR", "network timeout at: https://npm.acme.test:4443/a/-/a-1.0.0.tgz", "ERESPONSETIMEOUT", False),
        ("EIDLETIMEOUT", "Idle timeout reached for host `npm.acme.test:4443`", "EIDLETIMEOUT", True),
    ],
)
def test_a_registry_that_falls_silent(code: str, said: str, known_as: str, again: bool) -> None:
    """What npm 11.21.2 said before the first byte, and in the middle of an archive, where it does not try again."""
    found, words = npm_words.failure(json.dumps({"error": {"code": code, "summary": said, "detail": ""}}), "")

    assert (found, found in npm_words.BROKEN_CODES) == (known_as, again)
    message = f"the registry npm.acme.test:4443 does not answer in time ({known_as}). It was tried again; "
    assert explained(found, words, registry=REGISTRY).startswith(message)


def test_words_are_short_and_hold_no_secret() -> None:
    words = (
        "GET https://me:pass@npm.example.com/a with t0k3n\n  _authToken=abc //r/:_password = xyz "
        "npm_0123456789abcdefghijKLMNOP " + "x" * 2000
    )

    said = words_module.shortened(words, ["t0k3n"])

    assert said.startswith("GET https://***@npm.example.com/a with *** *** //r/:*** *** xxx")
    assert len(said) <= words_module.SHOWN + 2


def test_what_is_taken_from_an_apps_npmrc() -> None:
    content = (
        b"; a comment\nregistry=https://evil.example.com/\n//evil.example.com/:_authToken=abc\nignore-scripts=false\n"
        b' legacy-peer-deps = true \ninstall-strategy="nested"\nstrict-peer-deps=${HOME}\nscript-shell=/tmp/evil\n\xff'
    )

    assert npm.trusted_settings(content) == {"legacy-peer-deps": "true", "install-strategy": "nested"}
    assert npm.trusted_settings(None) == {}


def test_a_value_cannot_become_a_setting() -> None:
    assert npmrc.settings_file({"registry": "https://x/\nignore-scripts=false", "color": False}) == (
        b'color=false\nregistry="https://x/\\nignore-scripts=false"\n'
    )


def test_proxies() -> None:
    environment = {"HTTPS_PROXY": "http://p:1", "http_proxy": "http://p:2", "NO_PROXY": "", "PATH": "/bin"}

    assert npmrc.proxies(Network(), environment) == {"https-proxy": "http://p:1", "proxy": "http://p:2"}
