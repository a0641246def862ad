# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip: ``requirements.txt`` in which every requirement is pinned and has its hashes (``--require-hashes``).

Such files are made by ``pip-compile --generate-hashes`` and ``uv export``. What pip could not check by a hash (git,
folders, ``-e``), other files (``-r``, ``-c``), and settings that an artifact must not make for the host that installs
it (``--index-url`` and the like) are problems. pip is to be given ``PipLock.clean``, never the file itself: what was
checked is what is installed then, however pip reads such files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import posixpath
import re
import typing as t
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses, integrity
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Format,
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import (
    Requirement,
    is_name,
    normal_name,
    parse_requirement,
)

REMAKE = (
    "Make it with pip-compile --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links (pip-tools) "
    "or uv export --no-emit-workspace, and commit it."
)

#: Options of a whole file that change nothing about what is installed, or make pip stricter.
HARMLESS = ("--require-hashes", "--only-binary", "--prefer-binary", "--no-index", "--pre")
#: Options that say where packages come from.
PLACES = ("-i", "--index-url", "--pypi-url", "--extra-index-url", "-f", "--find-links", "--trusted-host")
INCLUDES = ("-r", "--requirement", "-c", "--constraint")

#: Characters at which pip ends a line, and editors and people do not see one.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]|\r(?!\n)")
_CODING = re.compile(r"coding[:=]\s*([-\w.]+)")
_COMMENT = re.compile(r"(?:^|\s)#(.*)$")
_HASH = re.compile(r"(sha256|sha384|sha512):([0-9a-fA-F]+)")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_NAMED = re.compile(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\]\s*)?@")
_WHEEL = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)(?:-[0-9][^-]*)?-[^-]+-[^-]+-[^-]+\.whl")


@dataclasses.dataclass(frozen=True)
class PipLock(Lockfile):
    """With what ``in_step`` and pip need besides."""

    #: Everything that is wrong for an installation by hashes, in words.
    problems: tuple[Problem, ...] = ()
    #: The requirements as they were understood, and nothing else: what pip is to install from.
    clean: str = ""
    #: What the comments ``# via`` say is asked for by the project itself; ``None``: there are none.
    listed: frozenset[str] | None = None

    @property
    def direct(self) -> frozenset[str]:
        """Paths of what the project asks for by itself, as far as the file tells; else of everything."""
        return self.listed if self.listed is not None else super().direct


def parse(content: bytes, path: str, _manifests: t.Mapping[str, Manifest]) -> PipLock:
    """The requirements in ``content``; ``path`` names it in errors. Raises ApphostError for what is no such file."""
    return _Parser(content, path).lockfile()


