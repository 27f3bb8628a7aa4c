import json
import subprocess
import sys

import pytest

from heatflow.present.summary import summary
from tests.present.helpers import make_evaluation


@pytest.fixture
def metrics(tmp_path):
    evaluation = make_evaluation() | {"quadratic_kappa": None}
    written = {
        "evaluation": evaluation, "train": {"stuck_folds": 0, "dead_classes": 0},
        "saliency": {"verdict": {"answer": "uses structure", "reasons": ["Because."]}},
    }  # fmt: skip
    for name, content in written.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "map.png").touch()
    return tmp_path


def test_summary_shows_scores_differences_the_verdict_and_pictures(metrics):
    lines = summary(metrics).splitlines()
    assert lines[0] == "Out-of-fold skill on 222 tiles and 444 sites"
    shown = [" ".join(line.split()) for line in lines]
    assert shown[2] == "accuracy 0.460 0.450"
    assert "quadratic_kappa - -" in shown
    assert "site_auc 0.700 0.500" in shown
    count = "+0.200 (+0.100 to +0.300)"
    assert f"count {count}: no clear difference; {count}" in shown
    assert lines[-5:-1] == [
        "Does it use structure? uses structure",
        "  Because.",
        "Pictures:",
        f"  {metrics / 'map.png'}",
    ]
    assert lines[-1].endswith("data/report.html")
    assert "WARNING" not in summary(metrics)


def test_summary_warns_of_networks_that_learned_nothing(metrics):
    (metrics / "train.json").write_text('{"stuck_folds": 2, "dead_classes": 1}')
    assert summary(metrics).count("WARNING") == 2


def test_summary_needs_no_library():
    code = "import sys, heatflow.present.summary; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
