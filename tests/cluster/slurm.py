"""A one-node SLURM on this machine gives the bytes of a local run: python -m tests.cluster.slurm, by hand, as root.

It needs ``apt-get install slurm-wlm munge`` and ``pip install 'heatflow[cluster]'``. The daemons listen to this machine
alone, keep their files in a folder of their own, and are stopped in the end.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from tests.helpers import call, make_clone, outputs

CONFIG = """\
ClusterName=heatflow
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
ARRAY = """\
#!/bin/bash
#SBATCH --array=0-1 --output={folder}/array-%a.txt
set -euo pipefail
values=(0.2 0.4)
git clone -q {origin} {folder}/job-$SLURM_ARRAY_TASK_ID
cd {folder}/job-$SLURM_ARRAY_TASK_ID
dvc cache dir --local {cache}
dvc exp run --pull -n array-$SLURM_ARRAY_TASK_ID -S train.dropout=${{values[$SLURM_ARRAY_TASK_ID]}} train
dvc exp push --no-cache origin array-$SLURM_ARRAY_TASK_ID
"""
LONGEST = 60  # seconds until a daemon answers


def free_ports(number: int) -> list[int]:
    """Ports on which nobody listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def daemon(folder: Path, *command: str) -> Iterator[None]:
    """A process in the background, terminated in the end, whose messages are in a file named for it."""
    with (folder / f"{command[0]}.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(command: list[str], expected: str) -> None:
    """Repeat a command until it prints a text."""
    end, printed = time.monotonic() + LONGEST, ""
    while expected not in printed:
        if time.monotonic() > end:
            sys.exit(f"{' '.join(command)} does not say {expected!r}: {printed}")
        time.sleep(0.5)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        printed = done.stdout + done.stderr


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """A SLURM of one node with two CPUs, to which the commands of this process and of its children go."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, socket_file = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    controller, node = free_ports(2)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, controller=controller, node=node, host=socket.gethostname()))
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    with (
        mock.patch.dict(os.environ, {"SLURM_CONF": str(config)}),
        daemon(folder, "munged", "--foreground", f"--key-file={key}", *munge),
    ):
        wait_for(["ls", str(folder)], socket_file.name)
        with daemon(folder, "slurmctld", "-D", "-f", str(config)), daemon(folder, "slurmd", "-D", "-N", "node"):
            wait_for(["sinfo", "--noheader", "--format=%t"], "idle")
            try:
                yield
            finally:
                subprocess.run(["scancel", "--user=root"], check=False)


def stages_by_jobs(clone: Path, folder: Path) -> None:
    """Run train and map through SLURM, and compare what they write with the local run."""
    settings = {
        "HEATFLOW_SCHEDULER": "slurm", "HEATFLOW_WORKERS": "2", "PYTHONPATH": str(clone),
        "DASK_JOBQUEUE__SLURM__MEMORY": "2GB", "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
        "DASK_JOBQUEUE__SLURM__JOB_DIRECTIVES_SKIP": '["--mem"]',  # this node does not count its memory
        "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(folder), "DASK_JOBQUEUE__SLURM__SHARED_TEMP_DIRECTORY": str(folder),
    }  # fmt: skip
    alone = outputs(clone)
    with mock.patch.dict(os.environ, settings):
        for stage in ("train", "map"):
            call(clone, "dvc", "repro", "--force", "--single-item", stage)
    if outputs(clone) != alone:
        sys.exit("train and map through SLURM: other bytes than alone")
    print("train and map through SLURM: the same bytes as alone", flush=True)


def experiments_by_jobs(clone: Path, folder: Path) -> None:
    """Run an array of two experiments in clones with one cache, and compare one with the same run in this clone."""
    call(clone, "git", "checkout", "-q", ".")
    call(folder, "git", "clone", "-q", "--bare", str(clone), "origin.git")
    script = folder / "array.sh"
    script.write_text(ARRAY.format(folder=folder, origin=folder / "origin.git", cache=clone / ".dvc/cache"))
    call(folder, "sbatch", "--wait", str(script))
    call(clone, "git", "remote", "add", "origin", str(folder / "origin.git"))
    names = ["array-0", "array-1"]
    call(clone, "dvc", "exp", "pull", "--no-cache", "origin", *names)
    locks = []
    for name in names:
        call(clone, "dvc", "exp", "apply", name)
        locks.append(outputs(clone))
    call(clone, "dvc", "repro", "--force", "--single-item", "train")
    if outputs(clone) != locks[1] or locks[0] == locks[1]:
        sys.exit("an array of experiments: other bytes than alone")
    print("an array of experiments: the same bytes as alone", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # munge wants its socket to be reachable
        (folder / "clone").mkdir()
        (folder / "slurm").mkdir()
        clone = make_clone(folder / "clone")
        print("a local run is there", flush=True)
        stack.enter_context(slurm(folder / "slurm"))
        stages_by_jobs(clone, folder / "slurm")
        experiments_by_jobs(clone, folder / "slurm")


if __name__ == "__main__":
    main()
