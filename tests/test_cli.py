"""The command `heatflow`: its verbs, its errors, and what it costs to start."""

import subprocess
import sys
from pathlib import Path

import pytest

from heatflow import cli
from tests.helpers import ROOT


def test_fetch_lists_what_there_is_without_control_characters(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fetch"]) == 2
    assert "data/sources.yaml: no such file" in capsys.readouterr().err
    Path("data").mkdir()
    entry = (ROOT / "data/sources.yaml").read_text().replace("title: ", 'title: "\\e[31m" #', 1)
    Path("data/sources.yaml").write_text(entry)
    assert cli.main(["fetch"]) == 0
    listed = capsys.readouterr().out
    assert "\x1b" not in listed
    assert "10.5066/P9BZPVUC" in listed


def test_fetch_by_name_fetches_that_source(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(ROOT)
    (tmp_path / "f").write_bytes(b"12345")
    fetched = []
    monkeypatch.setattr("heatflow.sources.fetch", lambda name, *_, **__: fetched.append(name) or tmp_path / "f")
    assert cli.main(["fetch", "ghfdb"]) == 0
    assert fetched == ["ghfdb"]
    assert f"{tmp_path / 'f'} (5 bytes" in capsys.readouterr().out
    assert cli.main(["fetch", "nonsense"]) == 2
    assert "nonsense: no such source; data/sources.yaml has usgs-wells" in capsys.readouterr().err


def test_compare_asks_dvc_for_headline_metrics_and_the_params_that_are_named(monkeypatch):
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: ran.append((args, options)) or _Done())
    assert cli.main(["compare", "--keep", "train.lr"]) == 3
    ((command,), options) = ran[0]
    assert command[2:5] == ["dvc", "exp", "show"]
    assert command[-1].endswith("|train.lr")
    assert int(options["env"]["COLUMNS"]) >= 120


class _Done:
    returncode = 3


def test_docs_are_written_from_the_params_of_the_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["docs"]) == 2
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text().replace("folds: 5", "folds: 7"))
    assert cli.main(["docs"]) == 0
    assert "| `folds` | `7` | whole number ≥ 2, ≤ 100 |" in Path("docs/params.md").read_text()


def test_summary_of_nothing_says_how_to_make_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["summary"]) == 2
    assert "metrics/evaluation.json: no such file; make it with: dvc repro" in capsys.readouterr().err


def test_interrupt_is_said(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("heatflow.sources.read_catalogue", interrupted)
    assert cli.main(["fetch"]) == 130
    assert capsys.readouterr().err == "heatflow fetch: interrupted\n"


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_no_verb_and_an_unknown_one_are_errors_of_use(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "usage: heatflow" in capsys.readouterr().err


def test_it_starts_without_the_heavy_libraries():
    code = "import sys, heatflow.cli\nassert not {'torch', 'geopandas', 'pandas', 'rasterio', 'dvc'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_library_changes_no_setting_when_it_is_imported():
    code = "import os\nbefore = dict(os.environ)\nimport heatflow, heatflow.io.untrusted\nassert os.environ == before"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
