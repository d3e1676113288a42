"""Student (B): windows of whole lines, the three encoder families, determinism, resumption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
)

from llmexp_utils import line_classifier
from llmexp_utils.encoder_student import (
    EncoderChoice,
    LineScores,
    fine_tune,
    load_encoder,
    train_and_score,
    training_arguments,
)
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import EncodedFunction, encode_functions, grouped_order, split_windows

FAMILIES = ("bert", "roberta", "t5")
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
POSITIONS = 130
LEARN = {"steps": 60, "learning_rate": 5e-3}  # all families learn it from each of several seeds: no test of luck


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order; put back for the other test files."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def faults(count: int, seed: int) -> pd.DataFrame:
    """Functions of 4 to 10 lines; the fault is in the second, which a position alone can tell."""
    sizes = np.random.default_rng(seed).integers(2, 9, size=count)
    codes = ["\n".join(["def f(a, b):", *["    a = a + b"] * size, "    return a"]) + "\n" for size in sizes]
    names = {"fault_id": [f"{seed}/{number}" for number in range(count)], "task_id": "T", "fault_type": ""}
    return pd.DataFrame({**names, "code": codes, "lines": [[2]] * count})


def make_encoder(family: str, folder: Path) -> Path:
    """A small random encoder of a family, and a tokenizer with that family's special tokens, on disk."""
    corpus = faults(4, seed=0)["code"].tolist() + ["if while not in [ ] == * / 0 1 2 3 x y z"]
    kind: dict[str, tuple[models.Model, type, list[str], dict[str, str]]] = {
        "bert": (
            models.WordPiece(unk_token="[UNK]"),
            trainers.WordPieceTrainer,
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
            {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
        ),
        "roberta": (
            models.BPE(),
            trainers.BpeTrainer,
            ["<s>", "<pad>", "</s>", "<unk>"],
            {
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "cls_token": "<s>",
                "sep_token": "</s>",
                "eos_token": "</s>",
            },
        ),
        "t5": (
            models.Unigram(),
            trainers.UnigramTrainer,
            ["<pad>", "</s>", "<unk>"],
            {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        ),
    }
    model, trainer, special, names = kind[family]
    tokenizer = Tokenizer(model)
    if family == "bert":
        tokenizer.normalizer, tokenizer.pre_tokenizer = (
            normalizers.BertNormalizer(),
            pre_tokenizers.BertPreTokenizer(),
        )
    elif family == "roberta":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    more = {"unk_token": "<unk>"} if family == "t5" else {}
    tokenizer.train_from_iterator(corpus, trainer(vocab_size=300, special_tokens=special, show_progress=False, **more))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    common = {"vocab_size": len(fast), "pad_token_id": fast.pad_token_id}
    built = {
        "bert": lambda: BertModel(BertConfig(**SIZES, **common, max_position_embeddings=POSITIONS)),
        "roberta": lambda: RobertaModel(RobertaConfig(**SIZES, **common, max_position_embeddings=POSITIONS)),
        "t5": lambda: T5EncoderModel(T5Config(**common, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)),
    }
    built[family]().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folder of each family's encoder."""
    return {family: str(make_encoder(family, tmp_path_factory.mktemp(family))) for family in FAMILIES}


@pytest.fixture
def run(encoders: dict[str, str], tmp_path: Path) -> Callable[..., LineScores]:
    """A short run on made-up faults; keyword arguments replace its settings."""

    def call(family: str = "bert", **settings: object) -> LineScores:
        choice = settings.pop("encoder", encoders[family])
        frames = settings.pop("frames", (faults(40, 1), faults(8, 2), faults(12, 3)))
        options = {
            "steps": 6,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "output_dir": tmp_path / "runs",
        } | settings
        return train_and_score(*frames, encoder=choice, **options)

    return call


def same(one: LineScores, other: LineScores) -> bool:
    pairs = zip(one.test + one.dev, other.test + other.dev, strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def test_windows_read_every_line_once_and_show_whole_lines_within_the_capacity() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        capacity = int(rng.integers(4, 40))
        sizes = rng.integers(1, capacity + 1, size=int(rng.integers(1, 60))).tolist()
        windows = split_windows(sizes, capacity)
        assert [n for w in windows for n in range(w.read_first, w.read_last)] == list(range(len(sizes)))
        assert all(sum(sizes[w.first : w.last]) <= capacity for w in windows)
        assert all(w.first <= w.read_first < w.read_last <= w.last for w in windows)


def test_windows_overlap_and_read_a_line_where_it_has_more_context() -> None:
    windows = split_windows([1] * 30, 16)
    assert [(w.first, w.last) for w in windows] == [(0, 16), (12, 28), (24, 30)]
    assert [(w.read_first, w.read_last) for w in windows] == [(0, 14), (14, 26), (26, 30)]


@pytest.mark.parametrize(
    ("family", "first", "last"),
    [("bert", "[CLS]", "[SEP]"), ("roberta", "<s>", "</s>"), ("t5", "", "</s>")],
)
def test_a_line_is_read_at_the_separator_that_follows_it(
    encoders: dict[str, str], family: str, first: str, last: str
) -> None:
    _, tokenizer, window = load_encoder(encoders[family])
    code = "def f(a, b):\n    return a\n"
    (function,) = encode_functions([code], tokenizer, window)
    (ids,) = function.windows
    words = tokenizer.convert_ids_to_tokens(ids)
    lines = [tokenizer.tokenize(line, add_special_tokens=False) for line in code.splitlines()]
    assert words == [*([first] if first else []), *lines[0], last, *lines[1], last]
    assert [words[column] for _, column in function.reads] == [last, last]


def test_the_window_is_what_the_position_table_holds(encoders: dict[str, str]) -> None:
    assert load_encoder(encoders["bert"]).window == POSITIONS
    assert load_encoder(encoders["roberta"]).window == POSITIONS - 2
    assert load_encoder(encoders["t5"]).window == 512
    assert load_encoder(EncoderChoice(encoders["bert"], window=64)).window == 64
    with pytest.raises(StudyError, match="window is 131"):
        load_encoder(EncoderChoice(encoders["bert"], window=POSITIONS + 1))


def test_a_line_longer_than_the_window_is_shortened_and_counted(encoders: dict[str, str]) -> None:
    _, tokenizer, _ = load_encoder(encoders["bert"])
    code = "def f(a):\n" + "    a = " + " + ".join("a" * 40) + "\n    return a\n"
    (function,) = encode_functions([code], tokenizer, 20)
    assert function.shortened == 1
    assert len(function.reads) == 3
    assert function.size <= 20


def test_indent_tokens_show_what_a_bert_tokenizer_drops(encoders: dict[str, str]) -> None:
    codes = ["if a:\n    return a\n", "if a:\nreturn a\n"]
    plain, marked = (
        load_encoder(encoders["bert"]),
        load_encoder(EncoderChoice(encoders["bert"], indent_tokens=True)),
    )
    one, other = encode_functions(codes, plain.tokenizer, plain.window)
    assert one == other
    one, other = encode_functions(codes, marked.tokenizer, marked.window, indent_tokens=True)
    assert len(one.windows[0]) == len(other.windows[0]) + 1
    assert marked.backbone.get_input_embeddings().num_embeddings == len(marked.tokenizer)


def test_batches_hold_similar_lengths_and_epochs_hold_every_item() -> None:
    sizes = np.random.default_rng(0).lognormal(4, 0.6, 96).astype(int) + 1

    def useful(group: int) -> float:
        batches = np.reshape(grouped_order(sizes, 24, 8, np.random.default_rng(1), group), (-1, 8))
        return float(sizes[batches].sum() / (8 * sizes[batches].max(axis=1)).sum())

    order = grouped_order(sizes, 24, 8, np.random.default_rng(1))
    assert sorted(order) == sorted([*range(96)] * 2)
    assert useful(16) > 0.85
    assert useful(1) < 0.6
    assert order == grouped_order(sizes, 24, 8, np.random.default_rng(1))


def test_a_batch_of_a_tiny_set_is_not_made_of_copies() -> None:
    order = np.reshape(grouped_order([*range(16)], 32, 8, np.random.default_rng(0)), (-1, 8))
    assert all(len(set(batch)) == 8 for batch in order)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_the_faulty_line(run: Callable[..., LineScores], family: str) -> None:
    scores = run(family, **LEARN)
    test = faults(12, 3)
    assert [len(row) for row in scores.test] == [len(code.splitlines()) for code in test["code"]]
    assert [row.argmax() for row in scores.test] == [1] * 12
    assert scores.window_share == 0


def test_padding_and_company_do_not_change_scores(encoders: dict[str, str]) -> None:
    torch.manual_seed(0)
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = line_classifier.LineClassifier(backbone)
    functions = encode_functions(faults(9, 4)["code"], tokenizer, window)
    together = line_classifier.score_lines(model, functions, 0, batch_size=9)
    alone = [line_classifier.score_lines(model, [function], 0)[0] for function in functions]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_spreads_its_mass_over_the_labelled_lines(encoders: dict[str, str]) -> None:
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = line_classifier.LineClassifier(backbone).eval()
    functions = encode_functions(["a\nb\nc\n", "a\nb\n"], tokenizer, window)
    items = [line_classifier.Item(function=f, lines=n) for f, n in zip(functions, ([1, 3], [2]), strict=True)]
    output = model(**line_classifier.collate(items, 0))
    first, second = (torch.log_softmax(row[:n], 0) for row, n in zip(output["logits"], (3, 2), strict=True))
    torch.testing.assert_close(output["loss"], -((first[0] + first[2]) / 2 + second[1]) / 2)


def test_a_function_over_the_window_is_ranked_whole(run: Callable[..., LineScores], encoders: dict[str, str]) -> None:
    choice = EncoderChoice(encoders["bert"], window=32)
    scores = run(encoder=choice, **LEARN)
    assert 0 < scores.window_share < 1
    assert [row.argmax() for row in scores.test] == [1] * 12


def test_the_same_run_gives_the_same_bytes_and_another_seed_others(run: Callable[..., LineScores]) -> None:
    first = run(seed=1)
    assert same(first, run(seed=1))
    assert not same(first, run(seed=2))


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_a_killed_run_continues_to_the_same_scores(
    run: Callable[..., LineScores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str
) -> None:
    expected = run(family, output_dir=tmp_path / "whole")
    step, calls = line_classifier.LineTrainer.training_step, []

    def dying(*given: object, **named: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return step(*given, **named)

    monkeypatch.setattr(line_classifier.LineTrainer, "training_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(family)
    (kept,) = (tmp_path / "runs").glob("*/checkpoint-*")
    (kept.parent / "checkpoint-4").mkdir()  # what a kill in the middle of saving leaves
    assert kept.name == "checkpoint-3"
    assert same(run(family), expected)
    assert len(calls) == 5 + 3
    assert not list((tmp_path / "runs").iterdir())


def test_a_checkpoint_of_other_data_is_not_taken_up(
    run: Callable[..., LineScores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frames = (faults(40, 9), faults(8, 2), faults(12, 3))
    expected = run(frames=frames, output_dir=tmp_path / "whole")
    monkeypatch.setattr("llmexp_utils.encoder_student.shutil.rmtree", lambda *given, **named: None)
    run()
    assert list((tmp_path / "runs").glob("*/checkpoint-*"))
    assert same(run(frames=frames), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_frozen_from_the_bottom(encoders: dict[str, str], family: str) -> None:
    def trained(**settings: int) -> set[str]:
        backbone = load_encoder(encoders[family]).backbone
        line_classifier.freeze(backbone, **settings)
        return {name for name, value in backbone.named_parameters() if value.requires_grad}

    whole = trained(layers=0, embeddings=False)
    assert whole == {name for name, _ in load_encoder(encoders[family]).backbone.named_parameters()}
    words = {name for name in whole if "word_embeddings" in name or "embed_tokens" in name}
    assert len(words) == 1
    assert whole - trained(layers=0, embeddings=True) == words
    upper = trained(layers=1, embeddings=False)
    assert upper
    assert all("layer.1." in name or "block.1." in name or "final" in name for name in upper)
    with pytest.raises(StudyError, match="has 2 layers"):
        trained(layers=3, embeddings=False)


def test_frozen_layers_stay_and_the_rest_moves(
    encoders: dict[str, str], monkeypatch: pytest.MonkeyPatch, run: Callable[..., LineScores]
) -> None:
    seen: list[line_classifier.LineClassifier] = []
    score = line_classifier.score_lines
    monkeypatch.setattr(line_classifier, "score_lines", lambda model, *rest: seen.append(model) or score(model, *rest))
    run(encoder=EncoderChoice(encoders["bert"], frozen_layers=1))
    before, after = load_encoder(encoders["bert"]).backbone.state_dict(), seen[0].backbone.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(".layer.1." in name for name in moved)


def test_fine_tune_gives_a_prediction_frame(
    encoders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, dev, test = faults(40, 1), faults(8, 2), faults(12, 3)
    arguments = training_arguments(tmp_path, batch_size=8, **LEARN)
    frame = fine_tune(train, dev, test, arguments, encoders["bert"], seed=5)
    assert frame["fault_id"].tolist() == test["fault_id"].tolist()
    assert {"task_id", "fault_type", "n_lines", "scores", "lines", "threshold"} <= set(frame.columns)
    assert [int(np.argmax(row)) for row in frame["scores"]] == [1] * 12
    assert 0 < frame["threshold"].iloc[0] <= 1
    assert frame["threshold"].nunique() == 1
    assert frame.attrs["window_share"] == 0
    assert arguments.seed == 0
    printed = capsys.readouterr()
    assert "0.0% of 60 functions" in printed.out
    assert "train_runtime" not in printed.out + printed.err
    assert "30/30" in printed.err


@pytest.mark.parametrize("name", ["no/such/encoder", "nobody/no-such-encoder", "no-such-encoder"])
def test_an_unknown_encoder_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StudyError, match="'minilm', a folder") as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_refused_in_one_line(encoders: dict[str, str], tmp_path: Path) -> None:
    for file in Path(encoders["bert"]).iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StudyError) as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "max_steps is not set"),
        ({"frames": (faults(0, 1), faults(1, 2), faults(1, 3))}, "the train frame has no fault"),
        ({"frames": (faults(1, 1), faults(1, 2), faults(1, 3).assign(lines=[[40]]))}, "labels .40."),
        ({"frames": (faults(1, 1), faults(1, 2).assign(lines=[[]]), faults(1, 3))}, "dev frame has labels"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., LineScores], settings: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        run(**settings)


def test_an_encoded_function_knows_its_longest_window() -> None:
    assert EncodedFunction(([1, 2], [1, 2, 3]), ((0, 1),), 0).size == 3
