"""Models of the hub: fetched from a server that answers as the hub does, and refused in words."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.models.hub import model_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


@pytest.fixture
def hub(tmp_path):
    """A server of one repository, `someone/models`, whose branch v1 holds `nets/a.onnx`; returns
    its address and what it holds."""
    content = some_bytes(5000)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            there = self.path == "/someone/models/resolve/v1/nets/a.onnx"
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(content) if there else 0))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if not there:
                missing = "Entry" if self.path.startswith("/someone/models/") else "Repo"
                self.send_header("X-Error-Code", f"{missing}NotFound")
            self.end_headers()
            if there and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", content
    server.shutdown()


def some_bytes(count):
    return bytes(k * k % 251 for k in range(count))


def asked(name, endpoint, cache):
    """Return what a new process, which is told of another hub, finds for a name."""
    program = (
        "import sys\n"
        "from rnascl_keras.errors import UserError\n"
        "from rnascl_keras.models.hub import model_file\n"
        "try:\n"
        "    print(model_file(sys.argv[1]))\n"
        "except UserError as error:\n"
        "    print('refused:', error)\n"
    )
    env = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache)}
    env |= {"NO_PROXY": "*", "no_proxy": "*"}
    command = [sys.executable, "-c", program, name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_hub
def test_a_file_of_the_hub_is_fetched_once_and_then_is_there_without_it(hub, tmp_path):
    endpoint, content = hub
    name = "hf://someone/models@v1/nets/a.onnx"
    path = Path(asked(name, endpoint, tmp_path / "cache"))
    assert path.name == "a.onnx" and path.read_bytes() == content
    nobody = "http://127.0.0.1:9"
    assert asked(name, nobody, tmp_path / "cache") == str(path)
    said = asked("hf://someone/models@v1/nets/b.onnx", nobody, tmp_path / "cache")
    assert said.startswith("refused: hf://someone/models@v1/nets/b.onnx cannot be fetched: the hub")
    assert "does not answer" in said and "\n" not in said


@needs_hub
def test_what_the_hub_has_not_is_told_apart(hub, tmp_path):
    endpoint, _ = hub
    said = asked("hf://someone/models@v1/nets/c.onnx", endpoint, tmp_path)
    assert said.endswith("someone/models holds no nets/c.onnx.")
    said = asked("hf://nobody/models/c.onnx", endpoint, tmp_path)
    assert "there is no nobody/models, or it is private" in said


@pytest.mark.parametrize("name", ["hf://a.onnx", "hf://owner/repo", "hf://owner//a.keras", "hf://"])
def test_half_a_name_is_refused(name):
    with pytest.raises(UserError, match="expected hf://OWNER/REPO/FILE"):
        model_file(name)


def test_a_path_stays_a_path(tmp_path):
    assert model_file("models/a.onnx") == Path("models/a.onnx")
    assert model_file(tmp_path) == tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "attack hf://o/r/m.onnx --data digits",
        "evaluate hf://o/r/m.keras --data digits",
        "prune hf://o/r/m.keras --data digits",
        "convert-teacher hf://o/r/m.pt --architecture resnet18 --out t.keras",
        "run digits --set teacher.weights=hf://o/r/m.keras",
        "run digits --set teacher.architecture=null --set teacher.start=hf://o/r/m.keras",
        "run digits --set train.start=hf://o/r/m.keras",
    ],
)
def test_wherever_a_model_is_taken_the_hub_is_asked(arguments, monkeypatch, tmp_path, refused):
    """Without huggingface_hub each way says what is missing, before anything is written."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    said = refused(*arguments.split())
    assert "is fetched by huggingface_hub, which is not installed" in said
    assert "pip install 'rnascl-keras[hub]'" in said
