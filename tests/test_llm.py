"""The client against a server that misbehaves, and one live call to the embedded 0.5B model."""

import http.server
import json
import sys
import threading
from pathlib import Path

import pytest

from llmexp_utils import llm
from llmexp_utils.errors import StudyError
from llmexp_utils.llm import check_generator, connect, model_identity, serve
from llmexp_utils.recordings import Decoding

DECODING = Decoding(0.0, 1.0, 8, 0)
HELLO = [{"role": "user", "content": "Answer with the word yes."}]


class FakeServer(http.server.BaseHTTPRequestHandler):
    """Enough of the protocol to see what the client sends; the status is set by the test."""

    status = 200
    seen: dict = {}
    models: tuple = ()

    def do_GET(self):
        self._reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen = {**body, "key": self.headers["Authorization"]}
        if self.models and body["model"] not in (*self.models, "unlisted"):
            type(self).status = 404
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        self._reply(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
        )

    def _reply(self, value):
        payload = json.dumps(value).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (FakeServer,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1", handler
        running.shutdown()


def test_any_compatible_server_serves(server, monkeypatch):
    url, handler = server
    monkeypatch.setenv("LLMEXP_API_KEY", "sesame")
    with connect("some-model", url) as client:
        answer = client.complete(HELLO, Decoding(0.5, 0.9, 8, 42))
    assert (answer.text, answer.finish_reason, answer.prompt_tokens, answer.completion_tokens) == (
        "yes",
        "stop",
        7,
        1,
    )
    sent = {name: handler.seen[name] for name in ("model", "temperature", "top_p", "max_tokens", "seed", "key")}
    assert sent == {
        "model": "some-model",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 8,
        "seed": 42,
        "key": "Bearer sesame",
    }


def test_a_server_that_does_not_answer_is_one_line():
    with pytest.raises(StudyError, match="does not answer: start the server or correct base_url"):
        with connect("m", "http://127.0.0.1:9/v1"):
            pass


def test_a_server_that_refuses_is_one_line(server):
    url, handler = server
    handler.status = 401
    with pytest.raises(StudyError, match=r"refuses: 401 \(is LLMEXP_API_KEY set\?\)"):
        with connect("m", url):
            pass


def test_something_else_that_answers_is_one_line(server, monkeypatch):
    url, handler = server
    monkeypatch.setattr(handler, "_reply", lambda self, value: FakeServer._reply(self, ["a", "page"]))
    with pytest.raises(StudyError, match=r"is no OpenAI-compatible server: correct base_url \(often it ends in /v1\)"):
        check_generator("m", url)


def test_a_model_that_the_server_does_not_know_is_one_line(server):
    url, handler = server
    handler.models = ("coder-7b", "chat")
    check_generator("coder-7b", url)
    assert handler.seen == {}, "a listed model need not be asked"
    check_generator("unlisted", url)
    assert handler.seen["max_tokens"] == 1
    with pytest.raises(StudyError, match=f"^{url} does not know the model 'coder7b': did you mean 'coder-7b'.$"):
        check_generator("coder7b", url)


def test_what_a_server_says_is_one_line_without_the_key(server, monkeypatch):
    url, handler = server
    monkeypatch.setenv("LLMEXP_API_KEY", "sesame")
    with connect("m", url) as client:
        handler.status = 400
        monkeypatch.setattr(handler, "_reply", lambda self, value: FakeServer._reply(self, "bad key\nsesame"))
        with pytest.raises(StudyError) as caught:
            client.complete(HELLO, DECODING)
    assert str(caught.value).startswith(f"{url}: BadRequestError:")
    assert "sesame" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", r"the llama.cpp server ended \(exit code 3\) before it served some.gguf: is there enough memory"),
        ("exec sleep 60", "the llama.cpp server did not start with some.gguf in 1 s: is the machine out of memory"),
    ],
)
def test_a_server_that_does_not_start_is_one_line(tmp_path, monkeypatch, script, message):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(llm, "START_SECONDS", 1.0 if "sleep" in script else 60.0)
    with pytest.raises(StudyError, match=message):
        with serve(Path("some.gguf"), 1):
            pass


def test_an_unknown_generator_names_the_known_ones():
    with pytest.raises(StudyError, match="unknown generator 'qwen': choose one of qwen2.5-coder-1.5b"):
        with connect("qwen"):
            pass


def test_identity_is_the_file_hash_or_the_endpoint():
    assert model_identity("qwen2.5-coder-0.5b").startswith("1d9614638d18")
    assert model_identity("m", "http://host/v1/") == "http://host/v1#m"


def test_live_call_to_the_embedded_model():
    """Skipped only when the weights cannot be had."""
    from llmexp_utils.asset_table import AssetError
    from llmexp_utils.assets import fetch

    try:
        fetch("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf")
    except AssetError as error:
        pytest.skip(f"the weights cannot be had: {error}")
    with connect("qwen2.5-coder-0.5b") as client:
        first = client.complete(HELLO, DECODING)
        again = client.complete(HELLO, DECODING)
    assert "yes" in first.text.lower() and "yes" in again.text.lower()
    assert again.cached_tokens > 0, "the server should keep the prefix of the last prompt"
    assert first.completion_tokens >= 1 and first.prompt_tokens > 5
