"""Timing candidates against each other, and the ceilings of the machine that they run on."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import yaml

EDGE, PRODUCTS = 2048, 8  # edge of the matrices whose product gives the ceiling, and how many are made at a time
TORCH_FREE = ("demo", "terrain", "wells", "tile", "filter", "split", "normalize")
ROOT = Path(__file__).resolve().parent.parent
Rows = list[tuple[str, str]]  # of the table of results


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def side_by_side(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each candidate. All run in turn in every round, so that a busy moment meets them all alike."""
    for run in candidates.values():
        run()  # the first run allocates, compiles and fills caches
    seconds = [{name: _seconds(run) for name, run in candidates.items()} for _ in range(rounds)]
    return {name: median(measured[name] for measured in seconds) for name in candidates}


def _serve(make: Callable[..., Callable[[], object]], arguments: list[Any], pipe: Connection) -> None:
    """In a process of its own: make a candidate, then time it whenever asked."""
    run = make(*arguments)
    run()
    while pipe.recv():
        pipe.send(_seconds(run))


def apart(candidates: dict[str, tuple[Any, ...]], rounds: int) -> dict[str, float]:
    """As `side_by_side`, each candidate in a process of its own: how memory is kept is a property of the process.

    A candidate is a function of a module that returns what is to be run, followed by its arguments.
    """
    context, pipes = multiprocessing.get_context("spawn"), {}
    for name, (make, *arguments) in candidates.items():
        pipes[name], end = context.Pipe()
        context.Process(target=_serve, args=(make, arguments, end), daemon=True).start()

    def ask(pipe: Connection) -> float:
        pipe.send(True)
        return pipe.recv()

    seconds = [{name: ask(pipe) for name, pipe in pipes.items()} for _ in range(rounds + 1)]
    for pipe in pipes.values():
        pipe.send(False)
    for worker in multiprocessing.active_children():
        worker.join()
    # in the first round others still started
    return {name: median(measured[name] for measured in seconds[1:]) for name in candidates}


def times(other: float, own: float) -> str:
    """How many times longer the other takes."""
    return f"{other / own:.2g}" if other < own else f"{other / own:.1f}"


def run_stages(
    folder: Path, params: dict[str, Any], stages: Iterable[str], environment: Mapping[str, str] | None = None
) -> None:
    """Run stages by params in a folder, each in a process of its own, as DVC would but without its cache.

    Parameters
    ----------
    folder : Path
        What earlier stages made may be there.
    params : dict
        Of params.yaml.
    stages : iterable of str
    environment : mapping of str to str, optional
        Variables that differ from those of this process.
    """
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "metrics").mkdir(exist_ok=True)
    variables = os.environ | (environment or {}) | {"PYTHONPATH": str(ROOT)}
    for stage in stages:
        subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=folder, env=variables, check=True)


def matrix_product(dtype: torch.dtype) -> Callable[[], object]:
    """PRODUCTS square matrix products, 2 EDGE^3 floating-point operations each."""
    a, b = (torch.randn(EDGE, EDGE).to(dtype) for _ in range(2))
    return lambda: [a @ b for _ in range(PRODUCTS)]


def product_rate(seconds: float) -> float:
    """GFLOP/s of `matrix_product`."""
    return PRODUCTS * 2 * EDGE**3 / seconds / 1e9


def start_up(rounds: int) -> Rows:
    """Wall time of a `dvc repro` that finds everything up to date, and of importing each stage that does not train."""
    call = partial(subprocess.run, cwd=ROOT, check=True, capture_output=True)
    rows = [("no-op dvc repro", "not measured: the pipeline is not up to date")]
    if not subprocess.run(["dvc", "status", "--quiet"], cwd=ROOT, capture_output=True, check=False).returncode:
        repro = side_by_side({"repro": partial(call, ["dvc", "repro", "--quiet"])}, rounds)
        rows = [("no-op dvc repro", f"{repro['repro']:.2f} s")]
    code = "import sys, stages.{0}; sys.exit('torch' in sys.modules)"
    commands = {stage: partial(call, [sys.executable, "-c", code.format(stage)]) for stage in TORCH_FREE}
    seconds = side_by_side(commands, rounds)
    return rows + [(f"start Python, import stage {stage} (no torch)", f"{s:.2f} s") for stage, s in seconds.items()]


def processor() -> str:
    """The kind of this processor, such as "Intel Xeon, AMX"."""
    able = torch.cpu.get_capabilities()
    return able.get("cpu_name", able.get("architecture", "unknown")) + (", AMX" if able.get("amx_bf16") else "")


def machine() -> dict[str, str]:
    """What the measurements were made on, without anything that names the machine."""
    units, able = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16"), torch.cpu.get_capabilities()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "vector units": ", ".join(unit for unit in units if able.get(unit)) or "none known",
        "memory": f"{memory:.0f} GiB",
        "PyTorch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def ceilings(rounds: int) -> Rows:
    """Matrix product in each dtype, and memory copy."""
    dtypes = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
    source = np.ones(50_000_000)
    target = np.empty_like(source)
    products = {name: matrix_product(dtype) for name, dtype in dtypes.items()}
    seconds = side_by_side(products | {"copy": lambda: np.copyto(target, source)}, rounds)
    rows = [(f"matrix product, {name}", f"{product_rate(seconds[name]):.0f} GFLOP/s") for name in dtypes]
    return [*rows, ("memory copy, one thread", f"{source.nbytes / seconds['copy'] / 1e9:.1f} GB/s")]
