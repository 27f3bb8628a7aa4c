"""What follows from params."""

import pytest

from heatflow.config.schema import Data, Map, Tile


def test_classes_follow_from_edges():
    tile = Tile(edges=[25, 50, 200], binary_edge=50)
    assert (tile.n_classes, tile.first_high) == (4, 2)
    assert tile.class_columns == ["p0", "p1", "p2", "p3"]
    assert tile.class_names == ["0: <=25", "1: 25-50", "2: 50-200", "3: >200"]
    assert tile.explained(3) == "class 3, >200 mW/m2"
    assert tile.explained("high") == "the log-odds of above 50 mW/m2"
    assert Tile(edges=[0], binary_edge=0).class_ranges == ["<=0", ">0"]


def test_steps_are_given_or_follow_from_the_size():
    assert (Tile(size=100).step, Tile(size=100, stride=20).step) == (100, 20)
    assert (Map().step(100), Map(stride=30).step(100)) == (50, 30)


@pytest.mark.parametrize("elevation", ["data/demo/elevation.tif", "dem.tif"])
def test_files_of_the_demo_say_something_of_the_demo_alone(elevation):
    data = Data(elevation=elevation, faults="faults.gpkg")
    demo = elevation != "dem.tif"
    assert data.is_demo is demo
    assert data.applies(data.ablation) is demo
    assert list(data.features) == (["structures", "faults", "lookalikes"] if demo else ["faults"])
