"""What one clone pushes to a remote, another gets: outputs, the run cache and experiments."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from tests.helpers import call, stages_run

# of two stages, each of which runs in a moment
PIPELINE = """\
stages:
  double:
    cmd: python double.py
    deps: [double.py]
    params: [number]
    outs: [data/double.txt]
  show:
    cmd: python show.py
    deps: [show.py, data/double.txt]
    outs: [data/shown]
    metrics:
      - metrics.json:
          cache: false
"""
DOUBLE = """\
import yaml
with open("params.yaml") as params, open("data/double.txt", "w") as out:
    out.write(str(2 * yaml.safe_load(params)["number"]))
"""
SHOW = """\
import json, os
os.makedirs("data/shown", exist_ok=True)
text = open("data/double.txt").read()
for name in ("a", "b"):
    open(f"data/shown/{name}.txt", "w").write(f"{name} {text}")
json.dump({"double": int(text)}, open("metrics.json", "w"))
"""
LONGEST = 90  # seconds until a server answers


@pytest.fixture
def project(tmp_path):
    """A repository whose two stages have run, with a bare repository as its origin."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    files = {"dvc.yaml": PIPELINE, "double.py": DOUBLE, "show.py": SHOW, "params.yaml": "number: 1\n"}
    for name, content in {**files, ".gitignore": "/data/*\n!/data/.keep\n", "data/.keep": ""}.items():
        (folder / name).write_text(content)
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "repro", "-q")
    call(folder, "git", "add", ".")
    call(folder, "git", "commit", "-qm", "run")
    call(tmp_path, "git", "init", "-q", "--bare", "-b", "main", "origin.git")
    call(folder, "git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    return folder


def push(project, url, *setting):
    """Name a remote, push outputs and the run cache to it, and the branch to the origin."""
    call(project, "dvc", "remote", "add", "-d", "store", url)
    if setting:
        call(project, "dvc", "remote", "modify", "store", *setting)
    call(project, "git", "commit", "-qam", "remote")
    call(project, "dvc", "push", "--run-cache")
    call(project, "git", "push", "-q", "-u", "origin", "main")


def wipe(project):
    """Remove the cache, the run cache and the outputs, as on a machine that has none of them."""
    shutil.rmtree(project / ".dvc/cache")
    shutil.rmtree(project / "data/shown")
    (project / "data/double.txt").unlink()


def give_and_take(project):
    """Get everything back from the remote, and an experiment of this clone in another."""
    wipe(project)
    call(project, "dvc", "pull", "--run-cache")
    assert (project / "data/shown/b.txt").read_text() == "b 2"
    assert "up to date" in call(project, "dvc", "status")
    call(project, "dvc", "exp", "run", "-n", "three", "-S", "number=3")
    call(project, "dvc", "exp", "push", "origin", "three")
    other = project.parent / "other"
    call(project.parent, "git", "clone", "-q", "origin.git", "other")
    call(other, "dvc", "exp", "pull", "origin", "three")
    call(other, "dvc", "exp", "apply", "three")
    assert (other / "data/shown/b.txt").read_text() == "b 6"
    assert json.loads((other / "metrics.json").read_text()) == {"double": 6}
    assert "up to date" in call(other, "dvc", "status")


def test_a_folder_gives_back_what_was_pushed(project, tmp_path):
    push(project, str(tmp_path / "store"))
    assert any((tmp_path / "store/runs").iterdir())
    give_and_take(project)


@pytest.mark.slow
def test_a_stage_that_another_has_run_is_restored_unless_it_has_metrics(project, tmp_path):
    push(project, str(tmp_path / "store"))  # before the experiment, whose own commit has to name the remote
    call(project, "dvc", "exp", "run", "-n", "three", "-S", "number=3")
    call(project, "dvc", "exp", "push", "--run-cache", "origin", "three")
    call(project, "git", "checkout", "-q", ".")
    wipe(project)
    call(project, "dvc", "pull", "--run-cache")
    (project / "params.yaml").write_text("number: 3\n")
    assert stages_run(call(project, "dvc", "repro", "--pull")) == ["show"]  # metrics of git are on no remote
    assert (project / "data/shown/a.txt").read_text() == "a 6"


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """Address of a server that behaves as S3 and listens to this machine alone, with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    for name, value in {"ACCESS_KEY_ID": "t", "SECRET_ACCESS_KEY": "t", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "moto.txt").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _make_bucket(server, port)
        yield address
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()


def _make_bucket(server, port):
    end = time.monotonic() + LONGEST
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
    import boto3

    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="bucket")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of boto3
@pytest.mark.skipif(
    find_spec("moto") is None or find_spec("dvc_s3") is None, reason="needs: pip install 'heatflow[remotes]'"
)
def test_a_bucket_of_s3_gives_back_what_was_pushed(project, s3):
    push(project, "s3://bucket/heatflow", "endpointurl", s3)
    give_and_take(project)