def in_step(lockfile: Lockfile, _manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """What keeps the file from being installed by hashes. It does not say what it was made for, so no more is known."""
    if not isinstance(lockfile, PipLock):
        raise TypeError("a requirements.txt is needed")
    return list(lockfile.problems)


def has_hashes(content: bytes) -> bool:
    """Whether a ``requirements.txt`` is a lockfile."""
    return b"--hash" in content


@dataclasses.dataclass
class _Line:
    """A line with its continuations, without its comment."""

    number: int
    text: str
    comment: str = ""


class _Parser:
    def __init__(self, content: bytes, path: str) -> None:
        self.path = path
        self.content = content
        self.problems: list[Problem] = []
        self.packages: list[Package] = []
        self.clean: list[str] = []
        #: By path: what the comments say that it is there for.
        self.via: dict[str, list[str]] = {}
        #: Whether the next line may have more of that.
        self.more_via = False

    def error(self, what: str) -> ApphostError:
        return ApphostError(what, self.path, REMAKE)

    def lockfile(self) -> PipLock:
        for line in self._lines():
            if line.text:
                self._statement(line)
            self._comment(line.comment)
        if not self.packages and not self.problems:
            raise self.error("asks for nothing")
        packages = self._by_path()
        direct = self._direct(packages)
        clean = "".join(f"{text}\n" for text in self.clean)
        return PipLock(
            path=self.path,
            name=os.path.basename(self.path),
            content=self.content,
            manager="pip",
            format="1",
            sha256=hashlib.sha256(self.content).hexdigest(),
            digest=hashlib.sha256(clean.encode()).hexdigest(),
            projects={},
            needs=tuple(path for path, package in packages.items() if package.markers is None),
            wants=tuple(path for path, package in packages.items() if package.markers is not None),
            packages=packages,
            problems=tuple(self.problems),
            clean=clean,
            listed=direct if self.via else None,
        )

    def _lines(self) -> t.Iterator[_Line]:
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(f"is not UTF-8 (byte {error.start})") from error
        if not text.strip():
            raise self.error("is empty")
        hidden = _HIDDEN.search(text)
        if hidden:
            number = text.count("\n", 0, hidden.start()) + 1
            raise self.error(f"has a control character ({hidden[0]!r}) in line {number}")
        lines = text.split("\n")
        for line in lines[:2]:
            coding = _CODING.search(line) if line.startswith("#") else None
            if coding and coding[1].lower() not in ("utf-8", "utf8", "ascii", "us-ascii"):
                raise self.error(f"says that it is in {coding[1][:50]}, and only UTF-8 is understood")
        if any(line.startswith("<<<<<<< ") for line in lines):
            raise self.error("holds the marks of an unresolved merge")
        yield from _joined(lines)

    def _statement(self, line: _Line) -> None:
        at = f"line {line.number}"
        if "\\" in line.text:
            raise self.error(f"{at} has a backslash that is not at its end")
        variable = _VARIABLE.search(line.text)
        if variable:
            self.problems.append(Problem(f"{at} takes {variable[0][:100]} from the environment"))
            return
        if line.text.startswith("-"):
            self._option(at, line.text)
            return
        words = line.text.split()
        count = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        self._requirement(at, " ".join(words[:count]), words[count:])

    def _option(self, at: str, text: str) -> None:
        option, _equals, value = text.partition("=") if text.startswith("--") else (text[:2], "", text[2:])
        option, _space, more = option.strip().partition(" ")
        shown = f"{option} {addresses.shown((value or more).strip())}".strip()
        if option in HARMLESS:
            return
        if option in PLACES:
            self.problems.append(Problem(f"{at} sets {shown}: where packages come from is not up to the app's files"))
        elif option in INCLUDES:
            self.problems.append(
                Problem(f"{at} includes another file ({shown}): only one file with everything is installed")
            )
        elif option in ("-e", "--editable"):
            self.problems.append(Problem(f"{at} asks for a folder to work in ({shown}), which has no hash"))
        else:
            self.problems.append(Problem(f"{at} has the option {shown[:200]}, which is not taken from the app's files"))

    def _requirement(self, at: str, text: str, options: list[str]) -> None:
        asked = self._asked(at, text)
        if asked is None:
            return
        hashes = self._hashes(at, asked.name, options)
        if hashes is None:
            return
        version = _version(asked)
        if version is None and asked.address is None:
            wanted = ",".join(map(str, asked.conditions)) or "any version"
            self.problems.append(Problem(f"{at} asks for {asked.name} in {wanted}, which is no exact version"))
            return
        marker = str(asked.marker) if asked.marker else None
        name = asked.name + (f"[{','.join(sorted(asked.extras))}]" if asked.extras else "")
        address, source = asked.address, _source(asked.address)
        if address and source == Source.FILE:
            exact = address = f"./{posixpath.normpath(address)}"
        else:
            exact = f"{name} @ {address}" if address else name + "".join(map(str, asked.conditions))
        self.clean.append(
            exact
            + (f" ; {marker}" if marker else "")
            + "".join(f" --hash={algorithm}:{digest}" for algorithm, digest in hashes)
        )
        self.packages.append(
            Package(
                path=asked.name,
                name=asked.name,
                version=version,
                source=source,
                resolved=address,
                integrity=" ".join(integrity.from_hex(algorithm, digest) for algorithm, digest in hashes),
                optional=marker is not None,
                # To build a package from its sources is to run its code; from a registry, pip may find a wheel.
                has_install_script=bool(address) and _WHEEL.fullmatch(_file(address or "")) is None,
                markers=marker,
            )
        )

    def _asked(self, at: str, text: str) -> Requirement | None:
        """The requirement in ``text``; ``None`` (and a problem) for what pip cannot check."""
        plain = addresses.shown(text)
        if re.match(r"(git|hg|svn|bzr)(\+\w+)?:", text) or re.search(r"@\s*(git|hg|svn|bzr)\+", text):
            self.problems.append(Problem(f"{at} asks for a repository ({plain}), which has no hash"))
            return None
        address = text.partition(" ;")[0]
        if not _NAMED.match(text) and ("/" in address or _WHEEL.fullmatch(address)):
            name = _name_in(address)
            if name is None:
                problem = (
                    "without a name (write: name @ address)" if _is_archive(address) else "a folder, which has no hash"
                )
                self.problems.append(Problem(f"{at} asks for {plain}, {problem}"))
                return None
            text = f"{name} @ {text}"
        try:
            asked = parse_requirement(text)
        except ValueError as error:
            raise self.error(f"{at}: {error}") from error
        if asked.address and not addresses.is_web(asked.address):
            if _is_outside(asked.address):
                raise self.error(f"{at} asks for a file that is not below its folder: {plain}")
            if not _is_archive(asked.address):
                self.problems.append(Problem(f"{at} asks for {plain}, a folder, which has no hash"))
                return None
        return asked

    def _hashes(self, at: str, name: str, options: list[str]) -> list[tuple[str, str]] | None:
        found = []
        words = iter(options)
        for word in words:
            option, _equals, value = word.partition("=")
            if option != "--hash":
                self.problems.append(
                    Problem(f"{at} has the option {option[:100]} for {name}, which is not taken from the app's files")
                )
                return None
            match = _HASH.fullmatch(value or next(words, ""))
            if match is None or len(match[2]) != 2 * integrity.STRONG_HASHES[match[1]]:
                self.problems.append(
                    Problem(f"{at} has a hash for {name} that is no whole SHA-256, SHA-384 or SHA-512")
                )
                return None
            found.append((match[1], match[2].lower()))
        if not found:
            self.problems.append(Problem(f"{at} asks for {name} without a --hash"))
            return None
        return found

    def _comment(self, comment: str) -> None:
        """``via a, b`` behind a requirement, or ``via`` and one name in each of the lines below it."""
        text = comment.strip()
        begins = text == "via" or text.startswith("via ")
        self.more_via = bool(self.packages) and (begins or (self.more_via and comment.startswith("   ")))
        if self.more_via:
            names = self.via.setdefault(self.packages[-1].name, [])
            names += [normal_name(part.strip()) for part in text[3 if begins else 0 :].split(",") if part.strip()]

    def _direct(self, packages: dict[str, Package]) -> frozenset[str]:
        """Paths of what something asks for that is no package: ``-r requirements.in``, the project itself."""
        named = {package.name for package in self.packages}
        asked_by = {path: self.via.get(package.name) for path, package in packages.items()}
        return frozenset(path for path, names in asked_by.items() if names is None or not named.issuperset(names))

    def _by_path(self) -> dict[str, Package]:
        """By name where that is unique, else by name and version (for other Pythons or platforms)."""
        versions: dict[str, set[str | None]] = {}
        for package in self.packages:
            versions.setdefault(package.name, set()).add(package.version)
        found: dict[str, Package] = {}
        for package in self.packages:
            path = package.name if len(versions[package.name]) == 1 else f"{package.name}@{package.version}"
            before = found.get(path)
            if before is None:
                found[path] = package if path == package.path else dataclasses.replace(package, path=path)
            elif (before.resolved, before.integrity) == (package.resolved, package.integrity):
                markers = _either(before.markers, package.markers)
                found[path] = dataclasses.replace(before, markers=markers, optional=markers is not None)
            else:
                raise self.error(f"asks for {path} twice, and not for the same")
        return found


def _either(one: str | None, other: str | None) -> str | None:
    return f"({one}) or ({other})" if one and other else None


def _joined(lines: t.Sequence[str]) -> t.Iterator[_Line]:
    """Lines with their continuations, as pip joins them; the comment of a line comes with it."""
    parts: list[str] = []
    start = 0
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        # A line that is a comment ends what was continued, and a backslash means nothing in it.
        continued = line.endswith("\\") and not line.lstrip().startswith("#")
        if not parts:
            start = number
        parts.append(line[:-1] if continued else line)
        if not continued:
            yield _line(start, "".join(parts) if len(parts) == 1 else _with_comment(parts))
            parts = []
    if parts:
        yield _line(start, "".join(parts))


def _with_comment(parts: list[str]) -> str:
    if parts[-1].lstrip().startswith("#"):
        parts[-1] = f" {parts[-1]}"
    return "".join(parts)


def _line(number: int, text: str) -> _Line:
    comment = _COMMENT.search(text)
    return _Line(number, text[: comment.start()].strip() if comment else text.strip(), comment[1] if comment else "")


def _version(asked: Requirement) -> str | None:
    if asked.address:
        wheel = _WHEEL.fullmatch(_file(asked.address))
        return wheel[2] if wheel else None
    if len(asked.conditions) != 1 or asked.conditions[0].operator not in ("==", "===") or asked.conditions[0].any_after:
        return None
    return asked.conditions[0].text or str(asked.conditions[0].version)


def _source(address: str | None) -> str:
    if address is None:
        return Source.REGISTRY
    return Source.ADDRESS if addresses.is_web(address) else Source.FILE


def _file(address: str) -> str:
    return urllib.parse.unquote(address.partition("#")[0].partition("?")[0].rpartition("/")[2]).strip()


def _is_archive(address: str) -> bool:
    return addresses.is_web(address) or _file(address).endswith((".whl", ".tar.gz", ".zip", ".tgz"))


def _name_in(address: str) -> str | None:
    """The name of the package at an address that stands there without one."""
    wheel = _WHEEL.fullmatch(_file(address))
    egg = re.search(r"[#&]egg=([A-Za-z0-9._-]+)", address)
    name = wheel[1] if wheel else egg[1] if egg else ""
    return name if is_name(name) else None


def _is_outside(address: str) -> bool:
    path = urllib.parse.unquote(address.partition("#")[0])
    return "://" in path or path.startswith(("/", "file:", "~")) or ".." in path.split("/") or "\\" in path


FORMAT = Format(
    manager="pip",
    names=("requirements.txt",),
    parse=parse,
    in_step=in_step,
    ecosystem="python",
    remake=REMAKE,
    recognises=has_hashes,
    needs_manifest=False,
)
