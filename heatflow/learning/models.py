"""Trained networks on disk: one state_dict for each fold and seed, and the settings that rebuild them."""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path

import torch

from heatflow.errors import reading
from heatflow.io.text import read_json, write_json
from heatflow.learning.network import NetworkInNetwork


def save_networks(folder: str | Path, networks: Sequence[Sequence[NetworkInNetwork]]) -> None:
    """Write ``fold<k>_<seed>.pt`` for each network of each fold, and ``network.json`` with what they have in common.

    Parameters
    ----------
    folder : str or Path
        An existing folder.
    networks : sequence of sequences of NetworkInNetwork
        For each fold the networks of its seeds, as many in each.
    """
    for k, of_fold in enumerate(networks):
        for number, network in enumerate(of_fold):
            state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
            buffer = io.BytesIO()  # torch.save names the archive after the file, here always the same
            torch.save(state, buffer)
            (Path(folder) / f"fold{k}_{number}.pt").write_bytes(buffer.getvalue())
    settings = {**networks[0][0].settings, "folds": len(networks), "seeds": len(networks[0])}
    write_json(Path(folder) / "network.json", settings, digits=12)


def load_networks(folder: str | Path, fold: int) -> list[NetworkInNetwork]:
    """Read the networks of one fold.

    Parameters
    ----------
    folder : str or Path
        Where `save_networks` wrote them.
    fold : int

    Returns
    -------
    list of NetworkInNetwork
        One for each seed, on the CPU in float32, in evaluation mode.

    Raises
    ------
    InputError
        A file is damaged, or holds other things than weights: only weights are loaded, never code.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> save_networks(folder, [[NetworkInNetwork(classes=2, channels=[4])]])
    >>> [network.classes for network in load_networks(folder, fold=0)]
    [2]
    """
    settings = read_json(Path(folder) / "network.json", ("folds", "seeds", "classes", "channels"))
    networks = []
    for number in range(settings.pop("seeds")):
        path = Path(folder) / f"fold{fold}_{number}.pt"
        with reading(path):
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError:  # its message says how to load code all the same
                raise ValueError("it holds other things than weights") from None
            network = NetworkInNetwork(**{name: value for name, value in settings.items() if name != "folds"})
            network.load_state_dict(state)
        networks.append(network.float().eval())
    return networks
