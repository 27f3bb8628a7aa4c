import xml.etree.ElementTree as ElementTree

import pytest

from heatflow.present.qgis import write_style


def test_style_runs_from_the_first_colour_to_the_last(tmp_path):
    write_style(tmp_path / "a.qml", 2, -1.5, 0.5, "gray")
    root = ElementTree.parse(tmp_path / "a.qml").getroot()
    assert root.find(".//rasterrenderer").attrib["band"] == "2"
    items = [item.attrib for item in root.findall(".//item")]
    assert (items[0]["color"], items[-1]["color"]) == ("#000000", "#ffffff")
    assert [float(item["value"]) for item in items] == pytest.approx([-1.5 + k / 4 for k in range(9)])
