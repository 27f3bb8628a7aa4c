"""Networks on disk."""

import json
import pickle

import pytest
import torch

from heatflow.errors import InputError
from heatflow.learning.models import load_networks, save_networks
from heatflow.learning.network import NetworkInNetwork


@pytest.fixture
def network():
    return NetworkInNetwork(classes=3, channels=[4, 5], loss="two_stage", first_high=2).eval()


@pytest.fixture
def models(tmp_path, network):
    save_networks(tmp_path, [[network, network]])
    return tmp_path


def test_networks_come_back_from_disk_the_same(models, network, tmp_path):
    (tmp_path / "again").mkdir()
    save_networks(tmp_path / "again", [[network, network]])
    assert (models / "fold0_1.pt").read_bytes() == (tmp_path / "again/fold0_1.pt").read_bytes()
    tiles = torch.randn(3, 1, 40, 40)
    for loaded in load_networks(models, 0):
        assert loaded.settings == network.settings
        assert torch.equal(loaded(tiles), network(tiles))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"x": print}, 2), r"fold0_0\.pt: damaged, .*other things than weights"),
        (b"noise", r"fold0_0\.pt: damaged"),
        (None, r"fold0_0\.pt: no such file"),
    ],
)
def test_a_damaged_file_gives_one_clear_error(models, content, message):
    path = models / "fold0_0.pt"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_networks(models, 0)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("change", [{"channels": [4, 6]}, {"loss": "none"}, {"colour": 1}])
def test_settings_that_do_not_fit_the_weights_are_damage(models, change):
    settings = json.loads((models / "network.json").read_text())
    (models / "network.json").write_text(json.dumps(settings | change))
    with pytest.raises(InputError, match="damaged"):
        load_networks(models, 0)
