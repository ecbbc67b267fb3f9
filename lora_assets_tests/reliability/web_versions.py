"""G16: every package of the table of versions without known holes is looked at, and none is passed over in silence.

Each row is tried as it is installed, as an older release, as a version that says nothing, and as absent. The lock file,
from which every machine is set up, is held against the table too. The planted faults are in the doctor's own function:
one that passes over what is absent, as network audits do, and one that takes every version for safe.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lora_assets.cli import doctor
from lora_assets.cli.doctor import BAD, GOOD, SAFE_VERSIONS, Finding, SafeVersions
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
        return list(doctor.safe_version_findings([row]))


class _AllHold(SpecifierSet):
    """A specifier that every version fits."""

    def contains(self, *_: Any, **__: Any) -> bool:
        return True


def _rows_in_three_states(failures: list[str]) -> int:
    """Every row as an older release, as a version that says nothing, and as absent; how many that were."""
    tried = 0
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
    return tried


def _faults_are_seen() -> bool:
    """Do the trials fail when the doctor's function is broken in either way?"""
    real, seen = doctor.safe_version_findings, []

    def skipping(table: Sequence[SafeVersions] = SAFE_VERSIONS) -> Iterator[Finding]:
        return real([replace(row, needed=False) for row in table])

    for name, fault in (("safe_version_findings", skipping), ("SpecifierSet", _AllHold)):
        failures: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(doctor, name, fault)
            _rows_in_three_states(failures)
        seen.append(bool(failures))
    return all(seen)


def _states(found: Any) -> list[str]:
    return [finding.state for finding in found]


def run(level: Level) -> Figures:
    """Every row of the table in four states, and the lock file."""
    began, failures = time.monotonic(), []
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", _LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    locked = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    tried = _rows_in_three_states(failures)
    for row in SAFE_VERSIONS:
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
    if _states(doctor.safe_version_findings()) != [GOOD]:
        failures.append(f"the doctor finds {[finding.seen for finding in doctor.safe_version_findings()]}")
    checked = sum(_installed(row.package) is not None for row in SAFE_VERSIONS)
    return Figures(
        "G16",
        f"the {len(SAFE_VERSIONS)} packages of the table, {checked} of which are installed here: as installed, as "
        "locked, as an older release, as a version that says nothing, and absent",
        tried,
        len(failures),
        _faults_are_seen(),
        time.monotonic() - began,
        "the doctor's own look, made to pass over what is absent; the same, made to take every version for safe",
        (
            f"{checked} installed packages were looked at, of {len(SAFE_VERSIONS)} that the table lists and "
            f"{sum(1 for _ in metadata.distributions())} that are installed in all",
        ),
        failures=tuple(failures),
    )
