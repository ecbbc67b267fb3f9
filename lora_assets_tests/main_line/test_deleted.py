"""Files that are gone: counted as deleted only while their folder proves itself, and taken back."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets import folder_marks, input_folders
from lora_assets.folder_marks import MARK, FolderProof, known_proof, proof_of
from lora_assets.input_folders import FolderGone, scan_folder
from lora_assets.main_line import frames
from lora_assets.main_line.deleted import forget, is_too_many, judge_absent, read_deleted, restore
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.planning import plan_all
from lora_assets.specs import DatasetSpec, SpecError, TrackerSpec, list_datasets, register_dataset, write_tracker
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table


@pytest.fixture
def listing(data):
    def run(spec: DatasetSpec | None = None, **options):
        return update_raw_frames(Store(data), spec or list_datasets(data)["film"], **options)

    return run


def _listed(data, slug: str = "film") -> set[str]:
    table = Store(data).frames_of(slug)
    assert table is not None
    return {row.path for row in from_table(table.read(), RawFrame)}


def test_a_deleted_file_is_remembered_and_taken_up_when_it_returns(data, drop_frames, listing):
    folder = drop_frames(count=3)
    listing()
    path = sorted(folder.glob("*.jpg"))[0]
    content = path.read_bytes()
    path.unlink()
    made = listing()
    assert (made.deleted, made.frames) == (1, 2)
    (row,) = read_deleted(Store(data), "film")
    assert row.path == path.name and not row.restored and row.deleted_at > 0
    path.write_bytes(content)
    assert (listing().deleted, read_deleted(Store(data), "film")) == (0, [])


def test_a_renamed_file_is_not_deleted(data, drop_frames, listing):
    folder = drop_frames(count=2)
    listing()
    path = sorted(folder.glob("*.jpg"))[0]
    path.rename(folder / "another name.jpg")
    assert listing().deleted == 0


def test_a_restored_frame_stays_listed_until_it_is_forgotten(data, drop_frames, listing):
    folder = drop_frames(count=3)
    before = listing()
    name = sorted(folder.glob("*.jpg"))[1].name
    (folder / name).unlink()
    listing()
    assert restore(Store(data), "film", [name]) == 1
    made = listing()
    assert (made.table.version, made.frames) == (before.table.version, 3)
    assert name in _listed(data) and listing().frames == 3
    assert forget(Store(data), "film", [name]) == 1
    assert listing().frames == 2 and [row.restored for row in read_deleted(Store(data), "film")] == [False]
    assert forget(Store(data), "film") == 1
    assert listing().frames == 2 and read_deleted(Store(data), "film") == []
    with pytest.raises(SpecError, match="not among the deleted"):
        restore(Store(data), "film", ["unknown.jpg"])


def test_without_its_mark_nothing_counts_as_deleted_until_a_person_says_so(data, drop_frames, listing):
    folder = drop_frames(count=4)
    listing()
    names = sorted(path.name for path in folder.glob("*.jpg"))
    (folder / MARK).unlink()
    for name in names[:3]:
        (folder / name).unlink()
    made = listing()
    assert (made.absent, made.deleted, made.frames) == (3, 0, 4)
    assert not (folder / MARK).exists(), "a folder that does not prove itself is not taken for the one that was listed"
    assert listing().absent == 3
    accepted = listing(accept=True)
    assert (accepted.absent, accepted.deleted, accepted.frames) == (0, 3, 1)
    assert (folder / MARK).exists()


def test_most_of_a_folder_at_once_is_held_until_a_person_says_so(data, drop_frames, listing):
    folder = drop_frames(count=7)
    listing()
    drawn = {path.name: path.read_bytes() for path in drop_frames("more", count=5, start=7).iterdir()}
    names = sorted(path.name for path in folder.glob("*.jpg"))
    contents = {name: (folder / name).read_bytes() for name in names}
    for name in names[:4]:
        (folder / name).unlink()
    made = listing()
    assert (made.absent, made.held, made.deleted, made.frames) == (4, 4, 0, 7)
    write_tracker(data, TrackerSpec("T1", ("film",)))
    told = " ".join(plan_all(data).problems)
    assert "4 files of film" in told and "went at once" in told and "lora-assets deleted accept film" in told
    for name, content in drawn.items():
        (folder / name).write_bytes(content)
    (folder / names[4]).unlink()
    made = listing()
    assert (made.absent, made.deleted, made.frames) == (4, 1, 11), "files that came make the loss no smaller"
    for name in names[:2]:
        (folder / name).write_bytes(contents[name])
    assert (listing().absent, listing().frames) == (2, 11), "nor do files that return"
    accepted = listing(accept=True)
    assert (accepted.absent, accepted.held, accepted.deleted, accepted.frames) == (0, 0, 3, 9)


def test_a_folder_whose_files_were_renamed_lost_nothing(data, drop_frames, listing):
    folder = drop_frames(count=6)
    listing()
    for path in list(folder.glob("*.jpg")):
        path.rename(folder / f"new {path.name}")
    made = listing()
    assert (made.absent, made.deleted, made.frames) == (0, 0, 6) and len(_listed(data)) == 6


@given(st.integers(0, 500), st.integers(0, 500))
def test_too_many_is_more_than_half_and_more_than_three(lost, more):
    assert is_too_many(lost, lost + more) == (lost > 3 and lost > more)


def test_a_disk_below_the_folder_that_is_away_deletes_nothing(data, drop_frames, listing, monkeypatch):
    folder = drop_frames(count=8)
    (folder / "disk").mkdir()
    shutil.copyfile(sorted(folder.glob("*.jpg"))[0], folder / "disk" / "a.jpg")
    with (folder / "disk" / "a.jpg").open("ab") as handle:
        handle.write(b"\0")
    device, filesystem = input_folders._device_of, input_folders.filesystem_of
    mounted = True
    is_it = lambda path: mounted and os.path.basename(path) == "disk"  # noqa: E731
    monkeypatch.setattr(input_folders, "_device_of", lambda path: device(path) + is_it(path))
    for module in (input_folders, folder_marks):
        monkeypatch.setattr(module, "filesystem_of", lambda path: "id 5" if is_it(path) else filesystem(path))
    assert scan_folder(folder).mounts == {"disk": "id 5"}
    whole = listing()
    mounted = False
    (folder / "disk").rename(folder.with_name(".disk"))
    for _ in range(2):
        made = listing()
        assert (made.absent, made.deleted, made.frames) == (1, 0, whole.frames)
        (folder / "disk").mkdir(exist_ok=True)
    (folder / "disk").rmdir()
    (folder.with_name(".disk")).rename(folder / "disk")
    mounted = True
    assert (listing().absent, listing().frames) == (0, whole.frames)
    (folder / "disk" / "a.jpg").unlink()
    assert listing().deleted == 1, "from a disk that is there it was deleted"


def test_an_emptied_folder_is_accepted_at_a_word(data, drop_frames, listing):
    folder = drop_frames(count=2)
    listing()
    for path in folder.glob("*.jpg"):
        path.unlink()
    with pytest.raises(FolderGone, match="lora-assets deleted accept film"):
        listing()
    assert listing(accept=True).deleted == 2
    assert {row.path for row in read_deleted(Store(data), "film")} == {"frame_000000.jpg", "frame_000001.jpg"}


def test_frames_that_were_restored_in_an_emptied_folder_can_be_listed_again_and_forgotten(data, drop_frames, listing):
    folder, store = drop_frames(count=3), Store(data)
    listing()
    names = sorted(path.name for path in folder.glob("*.jpg"))
    for name in names:
        (folder / name).unlink()
    listing(accept=True)
    restore(store, "film", names[:2])
    assert listing().frames == 2
    assert listing(rehash=True).frames == 2  # as every night
    forget(store, "film", names[:1])
    assert (listing().frames, _listed(data)) == (1, {names[1]})
    drop_frames(count=1, start=4)
    listing()
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(FolderGone, match="held 1 frames"):
        listing()


def test_a_mark_that_was_cleaned_away_returns_while_nothing_is_missing(data, drop_frames, listing):
    folder = drop_frames(count=2)
    listing()
    (folder / MARK).unlink()
    listing()
    assert (folder / MARK).exists()


def test_a_folder_elsewhere_is_only_read_and_known_by_its_place(data, drop_frames, listing, tmp_path):
    shutil.copytree(drop_frames(count=3), tmp_path / "elsewhere")
    spec = register_dataset(data, tmp_path / "elsewhere")
    listing(spec)
    assert not (spec.folder / MARK).exists()
    sorted(spec.folder.glob("*.jpg"))[0].unlink()
    assert listing(spec).deleted == 1
    # The same pictures on another disk, one of them missing: it may be a disk that is not whole.
    shutil.copytree(spec.folder, tmp_path / "copy")
    sorted((tmp_path / "copy").glob("*.jpg"))[0].unlink()
    shutil.rmtree(spec.folder)
    (tmp_path / "copy").rename(spec.folder)
    made = listing(spec)
    assert (made.absent, made.deleted, made.frames) == (1, 1, 2)


def test_a_link_in_the_input_folder_is_not_written_through(data, drop_frames, listing, tmp_path):
    shutil.copytree(drop_frames(count=2), tmp_path / "elsewhere")
    (data / "input" / "linked").symlink_to(tmp_path / "elsewhere")
    listing(list_datasets(data)["linked"])
    assert not (tmp_path / "elsewhere" / MARK).exists()


def test_a_disk_that_is_mounted_while_the_folder_is_scanned_proves_nothing(data, drop_frames, listing, monkeypatch):
    folder = drop_frames(count=3)
    listing()
    away = folder.with_name(".away")
    folder.rename(away)
    folder.mkdir()
    shutil.copyfile(sorted(away.glob("*.jpg"))[0], folder / "left here.jpg")
    scan = frames.scan_folder

    def mounted_after(path, only):
        found = scan(path, only)
        shutil.rmtree(path)
        away.rename(path)
        return found

    monkeypatch.setattr(frames, "scan_folder", mounted_after)
    made = listing()
    assert (made.absent, made.deleted) == (3, 0)


def test_an_empty_folder_gets_no_mark(data, listing):
    (data / "input" / "film").mkdir()
    listing()
    assert not (data / "input" / "film" / MARK).exists()


def test_files_under_a_subfolder_that_cannot_be_read_are_kept():
    rows = [
        RawFrame(path, None, 1, 1, 1, *([None] * 7), quarantine_reason=None)
        for path in ("a.png", "sub/b.png", "subway/c.png")
    ]
    absent = judge_absent(rows, set(), ("sub",), proven=True)
    assert set(absent.kept) == {"sub/b.png"} and set(absent.deleted) == {"a.png", "subway/c.png"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 5}', b'{"id": "../../x"}', b"\xff" * 9000])
def test_a_mark_that_says_something_else_proves_nothing(tmp_path, content):
    (tmp_path / MARK).write_bytes(content)
    assert proof_of(tmp_path).mark == ""
    (tmp_path / MARK).unlink()
    os.mkfifo(tmp_path / MARK)
    assert proof_of(tmp_path).mark == ""


def test_proofs():
    by_mark, by_place = FolderProof("a" * 32, "id 1", "2"), FolderProof("", "id 1", "2")
    assert by_mark.proves(FolderProof("a" * 32, "id 9", "9"))
    assert not by_place.proves(by_mark) and by_place.proves(by_place) and by_mark.proves(by_place)
    assert not by_place.proves(None) and not by_place.proves(FolderProof())
    assert known_proof(by_mark.facts) == by_mark
    assert known_proof(None) is None and known_proof({"mark": "a"}) is None


def test_the_commands(data, drop_frames, listing, monkeypatch):
    folder = drop_frames(count=2)
    listing()
    name = sorted(folder.glob("*.jpg"))[0].name
    (folder / name).unlink()
    listing()
    from typer.testing import CliRunner

    from lora_assets.cli.deleted import group

    shutil.copyfile("dagster.yaml", data.parent / "dagster.yaml")
    monkeypatch.setenv("LORA_ASSETS_HOME", str(data.parent))
    run = CliRunner()
    told = run.invoke(group, ["list"])
    assert told.exit_code == 0 and name in told.stdout
    assert run.invoke(group, ["restore", "film", name]).exit_code == 0 and name in _listed(data)
    assert '"restored"' in run.invoke(group, ["list", "--json"]).stdout
    assert run.invoke(group, ["forget", "film"]).exit_code == 0 and name not in _listed(data)
    assert run.invoke(group, ["accept", "film"]).exit_code == 0
