"""The client against a server that misbehaves, and one live call to the embedded 0.5B model."""

import http.server
import json
import threading

import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.llm import connect, model_identity
from llmexp_utils.recordings import Decoding

DECODING = Decoding(0.0, 1.0, 8, 0)
HELLO = [{"role": "user", "content": "Answer with the word yes."}]


class FakeServer(http.server.BaseHTTPRequestHandler):
    """Enough of the protocol to see what the client sends; the status is set by the test."""

    status = 200
    seen: dict = {}

    def do_GET(self):
        self._reply({"object": "list", "data": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen = {**body, "key": self.headers["Authorization"]}
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
