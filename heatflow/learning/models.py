"""Trained networks on disk: one state_dict a fold, and the settings that rebuild them."""

import io
import json
from pathlib import Path

import torch

from heatflow.errors import InputError
from heatflow.files import write_json
from heatflow.learning.network import NetworkInNetwork


def save_networks(folder: Path, networks: list[NetworkInNetwork]) -> None:
    """Write ``fold<k>.pt`` for each network and ``network.json`` with their common settings into an existing folder."""
    for k, network in enumerate(networks):
        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        buffer = io.BytesIO()  # torch.save names the archive after the file, here always the same
        torch.save(state, buffer)
        (folder / f"fold{k}.pt").write_bytes(buffer.getvalue())
    write_json(folder / "network.json", {**networks[0].settings, "folds": len(networks)}, digits=12)


def load_network(folder: Path, fold: int) -> NetworkInNetwork:
    """The network of one fold, on the CPU in float32, in evaluation mode. Loads weights only, never code."""
    try:
        settings = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        folds = settings.pop("folds")
        network = NetworkInNetwork(**settings)
        state = torch.load(folder / f"fold{fold}.pt", map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; run the train stage first") from None
    assert fold < folds
    return network.float().eval()
