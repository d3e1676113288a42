"""Charts of clones: the numbers behind the marks."""

import matplotlib.pyplot as plt
import pandas as pd

from llmexp_utils.clone_charts import TONES, constructs_by_wish, constructs_shown, types_by_author

PLAIN, LOOP = "def f(x):\n    return x\n", "def f(x):\n    for y in x:\n        return y\n"
RECURSION = "def f(x):\n    return f(x - 1) if x else 0\n"


def rewrites():
    rows = [
        ("T/0", "rewrite", "loop", "candidate", LOOP, PLAIN),
        ("T/0", "rewrite", "recursion", "candidate", LOOP, PLAIN),
        ("T/1", "rewrite", "recursion", "candidate", RECURSION, LOOP),
        ("T/1", "rewrite", "recursion", "unchanged", "", LOOP),
        ("T/1", "from_spec", "", "candidate", RECURSION, LOOP),
    ]
    return pd.DataFrame(rows, columns=["task_id", "form", "construct", "status", "code", "correct"])


def test_a_construct_counts_where_the_source_lacks_it():
    shown = constructs_shown(rewrites())
    shares = shown.groupby(["construct", "asked"]).shown.agg(["mean", "size"]).to_dict("index")
    assert shares["loop", "asked for"] == {"mean": 1, "size": 1}
    assert shares["loop", "another one asked for"] == {"mean": 1, "size": 1}  # T/1 uses a loop already
    assert shares["recursion", "asked for"] == {"mean": 0.5, "size": 2}
    assert shares["sorting", "another one asked for"] == {"mean": 0, "size": 3}


def test_the_bars_show_what_was_asked_for():
    fig, ax = plt.subplots()
    constructs_by_wish(ax, constructs_shown(rewrites()), seed=0)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["loop", "recursion"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["asked for", "another one asked for"]
    plt.close(fig)


def test_types_are_shares_of_each_author():
    frame = pd.DataFrame(
        {"author": ["gold", "gold", "gen", "gen"], "clone_type": ["Type-4", "Type-1/2", "Type-4", "Type-4"]}
    )
    fig, ax = plt.subplots()
    types_by_author(ax, frame)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gold\nn = 2", "gen\nn = 2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Type-1/2", "Type-4"]
    assert [patch.get_width() for patch in ax.patches] == [0.5, 0.0, 0.5, 1.0] and len(TONES) == 4
    plt.close(fig)
