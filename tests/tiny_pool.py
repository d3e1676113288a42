"""A pool of made-up faults."""

import numpy as np
import pandas as pd

from llmexp_utils.conditions import Pool
from llmexp_utils.injection import parse_arm

ARM = parse_arm("gen/line/uniform")


def tiny_pool() -> Pool:
    """Faults of 50 problems from three sources, in five groups."""
    rng = np.random.default_rng(0)
    rows = []
    for task in range(50):
        for source, n in (("gold", 2), ("llm", 4), ("mutation", 4)):
            for number in range(n):
                rows.append(
                    {
                        "fault_id": f"T/{task}#{source}{number}",
                        "task_id": f"T/{task}",
                        "source": source,
                        "code": f"def f():\n    return {source!r}, {task}, {number}\n",
                        "lines": [2],
                        "correct": "def f():\n    return 0\n",
                        "generator": "gen" if source == "llm" else None,
                        "form": "line" if source == "llm" else None,
                        "policy": "uniform" if source == "llm" else None,
                        "lines_changed": 1,
                        "edit_distance": int(rng.integers(1, 40)),
                        "similarity": float(rng.uniform(0.5, 1)),
                    }
                )
    groups = {f"T/{task}": task % 5 for task in range(50)}
    return Pool(pd.DataFrame(rows), groups, shown=["T/2#gold0", "T/3#gold1", "T/0#gold0"])
