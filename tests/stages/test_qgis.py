"""The QGIS project of a run opens in QGIS, where there is one: Debian's package python3-qgis has it."""

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PYTHON = "/usr/bin/python3"  # Debian's own, which has its packages
OPEN = """
import json, sys
from qgis.core import QgsApplication, QgsMapRendererSequentialJob, QgsMapSettings, QgsProject
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()
project = QgsProject.instance()
found = {"read": project.read(sys.argv[1]), "error": project.error()}
tree = project.layerTreeRoot()
found["layers"] = {node.name(): node.layer() is not None and node.layer().isValid() for node in tree.findLayers()}
found["kinds"] = sorted({layer.renderer().type() for layer in project.mapLayers().values()})
labelled = [layer for layer in project.mapLayers().values() if getattr(layer, "labelsEnabled", bool)()]
found["labelled"] = [[layer.name(), layer.labeling().settings().fieldName] for layer in labelled]
settings = QgsMapSettings()
settings.setDestinationCrs(project.crs())
settings.setLayers([layer for layer in tree.layerOrder() if tree.findLayer(layer.id()).isVisible()])
settings.setOutputSize(QSize(400, 400))
settings.setBackgroundColor(QColor("white"))
settings.setExtent([layer for layer in project.mapLayers().values() if layer.name() == "hillshade"][0].extent())
job = QgsMapRendererSequentialJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(sys.argv[2])
found["errors"] = [error.message for error in job.errors()]
print("found " + json.dumps(found))
app.exitQgis()
"""


def has_qgis():
    """Whether Debian's Python has QGIS."""
    if not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-c", "import qgis.core"], env={}, capture_output=True).returncode == 0


@pytest.fixture
def project(finished):
    """Path of the project of a run."""
    return finished.path / "data/heatflow.qgs"


def test_every_file_of_the_project_is_there(project):
    sources = [layer.findtext("datasource") for layer in ElementTree.parse(project).iter("maplayer")]
    assert len(sources) >= 15
    assert [source for source in sources if not (project.parent / source).is_file()] == []


@pytest.mark.skipif(not has_qgis(), reason="no QGIS here")
def test_project_opens_in_qgis_and_draws_a_map(project, tmp_path):
    quiet = {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    image = tmp_path / "map.png"
    done = subprocess.run(
        [PYTHON, "-c", OPEN, project, image], env={"PATH": os.environ["PATH"]} | quiet, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.partition("found ")[2].splitlines()[0])
    assert (found["read"], found["error"], found["errors"]) == (True, "", [])
    assert [name for name, valid in found["layers"].items() if not valid] == []
    assert found["kinds"] == [
        "categorizedSymbol", "graduatedSymbol", "hillshade", "paletted", "singleSymbol", "singlebandpseudocolor",
    ]  # fmt: skip
    assert found["labelled"] == [["best places, by rank", '"rank"']]
    with Image.open(image) as drawn:
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 100
