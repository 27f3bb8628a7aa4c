"""A finished run is opened, and what is read of it is where it should be."""

import math

import pytest

from heatflow.errors import InputError
from heatflow.run import Run


def test_a_point_has_the_probabilities_of_all_classes(finished):
    run = Run.open(finished.path)
    centre = run.tiles.dissolve().to_crs(4326).geometry.iloc[0].centroid
    found = run.at(centre.y, centre.x)
    assert list(found) == ["<=0 mW/m2", ">0 mW/m2", "above 0 mW/m2", "disagreement", "inside"]
    assert found["<=0 mW/m2"] + found[">0 mW/m2"] == pytest.approx(1, abs=1e-5)
    assert found["above 0 mW/m2"] == pytest.approx(found[">0 mW/m2"], abs=1e-5)
    assert found["inside"] in (0, 1)
    assert found["disagreement"] >= 0 or math.isnan(found["disagreement"])
    with pytest.raises(InputError, match="outside the region"):
        run.at(0, 0)


def test_a_tile_and_its_map_are_of_the_same_place(finished):
    run = Run.open(finished.path)
    tile = int(run.tiles["tile"].iloc[3])
    size = run.params.tile.size
    assert run.elevation(tile).shape == run.saliency(tile, "gradient").shape == (size, size)
    row, column = int(run.tiles["row"].iloc[3]), int(run.tiles["col"].iloc[3])
    elevation, _ = run.terrain(pixels=10_000)
    top, left = row * size, column * size
    assert (run.elevation(tile) == elevation[top : top + size, left : left + size]).all()
    for call, message in (
        (lambda: run.saliency(tile, "nothing"), "no map was made of it; there are"),
        (lambda: run.elevation(10**6), "no such tile was predicted"),
        (lambda: Run.open(finished.path / "docs"), "no such file; make it with: dvc repro"),
    ):
        with pytest.raises(InputError, match=message):
            call()
