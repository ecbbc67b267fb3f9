"""doctor: is this machine fit for the work, and what is the way out where it is not. Nothing is written or started."""

from __future__ import annotations

import importlib.metadata as metadata
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from argon2 import PasswordHasher
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from lora_assets.addresses import DAGSTER, DAGSTER_PORT, LOOPBACK, PAGES, PAGES_PORT, running_url
from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.console import print_table
from lora_assets.cli.project import Project, find_project
from lora_assets.models import ModelError
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import SpecError, dataset_problems, known_tracker_ids, read_tracker
from lora_assets.store import StoreError
from lora_assets.tracker.guard import open_to_users
from lora_assets.tracker.password import PasswordError, password_path, read_password_hash
from lora_assets.verdicts.local_disk import share_type

GOOD, WARNING, BAD = "good", "warning", "bad"
_LEAST_FREE_GB = 5.0
_SCARCE_FREE_GB = 20.0
# The first releases without the WAL-reset bug (https://www.sqlite.org/wal.html).
_LEAST_SQLITE = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class SafeVersions:
    """The versions of a package that have no known hole, as a specifier, and which hole the others have.

    `needed` packages are always installed; the others belong to an extra, and are looked at where they are.
    """

    package: str
    versions: str
    why: str
    needed: bool = True


