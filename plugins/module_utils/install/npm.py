# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm: the files it is given, the commands it is run with, and what its failures mean."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest

#: Installs exactly the lockfile, runs no package's code, asks nobody but the registry.
CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--json")

#: Settings of an app's own .npmrc that decide the shape of the tree. Any other (registries, scripts, tokens) is not
#: taken from an artifact.
TRUSTED_SETTINGS = ("legacy-peer-deps", "strict-peer-deps", "install-strategy")

#: Behaviour that must not depend on somebody's configuration. Times in milliseconds: npm's own defaults wait up to
#: 70 s between two attempts and 300 s for an answer, with a deploy standing still meanwhile.
FIXED_SETTINGS: dict[str, str | int | bool] = {
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

#: Characters of npm's words that are shown.
SHOWN = 600

_NETWORK = {
    "ECONNREFUSED",
    "ECONNRESET",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EPIPE",
    "ERR_SOCKET_TIMEOUT",
    "ETIMEDOUT",
    "FETCH_ERROR",
}
_CERTIFICATE = {
    "CERT_HAS_EXPIRED",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
}


def trusted_settings(npmrc: bytes | None) -> dict[str, str]:
    """The settings of an app's own ``.npmrc`` that are taken from it."""
    lines = (npmrc or b"").decode("utf-8", "replace").splitlines()
    pairs = (re.fullmatch(r"\s*([a-z-]+)\s*=\s*\"?([a-z]+)\"?\s*", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair and pair[1] in TRUSTED_SETTINGS}


def scratch_manifest(manifest: Manifest, allow_scripts: t.Sequence[str]) -> bytes:
    """The package.json that npm gets: what decides the tree, so that nothing else can."""
    # A newer npm (12 always) runs a package's scripts only when the project allows them by name.
    allowed = {"allowScripts": dict.fromkeys(allow_scripts, True)} if allow_scripts else {}
    value = {"name": "apphost-install", "version": "0.0.0", "private": True, **manifest.deciding, **allowed}
    return json.dumps(value, indent=1, sort_keys=True).encode("utf-8", "surrogatepass")


def settings_file(settings: t.Mapping[str, str | int | bool]) -> bytes:
    """An ``.npmrc``; every text is quoted, so that it cannot become a setting of its own."""
    return "".join(f"{name}={json.dumps(settings[name])}\n" for name in sorted(settings)).encode()


def user_settings(
    cache: str, registry: str | None, token: str | None, proxies: t.Mapping[str, str]
) -> dict[str, str | int | bool]:
    """What npm is told in a file that only the build user can read: a token or a proxy's password never is in argv."""
    settings: dict[str, str | int | bool] = {**FIXED_SETTINGS, **proxies, "cache": cache}
    if registry:
        settings["registry"] = registry
    if token:
        if not registry:
            raise ApphostError("a registry token is set, but no registry", do="Set the registry's address too.")
        host = registry.split(":", 1)[-1]
        settings[f"{host.rstrip('/')}/:_authToken"] = token
    return settings


def proxies_of(environment: t.Mapping[str, str]) -> dict[str, str]:
    """The proxy of this process (a play sets it by ``environment:``) as npm settings."""
    found = {}
    for setting, names in (
        ("https-proxy", ("https_proxy", "HTTPS_PROXY")),
        ("proxy", ("http_proxy", "HTTP_PROXY")),
        ("noproxy", ("no_proxy", "NO_PROXY")),
    ):
        value = next((environment[name] for name in names if environment.get(name)), None)
        if value:
            found[setting] = value
    return found


def build_environment(runtime_root: str, home: str, temporary: str, ca_file: str | None) -> dict[str, str]:
    """All that npm and lifecycle scripts get to see."""
    variables = {
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{runtime_root}/bin:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": temporary,
        # Where add-ons find the headers of this very runtime, instead of downloading them.
        "npm_config_nodedir": runtime_root,
    }
    return {**variables, "NODE_EXTRA_CA_CERTS": ca_file} if ca_file else variables


def failure(out: str, err: str) -> tuple[str, str]:
    """The error code and the words of npm, from ``--json`` output or, failing that, from the log."""
    try:
        error = json.loads(out[out.index("{") :])["error"]
        return str(error.get("code") or ""), f"{error.get('summary') or ''}\n{error.get('detail') or ''}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        lines = [line for line in err.splitlines() if line.startswith("npm error")]
        code = next((line.split()[-1] for line in lines if line.startswith("npm error code ")), "")
        text = "\n".join(line[len("npm error ") :] for line in lines if not line.startswith("npm error code "))
        return code, text or err.strip() or out.strip()


def explain(code: str, words: str, lockfile: Lockfile, registry: str | None, secrets: t.Sequence[str]) -> ApphostError:
    """The error for a person: what went wrong in one sentence, what to do, and npm's own words, short and clean."""
    said = shortened(words, secrets)
    summary = shortened(words.partition("\n")[0], secrets)
    where = f"npm ci, {lockfile.path}"
    at = registry_host(registry)
    if code == "EINTEGRITY":
        wanted = set(re.findall(r"sha\d+-[0-9A-Za-z+/]+=*", words))
        named = [package.spec for package in lockfile.packages.values() if package.integrity in wanted]
        what = named[0] if named else "a package"
        return ApphostError(
            f"{what} from {at} is not what the lockfile was made with (integrity mismatch)",
            where,
            "Somebody changed the package at the registry, or the lockfile by hand: find out before you go on.",
            npm=said,
        )
    if code in ("ENOSPC", "EDQUOT"):
        do = "Free some space (or prune old releases) and run again."
        return ApphostError("no space left on the device", where, do, npm=said)
    if code in _NETWORK:
        do = "Check the registry's address, the network and the proxy; nothing was changed."
        return ApphostError(f"{at} cannot be reached ({code})", where, do, npm=said)
    if code in _CERTIFICATE:
        do = "Set ca_file to a file on the host with the authority's certificate."
        return ApphostError(f"the certificate of {at} is not trusted ({code})", where, do, npm=said)
    if code in ("E401", "E403", "ENEEDAUTH"):
        do = "Check the registry token. (An .npmrc in the artifact is not read for registries or tokens.)"
        return ApphostError(f"{at} refuses access ({code})", where, do, npm=said)
    if code == "E404":
        do = "Is it private, or at another registry? (An .npmrc in the artifact is not read for registries.)"
        return ApphostError(f"{at} does not have a package: {summary}", where, do, npm=said)
    if code == "ETARGET":
        do = "Was it withdrawn, or is the registry a mirror that lags behind?"
        return ApphostError(f"{at} lacks a version that the lockfile names: {summary}", where, do, npm=said)
    if code == "EUSAGE":
        found = re.findall(r"^(?:Missing|Invalid): .+", words, re.MULTILINE)
        what = shortened("; ".join(found[:3]), secrets) if found else said
        do = "Run npm install and commit the lockfile."
        return ApphostError(f"the lockfile does not match package.json: {what}", where, do, npm=said)
    return ApphostError(f"npm failed{f' ({code})' if code else ''}: {said}", where, npm=said)


def registry_host(registry: str | None) -> str:
    """How a registry is called in an error: its host, never a password in its address."""
    match = re.match(r"[a-z+]+://(?:[^/@]*@)?([^/]+)", registry or "")
    return f"the registry {match[1]}" if match else "the npm registry"


def shortened(words: str, secrets: t.Sequence[str]) -> str:
    """The words of npm in one bounded line, without secrets."""
    for secret in secrets:
        words = words.replace(secret, "***")
    words = re.sub(r"//[^/\s@]+@", "//***@", words)
    words = re.sub(r"npm_[0-9A-Za-z]{20,}|(_authToken|_auth|_password)\s*=\s*\S+", "***", words)
    line = re.sub(r"\s+", " ", words).strip()
    return line if len(line) <= SHOWN else f"{line[:SHOWN]} …"


def hidden_lockfile(tree: str) -> str:
    """Where npm writes down what it installed."""
    return os.path.join(tree, ".package-lock.json")
