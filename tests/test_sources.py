"""Fetching public data: against a server on the loopback that fails in every way that servers do."""

import hashlib
import random
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from heatflow.errors import InputError
from heatflow.sources import Source, fetch, listing, read_catalogue, usage
from tests.helpers import ROOT

BODY = random.Random(1).randbytes(300_000)
WRONG = BODY[:-1] + bytes([BODY[-1] ^ 1])  # differs in one bit, whatever the byte
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        times = self.asked.count(self.path)
        path = self.path.partition("?")[0]
        fault = {"/missing": 404, "/down": 500, "/recovers": 500 if times == 1 else None}.get(path)
        if fault:
            self.send_error(fault)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        cut = self.path in ("/cut", "/stalls") or (self.path == "/cut-once" and times == 1)
        self.wfile.write(WRONG if self.path == "/wrong" else BODY[:1000] if cut else BODY)
        if self.path == "/stalls":
            self.server.killed.wait(60)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds, wait=time.sleep: wait(min(seconds, 0.01)))
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.killed = threading.Event()
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.killed.set()
        running.shutdown()


def source(address, **changes):
    entry = {
        "title": "t", "citation": "c", "doi": "10.1/x", "licence": "none", "url": address, "file": "f.bin",
        "size": len(BODY), "sha256": SHA, "use": "data.wells={path}",
    }  # fmt: skip
    return Source.model_validate(entry | changes)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("path", ["/good", "/recovers", "/cut-once"])
def test_file_arrives_whole_also_after_a_failure_and_is_not_fetched_twice(server, tmp_path, path):
    got = fetch("x", source(server + path), tmp_path)
    assert got.read_bytes() == BODY
    asked = len(Handler.asked)
    assert fetch("x", source(server + path), tmp_path) == got
    assert len(Handler.asked) == asked
    assert files(tmp_path) == ["f.bin"]


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        ("/missing", {}, r"answered 404 Not Found (.|\n)*doi\.org/10\.1/x"),
        ("/down", {}, "answered 500"),
        ("/cut", {}, "broke off"),
        ("/cut", {"sha256": None, "size": None}, "broke off"),
        ("/wrong", {}, "another checksum"),
        ("/good", {"sha256": None, "size": 5}, "more than 5 bytes came"),
        ("/good", {"sha256": None, "size": 300_001}, "300,000 bytes came .* and 300,001 were published"),
    ],
)
def test_nothing_is_kept_of_what_is_not_right(server, tmp_path, path, changes, message):
    with pytest.raises(InputError, match=message):
        fetch("x", source(server + path, **changes), tmp_path)
    assert files(tmp_path) == []


def test_unreachable_server_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"download from 127\.0\.0\.1:9 broke off"):
        fetch("x", source("http://127.0.0.1:9/x"), tmp_path)


def test_file_that_was_tampered_with_is_fetched_again(server, tmp_path):
    (tmp_path / "f.bin").write_bytes(b"other")
    assert fetch("x", source(server + "/good"), tmp_path).read_bytes() == BODY


def test_killed_download_leaves_nothing_to_mistake_and_the_next_one_clears_up(server, tmp_path):
    code = (
        "import sys; from pathlib import Path; from heatflow.sources import Source, fetch;"
        f"fetch('x', Source.model_validate({source(server + '/stalls').model_dump()!r}), Path({str(tmp_path)!r}))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("tmp*")) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert files(tmp_path) != []  # what the killed one left
    assert not (tmp_path / "f.bin").exists()
    fetch("x", source(server + "/good"), tmp_path)
    assert files(tmp_path) == ["f.bin"]


def test_catalogue_of_the_project_is_whole_and_its_params_are_params(monkeypatch):
    import yaml

    monkeypatch.chdir(ROOT)
    catalogue = read_catalogue()
    assert {"usgs-wells", "ghfdb"} <= set(catalogue)
    assert catalogue["usgs-wells"].size == 130_154_244
    known = yaml.safe_load((ROOT / "params.yaml").read_text())
    for entry in catalogue.values():
        for part in entry.use.replace('"', "").split():
            section, key = part.split("=")[0].split(".")
            assert key in known[section]
    assert any("10.5066/P9BZPVUC" in line for line in listing(catalogue))


def test_what_came_is_said_with_its_use_and_only_the_path_is_filled_in(server, tmp_path):
    entry = source(server + "/good", use="data.wells={path} wells.unit={path.__class__}")
    path = fetch("x", entry, tmp_path)
    came, cite, use = usage(entry, path)
    assert came == f"{path} (300,000 bytes, checksum right)"
    assert "10.1/x" in cite
    assert use.endswith(f"-S data.wells={path} -S wells.unit={{path.__class__}}")
    assert SHA in usage(source(server + "/good", sha256=None), path)[0]


def test_messages_show_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    secret = source("http://me:secret@127.0.0.1:9/x?token=secret")
    with pytest.raises(InputError, match=r"from 127\.0\.0\.1:9 broke off") as caught:
        fetch("x", secret, tmp_path)
    assert "secret" not in str(caught.value)


def test_address_in_a_message_has_no_password_and_no_query(server, tmp_path):
    address = server.replace("http://", "http://me:secret@") + "/missing?token=secret"
    with pytest.raises(InputError, match=r"answered 404 .*/missing; if it has moved") as caught:
        fetch("x", source(address), tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("x: [", "not a catalogue"), ("x: {title: 1}", "x.citation: Field required"), ("- a", "valid dictionary")],
)
def test_broken_catalogue_is_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_catalogue(tmp_path / "c.yaml")


@pytest.mark.parametrize("changes", [{"url": "file:///etc/passwd"}, {"file": "../x"}, {"file": ".."}, {"sha256": "ab"}])
def test_addresses_and_names_that_lead_elsewhere_are_refused(changes):
    with pytest.raises(ValueError, match="pattern"):
        source("http://127.0.0.1/x", **changes)
