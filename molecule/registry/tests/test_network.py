# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that is slow, broken, lying, foreign or gone. An app that fails to install is as it was before."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

import pytest

if t.TYPE_CHECKING:
    from devtools.lab.modules import AppHost
    from molecule.registry.tests.conftest import App, Registry

MakeApp = Callable[..., "App"]

PLAIN = r"/plain-1\.0\.0\.tgz$"
STRANGER = "http://127.0.0.1:4890/"
#: Where Verdaccio keeps the archives.
STORAGE = "/var/lib/private/verdaccio/storage"

HOSTILE = f"""
registry={STRANGER}
@corp:registry={STRANGER}
//npm.corp.test:4443/:_authToken=wrong
ignore-scripts=false
"""


@pytest.fixture
def gone(app_host: AppHost, registry: Registry) -> Iterator[None]:
    """There is no registry any more."""
    app_host.printed("systemctl", "stop", "front")
    yield
    app_host.printed("systemctl", "start", "front")
    registry.wait()


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        pytest.param({"do": "wait", "with": 2}, "", id="slow"),
        pytest.param({"do": "status", "with": 500, "times": 2}, "fetch-retry-maxtimeout=2000", id="fails-twice"),
        pytest.param({"do": "reset", "times": 1}, "", id="breaks-off-once"),
        pytest.param({"do": "stall", "times": 1}, "fetch-timeout=5000", id="falls-silent-once"),
    ],
)
def test_a_bad_moment_passes(
    registry: Registry, make_app: MakeApp, fault: dict[str, t.Any], settings: str, request: pytest.FixtureRequest
) -> None:
    app = make_app(request.node.callspec.id, "plain", **{".npmrc": settings})
    registry.order({"path": PLAIN, **fault})
    app.installs(trust_project_config=True)
    assert app.says() == "honest"
    assert len(registry.asked()) == fault.get("times", 0) + 1


@pytest.mark.parametrize(
    ("fault", "settings", "message"),
    [
        pytest.param({"do": "wait", "with": 60}, "fetch-timeout=2000", "does not answer in time (", id="silent"),
        pytest.param({"do": "stall"}, "fetch-timeout=2000", "does not answer in time (", id="falls-silent"),
        pytest.param({"do": "status", "with": 500}, "", "fails (E500). ", id="fails"),
        pytest.param({"do": "reset"}, "", "breaks off in the middle of a package (ECONNRESET). ", id="breaks-off"),
    ],
)
def test_what_stays_bad_is_told(
    registry: Registry,
    make_app: MakeApp,
    fault: dict[str, t.Any],
    settings: str,
    message: str,
    request: pytest.FixtureRequest,
) -> None:
    app = make_app(request.node.callspec.id, "plain", **{".npmrc": f"fetch-retries=0\n{settings}"})
    registry.order({"path": PLAIN, **fault})
    told = app.fails(trust_project_config=True)
    assert told.startswith(f"npm ci, {app.folder}/package-lock.json: the registry npm.corp.test:4443 {message}")
    assert told.endswith("Nothing was changed.")


