"""doctor finds what is wrong with a machine, names it, and gives the way out."""

from __future__ import annotations

import json
import socket

import pytest
from argon2 import PasswordHasher

from lora_assets.cli import doctor
from lora_assets.cli.doctor import BAD, GOOD, WARNING
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.tracker import guard
from lora_assets.tracker.password import password_path, set_password


def test_the_packages_of_this_machine_are_all_looked_at():
    (finding,) = doctor.package_findings()
    assert finding.state == GOOD and "requirements hold" in finding.seen


@pytest.mark.parametrize(
    ("requirement", "seen"),
    [
        ("numpy>=99", "numpy"),
        ("no-such-package-at-all>=1", "is missing"),
        ("numpy ~ nonsense", "is no requirement"),
    ],
)
def test_a_package_that_is_not_right_is_named(requirement: str, seen: str):
    findings = list(doctor.package_findings(["pillow", requirement]))
    assert [finding.state for finding in findings] == [BAD]
    assert seen in findings[0].seen and findings[0].way_out


def test_nothing_to_look_at_is_bad():
    assert [finding.state for finding in doctor.package_findings([])] == [BAD]


def test_two_opencv_wheels_are_one_too_many(monkeypatch):
    assert doctor.opencv_finding().state == GOOD
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "5.0")
    assert doctor.opencv_finding().state == BAD


def test_an_old_sqlite_is_bad(monkeypatch):
    import apsw

    assert doctor.sqlite_finding().state == GOOD
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.46.1")
    assert doctor.sqlite_finding().state == BAD


def test_a_full_disk_and_a_share_are_told(data, monkeypatch):
    assert [finding.state for finding in doctor.disk_findings(data)][1:] == [GOOD, GOOD, GOOD]
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2e9})())
    monkeypatch.setattr(doctor, "share_type", lambda folder: "nfs")
    states = {finding.subject: finding.state for finding in doctor.disk_findings(data)}
    assert states == {"disk": BAD, "rights": GOOD, "verdicts": BAD, "corrections": BAD}


@pytest.mark.parametrize(("mode", "state"), [(0o700, GOOD), (0o750, WARNING), (0o755, WARNING), (0o777, BAD)])
def test_a_data_folder_that_others_see_is_told(data, mode, state):
    data.chmod(mode)
    finding = doctor.privacy_finding(data)
    assert finding.state == state
    assert bool(finding.way_out) == (state != GOOD)


def test_a_package_with_a_known_hole_is_named_and_none_is_passed_over(monkeypatch):
    assert [finding.state for finding in doctor.safe_version_findings()] == [GOOD]
    rows = [doctor.SafeVersions("numpy", ">=999", "a hole"), doctor.SafeVersions("no-such-package-at-all", ">=1", "")]
    found = list(doctor.safe_version_findings(rows))
    assert [finding.state for finding in found] == [BAD, BAD]
    assert "a hole" in found[0].seen and "could not be looked at" in found[1].seen
    assert [finding.state for finding in doctor.safe_version_findings([])] == [BAD]
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "unknown")
    assert {finding.state for finding in doctor.safe_version_findings()} == {BAD}


def test_a_taken_port_is_a_warning():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert doctor.port_finding("pages", server.getsockname()[1]).state == WARNING
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        finding = doctor.port_finding("pages", 8088, url)
        assert finding.state == GOOD and url in finding.seen, "it is this project's own"
    assert doctor.port_finding("pages", 8088, url).state == WARNING


def test_no_password_is_a_warning_where_others_log_in(data, monkeypatch):
    monkeypatch.setattr(guard, "_other_users", lambda: ("ayumi",))
    found = doctor.password_finding(data)
    assert found.state == WARNING and "ayumi" in found.seen and found.way_out == "lora-assets password"


def test_a_password_that_others_may_read_is_bad(data, monkeypatch):
    monkeypatch.setattr(guard, "_other_users", lambda: ())
    assert doctor.password_finding(data).state == GOOD
    set_password(data, "correct horse battery")
    assert doctor.password_finding(data).state == GOOD
    set_password(data, "correct horse battery", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    assert doctor.password_finding(data).state == WARNING
    password_path(data).chmod(0o644)
    assert doctor.password_finding(data).state == BAD


def test_trackers_that_cannot_be_made_are_named(data):
    write_tracker(data, TrackerSpec("FINE"))
    write_tracker(data, TrackerSpec("NO-WEIGHTS", settings={"detect": {"weights": ["nobody.pt"]}}))
    findings = list(doctor.tracker_findings(data))
    assert [finding.state for finding in findings] == [BAD] and "nobody.pt" in findings[0].seen


def test_the_command_tells_all_and_ends_with_its_code(run):
    code, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert {"Python", "packages", "known holes", "privacy", "disk", "GPU", "trackers"} <= {
        finding["subject"] for finding in found
    }
    assert code == (3 if any(finding["state"] == BAD for finding in found) else 0)
    assert all(finding["way_out"] for finding in found if finding["state"] == WARNING)
