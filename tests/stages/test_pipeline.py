"""The real thing: dvc in a clone, with tiny params."""

import sys

import numpy as np
import pyogrio
import pytest
import rasterio

from tests.helpers import call, outputs
from tests.pages import BROWSER, check_page, in_browser


def test_run_again_changes_nothing(clone):
    assert "Data and pipelines are up to date" in call(clone, "dvc", "repro")
    assert call(clone, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_forced_run_gives_the_same_bytes(clone):
    first = outputs(clone)
    call(clone, "dvc", "repro", "--force")
    assert outputs(clone) == first
    assert call(clone, "git", "status", "--porcelain") == ""


def test_experiment_reruns_only_what_changed_and_metrics_are_compared(experiment):
    assert experiment.stages == ["train", "evaluate", "saliency", "map", "bundle", "report"]
    assert "train_loss" in experiment.metrics["metrics/train.json"]


def test_param_set_back_restores_every_stage_from_the_run_cache(experiment):
    assert experiment.stages_back == []
    assert experiment.status_back == ""


def test_mistyped_param_stops_before_work_and_loses_nothing(clone):
    before = outputs(clone)
    printed = call(clone, "dvc", "exp", "run", "-S", "train.dropout=abc", code=1)
    assert "train.dropout: input should be a valid number" in printed
    assert "Traceback" not in printed
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout")
    assert outputs(clone) == before
    assert (clone / "data/models/fold0_0.pt").exists()


def test_report_is_one_page_that_works_in_a_browser(clone, tmp_path):
    text = (clone / "data/report.html").read_text()
    check_page(text)
    if not BROWSER:
        pytest.skip("no Chromium here")
    for width in (1280, 500):
        found = in_browser(text, tmp_path, width)
        assert found.pop("first").startswith("Tile")
        assert found == {
            "images": 0, "clicked": True, "zoomed": True, "whole": True, "moved": True,
            "layers": "visible hidden hidden", "scrolls": False, "faults": [],
        }  # fmt: skip


def test_outputs_on_the_ground_are_cloud_optimised_and_say_what_they_hold(clone):
    rasters = sorted((clone / "data").rglob("*.tif"))
    assert len(rasters) >= 4 + 2 + 3
    for path in rasters:
        with rasterio.open(path) as raster:
            assert raster.crs is not None, path
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG", path
            assert np.isnan(raster.nodata), path
            assert all(raster.descriptions), path
            assert "STATISTICS_MEAN" in raster.tags(1), path
            assert raster.overviews(1) or max(raster.shape) <= 512, path
    for path in sorted((clone / "data").rglob("*.fgb")):
        assert pyogrio.read_info(path)["crs"], path


def test_summary_names_metrics_baseline_and_pictures(clone):
    printed = call(clone, sys.executable, "-m", "heatflow.cli", "summary")
    assert "constant guess" in printed
    assert "metrics/confusion.png" in printed
    assert "Does it use structure?" in printed
    assert printed.rstrip().endswith("data/report.html")
