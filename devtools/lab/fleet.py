# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets of lab hosts: several at once, each with its own network, addresses and ports.

What exists is read from the engine every time; nothing is remembered on the side. A fleet takes a slot, which gives
its network ``10.213.<slot>.0/24`` and its ports on 127.0.0.1. Addresses and ports are fixed when a host is created
and so outlast a restart.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import tempfile
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devtools.lab import inventory, keys
from devtools.lab.image import ensure_image
from devtools.paths import LAB, ROOT
from devtools.terminal import DevError, attempt, output_of, say, step

DEFAULT_HOSTS = dict.fromkeys(("lb1", "app1", "app2", "app3"), "bookworm")
# Several checkouts may have fleets of the same name on one engine: continuous integration runs in a clone of its own.
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
NAME = re.compile(r"[a-z][a-z0-9-]*")
SLOTS = range(100)
HOSTS_PER_SLOT = 50
FIRST_PORT = 20000  # below the range that systems give to outgoing connections (from 32768 on Linux)
FIRST_ADDRESS = 10  # .1 is the engine's own
BOOT_DEADLINE = 90.0
"""Seconds for a host to be up; 2-5 s are usual, many at once on two cores take longer."""

# What systemd needs in a container without being privileged, and what root of a real host has too:
# SYS_PTRACE lets it see from which release a process runs (/proc/<pid>/cwd).
SYSTEMD = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock"),
    *("--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
)


@dataclass(frozen=True)
class Host:
    """One host of a fleet. ``address`` is its own on the fleet's network, the ports are on 127.0.0.1."""

    name: str
    address: str
    ssh_port: int
    http_port: int | None
    image: str
    state: str

    @property
    def suite(self) -> str:
        return self.image.partition(":")[2].partition("-")[0]

    @property
    def url(self) -> str | None:
        return f"http://127.0.0.1:{self.http_port}" if self.http_port else None


def parse_hosts(text: str, suite: str) -> dict[str, str]:
    """The suite of each host in ``lb1,app1,app2:trixie``; ``suite`` is that of hosts which name none."""
    hosts: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, _, own = word.partition(":")
        if name in hosts:
            raise DevError(f"host {name} is named twice")
        hosts[name] = own or suite
    if not hosts:
        raise DevError("a fleet needs at least one host")
    return hosts


def up(fleet: str, hosts: Mapping[str, str] = DEFAULT_HOSTS, group_vars: Path = inventory.GROUP_VARS) -> list[Host]:
    """Bring up a fleet, given the suite of each host; hosts that exist are kept, those that are stopped are started.

    ``group_vars`` is the folder of the group variables of its inventory.
    """
    for name in (fleet, *hosts):
        if not NAME.fullmatch(name):
            raise DevError(f"{name!r} cannot be a name: lower-case letters, digits and hyphens, and a letter first")
    if len(hosts) > HOSTS_PER_SLOT:
        raise DevError(f"{len(hosts)} hosts are too many for one fleet, {HOSTS_PER_SLOT} are possible")
    keys.ensure_keys()
    images = {suite: ensure_image(suite) for suite in sorted(set(hosts.values()))}
    with step(f"start fleet {fleet}: {', '.join(f'{name} ({suite})' for name, suite in hosts.items())}"):
        present = {host.name: host for host in members(fleet)}
        for name in hosts.keys() & present.keys():
            if present[name].suite != hosts[name]:
                raise DevError(
                    f"{name} of fleet {fleet} runs {present[name].suite}; first: ./dev lab down --name {fleet}"
                )
        slot = _ensure_network(fleet)
        numbers = _free_numbers(present.values(), slot)
        missing = [name for name in hosts if name not in present]
        new = [_plan(name, next(numbers), slot, images[hosts[name]]) for name in missing]
        _each(new, lambda host: _create(fleet, host))
        _each([present[name] for name in hosts if name in present], lambda host: _start(fleet, host.name))
        result = members(fleet)
        inventory.write(fleet, result, group_vars)
        _each([host for host in result if host.name in hosts], lambda host: _wait(fleet, host))
    return result


def down(fleet: str) -> None:
    """Remove a fleet and all that belongs to it; nothing to do when there is none."""
    present = members(fleet)
    with step(f"remove fleet {fleet} ({len(present)} hosts)"):
        if present:
            output_of(["docker", "rm", "--force", "--volumes", *(container_name(fleet, host.name) for host in present)])
        if _networks(fleet):
            output_of(["docker", "network", "rm", _network(fleet)])
        shutil.rmtree(LAB / fleet, ignore_errors=True)


def restart(fleet: str, names: Sequence[str]) -> None:
    """Reboot hosts and wait until they are up again."""
    present = {host.name: host for host in members(fleet)}
    unknown = [name for name in names if name not in present]
    if unknown:
        raise DevError(f"fleet {fleet} has no {', '.join(unknown)}; it has {', '.join(present) or 'no hosts'}")
    with step(f"reboot {', '.join(names)} of fleet {fleet}"):
        _each(names, lambda name: output_of(["docker", "restart", "--time", "30", container_name(fleet, name)]))
        _each(names, lambda name: _wait(fleet, present[name]))


def fleets() -> list[str]:
    """The names of this checkout's fleets."""
    return sorted({str(container["Config"]["Labels"]["evenkeel.fleet"]) for container in _containers()})


def members(fleet: str) -> list[Host]:
    """The hosts of a fleet, in the order of their addresses, running or not."""
    hosts = [_read(container) for container in _containers(fleet)]
    return sorted(hosts, key=lambda host: [int(part) for part in host.address.split(".")])


