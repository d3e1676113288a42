"""The cut model is the lower part of the whole one, is made once, and its name covers what it is."""

import shutil

import pytest
import torch
from tiny_decoder import BUILDS, TEXTS, make_decoder

from llmexp_utils import lower_layers
from llmexp_utils.errors import StudyError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_decoder(tmp_path_factory.mktemp("decoder"))


def test_state_is_that_of_the_whole_model_after_the_last_kept_block(source, cache):
    from transformers import AutoModel

    model, tokenizer = lower_layers.load_lower_layers(source, 2)
    assert len(model.layers) == 2 and model.dtype == torch.float32
    whole = AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    tokens = tokenizer(TEXTS[0], return_tensors="pt").input_ids
    with torch.no_grad():
        state = model(tokens).last_hidden_state
        expected = whole(tokens, output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(state, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", BUILDS)
def test_decoders_of_several_builds_are_read_as_the_library_reads_them(tmp_path, cache, build):
    from transformers import AutoModel

    from llmexp_utils.hidden_states import line_states

    source = make_decoder(tmp_path / "model", build=build)
    model, tokenizer = lower_layers.load_lower_layers(source, 2)
    whole = AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    other = TEXTS[0].replace("2", "3")
    for code, states in zip([TEXTS[0], other], line_states([TEXTS[0], other], model, tokenizer, [TEXTS[0]] * 2)):
        tokens = tokenizer(code, return_tensors="pt").input_ids
        with torch.no_grad():
            expected = whole(tokens, output_hidden_states=True).hidden_states[2][0, -1]
        torch.testing.assert_close(torch.from_numpy(states[-1]).float(), expected, rtol=1e-2, atol=1e-2)


def test_an_attention_with_terms_of_its_own_is_refused(tmp_path, cache, monkeypatch):
    from llmexp_utils import hidden_states

    plain = hidden_states.segment_attention
    monkeypatch.setattr(
        hidden_states, "segment_attention", lambda *given, **named: plain(*given, **named | {"softcap": 30.0})
    )
    source = make_decoder(tmp_path / "model")
    with pytest.raises(StudyError, match="has 'softcap', which is not read here"):
        lower_layers.load_lower_layers(source, 2)
    monkeypatch.setattr(
        hidden_states, "segment_attention", lambda *given, **named: plain(*given, **named | {"scaling": 3.0})
    )
    with pytest.raises(StudyError, match="Qwen2Model attends in a way that is not read here"):
        lower_layers.load_lower_layers(source, 2)
    assert not [path for path in (cache / "lower_layers").iterdir() if path.is_dir()]


def test_copy_is_made_once_and_left_complete(source, cache, monkeypatch):
    folder = lower_layers.lower_layers_folder(source, 1)
    monkeypatch.setattr(lower_layers, "_extract", lambda *given: pytest.fail("made again"))
    assert lower_layers.lower_layers_folder(source, 1) == folder
    assert not [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]


def test_fewer_blocks_are_cut_from_the_copy_and_are_the_same(source, cache, tmp_path, monkeypatch):
    lower_layers.lower_layers_folder(source, 2)
    extract, read = lower_layers._extract, []
    monkeypatch.setattr(lower_layers, "_extract", lambda *given: read.append(given[0]) or extract(*given))
    few = lower_layers.lower_layers_folder(source, 1)
    assert read == [few.parent / lower_layers.model_id(source, 2)]
    monkeypatch.setenv("LLMEXP_CACHE_DIR", str(tmp_path / "elsewhere"))
    whole = lower_layers.lower_layers_folder(source, 1)
    assert read[1] == source and whole.name == few.name
    assert (whole / "model.safetensors").read_bytes() == (few / "model.safetensors").read_bytes()


def test_interrupted_copy_leaves_nothing(source, cache, monkeypatch):
    from transformers import PreTrainedTokenizerFast

    def stop(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", stop)
    with pytest.raises(KeyboardInterrupt):
        lower_layers.lower_layers_folder(source, 1)
    assert not [path for path in (cache / "lower_layers").iterdir() if path.is_dir()]


def test_name_changes_with_layers_and_weights(source, tmp_path):
    other = make_decoder(tmp_path / "other", layers=2)
    again = shutil.copytree(source, tmp_path / "again")
    assert lower_layers.model_id(source, 2) == lower_layers.model_id(again, 2)
    ids = [
        lower_layers.model_id(source, 2),
        lower_layers.model_id(source, 1),
        lower_layers.model_id(other, 2),
    ]
    assert len(set(ids)) == 3


def test_name_of_an_embedded_model_needs_no_reading_of_the_file(cache, monkeypatch):
    from llmexp_utils.asset_table import ASSETS

    path = ASSETS["qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"].path
    path.write_bytes(b"stands for a file that fetch has verified")
    monkeypatch.setattr(lower_layers, "_file_hash", lambda path: pytest.fail("read"))
    assert lower_layers.model_id(path) != lower_layers.model_id(path, 8)


@pytest.mark.parametrize("layers", [0, 4])
def test_wrong_number_of_layers_is_one_clear_line(source, cache, layers):
    with pytest.raises(StudyError, match="has 3 layers: ask for 1 to 3"):
        lower_layers.load_lower_layers(source, layers)


def test_missing_model_is_one_clear_line(tmp_path, cache):
    with pytest.raises(StudyError, match="neither a GGUF file nor a folder"):
        lower_layers.load_lower_layers(tmp_path / "nothing")


def test_an_encoder_is_refused(tmp_path, cache, source):
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=320, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    folder = shutil.copytree(source, tmp_path / "bert")
    (folder / "config.json").unlink()
    BertModel(config).save_pretrained(folder)
    with pytest.raises(StudyError, match="BertModel is not a decoder"):
        lower_layers.load_lower_layers(folder, 1)
