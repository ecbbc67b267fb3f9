"""A weights file that is a program is converted shut in, or not at all."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from lora_assets.models import ModelError, confinement, resolve
from lora_assets.models.confinement import Limits, run_confined
from lora_assets.training.converting import convert
from lora_assets.vision.sam import read_tensors


def _can_be_shut_in(folder: Path) -> bool:
    try:
        return run_confined(["/bin/true"], folder).returncode == 0
    except ModelError:
        return False


@pytest.fixture
def shut_in(tmp_path: Path) -> Path:
    if not _can_be_shut_in(tmp_path):
        pytest.skip("this system lets no process be shut in")
    return tmp_path


class Program:
    """A pickle that writes into a folder of the person."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def _checkpoint(path: Path, mark: Path) -> Path:
    import torch

    tensors = {
        "image_encoder.patch_embed.proj.weight": torch.arange(4.0).reshape(2, 2),
        "prompt_encoder.x": torch.zeros(1),
    }
    torch.save({"state_dict": {"model": tensors}, "optimizer": Program(mark)}, path)
    return path


def test_the_numbers_come_out_and_the_program_reaches_nothing(shut_in: Path):
    data, mark = shut_in / "data", shut_in / "mark"
    file = _checkpoint(shut_in / "私の SAM.pt", mark)
    with pytest.raises(ModelError, match="models convert"):
        read_tensors(file)
    made = convert(file, data, "mine")
    assert not mark.exists()
    assert made.path.suffix == ".safetensors" and made.family == "sam"
    assert resolve("mine", data).sha256 == made.sha256
    tensors = read_tensors(made.path)
    assert tensors["image_encoder.patch_embed.proj.weight"].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert not list((data / "models").glob(".tmp-convert-*"))


def test_a_file_without_numbers_says_why_in_plain_text(shut_in: Path):
    file = shut_in / "strange.pt"
    file.write_bytes(pickle.dumps("\x1b[31mno model\x1b[0m", protocol=2))
    with pytest.raises(ModelError, match="could not be converted") as refused:
        convert(file, shut_in / "data")
    assert "\x1b" not in str(refused.value)
    with pytest.raises(ModelError, match=r"nowhere.pt is not there.*whole path"):
        convert(shut_in / "nowhere.pt", shut_in / "data")
    with pytest.raises(ModelError, match="is no file"):
        convert(shut_in, shut_in / "data")
    (shut_in / "x.onnx").touch()
    with pytest.raises(ModelError, match=r"x.onnx does not end in .*lora-assets models add"):
        convert(shut_in / "x.onnx", shut_in / "data")


def test_limits_hold(shut_in: Path):
    ended = run_confined(["/bin/sh", "-c", "head -c 3000000 /dev/zero > big; stat -c %s big"], shut_in,
                         Limits(file_bytes=1_000_000))  # fmt: skip
    assert (shut_in / "big").stat().st_size <= 1_000_000
    assert "3000000" not in ended.stdout


def test_what_a_program_says_is_kept_to_its_end_only(shut_in: Path):
    program = "import sys; sys.stdout.write('x' * 300_000 + 'end'); sys.stdout.flush(); sys.stderr.write('e' * 70_000)"
    ended = run_confined([sys.executable, "-I", "-S", "-c", program], shut_in)
    assert len(ended.stdout) == 64 * 1024 and ended.stdout.endswith("xend") and len(ended.stderr) == 64 * 1024
    limited = run_confined(["/bin/sh", "-c", "head -c 3000000 /dev/zero"], shut_in, Limits(file_bytes=1000))
    assert len(limited.stdout) <= 1000
    assert not list(shut_in.iterdir())


def test_no_socket_is_opened_and_nothing_else_is_in_sight(shut_in: Path):
    (shut_in / "private").write_text("private")
    inner = shut_in / "inner"
    inner.mkdir()
    program = """
import os, socket
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_NETLINK, 40):
    try:
        socket.socket(family)
    except PermissionError:
        continue
    print(family)
print(os.path.exists("../private"), sorted(os.listdir("..")), os.listdir("/dev/shm"), os.path.exists("/home"))
"""
    ended = run_confined([sys.executable, "-I", "-S", "-c", program], inner)
    assert ended.stdout.split("\n")[0] == "False ['inner'] [] False", ended.stderr


def test_where_no_process_can_be_shut_in_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refusing = tmp_path / "refusing.py"
    refusing.write_text("import sys; print('unshare: not permitted', file=sys.stderr); sys.exit(97)")
    monkeypatch.setattr(confinement, "_SCRIPT", refusing)
    with pytest.raises(ModelError, match=r"user namespaces.*another machine"):
        convert(_checkpoint(tmp_path / "a.pt", tmp_path / "mark"), tmp_path / "data")
    assert not (tmp_path / "mark").exists()
    monkeypatch.setattr(confinement.sys, "platform", "darwin")
    with pytest.raises(ModelError, match="needs Linux"):
        run_confined(["true"], tmp_path)
