"""Every place of the package that writes, renames or copies a file uses the one atomic writer, or is named here with
the reason why it may do so by itself. A new place fails this test until it is moved or justified."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import lora_assets

ROOT = Path(lora_assets.__path__[0])

_BY_NAME = {
    "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "rename", "imwrite", "copyfile", "copyfileobj",
    "copy2", "copytree", "move", "to_parquet", "to_csv", "savefig", "savetxt", "savez", "savez_compressed", "tofile",
    "write_feather", "write_table", "ParquetWriter", "NamedTemporaryFile", "mkstemp", "FileHandler", "truncate",
    "ftruncate", "extractall", "make_archive", "urlretrieve", "save_file", "save",
}  # fmt: skip
_OF_OS = {"open", "rename", "replace", "link", "symlink", "truncate", "write"}
_WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}

_MAY_WRITE = re.compile(rf"\b(?:{'|'.join(sorted(_BY_NAME))}|open|replace|os\.\w+)\(")

WHOLE_FOLDER = "inside a folder that appears whole (exports.place): nothing reads it before"
HANDLE = "into the handle that the atomic writer gives"
LOG = "a log to which lines are added and synced; a torn last line is dropped by its reader"
BENCHMARK = "inputs of a measurement, in a temporary folder"
IN_PLACE = "renames a file that the atomic writer wrote whole"
TEMPORARY = "in a temporary folder of a process of its own"

ALLOWED: dict[tuple[str, str], str] = {
    ("atomic.py", "os.open"): "the atomic writer",
    ("atomic.py", "os.replace"): "the atomic writer",
    ("sums.py", "os.open"): "one line in one write, on disk before its file is in place",
    ("sums.py", "os.write"): "the same",
    ("sums.py", "ftruncate"): "takes back a line that a full disk cut, under a lock",
    ("store.py", "open"): "a lock file, which holds nothing",
    ("store.py", "write_table"): HANDLE,
    ("store.py", "ParquetWriter"): HANDLE,
    ("main_line/frames.py", "write_table"): HANDLE,
    ("main_line/verifying.py", "rename"): "puts a damaged file aside while it is drawn again, and back",
    ("training/detector.py", "save"): HANDLE,
    ("training/segmenter.py", "save"): HANDLE,
    ("training/schedule.py", "save"): HANDLE,
    ("training/converting.py", "copyfile"): TEMPORARY,
    ("training/converting.py", "rename"): TEMPORARY,
    ("training/converting.py", "save"): TEMPORARY,
    ("training/converting.py", "save_file"): TEMPORARY,
    ("training/converting.py", "write_text"): TEMPORARY,
    ("models/shut_in.py", "write_text"): "files of /proc, which are no files",
    ("models/shut_in.py", "symlink_to"): "links of the system, in a root folder of memory",
    ("models/shut_in.py", "touch"): "files to mount on, in a root folder of memory",
    ("models/download.py", "open"): "a part that is continued, checked by its hash, and then put in place",
    ("models/download.py", "truncate"): "the same",
    ("vision/yolo.py", "symlink_to"): "a link in a temporary folder",
    ("verdicts/restoring.py", "copyfile"): "copies beside the log and of the log before, synced before it is replaced",
    ("verdicts/restoring.py", "rename"): "puts the write-ahead log before aside, where it stays",
    ("identity/registry.py", "open"): LOG,
    ("identity/registry.py", "truncate"): LOG,
    ("exports/caption_log.py", "open"): LOG,
    ("exports/caption_log.py", "truncate"): LOG,
    ("finetuning/history.py", "open"): LOG,
    ("finetuning/checkpoints.py", "replace"): IN_PLACE,
    ("exports/place.py", "rename"): "puts whole folders in place",
    ("main_line/videos.py", "os.rename"): "puts a folder of frames in place, each written and synced before",
    ("exports/manifest.py", "write_text"): WHOLE_FOLDER,
    ("exports/records.py", "write_bytes"): "a scratch folder that is gone afterwards",
    ("exports/writing/target.py", "copyfile"): WHOLE_FOLDER,
    ("exports/writing/target.py", "write_text"): WHOLE_FOLDER,
    ("exports/writing/kohya.py", "write_bytes"): WHOLE_FOLDER,
    ("mining/folders.py", "write_text"): WHOLE_FOLDER,
    ("mining/folders.py", "write_bytes"): WHOLE_FOLDER,
    ("mining/folders.py", "copyfile"): WHOLE_FOLDER,
    ("mining/folders.py", "os.link"): WHOLE_FOLDER,
    ("mask_lab/folders.py", "write_text"): WHOLE_FOLDER,
    ("mask_lab/folders.py", "write_bytes"): WHOLE_FOLDER,
    ("cli/mask_lab.py", "write_text"): WHOLE_FOLDER,
    ("benchmarks/inputs.py", "write_bytes"): BENCHMARK,
    ("benchmarks/finetuning.py", "write_bytes"): "a picture of a measurement, for a person to look at",
    ("benchmarks/mask_lab.py", "write_bytes"): BENCHMARK,
    ("benchmarks/mining.py", "write_bytes"): BENCHMARK,
    ("benchmarks/pipeline.py", "save"): BENCHMARK,
    ("benchmarks/pipeline.py", "symlink_to"): BENCHMARK,
    ("benchmarks/quality.py", "symlink_to"): BENCHMARK,
    ("benchmarks/videos.py", "copyfile"): BENCHMARK,
    ("benchmarks/videos.py", "write_text"): BENCHMARK,
}  # fmt: skip


def _in_memory(tree: ast.AST) -> set[str]:
    """Names that hold a buffer in memory somewhere in the module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if ast.unparse(node.value.func) in ("io.BytesIO", "BytesIO"):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif (
            isinstance(node, ast.withitem)
            and isinstance(node.optional_vars, ast.Name)
            and ast.unparse(node.context_expr).startswith(("io.BytesIO(", "BytesIO("))
        ):
            found.add(node.optional_vars.id)
    return found


