"""Trained networks on disk: one state_dict for each fold and seed, and the settings that rebuild them."""

import copy
import io
import pickle
import zipfile
from pathlib import Path

import torch

from heatflow.errors import reading
from heatflow.io.text import read_json, write_json
from heatflow.learning.network import NetworkInNetwork

MAX_BYTES, MAX_PICKLE = 1_000_000_000, 10_000_000  # of a file of weights, and of their names in it
MAX_LAYERS, MAX_WIDTH, MAX_SEEDS = 7, 10_000, 100  # what params allow, and more channels than fit any machine


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
    settings = read_json(folder / "network.json", ("folds", "seeds", "classes", "channels"))
    with reading(folder / "network.json"):
        folds, seeds = settings.pop("folds"), settings.pop("seeds")
        sizes = [settings["classes"], *settings["channels"]]
        if not (fold < folds and seeds <= MAX_SEEDS and len(sizes) <= MAX_LAYERS and 0 < min(sizes) <= max(sizes)):
            raise ValueError("not the sizes of a network")
        if max(sizes) > MAX_WIDTH:
            raise ValueError(f"{max(sizes):,} channels or classes, and at most {MAX_WIDTH:,} can be")
        blank = NetworkInNetwork(**settings)
    networks = []
    for number in range(seeds):
        path = folder / f"fold{fold}_{number}.pt"
        with reading(path):
            network = copy.deepcopy(blank)
            network.load_state_dict(_weights(path))
        networks.append(network.float().eval())
    return networks


def _weights(path):
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        pickles = [archive.read(m) for m in members if m.filename.endswith(".pkl") and m.file_size < MAX_PICKLE]
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or sum(m.file_size for m in members) > MAX_BYTES:
        raise ValueError(f"packed, or more than {MAX_BYTES:,} bytes")
    if len(pickles) != 1 or b"bytearray" in pickles[0]:  # of any length, and no part of a tensor
        raise ValueError("it holds other things than weights")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # its message says how to load code all the same
        raise ValueError("it holds other things than weights") from None
