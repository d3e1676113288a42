"""The external check of clone detection: ConDefects' programs, where they are at hand."""

import pandas as pd
import pytest

from llmexp_utils import condefects
from llmexp_utils.clone_types import overlap
from llmexp_utils.condefects import (
    condefects_pairs,
    find_condefects,
    local_hash,
    programs_hash,
    read_programs,
    read_submissions,
)
from llmexp_utils.errors import StudyError
from llmexp_utils.series import measured_pairs

TWICE = "n = int(input())\nprint(n * 2)\n"
SUM = "from math import fsum\nvalues = [int(x) for x in input().split()]  # read\n\nprint(sum(values))\n"


def write(folder, task_id, submission, correct, faulty):
    place = folder / task_id / "Python" / submission
    place.mkdir(parents=True)
    (place / "correctVersion.py").write_text(correct)
    (place / "faultyVersion.py").write_text(faulty)
    (place / "faultLocation.txt").write_text("1\n")


def program(task_id, submission, is_correct, code):
    return {"task_id": task_id, "submission": submission, "is_correct": is_correct, "code": code}


@pytest.fixture
def folder(tmp_path, monkeypatch, cache):
    tasks = tmp_path / "condefects" / "Code"
    write(tasks, "abc221_a", "1", TWICE, TWICE.replace("2", "3"))
    write(tasks, "abc221_a", "2", TWICE.replace("n = ", "m = ").replace("n *", "m *"), "print " + TWICE)
    write(tasks, "abc300_h", "3", SUM, SUM + "x = 0\n" * 200)
    write(tasks, "abc300_h", "4", SUM + "print()\n", SUM.replace("fsum", "sin"))
    write(tasks, "abc301_a", "5", SUM, TWICE)
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(condefects, "PROGRAMS_SHA256", programs_hash(tasks))
    return tasks


def three_tasks():
    """Programs of three tasks: those of ``one`` and ``two`` share ``print ( sum (``, those of ``far`` nothing."""
    rows = [program("one", str(n), True, f"print(sum([1] * {'9' * n} + [{n}{', 1' * n}]))\n") for n in range(1, 4)]
    rows += [program("two", str(n), True, f"print(sum(map(int, input().split())){' - 1' * n})\n") for n in (1, 2)]
    rows += [program("far", str(n), True, "while True:\n    pass\n" + "    break\n" * n) for n in (1, 2)]
    rows += [program("one", "2", False, "print(0)\n"), program("two", "8", False, "print(8)\n")]
    rows += [program("far", "1", False, "break_ = 1\n"), program("alone", "1", True, "x = 1\n")]
    return pd.DataFrame(rows)


def test_programs_that_were_not_published_are_refused(folder):
    assert find_condefects() == folder and len(read_submissions(folder)) == 8, "abc301 is not used"
    (folder / "abc301_a" / "Python" / "5" / "correctVersion.py").write_text("other")
    assert len(read_submissions(folder)) == 8
    (folder / "abc221_a" / "Python" / "1" / "correctVersion.py").write_text(TWICE.replace("2", "4"))
    with pytest.raises(StudyError, match="not ConDefects as it was published .* commit 43f0834"):
        read_submissions(folder)


def test_the_cheap_hash_sees_names_and_sizes_and_is_empty_without_data(folder, monkeypatch):
    hashes = [local_hash()]
    (folder / "abc221_a" / "Python" / "1" / "faultyVersion.py").write_text("x")
    hashes.append(local_hash())
    (folder / "abc221_a" / "Python" / "1").rename(folder / "abc221_a" / "Python" / "9")
    hashes.append(local_hash())
    assert len({"", *hashes}) == 4
    monkeypatch.delenv("LLMEXP_DATA_DIR")
    assert find_condefects() is None and local_hash() == ""


def test_what_is_dropped_is_said_and_the_rest_is_in_normal_form(folder):
    reasons = {(r.submission, r.is_correct): r.dropped for r in read_submissions(folder).itertuples()}
    assert reasons == {
        ("1", True): "",
        ("1", False): "",
        ("2", True): "duplicate",  # the first one with another name
        ("2", False): "unreadable",  # Python 2
        ("3", True): "",
        ("3", False): "long",  # 200 lines of four tokens each
        ("4", True): "",
        ("4", False): "duplicate",  # differs from a correct one in an import alone
    }
    kept = read_programs(folder)
    assert kept.columns.tolist() == ["task_id", "submission", "is_correct", "code"]
    assert kept[kept.submission == "3"].code.tolist() == [
        "values = [int(x) for x in input().split()]\nprint(sum(values))\n"
    ]
    pd.testing.assert_frame_equal(read_programs(folder), kept)


