# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The optional checks of where packages come from: age, signatures, known vulnerabilities."""

from __future__ import annotations

import json
import pathlib
import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import published
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm_supply import unsigned, vulnerable
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.published import Published
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry, Supply
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import NotFound

from .world import CI, World, failure


class Answers:
    """What registries answer, by address; and who asked how."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, **options: t.Any) -> t.Any:
        answers = self

        class Asking:
            def text(self, url: str) -> str:
                answers.asked.append((url, options["authorization"]))
                if url not in answers.texts:
                    raise NotFound("the server answered 404", url)
                if answers.texts[url] == "down":
                    raise ApphostError("cannot be reached", url, "Check the network.")
                return answers.texts[url]

        return Asking()


@pytest.fixture(name="answers")
def fixture_answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr(published, "Downloader", answers)
    return answers


def wanted(*names: str) -> dict[str, Package]:
    return {f"{name}@1.0.0": Package(name, name, "1.0.0") for name in names}


def document(moment: str, version: str = "1.0.0") -> str:
    return json.dumps({"time": {"created": "2010-01-01T00:00:00.000Z", version: moment}})


def test_a_registry_is_asked_once(answers: Answers, tmp_path: pathlib.Path) -> None:
    answers.texts = {
        "https://registry.npmjs.org/ms": document("2026-11-01T11:20:07.123Z"),
        "https://acme.example.com/@acme%2Fa": document("2026-11-02T11:20:07Z"),
    }
    network = Network((Registry("https://acme.example.com/", "@acme", "t0k3n"),))
    asking = Published(network, "node", str(tmp_path / "published.json"))

    for _turn in range(2):
        assert asking.times(wanted("ms", "@acme/a")) == {
            "ms@1.0.0": datetime(2026, 11, 1, 11, 20, 7, tzinfo=UTC),
            "@acme/a@1.0.0": datetime(2026, 11, 2, 11, 20, 7, tzinfo=UTC),
        }

    assert sorted(answers.asked) == [
        ("https://acme.example.com/@acme%2Fa", "Bearer t0k3n"),
        ("https://registry.npmjs.org/ms", None),
    ]
    assert (tmp_path / "published.json").stat().st_mode & 0o777 == 0o600
    assert "t0k3n" not in (tmp_path / "published.json").read_text()


def test_what_nobody_knows_is_asked_again(answers: Answers, tmp_path: pathlib.Path) -> None:
    asking = Published(Network(), "node", str(tmp_path / "published.json"))

    assert asking.times(wanted("gone")) == {}
    answers.texts["https://registry.npmjs.org/gone"] = "<html>"
    assert asking.times(wanted("gone")) == {}
    assert len(answers.asked) == 2


HTML = """<a href="a.tar.gz" data-upload-time="2026-11-03T00:00:00Z">Zope.Interface-1.0.0.tar.gz</a>
<a href="b.whl" data-upload-time="2026-11-01T10:00:00.5Z"
   data-requires-python="&gt;=3">zope_interface-1.0.0-py3-none-any.whl</a>
