"""Files of weights hold weights and nothing else."""

import io
import json
import pickle
import zipfile

import pytest

from heatflow.errors import InputError
from heatflow.learning.models import load_networks, save_networks
from heatflow.learning.network import NetworkInNetwork


@pytest.fixture
def models(tmp_path):
    network = NetworkInNetwork(
        classes=3, channels=[4], dropout=0.0, batch_norm=True, head_relu=False, loss="cross_entropy", first_high=1
    )
    save_networks(tmp_path, [[network]])
    assert len(load_networks(tmp_path, 0)) == 1
    return tmp_path


def packed(raw, method, change=lambda name, content: content):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def test_model_that_is_more_than_weights_is_refused(models):
    path = models / "fold0_0.pt"
    raw = path.read_bytes()
    pickled = pickle.dumps({"x": print}, 2)
    asks = b"\x80\x02c__builtin__\nbytearray\nJ\x00\x5e\xd0\xb2\x85R."
    for content, message in (
        (packed(raw, zipfile.ZIP_DEFLATED), "packed"),
        (
            packed(raw, zipfile.ZIP_STORED, lambda n, c: pickled if n.endswith(".pkl") else c),
            "other things than weights",
        ),
        (packed(raw, zipfile.ZIP_STORED, lambda n, c: asks if n.endswith(".pkl") else c), "other things than weights"),
        (pickled, "not a zip file"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            load_networks(models, 0)
        assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"channels": [10**9]}, {"classes": 10**9}, {"seeds": 10**9}, {"channels": [4] * 99}]
)
def test_model_of_absurd_size_is_refused(models, change):
    settings = json.loads((models / "network.json").read_text())
    (models / "network.json").write_text(json.dumps(settings | change))
    with pytest.raises(InputError, match=r"network\.json: damaged"):
        load_networks(models, 0)