def test_every_task_with_two_correct_programs_has_a_clone_and_another_pair():
    programs = three_tasks()
    correct = {task_id: set(rows.code) for task_id, rows in programs[programs.is_correct].groupby("task_id")}
    pairs = condefects_pairs(programs)
    assert pairs.pair_id.is_unique and set(pairs[pairs.label == 0].kind) == {"random", "similar", "near-miss"}
    assert pairs[pairs.label == 1].pair_id.tolist() == [f"ConDefects/{name}/clone" for name in ("far", "one", "two")]
    for row in pairs[pairs.kind != "near-miss"].itertuples():
        assert row.left in correct[row.task_id] and row.right in correct[row.other_id] and row.left != row.right
        assert (row.task_id == row.other_id) == (row.label == 1) == (row.clone_type != "")
        assert row.overlap == overlap(row.left, row.right)


@pytest.mark.parametrize("seed", range(6))
def test_a_near_miss_is_the_authors_own_and_a_similar_program_the_nearest(seed):
    programs = three_tasks()
    pairs = condefects_pairs(programs, seed).set_index("kind")
    code = programs.set_index(["task_id", "submission", "is_correct"]).code
    miss = pairs.loc["near-miss"]
    own = {"one": ["2"], "far": ["1"], "two": ["1", "2"]}[miss.task_id]  # of "two", no author has both
    broken = code[miss.task_id, {"one": "2", "far": "1", "two": "8"}[miss.task_id], False]
    assert any({miss.left, miss.right} == {code[miss.task_id, name, True], broken} for name in own)
    similar = pairs.loc["similar"]
    if "/far/" not in similar.pair_id:
        assert {similar.task_id, similar.other_id} == {"one", "two"}


def test_clones_of_a_task_depend_on_seed_and_task_alone():
    programs = three_tasks()
    clones = [condefects_pairs(frame, 1) for frame in (programs, programs[programs.task_id != "far"])]
    more, fewer = (pairs[(pairs.kind == "clone") & (pairs.task_id != "far")] for pairs in clones)
    pd.testing.assert_frame_equal(more.reset_index(drop=True), fewer.reset_index(drop=True))
    texts = {tuple(condefects_pairs(programs, seed).left) for seed in range(5)}
    assert len(texts) > 1


def test_without_a_faulty_version_a_task_has_a_random_pair():
    programs = three_tasks()
    pairs = condefects_pairs(programs[programs.is_correct])
    assert pairs.kind.value_counts().to_dict() == {"clone": 3, "random": 2, "similar": 1}


def test_one_task_is_too_few():
    programs = three_tasks()
    with pytest.raises(StudyError, match="1 tasks have two correct programs"):
        condefects_pairs(programs[programs.task_id.isin(["one", "alone"])])


def test_external_predictions_are_told_by_their_ids():
    pairs = condefects_pairs(three_tasks())
    both = pd.concat([pairs.assign(pair_id="HumanEval/0/clone0").head(1), pairs])
    facts = dict.fromkeys(("student", "series", "condition", "generator", "form"), "")
    own, external = measured_pairs(both.assign(score=0.0, threshold=0.5, fold=0, seed=0, **facts))
    assert len(own) == 1 and external.pair_id.tolist() == pairs.pair_id.tolist()


def test_pairs_of_the_published_programs():
    folder = find_condefects()
    if folder is None:
        pytest.skip("LLMEXP_DATA_DIR has no condefects/Code")
    pairs = condefects_pairs(read_programs(folder))  # slow once: formatting 1,700 programs
    assert pairs.kind.value_counts().to_dict() == {"clone": 203, "random": 68, "similar": 68, "near-miss": 67}
    assert pairs.clone_type[pairs.label == 1].value_counts().to_dict() == {
        "Type-3 moderate": 88,
        "Type-3 strong": 76,
        "Type-4": 39,
    }
    assert (pairs.left != pairs.right).all()
