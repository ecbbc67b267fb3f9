"""Weights: the table, the downloader against a local server, and which files may be opened."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_assets.models import (
    WEIGHTS,
    ModelError,
    Weights,
    add,
    digests,
    folder,
    list_weights,
    opening,
    pull,
    registry,
    resolve,
    verify,
)
from lora_assets.models.download import Wanted, fetch
from lora_assets.models.families import guess_family
from lora_assets_tests.file_server import ServedFile, serving

CONTENT = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served() -> Iterator[ServedFile]:
    with serving(ServedFile(CONTENT)) as file:
        yield file


def _wanted(served: ServedFile, folder: Path, *paths: str, sha256: str = SHA256) -> Wanted:
    urls = tuple(served.url + path for path in paths or ("/file",))
    return Wanted("net", urls, folder / "models" / "net.onnx", len(CONTENT), sha256)


def _ranges(served: ServedFile) -> list[str]:
    return [asked for _, asked in served.requests]


# --- the table -------------------------------------------------------------------------------------------------------


def test_names_files_and_hashes_of_the_table_are_sound() -> None:
    assert len({w.name for w in WEIGHTS}) == len({w.file for w in WEIGHTS}) == len(WEIGHTS)
    for weights in WEIGHTS:
        assert registry.TASK_OF_FAMILY[weights.family] == weights.task
        assert len(weights.sha256) in (0, 64) and set(weights.sha256) <= set("0123456789abcdef")
        assert weights.packaged or all(url.startswith("https://") for url in weights.urls)
        assert bool(weights.urls) != weights.packaged


def test_importing_the_registry_loads_no_model_library() -> None:
    code = "import sys, lora_assets.models; print([m for m in ('torch', 'ultralytics', 'httpx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- downloads -------------------------------------------------------------------------------------------------------


def test_fetch_puts_the_whole_file_at_its_place_and_tells_progress(served: ServedFile, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    wanted = _wanted(served, tmp_path)
    assert fetch(wanted, lambda done, total: told.append((done, total))) == SHA256
    assert wanted.target.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in wanted.target.parent.iterdir()] == ["net.onnx"]


def test_a_cut_connection_is_continued_where_it_broke(served: ServedFile, tmp_path: Path) -> None:
    served.cuts = [700_000, 500_000]
    wanted = _wanted(served, tmp_path)
    fetch(wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert _ranges(served) == ["", "bytes=700000-", "bytes=1200000-"]


def _leave_a_part(served: ServedFile, wanted: Wanted) -> None:
    """As a killed process leaves it: 1,000,000 bytes and the note of where they came from."""
    wanted.part.parent.mkdir(parents=True)
    wanted.part.write_bytes(served.content[:1_000_000])
    wanted.note.write_text(json.dumps({"url": wanted.urls[0], "validator": served.etag}))


def test_a_later_process_continues_the_part(served: ServedFile, tmp_path: Path) -> None:
    wanted = _wanted(served, tmp_path)
    _leave_a_part(served, wanted)
    fetch(wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert _ranges(served) == ["bytes=1000000-"]


def test_a_part_of_a_changed_file_is_started_anew(served: ServedFile, tmp_path: Path) -> None:
    wanted = _wanted(served, tmp_path)
    _leave_a_part(served, wanted)
    wanted.part.write_bytes(b"old" * 300_000)
    served.etag = '"two"'
    fetch(wanted)
    assert wanted.target.read_bytes() == CONTENT


@pytest.mark.parametrize(("ranges", "etag"), [(False, '"one"'), (True, ""), (True, 'W/"weak"')])
def test_a_server_that_cannot_continue_gives_the_file_from_its_start(
    served: ServedFile, tmp_path: Path, ranges: bool, etag: str
) -> None:
    served.ranges, served.etag, served.cuts = ranges, etag, [900_000]
    wanted = _wanted(served, tmp_path)
    fetch(wanted)
    assert wanted.target.read_bytes() == CONTENT


def test_a_whole_part_is_not_fetched_again(served: ServedFile, tmp_path: Path) -> None:
    wanted = _wanted(served, tmp_path)
    _leave_a_part(served, wanted)
    wanted.part.write_bytes(CONTENT)
    told: list[int] = []
    fetch(wanted, lambda done, _total: told.append(done))
    assert wanted.target.read_bytes() == CONTENT and told == []


def test_redirects_are_followed_and_addresses_tried_in_order(served: ServedFile, tmp_path: Path) -> None:
    fetch(_wanted(served, tmp_path, "/gone", "/moved"))
    assert [path for path, _ in served.requests] == ["/gone", "/moved", "/file"]


def test_a_wrong_hash_is_refused_and_what_came_is_deleted(served: ServedFile, tmp_path: Path) -> None:
    served.content = CONTENT[:-1] + b"x"
    wanted = _wanted(served, tmp_path)
    with pytest.raises(ModelError, match=f"SHA-256 .* instead.*put it at .*net.onnx.*{SHA256}"):
        fetch(wanted)
    assert list(wanted.target.parent.iterdir()) == []


def test_a_page_of_another_size_is_refused_before_it_is_read(served: ServedFile, tmp_path: Path) -> None:
    served.content = b"<html>sign in</html>"
    with pytest.raises(ModelError, match="has 20 bytes, expected 2048000"):
        fetch(_wanted(served, tmp_path))


def test_no_network_names_the_place_for_the_file(tmp_path: Path) -> None:
    wanted = Wanted("net", ("http://127.0.0.1:9/file",), tmp_path / "net.onnx", 0, SHA256)
    with pytest.raises(ModelError, match=r"could not be fetched.*ConnectError.*put it at .*net\.onnx"):
        fetch(wanted)


def test_a_missing_file_names_the_status(served: ServedFile, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="HTTP 404"):
        fetch(_wanted(served, tmp_path, "/gone"))


# --- names, pulls, hashes --------------------------------------------------------------------------------------------


def _known(monkeypatch: pytest.MonkeyPatch, *weights: Weights) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", weights)
    monkeypatch.setattr(folder, "WEIGHTS", weights)


def _net(served: ServedFile, sha256: str = SHA256) -> Weights:
    urls = (served.url + "/file",)
    return Weights("net", "net.onnx", "detect", "yolo-onnx", urls, len(CONTENT), sha256, "MIT", True, "")


def test_pull_then_resolve(served: ServedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _known(monkeypatch, _net(served))
    with pytest.raises(ModelError, match="lora-assets models pull net"):
        resolve("net", tmp_path)
    pulled = pull("net", tmp_path)
    assert pulled == resolve("net", tmp_path) == resolve("net.onnx", tmp_path)
    assert (pulled.sha256, pulled.path) == (SHA256, tmp_path / "models" / "net.onnx")
    pull("net", tmp_path)
    assert len(served.requests) == 1


def test_an_altered_file_is_refused_and_left_as_it_is(
    served: ServedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _known(monkeypatch, _net(served))
    path = tmp_path / "models" / "net.onnx"
    path.parent.mkdir()
    path.write_bytes(b"other")
    for attempt in (resolve, pull):
        with pytest.raises(ModelError, match="not the file that net stands for"):
            attempt("net", tmp_path)
    assert [(f.name, f.state) for f in verify(tmp_path)] == [("net", "corrupt")]
    assert path.read_bytes() == b"other"


def test_an_unpinned_pull_needs_consent_and_pins_what_came(
    served: ServedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _known(monkeypatch, _net(served, sha256=""))
    with pytest.raises(ModelError, match="--accept-unpinned"):
        pull("net", tmp_path)
    assert served.requests == []
    assert pull("net", tmp_path, accept_unpinned=True).sha256 == SHA256
    assert resolve("net", tmp_path).sha256 == SHA256
    (tmp_path / "models" / "net.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="not the file"):
        resolve("net", tmp_path)


def test_an_unpinned_file_put_by_hand_needs_consent(
    served: ServedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _known(monkeypatch, _net(served, sha256=""))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.onnx").write_bytes(CONTENT)
    assert [f.state for f in verify(tmp_path)] == ["unpinned"]
    with pytest.raises(ModelError, match=SHA256):
        resolve("net", tmp_path)
    pull("net", tmp_path, accept_unpinned=True)
    assert resolve("net", tmp_path).sha256 == SHA256 and served.requests == []


def test_an_unknown_name_gives_the_names_that_look_like_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Did you mean .*yolov8n.*models list"):
        resolve("yolo8n", tmp_path)
    with pytest.raises(ModelError, match="models list"):
        pull("zzzz", tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for name in ("~nobody-of-this-name/w.pt", "w\0.pt", str(tmp_path / "loop")):
        with pytest.raises(ModelError, match="there are no weights called"):
            resolve(name, tmp_path)


def test_the_hash_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"first")
    os.utime(path, (1_000, 1_000))
    reads: list[Path] = []
    real = digests.file_sha256
    monkeypatch.setattr(digests, "file_sha256", lambda p: reads.append(p) or real(p))
    first = resolve(str(path), tmp_path)
    assert resolve(str(path), tmp_path) == first and len(reads) == 1
    path.write_bytes(b"other")
    os.utime(path, (2_000, 2_000))
    assert resolve(str(path), tmp_path).sha256 == hashlib.sha256(b"other").hexdigest()
    os.utime(path, (2_000, time.time() + 100_000))  # unpacked with the time of another zone
    resolve(str(path), tmp_path)
    reads.clear()
    resolve(str(path), tmp_path)
    assert not reads


def test_a_file_just_written_is_hashed_each_time(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"first")
    assert resolve(str(path), tmp_path).sha256 == hashlib.sha256(b"first").hexdigest()
    assert not (tmp_path / "models" / ".digests.json").exists()


# --- a person's own files --------------------------------------------------------------------------------------------


def test_add_copies_and_records(tmp_path: Path) -> None:
    source = tmp_path / "私の モデル.onnx"
    source.write_bytes(b"weights")
    added = add(source, tmp_path, name="mine")
    source.unlink()
    assert resolve("mine", tmp_path) == added
    assert (added.family, added.task, added.path.name) == ("yolo-onnx", "detect", "mine.onnx")
    assert ("mine", True) in [(listed.name, listed.present) for listed in list_weights(tmp_path)]
    added.path.write_bytes(b"altered")
    with pytest.raises(ModelError, match="not the file that mine stands for"):
        resolve("mine", tmp_path)
    assert {f.name: f.state for f in verify(tmp_path)}["mine"] == "corrupt"


def test_a_name_is_made_from_any_file_name(tmp_path: Path) -> None:
    source = tmp_path / "私の net v2.onnx"
    source.write_bytes(b"weights")
    assert add(source, tmp_path).name == "net-v2"


def test_add_refuses_taken_names_and_other_files(tmp_path: Path) -> None:
    source = tmp_path / "a.onnx"
    source.write_bytes(b"a")
    add(source, tmp_path)
    other = tmp_path / "other" / "a.onnx"
    other.parent.mkdir()
    other.write_bytes(b"b")
    under_another_suffix = _torch_like(tmp_path / "a.pt", b"cmodels.yolo\nModel")
    as_known = _torch_like(tmp_path / "sam_vit_b_01ec64.pth", b"cmodels.yolo\nModel")
    for error, call in [
        (r"other added weights \(a\.onnx\)", lambda: add(under_another_suffix, tmp_path)),
        ("is the file of the known weights", lambda: add(as_known, tmp_path)),
        ("is there already", lambda: add(other, tmp_path)),
        ("belongs to known weights", lambda: add(source, tmp_path, name="yolov8n")),
        ("does not fit", lambda: add(source, tmp_path, name="../x")),
        ("unknown family", lambda: add(source, tmp_path, family="bert")),
        ("unknown task", lambda: add(source, tmp_path, task="sing")),
        ("is not a file", lambda: add(tmp_path / "none.pt", tmp_path)),
    ]:
        with pytest.raises(ModelError, match=error):
            call()
    assert (tmp_path / "models" / "a.onnx").read_bytes() == b"a"


def test_a_damaged_list_of_added_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "added.toml").write_text("[mine]\nfile = 3\n")
    with pytest.raises(ModelError, match=r"added\.toml.*\[mine\]"):
        resolve("mine", tmp_path)


# --- families, starter -----------------------------------------------------------------------------------------------


def _torch_like(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", program)
    return path


@pytest.mark.parametrize(
    ("program", "family"),
    [
        (b"cultralytics.nn.tasks\nDetectionModel", "yolo-pt"),
        (b"cmodels.yolo\nModel", "yolo-pt"),
        (b"image_encoder.patch_embed.proj.weight prompt_encoder.x", "sam"),
        (b"image_encoder.patch_embed.seq.0.c.weight prompt_encoder.x", "mobile-sam"),
        (b"mask_decoder.network.downs.0.0.0.weight", "starter-sam"),
    ],
)
def test_the_family_is_told_from_the_file(tmp_path: Path, program: bytes, family: str) -> None:
    assert guess_family(_torch_like(tmp_path / "w.pt", program)) == family


def test_the_family_of_safetensors_is_told_from_the_header(tmp_path: Path) -> None:
    names = ["image_encoder.patch_embed.seq.0.c.weight", "prompt_encoder.x"]
    header = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert guess_family(path) == "mobile-sam"


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.txt"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x10\0\0\0\0\0\0\0 nothing of ours")
    with pytest.raises(ModelError, match=name):
        resolve(str(tmp_path / name), tmp_path)


def test_a_file_of_weights_that_is_damaged_is_refused(tmp_path: Path) -> None:
    packed = _torch_like(tmp_path / "w.pt", b"cmodels.yolo\nModel" * 9).read_bytes()
    header = packed.index(b"PK\x01\x02")
    unknown_packing = packed[: header + 10] + b"\x63" + packed[header + 11 :]
    for name, content in (
        ("w.pt", unknown_packing),
        ("w.safetensors", b"\x01" + bytes(7) + b"3"), ("w.safetensors", (90_000).to_bytes(8, "little") + b"[" * 90_000),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=rf"{name} is damaged"):
            resolve(str(tmp_path / name), tmp_path)


def test_packaged_weights_are_pinned_by_their_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "STARTER_FOLDER", tmp_path)
    monkeypatch.setattr(registry, "STARTER_CARD", tmp_path / "CARD.json")
    with pytest.raises(ModelError, match="install the package again"):
        resolve("starter-sam", tmp_path)
    (tmp_path / "starter_sam.pt").write_bytes(b"weights")
    with pytest.raises(ModelError, match="does not name"):
        resolve("starter-sam", tmp_path)
    card = {
        "file": "starter_sam.pt", "sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7, "licence": "AGPL-3.0",
        "purpose": "", "made": "", "seconds_trained": 0.0, "data": {}, "architecture": {}, "settings": {},
        "figures": {},
    }  # fmt: skip
    (tmp_path / "CARD.json").write_text(json.dumps({"starter_sam.pt": card}))
    assert resolve("starter-sam", tmp_path).family == "starter-sam"
    assert pull("starter-sam", tmp_path).path == tmp_path / "starter_sam.pt"
    (tmp_path / "starter_sam.pt").write_bytes(b"changed")
    with pytest.raises(ModelError, match="not the file"):
        resolve("starter-sam", tmp_path)


def test_a_file_that_got_its_old_time_back_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"first")
    os.utime(path, (1_000, 1_000))
    resolve(str(path), tmp_path)
    with path.open("r+b") as handle:
        handle.write(b"fi4st")
    os.utime(path, (1_000, 1_000))
    assert resolve(str(path), tmp_path).sha256 == hashlib.sha256(b"fi4st").hexdigest()


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    path = tmp_path / "split.onnx"
    path.write_bytes(field(7, field(5, field(13, field(1, b"location") + field(2, b"/etc/passwd")))))
    with pytest.raises(ModelError, match="keeps a part of its weights in another file"):
        resolve(str(path), tmp_path)
