from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lora_assets.exports import making, place
from lora_assets.exports.making import default_place, make_exports, read_again
from lora_assets.exports.place import check_place, files_in, replaced_whole, scratch_beside
from lora_assets.exports.records import ExportRefused, faults_of_names, picture_name, whole_repeats
from lora_assets.exports.settings import CaptionSettings, ExportSettings
from lora_assets.store import Store, StoreError, digest
from lora_assets_tests.exports.drawn_cell import TRACKER, make_drawn_cell

SETTINGS = ExportSettings(formats=("kohya", "onetrainer"), trigger="mio", resolution=512)
CAPTIONS = CaptionSettings(tagger="")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(place, "_exchange", lambda one, other: False)
    folder = tmp_path / "set"
    for content in ("old", "new"):
        with replaced_whole(folder) as made:
            (made / content).write_text(content)
        assert names_in(folder) == [content]
    assert names_in(tmp_path) == ["set"]


def test_what_fails_leaves_the_old_one_and_nothing_beside(tmp_path):
    folder = tmp_path / "set"
    with replaced_whole(folder) as made:
        (made / "old").write_text("")
    with pytest.raises(KeyError), replaced_whole(folder) as made:
        (made / "half").write_text("")
        raise KeyError
    assert names_in(folder) == ["old"]
    assert names_in(tmp_path) == ["set"]


def test_a_kill_leaves_the_old_one_and_the_next_export_sweeps(tmp_path):
    folder = tmp_path / "set"
    (folder / "sub").mkdir(parents=True)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom lora_assets.exports.place import replaced_whole\n"
        "with replaced_whole(Path(sys.argv[1])) as made:\n"
        "    (made / 'half').write_text('x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert names_in(folder) == ["sub"]
    assert len(names_in(tmp_path)) == 2
    (tmp_path / ".tmp-export-set-two-0123456789ab").mkdir()  # of another place
    with replaced_whole(folder) as made:
        (made / "new").write_text("")
    assert names_in(folder) == ["new"]
    assert names_in(tmp_path) == [".tmp-export-set-two-0123456789ab", "set"]


def test_a_kill_between_two_renames_is_mended(tmp_path):
    aside = tmp_path / ".tmp-export-set-0123456789ab.old"
    aside.mkdir()
    (aside / "manifest.json").write_text("{}")
    place.sweep_beside(tmp_path / "set")
    assert names_in(tmp_path) == ["set"]


def test_a_full_disk_is_told_and_nothing_is_half_written(data, monkeypatch):
    make_drawn_cell(data)
    store = Store(data)
    make_exports(store, TRACKER, SETTINGS, CAPTIONS)
    before = {path: path.read_bytes() for path in default_place(data, TRACKER).rglob("*") if path.is_file()}
    real = os.open

    def full(source, target, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StoreError, match="No space left on device; free space"):
        make_exports(store, TRACKER, ExportSettings(formats=("kohya",), trigger="ann", resolution=512), CAPTIONS)
    assert {path: path.read_bytes() for path in default_place(data, TRACKER).rglob("*") if path.is_file()} == before
    assert names_in(default_place(data, TRACKER)) == ["kohya", "onetrainer"]
    assert os.open is real


def test_a_folder_that_holds_other_things_is_refused(data, tmp_path):
    make_drawn_cell(data)
    store, out = Store(data), tmp_path / "sets"
    (out / "onetrainer").mkdir(parents=True)
    (out / "onetrainer" / "thesis.txt").write_text("mine")
    with pytest.raises(ExportRefused, match=r"onetrainer holds 1 files that no export wrote \(thesis.txt\)"):
        make_exports(store, TRACKER, SETTINGS, CAPTIONS, out)
    assert names_in(out) == ["onetrainer"]
    (out / "onetrainer" / "thesis.txt").unlink()
    assert make_exports(store, TRACKER, SETTINGS, CAPTIONS, out).losses == 0
    (out / "kohya" / "train" / "notes.md").write_text("mine")
    with pytest.raises(ExportRefused, match=r"notes\.md"):
        make_exports(store, TRACKER, SETTINGS, CAPTIONS, out)
    (out / "kohya" / "train" / "notes.md").rename(out / "kohya" / "train" / "cached.npz")  # as a trainer's cache
    made = make_exports(
        store, TRACKER, ExportSettings(formats=("kohya",), trigger="ann", resolution=512), CAPTIONS, out
    )
    assert made.losses == 0
    assert not list(out.rglob("*.npz"))