def _containers(fleet: str | None = None) -> list[dict[str, t.Any]]:
    wanted = f"label=evenkeel.fleet={fleet}" if fleet else "label=evenkeel.fleet"
    found = output_of(["docker", "ps", "--all", "--quiet", "--filter", wanted]).split()
    containers: list[dict[str, t.Any]] = json.loads(output_of(["docker", "inspect", *found])) if found else []
    return [container for container in containers if container["Config"]["Labels"]["evenkeel.checkout"] == str(ROOT)]


def _read(container: dict[str, t.Any]) -> Host:
    labels = container["Config"]["Labels"]
    network = container["NetworkSettings"]["Networks"][_network(labels["evenkeel.fleet"])]
    ports = {inside: int(bound[0]["HostPort"]) for inside, bound in container["HostConfig"]["PortBindings"].items()}
    return Host(
        name=labels["evenkeel.host"],
        address=network["IPAMConfig"]["IPv4Address"],
        ssh_port=ports["22/tcp"],
        http_port=ports.get("80/tcp"),
        image=container["Config"]["Image"],
        state=container["State"]["Status"],
    )


def _network(fleet: str) -> str:
    return f"evenkeel-{CHECKOUT}-{fleet}"


def container_name(fleet: str, host: str) -> str:
    """The name of a host's container."""
    return f"evenkeel-{CHECKOUT}-{fleet}-{host}"


def _networks(fleet: str) -> list[dict[str, t.Any]]:
    found = attempt(["docker", "network", "inspect", _network(fleet)])
    return t.cast("list[dict[str, t.Any]]", json.loads(found.stdout)) if found.returncode == 0 else []


def _ensure_network(fleet: str) -> int:
    """The fleet's slot. Creating the network takes it: the engine refuses a second network at the same addresses."""
    for network in _networks(fleet):
        return int(network["IPAM"]["Config"][0]["Subnet"].split(".")[2])
    refusal = "no free port"
    for slot in SLOTS:
        if not _is_free(_first_port(slot)):
            continue
        made = attempt(["docker", "network", "create", "--subnet", f"10.213.{slot}.0/24", _network(fleet)])
        if made.returncode == 0:
            return slot
        refusal = made.stderr.strip()
    raise DevError(f"no room for another fleet: {refusal}")


def _first_port(slot: int) -> int:
    return FIRST_PORT + 2 * HOSTS_PER_SLOT * slot


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_numbers(present: t.Iterable[Host], slot: int) -> t.Iterator[int]:
    """Numbers in the fleet that no host has and whose ports nobody else uses."""
    taken = {int(host.address.rsplit(".", 1)[1]) - FIRST_ADDRESS for host in present}
    for number in range(HOSTS_PER_SLOT):
        ports = (_first_port(slot) + number, _first_port(slot) + HOSTS_PER_SLOT + number)
        if number not in taken and all(map(_is_free, ports)):
            yield number
    raise DevError("no free ports on 127.0.0.1 for another host of this fleet")


def _plan(name: str, number: int, slot: int, image: str) -> Host:
    ssh_port = _first_port(slot) + number
    return Host(
        name=name,
        address=f"10.213.{slot}.{FIRST_ADDRESS + number}",
        ssh_port=ssh_port,
        http_port=ssh_port + HOSTS_PER_SLOT if inventory.is_balancer(name) else None,
        image=image,
        state="new",
    )


def _create(fleet: str, host: Host) -> None:
    ports = ["--publish", f"127.0.0.1:{host.ssh_port}:22"]
    if host.http_port:
        ports += ["--publish", f"127.0.0.1:{host.http_port}:80"]
    labels = {"evenkeel.fleet": fleet, "evenkeel.host": host.name, "evenkeel.checkout": str(ROOT)}
    output_of(
        [
            *("docker", "create", "--name", container_name(fleet, host.name), "--hostname", host.name),
            *("--network", _network(fleet), "--ip", host.address, "--network-alias", host.name),
            *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
            *ports,
            *SYSTEMD,
            host.image,
        ]
    )
    _start(fleet, host.name)


def _start(fleet: str, host: str) -> None:
    """Start a host with this checkout's keys; they are new when .dev was removed, or was never there."""
    container = container_name(fleet, host)
    with tempfile.TemporaryFile() as files:
        files.write(keys.host_files())
        files.seek(0)
        output_of(["docker", "cp", "-", f"{container}:/"], stdin=files)
    output_of(["docker", "start", container])


def _wait(fleet: str, host: Host) -> None:
    """Until systemd has finished booting and ssh lets us in."""
    container = container_name(fleet, host.name)
    deadline = time.monotonic() + BOOT_DEADLINE
    state = ""
    while state not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise DevError(f"{container} is not up after {BOOT_DEADLINE:.0f} s: systemd says {state or 'nothing'}")
        state = attempt(["docker", "exec", container, "systemctl", "is-system-running", "--wait"]).stdout.strip()
        if not state:
            time.sleep(0.2)
    if state == "degraded":
        units = ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
        failed = output_of(["docker", "exec", container, *units]).splitlines()
        say(f"    {host.name} is up, but degraded: {', '.join(line.split()[0] for line in failed)}")
    login = ["ssh", *keys.ssh_options(), "-p", str(host.ssh_port), f"{keys.ADMIN}@127.0.0.1", "true"]
    while (tried := attempt(login)).returncode:
        if time.monotonic() > deadline:
            raise DevError(f"{container} is up, but SSH does not let us in: {tried.stderr.strip()}")
        time.sleep(0.2)


Item = t.TypeVar("Item")


def _each(items: Sequence[Item], work: Callable[[Item], object]) -> None:
    """Do the same for all at once; the first error is raised after all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for future in [pool.submit(work, item) for item in items]:
            future.result()
