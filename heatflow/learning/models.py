"""Trained networks on disk: one state_dict for each fold and seed, and the settings that rebuild them."""

import io
import json
from pathlib import Path

import torch

from heatflow.errors import InputError
from heatflow.files import write_json
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
    try:
        settings = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        folds, seeds = settings.pop("folds"), settings.pop("seeds")
        assert fold < folds
        networks = []
        for number in range(seeds):
            network = NetworkInNetwork(**settings)
            state = torch.load(folder / f"fold{fold}_{number}.pt", map_location="cpu", weights_only=True)
            network.load_state_dict(state)
            networks.append(network.float().eval())
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; run the train stage first") from None
    return networks