def test_files_of_file_managers_are_no_loss_and_block_nothing(data):
    make_drawn_cell(data)
    store = Store(data)
    make_exports(store, TRACKER, SETTINGS, CAPTIONS)
    folder = default_place(data, TRACKER)
    for path in (folder / "kohya" / ".DS_Store", folder / "kohya" / "train" / "Thumbs.db"):
        path.write_bytes(b"x")
    assert read_again(folder / "kohya").losses == 0
    assert make_exports(store, TRACKER, SETTINGS, CAPTIONS).reused == SETTINGS.formats
    other = ExportSettings(formats=("kohya",), trigger="ann", resolution=512)
    assert make_exports(store, TRACKER, other, CAPTIONS).losses == 0


def test_two_exports_to_one_root_wait_for_each_other_whatever_their_formats(data, monkeypatch):
    make_drawn_cell(data, [(90, 61)])
    store = Store(data)
    really, seen = making.make_records, []

    def other_starts_now(*told):
        name = f"export-{digest(str(default_place(data, TRACKER)))}"
        with pytest.raises(StoreError, match="is being made by another process"), store.lock(name, wait=False):
            pass
        seen.append(name)
        return really(*told)

    monkeypatch.setattr(making, "make_records", other_starts_now)
    for name in ("kohya", "coco"):
        make_exports(store, TRACKER, ExportSettings(formats=(name,), resolution=512), CAPTIONS)
    assert len(seen) == 2


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ExportRefused, match="is no folder"):
            check_place(tmp_path / name, None)
    check_place(tmp_path / "absent", None)
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", None)


def test_links_are_files_and_caches_are_not_ours(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    (tmp_path / "a" / "x_0512.npz").write_text("")
    (tmp_path / "_latent_cache").mkdir()
    (tmp_path / "_latent_cache" / "x.safetensors").write_text("")
    assert [str(path) for path in files_in(tmp_path)] == ["a/link"]


def test_scratch_is_gone_afterwards(tmp_path):
    with scratch_beside(tmp_path / "pictures") as scratch:
        (scratch / "x").write_text("")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a_1", "b"], "ASCII letters, digits"),
        (["a1", "a10"], "'a1' is a prefix of 'a10'"),
        (["x-masklabel"], "means a mask"),
        (["x-condlabel"], "means a mask"),
        (["あ"], "ASCII"),
        (["same", "same"], "two pictures"),
    ],
)
def test_names_that_a_trainer_would_misread_are_told(names, told):
    assert told in " ".join(faults_of_names(names))
    assert faults_of_names([picture_name(name) for name in dict.fromkeys(names)]) == []


def test_repeats_are_whole_and_at_least_one():
    assert [whole_repeats(own, 10.0) for own in (1.0, 1.25, 1.04, 0.0)] == [10, 13, 10, 1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"formats": ("kohia",)}, "unknown format 'kohia'; known: kohya"),
        ({"formats": ()}, "formats must be a list"),
        ({"trigger": "a/b"}, "trigger 'a/b' does not fit"),
        ({"trigger": "a\nb"}, "does not fit"),
        ({"class_word": "a, b"}, "class_word"),
        ({"picture": "cut"}, "picture must be one of"),
        ({"ground": "white"}, "ground must be a colour"),
        ({"resolution": 64}, "resolution must be a number from 128"),
        ({"resolution": 512, "bucket_step": 1024}, "bucket_step 1024 is larger than the resolution 512"),
        ({"resolution": 512.5}, "resolution must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a number from 1"),
        ({"mask_dilation": float("nan")}, "mask_dilation"),
        ({"margin": -1}, "margin"),
        ({"polygons": "yes"}, "polygons"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given, told):
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        ExportSettings(**given)
