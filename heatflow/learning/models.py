"""Trained networks on disk: one state_dict for each fold and seed, and the settings that rebuild them."""

import copy
import io
from pathlib import Path

import torch

from heatflow.errors import reading
from heatflow.files import read_json, write_json
from heatflow.learning.network import NetworkInNetwork


def save_networks(folder: Path, networks: list[list[NetworkInNetwork]]) -> None:
    """Write ``fold<k>_<seed>.pt`` for each network of each fold, and ``network.json`` with what they have in common.

    Parameters
    ----------
    folder : an existing folder
    networks : for each fold the networks of its seeds, as many in each
    """
    for k, of_fold in enumerate(networks):
        for number, network in enumerate(of_fold):
            state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
            buffer = io.BytesIO()  # torch.save names the archive after the file, here always the same
            torch.save(state, buffer)
            (folder / f"fold{k}_{number}.pt").write_bytes(buffer.getvalue())
    settings = {**networks[0][0].settings, "folds": len(networks), "seeds": len(networks[0])}
    write_json(folder / "network.json", settings, digits=12)


def load_networks(folder: Path, fold: int) -> list[NetworkInNetwork]:
    """The networks of one fold, on the CPU in float32, in evaluation mode. Loads weights only, never code."""
    settings = read_json(folder / "network.json")
    with reading(folder / "network.json"):
        folds, seeds = settings.pop("folds"), settings.pop("seeds")
        assert fold < folds
        blank = NetworkInNetwork(**settings)
    networks = []
    for number in range(seeds):
        path = folder / f"fold{fold}_{number}.pt"
        with reading(path):
            network = copy.deepcopy(blank)
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        networks.append(network.float().eval())
    return networks