SAFE_VERSIONS = (
    SafeVersions("pillow", ">=13.0.0", "JPEG decoder buffer overflow (GHSA-5x8w-8jj5-q52h), APNG and BMP bombs"),
    SafeVersions("opencv-python", ">=4.12.0", "heap write by a crafted JPEG (CVE-2025-53644); libwebp (CVE-2023-4863)"),
    SafeVersions("torch", ">=2.10.0", "code runs in spite of weights_only (CVE-2025-32434, CVE-2026-24747)"),
    SafeVersions("pyarrow", ">=14.0.1", "code runs when Parquet is read (CVE-2023-47248)"),
    SafeVersions("starlette", ">=0.49.1", "Range headers that take quadratic time (CVE-2025-62727)"),
    SafeVersions("uvicorn", ">=0.11.7", "line ends in headers and logs (CVE-2020-7694, CVE-2020-7695)"),
    SafeVersions("h11", ">=0.16.0", "request smuggling by malformed chunks (CVE-2025-43859)"),
    SafeVersions("jinja2", ">=3.1.6", "a template gets out of its sandbox (CVE-2025-27516)"),
    SafeVersions("apsw", ">=3.51.3", "its SQLite may corrupt a log that two processes write (sqlite.org/wal.html)"),
    SafeVersions("ultralytics", ">=8.3.47", "releases 8.3.41 to 8.3.46 of December 2024 carried a miner"),
    SafeVersions("safetensors", ">=0.4.0", "reading of headers as it was before the audit of 2023"),
    SafeVersions("onnx", ">=1.21.0", "external data read outside its folder (CVE-2026-27489, -34446, -34447)", False),
    SafeVersions("transformers", ">=4.48.0", "a model's folder runs code (CVE-2024-11392, -11393, -11394)", False),
    SafeVersions("opencv-python-headless", ">=4.12.0", "as opencv-python", False),
    SafeVersions("opencv-contrib-python", ">=4.12.0", "as opencv-python", False),
    SafeVersions("opencv-contrib-python-headless", ">=4.12.0", "as opencv-python", False),
)
"""Least versions without a known hole, each with the hole. The only such table: audits over the network may skip what
they cannot look up and still call it clean."""
_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is (good, warning or bad), what was seen, and what to do about it."""

    subject: str
    state: str
    seen: str
    way_out: str = ""


def package_findings(requirements: list[str] | None = None) -> Iterator[Finding]:
    """Every package that lora_assets needs, against the versions it asks for. One that cannot be looked at is bad: a
    check that skips proves nothing."""
    told = metadata.requires("lora_assets") if requirements is None else requirements
    wrong = 0
    for text in told or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            wrong += 1
            yield Finding("packages", BAD, f"{text!r} is no requirement ({error})", "install lora_assets again")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong += 1
            yield Finding("packages", BAD, f"{requirement.name} is missing", "make setup")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong += 1
            yield Finding(
                "packages", BAD, f"{requirement.name} {found}, asked for: {requirement.specifier}", "make setup"
            )
    if not told:
        yield Finding("packages", BAD, "lora_assets tells no requirements", "install it with make setup")
    elif not wrong:
        yield Finding("packages", GOOD, f"all {len(told)} requirements hold")


def safe_version_findings(table: Sequence[SafeVersions] = SAFE_VERSIONS) -> Iterator[Finding]:
    """Every package of the table against the version that is installed. One that is needed and cannot be looked at is
    bad, and so is a version that cannot be read."""
    looked_at, wrong, absent = 0, 0, []
    for safe in table:
        try:
            found = metadata.version(safe.package)
        except metadata.PackageNotFoundError:
            if not safe.needed:
                absent.append(safe.package)
                continue
            wrong += 1
            yield Finding("known holes", BAD, f"{safe.package} is missing and could not be looked at", "make setup")
            continue
        try:
            holds = SpecifierSet(safe.versions).contains(Version(found), prereleases=True)
        except (InvalidVersion, TypeError):
            wrong += 1
            yield Finding(
                "known holes", BAD, f"{safe.package} has the version {found!r}, which says nothing", "make setup"
            )
            continue
        looked_at += 1
        if not holds:
            wrong += 1
            seen = f"{safe.package} {found} has a known hole, fixed in {safe.versions.lstrip('>=')}: {safe.why}"
            yield Finding("known holes", BAD, seen, f"make setup, or pip install '{safe.package}{safe.versions}'")
    if not looked_at:
        yield Finding("known holes", BAD, "no package was looked at", "install lora_assets with make setup")
    elif not wrong:
        left_out = f"; not installed: {', '.join(absent)}" if absent else ""
        yield Finding("known holes", GOOD, f"none in {looked_at} packages{left_out}")


def opencv_finding() -> Finding:
    """More than one OpenCV wheel write into the same folder; whichever came last wins, and removing one breaks both."""
    there = []
    for name in _OPENCV_WHEELS:
        try:
            there.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    if len(there) == 1:
        return Finding("OpenCV", GOOD, there[0])
    way_out = "pip uninstall all of them, then pip install opencv-python"
    return Finding("OpenCV", BAD, ", ".join(there) or "none is installed", way_out)


def sqlite_finding() -> Finding:
    """The SQLite that keeps verdicts and corrections must not have the WAL-reset bug."""
    import apsw

    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) >= _LEAST_SQLITE:
        return Finding("SQLite", GOOD, f"{version} inside apsw")
    return Finding("SQLite", BAD, f"{version} may corrupt a log that two processes write", "pip install -U apsw")


def disk_findings(data: Path) -> Iterator[Finding]:
    """Space, rights and kind of the disk under `data`."""
    place = data if data.exists() else data.parent
    free = shutil.disk_usage(place).free / 1e9
    state = BAD if free < _LEAST_FREE_GB else WARNING if free < _SCARCE_FREE_GB else GOOD
    way_out = (
        "" if state == GOOD else "free space, or put data/ on another disk: a full disk stops runs (nothing is lost)"
    )
    yield Finding("disk", state, f"{free:.0f} GB free", way_out)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("rights", BAD, f"{place} may not be written", f"chmod u+rwx {place}")
    else:
        yield Finding("rights", GOOD, f"{place} may be written")
    for things in ("verdicts", "corrections"):
        if share := share_type(data / things):
            way_out = f"make data/{things} a link to a folder on a disk of this machine"
            yield Finding(things, BAD, f"they would lie on a share ({share}), where SQLite is not safe", way_out)
        else:
            yield Finding(things, GOOD, "on a disk of this machine")


def privacy_finding(data: Path) -> Finding:
    """May other users of this machine look into the data folder? The pictures in it are nobody else's."""
    if not data.exists():
        return Finding("privacy", GOOD, f"{data} is not there yet; it is made for its owner alone")
    mode = data.stat().st_mode & 0o777
    if not mode & 0o077:
        return Finding("privacy", GOOD, f"{data} is closed to other users of this machine")
    seen = f"other users of this machine may {'write into' if mode & 0o022 else 'look into'} {data} (mode {mode:03o})"
    return Finding("privacy", BAD if mode & 0o022 else WARNING, seen, f"chmod 700 {data}")


def port_finding(name: str, port: int, running: str | None = None) -> Finding:
    """Does this project's server (`running`: its address) answer; without one, is its usual port free?"""
    told = urlsplit(running or f"http://{LOOPBACK}:{port}")
    with socket.socket(socket.AF_INET6 if ":" in (told.hostname or "") else socket.AF_INET) as probe:
        probe.settimeout(1.0)
        answers = probe.connect_ex((told.hostname or LOOPBACK, told.port or port)) == 0
    if running and answers:
        return Finding(name, GOOD, f"this project's server answers on {running}")
    if running:
        return Finding(name, WARNING, f"this project's server does not answer on {running}", "wait: it may be starting")
    if answers:
        way_out = "end the program that holds it, or choose another: lora-assets up --help"
        return Finding(name, WARNING, f"port {port} is taken", way_out)
    return Finding(name, GOOD, f"port {port} is free")