<a href="c.whl" data-upload-time="2020-11-01T10:00:00Z">zope_interface-1.0.0.1-py3-none-any.whl</a>"""
FILES = [
    {"filename": "zope_interface-1.0.0-py3-none-any.whl", "upload-time": "2026-11-01T10:00:00.5Z"},
    {"filename": "zope_interface-1.0.0.tar.gz", "upload-time": "2026-11-03T00:00:00Z"},
    {"filename": "zope_interface-0.9-py3-none-any.whl", "upload-time": "2020-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("text", [HTML, json.dumps({"files": FILES})], ids=["html", "json"])
def test_an_index_of_python_packages(answers: Answers, tmp_path: pathlib.Path, text: str) -> None:
    answers.texts["https://pypi.example.com/simple/zope-interface/"] = text
    network = Network((Registry("https://pypi.example.com/simple", token="t0k3n"),))

    found = Published(network, "python", str(tmp_path / "published.json")).times(wanted("zope.interface"))

    assert found == {"zope.interface@1.0.0": datetime(2026, 11, 1, 10, tzinfo=UTC)}
    # "__token__:t0k3n", as such indexes want it.
    assert answers.asked[0][1] == "Basic X190b2tlbl9fOnQwazNu"


def all_published(answers: Answers, world: World, when: datetime) -> None:
    lockfile = json.loads((world.app / "package-lock.json").read_text())
    for path, entry in lockfile["packages"].items():
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        url = f"https://registry.npmjs.org/{name.replace('/', '%2F')}"
        times = json.loads(answers.texts.get(url, '{"time": {}}'))["time"]
        answers.texts[url] = json.dumps({"time": {**times, entry["version"]: when.isoformat()}})


def test_versions_that_are_too_young(world: World, answers: Answers) -> None:
    now = datetime.now(UTC)
    all_published(answers, world, now - timedelta(days=10))
    answers.texts["https://registry.npmjs.org/semver"] = document((now - timedelta(hours=5)).isoformat(), "7.8.6")

    words = failure(world, world.request(supply=Supply(minimum_age=3)))

    assert words == (
        "/app/package-lock.json: semver@7.8.6 has been out for 5 hours; asked for are 3 days. "
        "Wait, take an older version, or name the package in allow_young."
    )
    # Nothing was fetched.
    assert world.npm.calls == []
    result = install_dependencies(world.request(supply=Supply(minimum_age=3, allow_young=("semver",))), world.npm)
    assert result.changed and "supply" in result.seconds


def test_a_registry_that_does_not_say_how_old(world: World, answers: Answers) -> None:
    all_published(answers, world, datetime.now(UTC) - timedelta(days=10))
    answers.texts["https://registry.npmjs.org/semver"] = "down"

    words = failure(world, world.request(supply=Supply(minimum_age=3)))

    assert "supply.minimum_age: the age of packages cannot be told: https://registry.npmjs.org/semver" in words


AUDIT = {
    "vulnerabilities": {
        "ms": {"severity": "high", "via": [{"title": "ReDoS in ms"}]},
        "debug": {"severity": "moderate", "via": ["ms"]},
    }
}


def test_an_audit(world: World) -> None:
    world.npm.answers["audit"] = (1, json.dumps(AUDIT))

    words = failure(world, world.request(supply=Supply(audit="high")))

    assert words.startswith(
        "supply.audit, /app/package-lock.json: ms (high: ReDoS in ms). Update what the lockfile has"
    )
    assert world.npm.npm_calls == [CI, ["audit", "--omit=dev", "--audit-level=high", "--json"]]
    assert (world.trees, world.rubbish) == ([], [])


def test_an_audit_that_finds_less(world: World) -> None:
    # npm's own status says whether it is enough.
    world.npm.answers["audit"] = (0, json.dumps(AUDIT))

    assert install_dependencies(world.request(supply=Supply(audit="critical")), world.npm).changed


def test_an_audit_that_does_not_answer(world: World) -> None:
    world.npm.answers["audit"] = (1, '{"message": "405 Method Not Allowed", "error": {"summary": ""}}')

    words = failure(world, world.request(supply=Supply(audit="high")))

    assert words.startswith(
        "supply.audit: npm audit gives no answer: 405 Method Not Allowed. Does this registry have it?"
    )


def test_signatures(world: World) -> None:
    report = {"invalid": [{"name": "ms", "version": "2.1.3"}], "missing": [{"name": "sharp", "version": "0.34.5"}]}
    world.npm.answers["audit"] = (1, json.dumps(report))

    words = failure(world, world.request(supply=Supply(signatures=True)))

    assert "ms@2.1.3 has a wrong signature; sharp@0.34.5 has no signature." in words
    assert world.npm.npm_calls[1] == ["audit", "signatures", "--json"]
    world.npm.answers["audit"] = (0, '{"invalid": [], "missing": []}')
    assert install_dependencies(world.request(supply=Supply(signatures=True)), world.npm).changed


def test_reports() -> None:
    assert vulnerable(AUDIT, "low") == ["ms (high: ReDoS in ms)", "debug (moderate)"]
    pnpm = {"advisories": {"1": {"module_name": "ms", "severity": "critical", "title": "Evil"}}}
    assert vulnerable(pnpm, "high") == ["ms (critical: Evil)"]
    assert vulnerable({}, "low") is None
    assert unsigned({"invalid": [], "missing": []}) == []
    assert unsigned({"error": {}}) is None
