"""Timing candidates against each other, and the ceilings of the machine that they run on."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

EDGE, PRODUCTS = 2048, 8  # edge of the matrices whose product gives the ceiling, and how many are made at a time


def side_by_side(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each candidate. All run in turn in every round, so that a busy moment meets them all alike."""
    for run in candidates.values():
        run()  # the first run allocates, compiles and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def _serve(make, arguments, pipe):
    """In a process of its own: make a candidate, then time it whenever asked."""
    run = make(*arguments)
    run()
    while pipe.recv():
        start = time.perf_counter()
        run()
        pipe.send(time.perf_counter() - start)


def apart(candidates: dict[str, tuple], rounds: int) -> dict[str, float]:
    """As `side_by_side`, each candidate in a process of its own: how memory is kept is a property of the process.

    A candidate is a function of a module that returns what is to be run, followed by its arguments.
    """
    context = multiprocessing.get_context("spawn")
    pipes, workers = {}, []
    for name, (make, *arguments) in candidates.items():
        pipes[name], end = context.Pipe()
        workers.append(context.Process(target=_serve, args=(make, arguments, end), daemon=True))
        workers[-1].start()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, pipe in pipes.items():
            pipe.send(True)
            seconds[name].append(pipe.recv())
            if not number:
                seconds[name].clear()  # while the others still started
    for pipe in pipes.values():
        pipe.send(False)
    for worker in workers:
        worker.join()
    return {name: median(times) for name, times in seconds.items()}


def times(other: float, own: float) -> str:
    """How many times longer the other takes."""
    return f"{other / own:.2g}" if other < own else f"{other / own:.1f}"


def matrix_product(dtype: torch.dtype) -> Callable[[], object]:
    """PRODUCTS square matrix products, 2 EDGE^3 floating-point operations each."""
    a, b = (torch.randn(EDGE, EDGE).to(dtype) for _ in range(2))
    return lambda: [a @ b for _ in range(PRODUCTS)]


def product_rate(seconds: float) -> float:
    """GFLOP/s of `matrix_product`."""
    return PRODUCTS * 2 * EDGE**3 / seconds / 1e9


def machine() -> dict[str, str]:
    """What the measurements were made on, without anything that names the machine."""
    able = torch.cpu.get_capabilities()
    units = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if able.get(name)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{able.get('cpu_name', able.get('architecture', 'unknown'))}, {os.cpu_count()} cores",
        "vector units": ", ".join(units) or "none known",
        "memory": f"{memory:.0f} GiB",
        "PyTorch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def ceilings(rounds: int) -> list[tuple[str, str]]:
    """Matrix product in each dtype, memory copy, and reading a file that the kernel has in its cache or has not."""
    dtypes = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
    source = np.ones(50_000_000)
    target = np.empty_like(source)
    with tempfile.NamedTemporaryFile(dir=".") as file:
        file.write(os.urandom(2**20) * 512)
        file.flush()
        os.fsync(file.fileno())

        def read(cold):
            if cold:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with open(file.name, "rb", buffering=0) as again:
                while again.read(2**24):
                    pass

        seconds = side_by_side(
            {name: matrix_product(dtype) for name, dtype in dtypes.items()}
            | {"copy": lambda: np.copyto(target, source), "disk": lambda: read(True), "cache": lambda: read(False)},
            rounds,
        )
        size = Path(file.name).stat().st_size
    rows = [(f"matrix product, {name}", f"{product_rate(seconds[name]):.0f} GFLOP/s") for name in dtypes]
    rows.append(("memory copy, one thread", f"{source.nbytes / seconds['copy'] / 1e9:.1f} GB/s"))
    rows.append(("file read, from disk", f"{size / seconds['disk'] / 1e9:.1f} GB/s"))
    rows.append(("file read, from the kernel's cache", f"{size / seconds['cache'] / 1e9:.1f} GB/s"))
    return rows
