"""A sweep on a real SLURM of one machine: through profiles/slurm, with a job that is cancelled in the middle.

Needs root and Debian's packages ``slurm-wlm`` and ``munge`` (their services need not run: the daemons are started here,
with a configuration, ports and a key of their own in a temporary folder, and ended at the end; while they run, a link
to the configuration stands in ``/etc/slurm``). Run it from the repository, in an environment with its packages::

    python tests/cluster/slurm.py

The notebooks are those of ``tests/toy_study.py``, in real kernels; the SLURM executor of Snakemake is installed into a
temporary environment. Takes about five minutes on two cores. Exit codes: 0 all holds, 1 something does not, 2 packages
are missing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from toy_study import make_study, write_toy

CONFIGURATION = Path("/etc/slurm/slurm.conf")
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo"]
SWEPT = "05_finetune_fault_localization"
CGROUPS = "CgroupPlugin=autodetect\nIgnoreSystemd=yes\n"  # read at the start; no plugin above uses them
PROFILE = f"""common:
  predictions: runs/smoke/predictions.parquet
resources: {{gpu: 1, mem_mb: 500, runtime: 10}}
sweep:
  {SWEPT}:
    conditions: [[C0], [C3]]
    seeds: [[0], [1]]
"""
# Finished steps are kept, as the real notebooks keep their training runs; one point hangs until its job is cancelled.
NOTEBOOK = """import os, pathlib, time
import pandas as pd
kept, hang = pathlib.Path("steps"), pathlib.Path("hang")
kept.mkdir(exist_ok=True)
for step in range(3):
    done = kept / f"{p.conditions[0]}-{p.seeds[0]}-{step}"
    if not done.exists():
        if step == 2 and hang.exists() and p.conditions == ["C3"] and p.seeds == [1]:
            hang.write_text(f"{os.environ['SLURM_JOB_ID']} {os.getpid()}")
            time.sleep(600)
        with open("steps.txt", "a") as log:
            log.write(done.name + "\\n")
        done.touch()