def test_a_tampered_archive_is_refused_and_not_kept(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("tampered", "plain", "more")
    registry.order({"path": PLAIN, "do": "tamper", "with": ["honest", "hacked"]})
    told = app.fails()
    assert "plain@1.0.0 from the registry npm.corp.test:4443 is not what the lockfile was made with" in told
    registry.order()
    app.installs()
    assert app.says() == "honest, more"


def test_a_damaged_cache_of_downloads_is_not_believed(app_host: AppHost, make_app: MakeApp) -> None:
    app = make_app("damaged", "plain")
    app.installs()
    app_host.printed("sh", "-c", 'for file in $(find "$0" -type f); do echo x > "$file"; done', f"{app.store}/cache")
    make_app("damaged", "plain", "more").installs()
    assert app.says() == "honest, more"


def test_without_a_registry_the_old_tree_stays(make_app: MakeApp, request: pytest.FixtureRequest) -> None:
    app = make_app("gone", "plain")
    app.installs()
    make_app("gone", "plain", "more")
    request.getfixturevalue("gone")
    foreseen = app.installs(check=True)
    assert (foreseen["changed"], foreseen["from_cache"]) == (True, False)
    assert foreseen["difference"] == {"added": 1, "removed": 0, "updated": 0}
    told = app.fails()
    assert "the registry npm.corp.test:4443 cannot be reached (ECONNREFUSED)" in told
    assert app.says("plain") == "honest"
    make_app("gone", "plain")
    assert not app.installs(verify="full")["changed"]


@pytest.mark.usefixtures("shop", "gone")
def test_a_tree_that_this_host_has_needs_no_registry(make_app: MakeApp) -> None:
    again = make_app("again", "plain", "@corp/private", own_store=False)
    result = again.installs()
    assert (result["changed"], result["from_cache"], result["placed_by"]) == (True, True, "hard_link")
    assert again.says() == "honest, private and honest"


@pytest.mark.usefixtures("shop")
def test_offline_nobody_is_asked(registry: Registry, make_app: MakeApp) -> None:
    part = make_app("part", "plain", own_store=False)
    assert not part.installs(offline=True)["from_cache"]
    assert part.says() == "honest"
    told = make_app("lacks", "plain", "more", own_store=False).fails(offline=True)
    assert "the cache of this host lacks a package, and offline is set" in told
    assert "/more/" in told
    assert registry.asked() == []


def test_of_a_packed_set_nobody_is_asked(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("packed", "plain", "@corp/private")
    app.installs(packed=STORAGE)
    assert app.says() == "honest, private and honest"
    told = make_app("incomplete", "plain", "more").fails(packed=f"{STORAGE}/plain")
    assert told.startswith(f"{STORAGE}/plain: the packed set lacks more@1.0.0. ")
    assert registry.asked() == []


def test_an_authority_that_is_not_known(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("untrusted", "plain", **{".npmrc": "fetch-retries=0"})
    told = app.fails(ca_file=None, trust_project_config=True)
    assert "the certificate of the registry npm.corp.test:4443 is not trusted (" in told
    assert "Set ca_file to a file on the host" in told
    assert registry.asked() == []


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_proxy(registry: Registry, make_app: MakeApp, by: str) -> None:
    app = make_app(f"proxy-by-{by}", "plain", addresses=False)
    proxy = "http://deploy:open%20sesame@127.0.0.1:3128"
    way: dict[str, t.Any] = {"proxy": proxy} if by == "option" else {"environment": {"https_proxy": proxy}}
    app.installs(registry="https://npm.hidden.test/", **way)
    assert app.says() == "honest"
    assert {one["path"] for one in registry.asked("proxy")} == {"npm.hidden.test:443"}
    assert {one["host"] for one in registry.asked("registry")} == {"npm.hidden.test"}


def test_a_proxy_that_refuses(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("proxy-refuses", "plain", addresses=False)
    told = app.fails(registry="https://npm.hidden.test/", proxy="http://deploy:open%20parsley@127.0.0.1:3128")
    assert "the proxy refuses access (E407)" in told
    assert "parsley" not in told
    assert registry.asked("registry") == []


def test_the_settings_of_an_app_are_not_trusted(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("hostile", "plain", "@corp/private", addresses=False, **{".npmrc": HOSTILE})
    app.installs()
    assert app.says() == "honest, private and honest"
    assert registry.asked("stranger") == []


def test_the_settings_of_an_app_are_trusted_when_asked_for(registry: Registry, make_app: MakeApp) -> None:
    """Which shows that they would have mattered. Even then the stranger gets no token of ours."""
    app = make_app("trusted", "plain", addresses=False, **{".npmrc": HOSTILE})
    told = app.fails(trust_project_config=True)
    assert "the registry 127.0.0.1:4890 does not have a package" in told
    assert {one["token"] for one in registry.asked("stranger")} == {False}
    assert registry.asked("registry") == []


def test_what_the_policy_refuses_is_not_asked_for(registry: Registry, make_app: MakeApp) -> None:
    app = make_app("policy", "plain", registry="https://npm.open.test:4443/")
    told = app.fails()
    assert told.startswith(
        f"{app.folder}/package-lock.json: plain@1.0.0 is fetched from npm.open.test:4443, which is none of the allowed"
    )
    assert registry.asked() == []
    app.installs(allowed_hosts=["npm.open.test:4443"])
    # And what is allowed is not told our token.
    assert {(one["host"], one["token"]) for one in registry.asked()} == {("npm.open.test:4443", False)}