def _writes_mode(call: ast.Call, position: int) -> bool:
    given = [each.value for each in call.keywords if each.arg == "mode"] + call.args[position : position + 1]
    constants = [node.value for each in given for node in ast.walk(each) if isinstance(node, ast.Constant)]
    return any(isinstance(mode, str) and len(mode) < 5 and set(mode) & set("wax+") for mode in constants)


def _kind(call: ast.Call, buffers: set[str]) -> str:
    """What a call does to files, by its name; empty for a call that writes none."""
    if isinstance(call.func, ast.Name):
        if call.func.id == "open":
            return "open" if _writes_mode(call, 1) else ""
        return call.func.id if call.func.id in _BY_NAME - {"save", "move", "write_text"} else ""
    if not isinstance(call.func, ast.Attribute):
        return ""
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if owner == "os" and name in _OF_OS:
        flags = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
        return "" if name == "open" and not flags & _WRITING_FLAGS else f"os.{name}"
    if name == "open":
        return "open" if _writes_mode(call, 0) else ""
    if name == "replace":  # of a path: one argument; text has two, dataclasses.replace has keywords
        return "replace" if len(call.args) == 1 and not call.keywords else ""
    if name not in _BY_NAME or (name == "save" and not call.args):
        return ""
    target = [each.id for each in call.args[:2] if isinstance(each, ast.Name)]
    return "" if set(target) & buffers else name


def writing_places(source: str) -> dict[str, int]:
    """The kinds of calls that write files in a module's source, and the line of the first of each."""
    if not _MAY_WRITE.search(source):
        return {}  # parsing all modules takes seconds
    tree = ast.parse(source)
    buffers, found = _in_memory(tree), dict[str, int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (kind := _kind(node, buffers)):
            found.setdefault(kind, node.lineno)
    return found


def test_every_file_is_written_by_the_one_writer_or_named_with_its_reason():
    found = {
        (str(path.relative_to(ROOT)), kind): line
        for path in sorted(ROOT.rglob("*.py"))
        for kind, line in writing_places(path.read_text(encoding="utf-8")).items()
    }
    new = [f"{name}:{found[name, kind]} {kind}" for name, kind in sorted(set(found) - set(ALLOWED))]
    assert not new, f"these places write files by themselves: use lora_assets.store, or name the reason here: {new}"
    gone = sorted(set(ALLOWED) - set(found))
    assert not gone, f"these reasons are of places that are gone: {gone}"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("path.write_text('x')", "write_text"),
        ("open(path, 'w').write('x')", "open"),
        ("with path.open(mode='r+b') as handle: pass", "open"),
        ("cv2.imwrite(str(path), pixels)", "imwrite"),
        ("frame.to_parquet(path)", "to_parquet"),
        ("picture.save(path)", "save"),
        ("shutil.copyfile(a, b)", "copyfile"),
        ("os.replace(a, b)", "os.replace"),
        ("a.replace(b)", "replace"),
        ("np.savez(path, a=1)", "savez"),
        ("os.open(path, os.O_WRONLY | os.O_CREAT)", "os.open"),
        ("path.open('a' if more else 'x')", "open"),
    ],
)
def test_a_naive_write_is_seen(code: str, kind: str):
    assert set(writing_places(code)) == {kind}


@pytest.mark.parametrize(
    "code",
    [
        "path.open()", "path.open('rb')", "open(path)", "os.open(path, os.O_RDONLY)", "text.replace('a', 'b')",
        "dataclasses.replace(one, a=1)", "canvas.save()", "atomic_write_bytes(path, content)",
        "buffer = io.BytesIO()\npicture.save(buffer, 'PNG')", "with io.BytesIO() as out:\n    picture.save(out, 'PNG')",
    ],
)  # fmt: skip
def test_what_writes_no_file_is_not_blamed(code: str):
    assert writing_places(code) == {}
