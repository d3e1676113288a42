"""Benchmarks of clones: what loaders give and refuse, who is in which split, and published files where at hand."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from llmexp_utils import bigclonebench, clone_registry, poj104
from llmexp_utils.benchmarks import rows_of_split
from llmexp_utils.clone_benchmarks import CloneBenchmark, Sizes, pair_statistics, refuse_shared_programs
from llmexp_utils.clone_registry import SOURCES, at_hand, load_pairs
from llmexp_utils.errors import StudyError
from llmexp_utils.humaneval_x import problems_tested
from llmexp_utils.program_pairs import program_pairs

SIZES = Sizes(max_lines=30, n_tasks=20, pairs_a_task=2, ranked_a_task=3, n_pairs=100, share=0.5, seed=0)
METHOD = "public int m{0}(int value) {{\n    // comment\n    return value + {0};\n}}"


def no_embedding(texts: list[str]) -> None:
    raise AssertionError("these benchmarks need no vectors")


def write_lines(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def big_clone_bench(folder: Path, n: int = 40) -> Path:
    write_lines(folder / "data.jsonl", *({"idx": str(k), "func": METHOD.format(k)} for k in range(n)))
    for split, name in bigclonebench.FILES.items():
        shift = {"train": 1, "dev": 2, "test": 3}[split]
        write_lines(folder / name, *(f"{k}\t{(k + shift) % n}\t{k % 2}" for k in range(n)))
    return folder


def poj(folder: Path) -> Path:
    start = 1
    for name in poj104.FILES.values():
        rows = []
        for label in range(start, start + 3):
            for number in range(5):
                code = f"#include <cstdio>\nint main() {{ // {number}\n  int a{number} = {label};\n"
                code += f'  printf("%d", a{number} * {"+ ".join("1" * (number + 1))});\n}}'
                rows.append({"label": str(label), "index": f"{label}-{number}", "code": code})
        write_lines(folder / name, *rows)
        start += 3
    return folder


def test_bigclonebench_keeps_the_published_split_and_counts_methods_on_both_sides(tmp_path: Path) -> None:
    found = bigclonebench.load_bigclonebench(big_clone_bench(tmp_path), SIZES, published=False)
    parts = {split: rows_of_split(found.pairs, found.groups, 0, split) for split in ("train", "dev", "test")}
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 20, "dev": 20, "test": 40}
    assert found.folds == (0,) and found.folds_of([0, 1, 2]) == [0] and found.folds_of([3]) == [0]
    for split, rows in parts.items():
        assert rows.task_id.str.startswith(f"bigclonebench/{split}/").all()
    assert 0 < found.facts["test methods in training pairs"] <= found.facts["test methods"] == 40
    refuse_shared_programs(found)  # its split is by pair: shared methods are counted, not refused
    assert not found.pairs.left.str.contains("comment").any()
    assert set(found.pairs.clone_type[found.pairs.label == 1]) == {"Type-1/2"}
    assert pair_statistics(found)["test pairs by fold"] == "40"
    few = bigclonebench.load_bigclonebench(tmp_path, Sizes(30, 20, 2, 3, 7, 0.5, 0), published=False)
    assert len(rows_of_split(few.pairs, few.groups, 0, "test")) == 7


def test_bigclonebench_refuses_other_files(tmp_path: Path) -> None:
    folder = big_clone_bench(tmp_path)
    with pytest.raises(StudyError, match="has 40 train pairs, BigCloneBench has 901028: run .*, or put data"):
        bigclonebench.load_bigclonebench(folder, SIZES)
    write_lines(folder / "valid.txt", "1\t2\t1", "1\t2")
    with pytest.raises(StudyError, match=r"valid.txt, line 2: no pair of known methods with a label 0 or 1: '1\\t2'"):
        bigclonebench.load_bigclonebench(folder, SIZES, published=False)
    write_lines(folder / "data.jsonl", {"idx": "1"})
    with pytest.raises(StudyError, match="data.jsonl, line 1: no method of BigCloneBench"):
        bigclonebench.load_bigclonebench(folder, SIZES, published=False)


def test_poj104_splits_problems_and_ranks_its_programs(tmp_path: Path) -> None:
    found = poj104.load_poj104(poj(tmp_path), SIZES, published=False)
    assert {found.groups[f"poj-104/{label}"] for label in (1, 2, 3)} == {2}
    assert {found.groups[f"poj-104/{label}"] for label in (7, 8, 9)} == {0}
    assert len(found.programs) == 3 * 3 and found.programs.program_id.is_unique, "of the test part, which is ranked"
    test = rows_of_split(found.pairs, found.groups, 0, "test")
    assert test.label.tolist().count(1) == 6 and test.label.mean() == 0.5
    assert not found.pairs.left.str.contains("include|//").any()
    refuse_shared_programs(found)
    more = poj104.load_poj104(tmp_path, replace(SIZES, ranked_a_task=5), published=False)
    ranked = more.programs.task_id.map(more.groups).value_counts().to_dict()
    assert ranked == {0: 3 * 5}, "all that a test problem has"
    pd.testing.assert_frame_equal(more.pairs, found.pairs)
    with pytest.raises(StudyError, match="in train, POJ-104 has {'programs': 32000, 'problems': 64}"):
        poj104.load_poj104(tmp_path, SIZES)
    rows = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "valid.jsonl").write_text(rows)
    with pytest.raises(StudyError, match="is in two parts of the split"):
        poj104.load_poj104(tmp_path, SIZES, published=False)
    write_lines(tmp_path / "test.jsonl", "{")
    with pytest.raises(StudyError, match="test.jsonl, line 1: no JSON"):
        poj104.load_poj104(tmp_path, SIZES, published=False)


def test_the_files_of_the_hub_hold_the_same(tmp_path: Path) -> None:
    own, hub = poj(tmp_path / "own"), tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    names = {"train": "train", "dev": "validation", "test": "test"}
    for split, name in poj104.FILES.items():
        rows = pd.read_json(own / name, lines=True, dtype=str).rename(columns={"index": "id"})
        rows.to_parquet(hub / f"{names[split]}-00000-of-00001.parquet")
    one, other = (poj104.load_poj104(folder, SIZES, published=False) for folder in (own, tmp_path / "hub"))
    pd.testing.assert_frame_equal(one.pairs, other.pairs)
    parts = {split: pd.read_parquet(hub / f"{name}-00000-of-00001.parquet") for split, name in names.items()}
    for split, following in (
        ("train", "dev"),
        ("dev", "test"),
    ):  # the next one's first problem
        first = parts[following][parts[following].label == parts[following].label.iloc[0]]
        pd.concat([parts[split], first]).to_parquet(hub / f"{names[split]}-00000-of-00001.parquet")
    pd.testing.assert_frame_equal(one.pairs, poj104.load_poj104(tmp_path / "hub", SIZES, published=False).pairs)
    (hub / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(StudyError, match="has no Parquet file of the dev programs: run"):
        poj104.load_poj104(tmp_path / "hub", SIZES, published=False)
    own, hub = big_clone_bench(tmp_path / "own2"), tmp_path / "hub2"
    hub.mkdir()
    text = {row["idx"]: row["func"] for row in map(json.loads, (own / "data.jsonl").read_text().splitlines())}
    for split, name in bigclonebench.FILES.items():
        rows = pd.read_csv(own / name, sep="\t", names=["id1", "id2", "label"])
        functions = {f"func{n}": rows[f"id{n}"].astype(str).map(text) for n in (1, 2)}
        rows.assign(**functions, label=rows.label == 1).to_parquet(hub / f"{names[split]}-00000-of-00001.parquet")
    one, other = (bigclonebench.load_bigclonebench(folder, SIZES, published=False) for folder in (own, hub))
    pd.testing.assert_frame_equal(one.pairs, other.pairs)
    assert one.facts == other.facts
    (hub / "test-00000-of-00001.parquet").unlink()
    rows.to_parquet(hub / "test-00000-of-00001.parquet")
    with pytest.raises(StudyError, match="has no column 'func1'"):
        bigclonebench.load_bigclonebench(hub, SIZES, published=False)


def pair(group: str = "a", **changes: object) -> dict[str, object]:
    value = sum(map(ord, group))
    left, right = f"def f(x):\n    return x + {value}\n", f"def f(x):\n    y = {value}\n    return y + x\n"
    return {"group": group, "language": "python", "left": left, "right": right, "label": 1} | changes


def test_own_pairs_are_read_split_by_group_and_described(tmp_path: Path) -> None:
    write_lines(tmp_path / "own.jsonl", *(pair(group, label=label) for group in "abcdef" for label in (0, 1)))
    found = load_pairs(str(tmp_path / "own.jsonl"), SIZES, no_embedding)
    assert len(found.pairs) == 12 and set(found.groups) == set("abcdef")
    assert sorted(set(found.groups.values())) == [0, 1, 2, 3, 4]
    assert set(found.pairs.kind) == {"clone", "other"} and found.programs.empty
    refuse_shared_programs(found)
    same = dict.fromkeys(["left", "right"], "def f(x):\n    return x\n")
    write_lines(tmp_path / "own.jsonl", *(pair(group, label=int(group > "c")) for group in "abcdef"), pair("g", **same))
    again = load_pairs(str(tmp_path / "own.jsonl"), SIZES, no_embedding)
    moved = CloneBenchmark("own", "python", again.pairs.assign(left=same["left"]), again.programs, again.groups)
    with pytest.raises(StudyError, match="share a text, but are in two groups"):
        refuse_shared_programs(moved)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 2: row: Invalid JSON"),
        (pair(label=2), "line 2: label: Input should be less than or equal to 1"),
        (pair(language="perl"), "line 2: language: Input should be 'python', 'java' or 'cpp'"),
        (pair(left="def f(x)\n"), "line 2: does not parse"),
        (pair(kind="a/b", label=0), "line 2: kind: String should match pattern"),
        (pair(), "has one label only"),
        (pair(language="java", left="int f() { return 1; }", right="int g() { return 1; }"), "mixes java and python"),
    ],
)
def test_a_malformed_pair_is_named_by_its_line(tmp_path: Path, bad: dict[str, object] | str, message: str) -> None:
    write_lines(tmp_path / "own.jsonl", pair(), bad)
    with pytest.raises(StudyError, match=message):
        load_pairs(str(tmp_path / "own.jsonl"), SIZES, no_embedding)


def test_names_that_are_unknown_or_not_at_hand_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    with pytest.raises(StudyError, match="unknown benchmark 'poj104'.*did you mean 'poj-104'"):
        load_pairs("poj104", SIZES, no_embedding)
    with pytest.raises(StudyError, match="not at hand: run `python -m llmexp_utils.fetch_benchmarks bigclonebench`"):
        load_pairs("bigclonebench", SIZES, no_embedding)
    with pytest.raises(StudyError, match="no such file of pairs"):
        load_pairs("nowhere.jsonl", SIZES, no_embedding)
    assert at_hand(["humaneval", "poj-104"], True)[0] == ["humaneval"]


def two_authors() -> pd.DataFrame:
    rows = [
        (f"t{task}", author, correct, f"def f(x):\n    return x {sign} {task} + {number}\n")
        for task in range(6)
        for number, author in enumerate(("one", "two"))
        for correct, sign in ((True, "*"), (False, "/"))
    ]
    return pd.DataFrame(rows, columns=["task_id", "submission", "is_correct", "code"])


def test_who_wrote_a_pair_does_not_tell_its_label() -> None:
    programs = two_authors()
    author = programs.set_index("code").submission
    pairs = program_pairs(programs, "", two_authors=True)
    assert set(pairs.kind) == {"clone", "random", "similar", "near-miss"}
    assert (pairs.left.map(author) != pairs.right.map(author)).all()
    usual = program_pairs(programs, "")
    near = usual[usual.kind == "near-miss"]
    assert (near.left.map(author) == near.right.map(author)).all(), "a person's own faulty version"


def test_more_clones_of_a_task_begin_with_the_same_ones() -> None:
    many = pd.concat([two_authors(), two_authors().assign(submission=lambda rows: rows.submission + "+")])
    many["code"] = [f"{code}# {by}" for code, by in zip(many.code, many.submission, strict=True)]
    one, three = (program_pairs(many, "p/", a_task=count) for count in (1, 3))
    clones = three[three.label == 1]
    assert len(one) == 12 and len(three) == 36 and three.pair_id.is_unique
    assert one[one.label == 1].left.tolist() == clones[clones.pair_id.str.endswith("clone")].left.tolist()


@pytest.mark.parametrize("name", ["condefects", "humaneval-x-java"])
def test_published_clones(name: str) -> None:
    if SOURCES[name].find() is None:
        pytest.skip(f"{name} is not at hand: set LLMEXP_DATA_DIR")
    found = load_pairs(name, Sizes(30, 1000, 2, 3, 100, 0.1, 0), no_embedding)
    refuse_shared_programs(found)
    assert found.pairs.label.mean() == 0.5 and found.pairs.pair_id.is_unique
    for row in found.pairs.itertuples():
        assert found.groups[row.task_id] == found.groups[row.other_id]
    if name == "humaneval-x-java":
        assert found.facts["HumanEval-X"] == 164 and found.facts["HumanEval-Java"] == 163
        assert not found.pairs.left.str.contains("hasCloseElements|has_close_elements").any()
        tested = load_pairs("humaneval-x-java-tested", Sizes(30, 1000, 2, 3, 100, 0.1, 0), no_embedding)
        assert tested.name == "humaneval-x-java-tested" and tested.facts["tested"] == 83
        clones = [set(one.pairs.pair_id[one.pairs.label == 1]) for one in (tested, found)]
        assert clones[0] < clones[1]
        few = load_pairs("humaneval-x-java-tested", Sizes(30, 10, 2, 3, 100, 0.1, 0), no_embedding)
        assert (few.facts["both short"], few.facts["used"]) == (tested.facts["both short"], 10)
        assert pd.Series(few.groups).reindex(few.pairs.task_id.unique()).value_counts().tolist() == [2] * 5
        assert {name.split("/clone")[0] for name in clones[0]} <= set(problems_tested())


def test_the_registry_hash_follows_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmexp_utils.benchmark_registry import local_hash

    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    assert local_hash(clone_registry.SOURCES) == ""
    big_clone_bench(tmp_path / "bigclonebench")
    before = local_hash(clone_registry.SOURCES)
    write_lines(tmp_path / "bigclonebench" / "test.txt", "1\t2\t1")
    assert before != local_hash(clone_registry.SOURCES) != ""


def test_what_a_test_part_holds_is_not_trained_on_and_all_that_goes_is_counted(tmp_path: Path) -> None:
    folder = big_clone_bench(tmp_path / "bcb")
    lines = (folder / "train.txt").read_text().splitlines()
    write_lines(folder / "train.txt", *lines, "4\t1\t1", "1\t4\t1")  # the test pair of 1 and 4, both ways round
    long = "public int m0(int value) {\n" + "    value++;\n" * 40 + "    return value;\n}"
    rows = (folder / "data.jsonl").read_text().splitlines()
    write_lines(folder / "data.jsonl", {"idx": "0", "func": long}, *rows[1:])
    found = bigclonebench.load_bigclonebench(folder, Sizes(30, 20, 2, 3, 100, 1.0, 0), published=False)
    assert found.facts["in a later part, too"] == 2
    assert [found.facts[f"{split} pairs longer than 30 lines"] for split in ("train", "dev", "test")] == [2, 2, 2]
    assert pair_statistics(found)["test programs known from training"] == 1.0
    folder = poj(tmp_path / "poj")
    train = [json.loads(text) for text in (folder / "train.jsonl").read_text().splitlines()]
    test = json.loads((folder / "test.jsonl").read_text().splitlines()[0])
    write_lines(
        folder / "train.jsonl", *({**row, "code": test["code"]} if not n % 5 else row for n, row in enumerate(train))
    )
    found = poj104.load_poj104(folder, Sizes(30, 20, 4, 5, 100, 1.0, 0), published=False)
    assert found.facts["in a later part, too"] == 3 and found.facts["used"] == 9 * 5 - 3
    refuse_shared_programs(found)
    assert pair_statistics(found)["test programs known from training"] == 0.0


@pytest.mark.parametrize("row", [{"idx": "0", "func": None}, {"idx": "0", "func": 1}, ["0"], {"idx": "0"}])
def test_a_row_of_codexglue_without_text_is_named_by_its_line(tmp_path: Path, row: object) -> None:
    folder = big_clone_bench(tmp_path)
    write_lines(folder / "data.jsonl", row)
    with pytest.raises(StudyError, match="data.jsonl, line 1: no method of BigCloneBench"):
        bigclonebench.load_bigclonebench(folder, SIZES, published=False)
    folder = poj(tmp_path)
    write_lines(folder / "train.jsonl", {"label": "1", "index": "1", "code": None})
    with pytest.raises(StudyError, match="train.jsonl, line 1: no program of POJ-104"):
        poj104.load_poj104(folder, SIZES, published=False)