facts = {"job": os.environ["SLURM_JOB_ID"], "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "none")}
pd.DataFrame([{"condition": p.conditions[0], "seed": p.seeds[0], "top1": 0.5, **facts}]).to_parquet(p.predictions)
"""
SLURM = """ClusterName=toy
SlurmctldHost={host}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MinJobAge=3600
KillWait=10
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def main() -> int:
    """Start the cluster, run the sweep twice, say what was seen."""
    if lacking := lacks():
        print(f"skipped: {lacking}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="slurm-") as temporary, cluster(Path(temporary) / "slurm"):
        folder = Path(temporary)
        root = make_study(folder / "toy", stub=False)
        (root / "params" / "smoke.yaml").write_text(PROFILE)
        write_toy(root, SWEPT, NOTEBOOK)
        command = [str(environment(folder / "venv")), "-m", "llmexp_utils.run", "sweep", "--profile", "smoke"]
        command += ["--on", str(executor(folder / "profile"))]
        check(root, command)
    print("all holds")
    return 0


def lacks() -> str:
    """Why it cannot be run here; empty if it can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"there is no {missing[0]}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "needs root"
    return f"{CONFIGURATION} is there: this machine has a SLURM of its own" if CONFIGURATION.exists() else ""


def check(root: Path, command: list[str]) -> None:
    """Cancel the job of a point, see that the others end; sweep again, see that only the rest is done."""
    hang = root / "hang"
    hang.touch()
    variables = {**os.environ, "LLMEXP_CHECKED": "1"}  # a toy has no benchmark to check before
    first = subprocess.Popen(command, cwd=root, env=variables)
    try:
        wait_for(lambda: hang.read_text() or first.poll() is not None, 600, "no point came to its last step")
        assert first.poll() is None, "the sweep ended before its jobs did"
    except BaseException:
        first.terminate()
        raise
    job, kernel = hang.read_text().split()
    print(f"cancelling job {job}", flush=True)
    run("scancel", job)
    hang.unlink()
    assert first.wait(600) == 1, "the sweep says that a point is not done"
    wait_for(lambda: not Path(f"/proc/{kernel}").exists(), 60, "the kernel of the cancelled job still runs")
    table = collected(root)
    assert len(table) == 3, "the other points have ended and are collected"
    steps = (root / "steps.txt").read_text().split()
    assert len(steps) == len(set(steps)) == 11, "the cancelled point has done two of its three steps"

    second = subprocess.run(
        command, cwd=root, env=variables, timeout=600, check=False, stdout=subprocess.PIPE, text=True
    )
    print(second.stdout)
    assert second.returncode == 0 and "1 of 4 points to run" in second.stdout
    steps = (root / "steps.txt").read_text().split()
    assert len(steps) == len(set(steps)) == 12, "one step was left, and none was done twice"
    before, table = table, collected(root)
    assert len(table) == table.job.nunique() == 4 and set(before.job) < set(table.job), (
        "every point has a job of its own"
    )
    assert table.gpus.isin([0, 1]).all(), "every job has one GPU"
    jobs = run("scontrol", "--oneliner", "show", "job")
    for line in jobs.splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        print(" ".join(f"{name}={words.get(name)}" for name in ("JobId", "Comment", "JobState", "TRES", "TresPerJob")))
    shown = ["point", "swept_conditions", "swept_seeds", "top1", "job", "gpus", "point_code", "point_finished"]
    print(table[shown].to_string(index=False))


def collected(root: Path) -> pd.DataFrame:
    """The table of the sweep."""
    return pd.read_csv(root / "runs" / "smoke" / "sweep" / "predictions.csv")


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A munged, a slurmctld and a slurmd of our own while the context lasts, found through ``SLURM_CONF``."""
    folder.mkdir(mode=0o755)
    folder.parent.chmod(0o755)  # munged wants everybody to reach its socket
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    host, memory = socket.gethostname().split(".")[0], os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    values = {"folder": folder, "host": host, "ports": free_ports(2), "cpus": os.cpu_count(), "memory": memory // 2}
    (folder / "slurm.conf").write_text(SLURM.format(**values))
    # SLURM deals out files as GPUs, and only looks that they are there.
    (folder / "gres.conf").write_text("".join(f"Name=gpu File={path}\n" for path in ("/dev/null", "/dev/zero")))
    (folder / "cgroup.conf").write_text(CGROUPS)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    CONFIGURATION.symlink_to(folder / "slurm.conf")  # the executor's srun is started without the variable
    munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}"]
    munged += [
        f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munged.seed",
    ]
    daemons = []
    try:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            daemons.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(2)
        wait_for(lambda: "idle" in run("sinfo", "--noheader", "--format=%T"), 60, "the node is not idle")
        print(run("sinfo", "--Node", "--long"), flush=True)
        yield
    except BaseException:
        for log in sorted([*folder.glob("*.log"), *folder.parent.glob("toy/.snakemake/slurm_logs/*/*.log")]):
            print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            run("scancel", "--user=root")
        CONFIGURATION.unlink()
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(30)
            daemon.kill()


def environment(folder: Path) -> Path:
    """Python with this one's packages and the pinned SLURM executor."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(site, "study.pth").write_text(sysconfig.get_path("purelib") + "\n")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    pins = project["optional-dependencies"]["cluster"]
    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *pins)
    return python


def executor(folder: Path) -> Path:
    """The repository's profile, with what is different on so small a cluster without accounting."""
    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text("utf-8"))
    profile |= {"max-threads": 1, "slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 5}
    profile["default-resources"]["mem_mb"] = 500
    profile["default-resources"]["runtime"] = 10
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    return folder


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def wait_for(condition, seconds: float, otherwise: str) -> None:
    """Look twice a second until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(otherwise)
        time.sleep(0.5)


def run(*command: str) -> str:
    """Output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout


if __name__ == "__main__":
    sys.exit(main())
