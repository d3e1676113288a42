"""Benchmarks of clones by name: where each one is found, and how it is read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from llmexp_utils import benchmark_registry, bigclonebench, condefects, humaneval_x, own_pairs, pairs, poj104
from llmexp_utils.benchmark_registry import EMBEDDED, Source, locate
from llmexp_utils.benchmarks import gold_frame, load_groups, load_humaneval, read_gold
from llmexp_utils.clone_benchmarks import PROGRAMS, CloneBenchmark, Sizes, refuse_shared_programs
from llmexp_utils.clone_types import neutral_names
from llmexp_utils.gold_clones import gold_programs, read_clones
from llmexp_utils.grouping import deal, together
from llmexp_utils.languages import language
from llmexp_utils.paths import gold_dir
from llmexp_utils.program_pairs import program_pairs
from llmexp_utils.select import Embed


def embedded(folder: Path, sizes: Sizes, embed: Embed) -> CloneBenchmark:
    """The pairs of 06: canonical and alternative solution of HumanEval's problems, with neutral names."""
    functions = load_humaneval()[: sizes.n_tasks]
    faults = gold_frame(read_gold(folder / "faults.jsonl"), load_humaneval())
    clones, groups = read_clones(folder / "clones.jsonl"), load_groups(folder / "folds.json")
    vectors = embed([function.code for function in functions])
    entry_points = {function.task_id: function.entry_point for function in functions}
    real = pairs.neutral(pairs.gold_pairs(functions, clones, faults, groups, vectors), entry_points)
    gold = gold_programs(functions, clones)
    both = [(f"{row.task_id}/canonical", row.task_id, row.correct) for row in gold.itertuples()]
    both += [(row.program_id, row.task_id, row.code) for row in gold.itertuples()]
    programs = pd.DataFrame(
        [(name, task, neutral_names(code, entry_points[task])) for name, task, code in both], columns=PROGRAMS
    )
    facts = {"written for this project": len(real)}
    return CloneBenchmark(EMBEDDED, "python", real, programs, groups, names="neutral", facts=facts)


def load_condefects(folder: Path, sizes: Sizes) -> CloneBenchmark:
    """Correct programs of one task are clones; tasks are dealt into folds, those that share a program go together."""
    submissions = condefects.read_submissions(folder)
    dropped = submissions.dropped[submissions.dropped != ""].value_counts().sort_index()
    dropped = dropped.rename({"long": f"more than {condefects.MAX_TOKENS} tokens"})
    programs = submissions[submissions.dropped == ""]
    short = programs[programs.code.str.count("\n") <= sizes.max_lines]
    correct = short[short.is_correct].groupby("task_id").size()
    tasks = sorted(correct[correct > 1].index, key=lambda name: zlib.crc32(f"{sizes.seed} {name}".encode()))
    used = short[short.task_id.isin(tasks[: sizes.n_tasks])].reset_index(drop=True)
    tokens = language("python").tokens
    head = together((row.task_id, tuple(tokens(row.code))) for row in used.itertuples())
    group = deal(pd.Series(head).value_counts().to_dict(), "condefects")
    groups = {task_id: group[first] for task_id, first in head.items()}
    parts = used.task_id.map(groups)
    found = [program_pairs(used[parts == one], "", sizes.seed, sizes.pairs_a_task) for one in sorted(parts.unique())]
    ranked = used[used.is_correct].assign(program_id=lambda frame: frame.task_id + "/" + frame.submission)
    facts = {"published": len(submissions), **dropped.to_dict(), f"longer than {sizes.max_lines} lines": len(programs)}
    facts[f"longer than {sizes.max_lines} lines"] -= len(short)
    facts |= {"tasks with two short correct programs": len(tasks), "tasks used": len(head)}
    real = pd.concat(found, ignore_index=True)
    return CloneBenchmark("condefects", "python", real, ranked[PROGRAMS].reset_index(drop=True), groups, facts=facts)


SOURCES = {
    EMBEDDED: Source(gold_dir, embedded, "it is part of the repository"),
    "condefects": Source(
        condefects.find_condefects,
        lambda path, sizes, embed: load_condefects(path, sizes),
        condefects.ADVICE,
    ),
    humaneval_x.NAME: Source(
        humaneval_x.find_humaneval_x,
        lambda path, sizes, embed: humaneval_x.load_humaneval_x(path, sizes),
        humaneval_x.ADVICE,
    ),
    humaneval_x.TESTED: Source(
        humaneval_x.find_humaneval_x,
        lambda path, sizes, embed: humaneval_x.load_humaneval_x(path, sizes, tested=True),
        humaneval_x.ADVICE,
    ),
    bigclonebench.NAME: Source(
        bigclonebench.find_bigclonebench,
        lambda path, sizes, embed: bigclonebench.load_bigclonebench(path, sizes),
        bigclonebench.ADVICE,
    ),
    poj104.NAME: Source(poj104.find_poj104, lambda path, sizes, embed: poj104.load_poj104(path, sizes), poj104.ADVICE),
}


def at_hand(names: Sequence[str], external: bool) -> tuple[list[str], dict[str, str]]:
    """See :func:`llmexp_utils.benchmark_registry.at_hand`."""
    return benchmark_registry.at_hand(names, external, SOURCES)


def load_pairs(name: str, sizes: Sizes, embed: Embed) -> CloneBenchmark:
    """A benchmark by name, or the reader's own file of pairs (a path that ends in ``.jsonl``).

    Raises
    ------
    StudyError
        If it is unknown, not at hand (the message says how to get it), malformed, or a text would be in two groups.
    """
    path, source = locate(name, SOURCES, "pairs")
    # A file of one's own is called by its place: two may have one name, or that of a benchmark.
    found = source.load(path, sizes, embed) if source else replace(own_pairs.load_own_pairs(path, sizes), name=name)
    refuse_shared_programs(found)
    return found


def check_name(name: str) -> str:
    """See :func:`llmexp_utils.benchmark_registry.check_name`."""
    return benchmark_registry.check_name(name, SOURCES)
