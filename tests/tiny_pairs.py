"""A pool of pairs of one-line functions, small enough to count."""

import pandas as pd

from llmexp_utils.cloning import parse_clone_arm
from llmexp_utils.pair_conditions import PairPool
from llmexp_utils.pairs import COLUMNS, described

ARM = parse_clone_arm("gen/rewrite")
TASKS = [f"T/{number}" for number in range(20)]
GROUPS = {task_id: number % 5 for number, task_id in enumerate(TASKS)}


def code(name, number):
    return f"def {name}(x):\n    return x + {number}\n"


def program(task_id, source, number, is_clone):
    return {
        "program_id": f"{task_id}/{source}/{number}",
        "task_id": task_id,
        "source": source,
        "generator": ARM.generator if source == "llm" else "",
        "form": ARM.form if source == "llm" else "",
        "is_clone": is_clone,
        "code": code(source, number if is_clone else -number - 1),
        "correct": code("right", task_id[2:]),
        "lines_changed": 1 + number,
        "line_count": 2,
        "edit_distance": 3 + number,
        "similarity": 0.9,
    }


def tiny_pool():
    """Four real pairs a problem; three clones and one near miss of each author."""
    rows = []
    for task_id in TASKS:
        one, two = code("right", task_id[2:]), code("gold", 0)
        rows += [(f"{task_id}/clone0", task_id, task_id, "clone", 1, one, two)]
        rows += [(f"{task_id}/clone1", task_id, task_id, "clone", 1, two, one)]
        rows += [
            (f"{task_id}/{kind}", task_id, task_id, kind, 0, one, code(kind.replace("-", "_"), 1))
            for kind in ("random", "near-miss")
        ]
    programs = [program(task_id, "gold", 0, True) for task_id in TASKS]
    programs += [program(t, source, n, True) for t in TASKS for source in ("llm", "rule") for n in range(3)]
    programs += [program(t, source, 0, False) for t in TASKS for source in ("llm", "rule")]
    return PairPool(
        described(pd.DataFrame(rows, columns=COLUMNS)), pd.DataFrame(programs), GROUPS, TASKS[7:9], "neutral"
    )
