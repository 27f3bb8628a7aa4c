"""Workers of a Dask cluster, of an address or started by SLURM; needs ``pip install -e '.[cluster]'``."""

import logging
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from heatflow.errors import InputError, MachineError

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

WAIT = 20  # seconds for a scheduler to answer, and for the first of its workers
SCHEMES = ("tcp://", "tls://")


@contextmanager
def pool(scheduler: str, jobs: int) -> Iterator[tuple[Executor, int]]:
    """The workers of a cluster, with their number; what they have not finished is cancelled afterwards.

    Parameters
    ----------
    scheduler : str
        "tcp://..." or "tls://..." (certificates as in Dask's configuration), or "slurm": jobs as Dask's configuration
        ``jobqueue.slurm`` describes them.
    jobs : int
        Number of jobs to start.

    Raises
    ------
    InputError
        The name is none of these, or the libraries are missing.
    MachineError
        The scheduler does not answer, or has no worker.
    """
    if scheduler != "slurm" and not scheduler.startswith(SCHEMES):
        raise InputError(f"HEATFLOW_SCHEDULER={scheduler!r}: it must be local, slurm, or begin with tcp:// or tls://")
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise _not_installed(scheduler) from error
    logging.getLogger("distributed").setLevel(logging.ERROR)  # what it does about a lost worker is no concern here
    with ExitStack() as stack:
        where = stack.enter_context(_slurm(jobs)) if scheduler == "slurm" else scheduler
        try:
            client = stack.enter_context(Client(where, timeout=WAIT, set_as_default=False))
            if scheduler != "slurm":  # whose jobs may wait in a queue for hours
                client.wait_for_workers(1, timeout=WAIT)
        except (OSError, TimeoutError) as error:
            raise MachineError(
                f"HEATFLOW_SCHEDULER={scheduler}: no scheduler with a worker answers there; "
                "start both, or unset HEATFLOW_SCHEDULER to compute on this machine"
            ) from error
        except TypeError as error:  # of Dask, which was asked for tls:// and finds no certificates
            raise InputError(
                f"HEATFLOW_SCHEDULER={scheduler}: no certificates in Dask's configuration, distributed.comm.tls"
            ) from error
        executor = client.get_executor(pure=False)
        try:
            yield executor, max(jobs if scheduler == "slurm" else len(client.nthreads()), 1)
        except KilledWorker as error:
            raise MachineError(
                "workers of the cluster were killed again and again, most likely for lack of memory; "
                "give each more memory"
            ) from error
        except CancelledError as error:
            raise MachineError(f"HEATFLOW_SCHEDULER={scheduler}: the scheduler has ended; run again") from error
        finally:
            executor.shutdown(wait=False)  # cancels


@contextmanager
def _slurm(jobs: int) -> Iterator["SLURMCluster"]:
    """Jobs of SLURM, with a scheduler that asks whoever connects for the certificate of this run."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        import dask
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise _not_installed("slurm") from error
    signal.signal(signal.SIGINT, interrupt)  # dask_jobqueue would let Ctrl-C end a stage as if it were done
    if dask.config.get("jobqueue.slurm.memory") is None:
        raise InputError(
            "HEATFLOW_SCHEDULER=slurm: describe a job in Dask's configuration, jobqueue.slurm: memory, queue, walltime"
        )
    folder = dask.config.get("jobqueue.slurm.shared-temp-directory") or "~"  # of the certificates, which the jobs read
    # its web page would be open to whoever reaches this machine
    options = {"dashboard_address": "127.0.0.1:0"} | (dask.config.get("jobqueue.slurm.scheduler-options") or {})
    with SLURMCluster(
        cores=1, processes=1, security=True, shared_temp_directory=folder, scheduler_options=options
    ) as cluster:
        try:  # the cluster itself would log what sbatch says, and wait for ever
            test = ["sbatch", "--test-only"]
            subprocess.run(test, input=cluster.job_script(), check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            raise MachineError(f"HEATFLOW_SCHEDULER=slurm: no job can be submitted ({reason.strip()})") from error
        cluster.scale(jobs=jobs)
        yield cluster


def _not_installed(scheduler: str) -> InputError:
    return InputError(f"HEATFLOW_SCHEDULER={scheduler}: install what it needs: pip install -e '.[cluster]'")