def password_finding(data: Path) -> Finding:
    """Is there a password for other addresses than 127.0.0.1, and is its file read by its owner alone?"""
    try:
        stored = read_password_hash(data)
    except PasswordError as error:
        return Finding("password", BAD, str(error), "lora-assets password")
    if stored is None and (warning := open_to_users(None)):
        return Finding("password", WARNING, warning.partition(". ")[0], "lora-assets password")
    if stored is None:
        return Finding("password", GOOD, "none: the pages answer on 127.0.0.1 only")
    if password_path(data).stat().st_mode & 0o077:
        return Finding("password", BAD, "others may read its file", f"chmod 600 {password_path(data)}")
    if PasswordHasher().check_needs_rehash(stored):
        return Finding("password", WARNING, "set, but kept by weaker rules than today's", "lora-assets password")
    return Finding("password", GOOD, "set")


def device_finding() -> Finding:
    """Where models run."""
    import torch

    if torch.cuda.is_available():
        free, total = (value / 1e9 for value in torch.cuda.mem_get_info())
        return Finding("GPU", GOOD, f"{torch.cuda.get_device_name()}, {free:.0f} of {total:.0f} GB free")
    if Path("/dev/nvidiactl").exists():
        return Finding("GPU", BAD, f"torch {torch.__version__} does not see the NVIDIA GPU", "update its driver")
    return Finding(
        "GPU", WARNING, f"none: models run on {os.cpu_count()} processor cores", "works, at a fraction of the speed"
    )


def tracker_findings(data: Path) -> Iterator[Finding]:
    """Every tracker's file can be read, and the weights that it names are there and are what the registry says."""
    for problem in dataset_problems(data):
        yield Finding("datasets", BAD, problem)
    known = known_tracker_ids(data)
    wrong = 0
    for tracker in known:
        try:
            spec = read_tracker(data, tracker)
            if not spec.sealed:
                tracker_recipes(spec, data)
        except (SpecError, ModelError, StoreError) as error:
            wrong += 1
            yield Finding("trackers", BAD, str(error))
    if not wrong:
        yield Finding("trackers", GOOD, f"{len(known)} can be read, and their weights are there")


def font_finding() -> Finding:
    """Is there a font with Japanese and Chinese signs for plots?"""
    from matplotlib import font_manager

    found = next((font.name for font in font_manager.fontManager.ttflist if "CJK" in font.name), "")
    if found:
        return Finding("fonts", GOOD, found)
    return Finding("fonts", WARNING, "no CJK font: Japanese words in plots are boxes", "apt install fonts-noto-cjk")


def examine(project: Project) -> list[Finding]:
    """Everything that is looked at. A look that fails is itself a finding."""
    data = project.data
    python = Finding("Python", GOOD, sys.version.split()[0])
    looks: list[tuple[str, Callable[[], Iterator[Finding] | Finding]]] = [
        ("packages", package_findings),
        ("known holes", safe_version_findings),
        ("OpenCV", opencv_finding),
        ("SQLite", sqlite_finding),
        ("disk", lambda: disk_findings(data)),
        ("privacy", lambda: privacy_finding(data)),
        ("Dagster UI", lambda: port_finding("Dagster UI", DAGSTER_PORT, running_url(data, DAGSTER))),
        ("pages", lambda: port_finding("pages", PAGES_PORT, running_url(data, PAGES))),
        ("password", lambda: password_finding(data)),
        ("GPU", device_finding),
        ("fonts", font_finding),
        ("trackers", lambda: tracker_findings(data)),
    ]
    found = [python]
    for subject, look in looks:
        try:
            seen = look()
            found += [seen] if isinstance(seen, Finding) else list(seen)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            found.append(Finding(subject, BAD, f"cannot be looked at: {error}", "make setup"))
    return found


def doctor(as_json: Annotated[bool, typer.Option("--json", help="findings as JSON")] = False) -> None:
    """Look at this machine: packages, known holes, disk, rights, privacy, ports, password, GPU, fonts, trackers.

    Exit code 3 when something is bad.
    """
    found = examine(find_project())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1))
    else:
        print_table(
            ("what", "state", "seen", "way out"),
            [(finding.subject, finding.state, finding.seen, finding.way_out) for finding in found],
        )
    if any(finding.state == BAD for finding in found):
        raise typer.Exit(EXIT_BAD_INPUT)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)
