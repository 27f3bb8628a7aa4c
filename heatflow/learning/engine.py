"""How a machine computes: on which device, in which precision, compiled or not."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from heatflow.errors import InputError
from heatflow.learning.network import NetworkInNetwork

Network = TypeVar("Network", bound=nn.Module)
COMPILE_PAYS = 1_000_000  # tiles through the network on a GPU; for fewer, compiling takes longer than it saves


@dataclass(frozen=True)
class Engine:
    """Where and how networks run.

    Parameters
    ----------
    device : torch.device
    precision : str
        "float32", "float64" or "bfloat16": weights in float32, products in bfloat16 where PyTorch's autocast uses it.
    compiled : bool
        Through torch.compile.
    """

    device: torch.device
    precision: str = "float32"
    compiled: bool = False

    @classmethod
    def choose(
        cls, device: str = "auto", precision: str = "auto", compile: str | bool = "auto", passes: int = 0,
        on_fallback: Callable[[str], object] = lambda reason: None,
    ) -> "Engine":  # fmt: skip
        """The engine that params ask for; each "auto" takes the fastest that this machine has.

        Parameters
        ----------
        device : str
            "auto", "cpu", "cuda", "cuda:<n>" or "mps".
        precision : str
            "auto", "float32", "bfloat16" or "float64"; auto takes bfloat16 where the processor has it.
        compile : bool or "auto"
            Auto compiles on a GPU, if `passes` is enough to pay for it. On a CPU compiled networks are no faster than
            PyTorch's own convolutions (benchmarks/README.md).
        passes : int
            Tiles that will go through the network in training.
        on_fallback : callable
            Takes the reason where a compiler was to be used and does not work.

        Raises
        ------
        InputError
            The device is not there, or cannot compute in this precision.
        """
        place = _device(device)
        if precision == "auto":
            precision = "bfloat16" if has_bfloat16(place) else "float32"
        if place.type == "mps" and precision == "float64":
            raise InputError("train.precision: float64 is more than mps can do; use float32, or train.device=cpu")
        wanted = place.type == "cuda" and passes >= COMPILE_PAYS if compile == "auto" else bool(compile)
        if wanted and (reason := compiler_fault(place.type)):
            on_fallback(reason)
            wanted = False
        if place.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else its sums depend on what else is running
        return cls(place, precision, wanted)

    @property
    def dtype(self) -> torch.dtype:
        """Of weights, tiles and losses."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager:
        """Context in which networks run."""
        if self.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def place(self, network: Network) -> Network:
        """The network on the device, in the dtype, its weights in the order of memory that convolutions are fast in."""
        network.to(self.device, self.dtype)
        return network.to(memory_format=torch.channels_last)

    def forward(self, network: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
        """Scores (n, classes) in `dtype` of tiles (n, channels, size, size)."""
        with self.autocast():
            scores = network(tiles)
        return scores.to(self.dtype)

    def class_maps(self, network: NetworkInNetwork, tiles: torch.Tensor) -> torch.Tensor:
        """Class maps (n, maps, h, w) in `dtype` of tiles (n, channels, size, size)."""
        run = _compiled(self.device.type) if self.compiled and torch.is_grad_enabled() else _run
        with self.autocast():
            maps = run(network, tiles)
        return maps.to(self.dtype)

    def __str__(self) -> str:
        where = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return f"{where}, {self.precision}{', compiled' if self.compiled else ''}"


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"train.device: {name!r} asked for, and this machine has no usable CUDA GPU; use auto or cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("train.device: 'mps' asked for, and this machine has none; use auto or cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"train.device: {name!r} asked for, and this machine has {torch.cuda.device_count()} GPUs")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@cache
def compiler_fault(device: str) -> str | None:
    """Why torch.compile does not work here, or None where it does: it compiles a line to see."""
    try:
        torch.compile(lambda x: x * 2 + 1)(torch.ones(8, device=device))
    except Exception as error:  # whatever a missing or broken compiler makes of it
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return None


def _run(network: NetworkInNetwork, tiles: torch.Tensor) -> torch.Tensor:
    return network.class_maps(tiles)


@cache
def _compiled(device: str) -> Callable[[NetworkInNetwork, torch.Tensor], torch.Tensor]:
    # A function of the network, not a wrapper around one, so that the networks of all folds share the compiled code.
    return torch.compile(_run, dynamic=False, mode="reduce-overhead" if device == "cuda" else None)
