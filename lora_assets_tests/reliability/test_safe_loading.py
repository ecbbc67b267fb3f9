"""No module of the package runs what a file says, fetches anything by itself, or opens a shell: read from source."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lora_assets
from lora_assets.models.offline import SWITCHES
from lora_assets_tests.reliability.hostile_pictures import png_bomb

_PACKAGE = Path(lora_assets.__file__).parent
_MODULES = sorted(path.relative_to(_PACKAGE).as_posix() for path in _PACKAGE.rglob("*.py"))
# The one place where a pickle runs, in a process that is shut in.
_SHUT_IN = "training/converting.py"
# Who may talk to the network, each because a person named it.
_ONLINE = {"models/download.py", "mining/chat.py"}
_UNPICKLING = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "dill.load",
    "joblib.load",
    "marshal.load", "marshal.loads", "shelve.open", "pandas.read_pickle", "pd.read_pickle", "eval", "exec", "os.system",
    "os.popen", "torch.hub.load", "torch.hub.load_state_dict_from_url", "yaml.load", "yaml.unsafe_load",
}  # fmt: skip
_NETWORK = {"httpx", "requests", "urllib.request", "urllib3", "http.client", "huggingface_hub", "ftplib", "smtplib"}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _given(call: ast.Call, name: str) -> object:
    """The constant that a call gives for a keyword; None when it is not given or no constant."""
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def unsafe_calls(source: str, module: str) -> Iterator[str]:
    """What of a module would run or fetch what a file or an address says, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            told = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            told += [f"{node.module}.{name}" for name in names] if isinstance(node, ast.ImportFrom) else []
            if set(told) & _NETWORK and module not in _ONLINE:
                yield f"{module}:{node.lineno} imports {told}"
        if not isinstance(node, ast.Call):
            continue
        called = _name(node.func)
        last = called.rpartition(".")[2]
        wrong = called in _UNPICKLING
        wrong |= called == "torch.load" and _given(node, "weights_only") is not True and module != _SHUT_IN
        wrong |= called in ("np.load", "numpy.load") and _given(node, "allow_pickle") is not False
        wrong |= last == "from_pretrained" and _given(node, "local_files_only") is not True
        wrong |= _given(node, "trust_remote_code") is True or _given(node, "shell") is True
        if wrong:
            yield f"{module}:{node.lineno} calls {called}"


def test_no_module_runs_what_a_file_says():
    assert len(_MODULES) > 200
    sources = {module: (_PACKAGE / module).read_text(encoding="utf-8") for module in _MODULES}
    assert [wrong for module, source in sources.items() for wrong in unsafe_calls(source, module)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import pickle\npickle.load(handle)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(name)",
        "AutoModel.from_pretrained(name, local_files_only=True, trust_remote_code=True)",
        "import requests",
        "from urllib import request",
        "from huggingface_hub import snapshot_download",
    ],
)
def test_what_it_must_catch(source: str):
    assert list(unsafe_calls(source, "x.py"))


def test_every_process_of_ours_is_told_to_stay_offline():
    code = "import os, sys; sys.argv = ['lora-assets', '--help']\nimport lora_assets.cli.app as app\n"
    code += "assert 'cv2' not in sys.modules, 'it reads its switch when it is loaded'\n"
    code += "try:\n    app.main()\nexcept SystemExit:\n    pass\n"
    code += f"assert all(os.environ[name] == value for name, value in {SWITCHES!r}.items())"
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    source = (_PACKAGE / "definitions.py").read_text(encoding="utf-8")
    assert source.index("\nkeep_offline()") < source.index("from lora_assets.assets")


def test_opencv_refuses_a_bomb_in_every_process_of_ours(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_bomb(15_000))
    code = (
        "from lora_assets.models.offline import keep_offline; keep_offline()\n"
        "import sys, cv2, numpy; content = numpy.fromfile(sys.argv[1], numpy.uint8)\n"
        "try:\n    read = cv2.imdecode(content, cv2.IMREAD_COLOR)\n"
        "except cv2.error as error:\n    sys.exit('MAX_IMAGE_PIXELS' not in str(error))\n"
        "sys.exit(read is not None)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bomb.png")], env=environment, check=False)
    assert told.returncode == 0


def test_dagster_sends_nothing_home():
    told = (_PACKAGE.parent / "dagster.yaml").read_text(encoding="utf-8")
    assert "telemetry: {enabled: false}" in told


def test_ultralytics_is_harmless_after_its_import():
    from lora_assets.vision.yolo import import_ultralytics

    import_ultralytics()
    from ultralytics.nn import tasks
    from ultralytics.utils import AUTOINSTALL, SETTINGS

    assert getattr(tasks, "SAFE_LOAD")  # noqa: B009 - the module does not name it as its own
    assert not AUTOINSTALL
    assert not SETTINGS["sync"]
