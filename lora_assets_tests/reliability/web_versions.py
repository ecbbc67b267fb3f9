"""G16: every package of the table of versions without known holes is looked at, and none is passed over in silence.

Each row is tried as it is installed, as an older release, as a version that says nothing, and as absent. The lock file,
from which every machine is set up, is held against the table too. The planted fault is an audit that skips what it
cannot look up, as network audits do.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lora_assets.cli import doctor
from lora_assets.cli.doctor import BAD, GOOD, SAFE_VERSIONS, Finding, SafeVersions, safe_version_findings
from lora_assets_tests.reliability.goals import Figures, Level

_LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _older(versions: str) -> str:
    """A version that the specifier `>=x.y.z` just does not hold."""
    parts = [int(part) for part in versions.removeprefix(">=").split(".")]
    place = max(at for at, part in enumerate(parts) if part)
    parts[place] -= 1
    return ".".join(map(str, [*parts[: place + 1], *([999] * (place < 2))]))


def _with_version(row: SafeVersions, version: str | None) -> list[Finding]:
    """What the doctor says of one row when the package has this version, or is absent."""

    def told(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor.metadata, "version", told)
        return list(safe_version_findings([row]))


def _skipping(table: Sequence[SafeVersions]) -> Iterator[Finding]:
    """An audit that passes over what it cannot look up, and calls the rest clean."""
    for row in table:
        found = _installed(row.package)
        if found is None or not re.fullmatch(r"[0-9.]+", found) or not SpecifierSet(row.versions).contains(found):
            continue
    yield Finding("known holes", GOOD, "none")


def _states(found: Any) -> list[str]:
    return [finding.state for finding in found]


def run(level: Level) -> Figures:
    """Every row of the table in four states, and the lock file."""
    began, failures, tried = time.monotonic(), [], 0
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", _LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    locked = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    for row in SAFE_VERSIONS:
        cases = [
            ("an older release", _older(row.versions), [BAD]),
            ("a version that says nothing", "unknown", [BAD, BAD]),
            ("absent", None, [BAD, BAD] if row.needed else [BAD]),
        ]
        for name, version, states in cases:
            tried += 1
            found = _states(_with_version(row, version))
            if found != states:
                failures.append(f"{row.package} as {name} ({version}) is told as {found}")
        installed = _installed(row.package)
        if installed is not None or row.needed:
            tried += 1
            if installed is None or not SpecifierSet(row.versions).contains(Version(installed), prereleases=True):
                failures.append(f"{row.package} {installed} is installed, {row.versions} is asked for")
        if row.needed or row.package in locked:
            tried += 1
            version = locked.get(row.package)
            if version is None or not SpecifierSet(row.versions).contains(Version(version), prereleases=True):
                failures.append(f"requirements.lock has {row.package} {version}, {row.versions} is asked for")
    tried += 1
    if _states(safe_version_findings()) != [GOOD]:
        failures.append(f"the doctor finds {[finding.seen for finding in safe_version_findings()]}")
    blind = _states(_skipping([SafeVersions("no-such-package-at-all", ">=1", "")])) == [GOOD]
    seeing = _states(safe_version_findings([SafeVersions("no-such-package-at-all", ">=1", "")])) == [BAD, BAD]
    checked = sum(_installed(row.package) is not None for row in SAFE_VERSIONS)
    return Figures(
        "G16",
        "every package of the table of versions without known holes: as installed, as locked, as an older release, as "
        "a version that says nothing, and absent",
        tried,
        len(failures),
        blind and seeing,
        time.monotonic() - began,
        "an audit that skips what it cannot look up calls a missing package clean; the doctor calls it bad",
        (f"{checked} of {checked} listed packages that are installed were looked at; {len(SAFE_VERSIONS)} are listed",),
        failures=tuple(failures),
    )
