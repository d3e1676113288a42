# One rule a notebook: what comes before it. `make study` calls this through llmexp_utils.run, which checks all
# parameters first; `snakemake -n --config profile=smoke` shows what would run. A notebook runs again when its code, its
# parameters, a module it imports or a file it reads has changed (`state`), never for prose. Executed notebooks are kept
# in runs/<profile>/executed/, also failed ones: they are not declared here, for Snakemake removes what it declares.
# `sweep` runs every point of the profile's sweep and collects what they wrote (llmexp_utils/sweep.py).
import sys
from pathlib import Path
from shlex import quote

sys.path.insert(0, workflow.basedir)
from llmexp_utils.profiles import profile_path
from llmexp_utils.study import NOTEBOOKS, open_study
from llmexp_utils.sweep import points_of

ROOT, PROFILE = Path(workflow.basedir), config.get("profile", "study")
study = open_study(ROOT, profile_path(ROOT / "params", PROFILE))
points = points_of(study)
GPU = study.profile.resources  # of what trains: of a cluster, one GPU each if the profile says so


def done(*names):
    return [f"runs/{PROFILE}/done/{name}" for name in names]


def state(name):
    return lambda wildcards: study.state(name)


def run(name):
    return call(f"notebook {name}{' --force' if config.get('again') == name else ''}")


def call(words):
    return f"{quote(sys.executable)} -m llmexp_utils.run {words} --profile {PROFILE}"


rule all:
    input: done(*NOTEBOOKS)

rule start_here:
    output: done("00_start_here")
    params: state("00_start_here")
    shell: run("00_start_here")

rule benchmarks:
    output: done("01_benchmarks")
    params: state("01_benchmarks")
    shell: run("01_benchmarks")

rule inject_faults:
    input: done("01_benchmarks")
    output: done("02_inject_faults")
    params: state("02_inject_faults")
    shell: run("02_inject_faults")

rule write_clones:
    input: done("01_benchmarks")
    output: done("03_write_clones")
    params: state("03_write_clones")
    shell: run("03_write_clones")

rule validate_and_select:
    input: done("01_benchmarks", "02_inject_faults", "03_write_clones")
    output: done("04_validate_and_select")
    params: state("04_validate_and_select")
    threads: workflow.cores
    shell: run("04_validate_and_select")

rule finetune_fault_localization:
    input: done("01_benchmarks", "04_validate_and_select")
    output: done("05_finetune_fault_localization")
    params: state("05_finetune_fault_localization")
    threads: workflow.cores
    resources: **GPU
    shell: run("05_finetune_fault_localization")

rule finetune_clone_detection:
    input: done("01_benchmarks", "04_validate_and_select")
    output: done("06_finetune_clone_detection")
    params: state("06_finetune_clone_detection")
    threads: workflow.cores
    resources: **GPU
    shell: run("06_finetune_clone_detection")

rule results:
    input: done("05_finetune_fault_localization", "06_finetune_clone_detection")
    output: done("07_results")
    params: state("07_results")
    shell: run("07_results")

rule real_benchmarks:
    input: done("01_benchmarks")
    output: done("08_real_benchmarks")
    params: state("08_real_benchmarks")
    threads: workflow.cores
    resources: **GPU
    shell: run("08_real_benchmarks")

rule real_clones:
    input: done("01_benchmarks", "04_validate_and_select")
    output: done("09_real_clones")
    params: state("09_real_clones")
    threads: workflow.cores
    resources: **GPU
    shell: run("09_real_clones")

rule point:
    input: lambda wildcards: done(*points[wildcards.point].needs())
    output: f"runs/{PROFILE}/sweep/{{point}}/done/{{notebook}}"
    params: lambda wildcards: points[wildcards.point].state()
    threads: lambda wildcards: points[wildcards.point].threads
    resources: **GPU
    shell: call("point {wildcards.point}")

rule sweep:  # without an output, so that tables of some points are never taken for the result of all
    localrule: True
    input: [point.done for point in points.values()]
    shell: call("collect")
