# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Python packages and conditions on them (PEP 440): ``1.0rc1``, ``>=3.9,!=3.9.7,<4``."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

#: Characters of a version or a condition that are looked at. Real ones stay below 60.
MAX_LENGTH = 500

_VERSION = re.compile(
    r"""v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
        (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]*))?
        (?:-(?P<bare_post>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>[0-9]*))?
        (?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>[0-9]*))?
        (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_CONDITION = re.compile(r"(===|~=|==|!=|<=|>=|<|>)\s*(\S+)")

#: Sorts before and after every other part of a key.
_LOWEST, _HIGHEST = (-1,), (2,)


@dataclass(frozen=True)
class Version:
    """A version in its parts; ``number`` of a missing part is ``None``."""

    epoch: int
    release: tuple[int, ...]
    pre: tuple[str, int] | None = None
    post: int | None = None
    dev: int | None = None
    local: str | None = None

    @property
    def public(self) -> Version:
        """Without the local part."""
        return Version(self.epoch, self.release, self.pre, self.post, self.dev)

    @property
    def is_pre_release(self) -> bool:
        """Alphas, betas, candidates and development versions."""
        return self.pre is not None or self.dev is not None

    @property
    def base(self) -> Version:
        """Only the numbers."""
        return Version(self.epoch, self.release)

    @property
    def key(self) -> tuple[t.Any, ...]:
        """What versions are ordered by; equal versions (``1.0`` and ``1``) have equal ones."""
        release = list(self.release)
        while len(release) > 1 and not release[-1]:
            release.pop()
        pre: tuple[t.Any, ...] = (0, *self.pre) if self.pre else _HIGHEST
        if not self.pre and self.post is None and self.dev is not None:
            pre = _LOWEST  # 1.0.dev1 comes before 1.0a1
        parts = self.local.split(".") if self.local else []
        local = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
        return (
            self.epoch,
            tuple(release),
            pre,
            -1 if self.post is None else self.post,
            _HIGHEST if self.dev is None else (1, self.dev),
            local,
        )

    def __str__(self) -> str:
        """The canonical form."""
        return "".join(
            [
                f"{self.epoch}!" if self.epoch else "",
                ".".join(map(str, self.release)),
                f"{self.pre[0]}{self.pre[1]}" if self.pre else "",
                "" if self.post is None else f".post{self.post}",
                "" if self.dev is None else f".dev{self.dev}",
                f"+{self.local}" if self.local else "",
            ]
        )


def parse_version(text: str) -> Version | None:
    """The version in ``text``, in any of the spellings that are allowed; ``None``: it is none."""
    match = _VERSION.fullmatch(text.strip().lower()) if len(text) <= MAX_LENGTH else None
    if match is None:
        return None
    post = match["bare_post"] or (match["post_number"] or "0" if match["post"] else None)
    return Version(
        epoch=int(match["epoch"] or 0),
        release=tuple(map(int, match["release"].split("."))),
        pre=(_PRE.get(match["pre"], match["pre"]), int(match["pre_number"] or 0)) if match["pre"] else None,
        post=None if post is None else int(post),
        dev=int(match["dev_number"] or 0) if match["dev"] else None,
        local=_local(match["local"]) if match["local"] else None,
    )


def _local(text: str) -> str:
    return ".".join(str(int(part)) if part.isdigit() else part for part in re.split(r"[-_.]", text))


@dataclass(frozen=True)
class Condition:
    """``>=1.2``; of ``==1.2.*`` the version is 1.2 and ``any_after`` is set. ``===`` compares ``text``."""

    operator: str
    version: Version | None
    any_after: bool = False
    text: str = ""

    def __str__(self) -> str:
        """The canonical form."""
        return f"{self.operator}{self.text or self.version}{'.*' if self.any_after else ''}"

    @property
    def key(self) -> tuple[t.Any, ...]:
        """Equal for conditions that no version tells apart by their spelling (``>=1.0`` and ``>=1``)."""
        length = len(self.version.release) if self.version and (self.any_after or self.operator == "~=") else 0
        return self.operator, self.version.key if self.version else self.text, self.any_after, length

    def holds(self, version: Version) -> bool:
        """Whether ``version`` (pre-releases too) meets it."""
        wanted = self.version
        if wanted is None:
            return str(version) == str(parse_version(self.text) or self.text)
        if self.operator in ("==", "!="):
            return self._equal(version, wanted) == (self.operator == "==")
        if self.operator == "~=":
            prefix = Version(wanted.epoch, wanted.release[:-1])
            return version.public.key >= wanted.key and _begins(version, prefix)
        if self.operator == ">=":
            return version.public.key >= wanted.key
        if self.operator == "<=":
            return version.public.key <= wanted.key
        if version.public.key == wanted.key:
            return False
        if self.operator == "<":
            # Not the pre-releases of the version itself, unless it is one.
            own = version.is_pre_release and version.base.key == wanted.base.key
            own = own and (wanted.post is None or (wanted.post, wanted.pre) == (version.post, version.pre))
            return version.key < wanted.key and (wanted.is_pre_release or not own)
        # Nor its post-releases.
        plain = wanted.post is None and wanted.dev is None
        own = version.post is not None and (version.base.key, version.pre) == (wanted.base.key, wanted.pre)
        return version.key > wanted.key and not (plain and own)

    def _equal(self, version: Version, wanted: Version) -> bool:
        if self.any_after:
            return _begins(version, wanted)
        return (version if wanted.local else version.public).key == wanted.key


def _begins(version: Version, prefix: Version) -> bool:
    """Whether ``prefix.*`` takes ``version``."""
    length = len(prefix.release)
    return (version.epoch, (*version.release, *[0] * length)[:length]) == (prefix.epoch, prefix.release)


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """``>=3.9,!=3.9.7`` in order. Raises ``ValueError`` with the part that is not understood."""
    conditions = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = _CONDITION.fullmatch(part.strip()) if len(part) <= MAX_LENGTH else None
        condition = _condition(match[1], match[2]) if match else None
        if condition is None:
            raise ValueError(f"{part.strip()[:100]!r} is no condition on a version")
        conditions.append(condition)
    return tuple(conditions)


def _condition(operator: str, text: str) -> Condition | None:
    if operator == "===":
        return Condition(operator, None, text=text)
    any_after = text.endswith(".*")
    version = parse_version(text[:-2] if any_after else text)
    if version is None or (any_after and (operator not in ("==", "!=") or version != version.base)):
        return None
    if (operator == "~=" and len(version.release) < 2) or (version.local and operator not in ("==", "!=")):
        return None
    return Condition(operator, version, any_after)


def holds(conditions: t.Iterable[Condition], version: Version) -> bool:
    """Whether ``version`` meets all of them."""
    return all(condition.holds(version) for condition in conditions)
