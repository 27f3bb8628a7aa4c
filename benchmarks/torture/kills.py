"""Kills of `dvc repro`, of ``heatflow predict`` and of workers of a cluster: what follows ends in the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks import dask_cluster
from benchmarks.measure import ROOT
from benchmarks.torture.campaign import LIMIT, Campaign, contents, require, write_params
from benchmarks.torture.predictions import OUT, PROJECT, WORDS, region
from heatflow.errors import InputError

REPRO = ("dvc", "repro", "--no-run-cache")
FORCED = (*REPRO, "--single-item", "--force")  # runs one stage, whatever DVC knows of it
REMEDIES = {"dvc.lock' validation failed": "git checkout -q dvc.lock", "RWLock-file": "rm .dvc/tmp/rwlock"}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
ON_CLUSTER = ("train", "map")  # stages whose workers are killed


class Project:
    """A copy of the project with tiny params in a git repository, reproduced once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder.parent / "kills.log"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | own
        tracked = ("heatflow", "stages", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml")
        for name in (*tracked, "benchmarks/ABLATION_demo.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
        write_params(folder, PROJECT)
        self.git("init", "-q")
        self.require("dvc", "repro")
        self.whole = contents(folder)
        self.git("add", "-A")
        self.git("commit", "-qm", "run")

    def git(self, *words: str) -> None:
        """Run git."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command whose output goes to the log."""
        with self.log.open("w") as log:
            options: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, **options)

    def require(self, *command: str) -> None:
        """Run a command that nothing disturbs."""
        require((self.start(*command).wait(), self.log.read_text()))

    def again(self, *command: str) -> int:
        """Run a command after a kill, as docs/troubleshooting.md says where DVC was writing a file; the exit code."""
        code = self.start(*command).wait()
        for sign, remedy in REMEDIES.items():
            if code and sign in self.log.read_text():
                print(f"  DVC was killed while it wrote a file of its own: {remedy}", flush=True)
                subprocess.run(remedy.split(), cwd=self.folder, env=self.environment, check=True)
                code = self.start(*command).wait()
        return code


def kill(campaign: Campaign, project: Project, name: str, number: signal.Signals, after: float) -> None:
    """Send a signal to a stage after so many seconds; the run after it has to end in the bytes of a run left alone."""
    running, attack = project.start(*FORCED, name), f"{name} {number.name} after {after:.1f} s"
    time.sleep(after)
    os.killpg(running.pid, number)
    try:
        running.wait(LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        campaign.count("kills", "hang", attack, project.log.read_text())
        return
    said = project.log.read_text()
    saved = len([*(project.folder / "data/.checkpoints").glob("*/fold*")]) if name == "train" else 0
    resumed = code = 0
    if saved:  # `dvc repro` itself would take the outputs of the run before from its cache
        code = project.again(*FORCED, name)
        resumed = project.log.read_text().count("went on after epoch")
    code = project.again(*REPRO) or code
    now = contents(project.folder)
    differs = [file for file in project.whole if now.get(file) != project.whole[file]]
    left = [file for file in now if ".partial" in file]
    if code or "Traceback" in said:  # what ends by SIGTERM says nothing; an interrupt is said in a line
        verdict = "traceback"
    else:
        verdict = "silent" if differs or left or resumed < saved else "correct"
    detail = f"{attack}, {saved} states, {resumed} taken up: {verdict}"
    campaign.count("kills", verdict, f"{detail}, {differs} differ, {left} left", said + project.log.read_text())
    print(f"  {detail}", flush=True)


def kills(campaign: Campaign, n: int) -> None:
    """Signals at random moments of `dvc repro`."""
    rng = random.Random(f"{campaign.seed} kills")
    project = Project(campaign.folder())
    names = [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]
    seconds = {}
    for name in names:
        begin = time.monotonic()
        project.require(*FORCED, name)
        seconds[name] = time.monotonic() - begin
    if contents(project.folder) != project.whole:
        raise InputError("a run that nothing disturbs gives other bytes")
    for k in range(n):
        name = "train" if k % 4 == 0 else names[k % len(names)]
        number = rng.choice(SIGNALS)
        kill(campaign, project, name, number, rng.uniform(0.3 if name != "train" else 2.5, seconds[name]))


def killed_predictions(campaign: Campaign, n: int) -> None:
    """Signals at random moments of ``heatflow predict``; the same command then goes on where it was."""
    rng, folder = random.Random(f"{campaign.seed} predictions"), region(campaign)
    command = [sys.executable, "-m", "heatflow.cli", *WORDS, OUT]
    log, environment = folder.parent / "predictions.log", os.environ | {"PYTHONPATH": str(ROOT)}

    def start() -> subprocess.Popen[bytes]:
        with log.open("w") as file:
            options: dict[str, Any] = {"stdout": file, "stderr": file, "start_new_session": True}
            return subprocess.Popen(command, cwd=folder, env=environment, **options)

    begin = time.monotonic()
    require((start().wait(), log.read_text()))
    seconds, whole, there = time.monotonic() - begin, contents(folder, (OUT,)), {path.name for path in folder.iterdir()}
    for _ in range(n):
        shutil.rmtree(folder / OUT)
        after, number = rng.uniform(0.2, seconds), rng.choice(SIGNALS)
        running = start()
        time.sleep(after)
        os.killpg(running.pid, number)
        code = running.wait(LIMIT)
        said = log.read_text()
        torn = (folder / OUT).exists() and contents(folder, (OUT,)) != whole
        again = start().wait(LIMIT)
        strays = {path.name for path in folder.iterdir()} != there
        differs = contents(folder, (OUT,)) != whole
        wrong = (
            "traceback" if again or "Traceback" in said else "stray" if strays else "silent" if torn or differs else ""
        )
        what = f"{number.name} after {after:.1f} of {seconds:.1f} s, exit code {code}"
        campaign.count("kills of predict", wrong or "correct", what, said + log.read_text())


def killed_workers(campaign: Campaign, n: int) -> None:
    """One of two workers of a Dask cluster is killed at a random moment of a stage, which ends well all the same."""
    rng, project = random.Random(f"{campaign.seed} workers"), Project(campaign.folder())
    with ExitStack() as stack:
        scheduler = dask_cluster.start(stack, "scheduler", "--port", "0")
        address = dask_cluster.address(scheduler)
        project.environment |= {"HEATFLOW_SCHEDULER": address}
        worker = (address, "--nthreads", "1", "--no-nanny")
        workers = [dask_cluster.start(stack, "worker", *worker) for _ in range(2)]
        for k in range(n):
            name, after = ON_CLUSTER[k % len(ON_CLUSTER)], rng.uniform(2, 12)
            running = project.start(*FORCED, name)
            time.sleep(after)
            ended = running.poll() is not None
            psutil.Process(workers[k % 2].pid).kill()
            try:
                code = running.wait(5 * LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                code = None
            said = project.log.read_text()
            differs = contents(project.folder) != project.whole
            wrong = (
                "hang" if code is None else "traceback" if code or "Traceback" in said else "silent" if differs else ""
            )
            what = f"a worker of {name} after {after:.1f} s{', when it had ended' if ended else ''}"
            campaign.count("kills of workers", wrong or "correct", what, said)
            workers[k % 2] = dask_cluster.start(stack, "worker", *worker)
