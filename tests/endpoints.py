"""Servers for tests: enough of the chat protocol in this process, and every way in which it can go wrong."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import http.server
import json
import random
import threading
import time
from collections.abc import Iterator

FAULTS = {"429": 5, "500": 5, "hang": 1, "cut": 5, "bad json": 5, "no chat": 5}
"""What goes wrong, and how often compared with the others: hangs take time."""


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers as a vLLM server does; ``fault`` says what goes wrong with the n-th attempt of a question."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each of a thousand small replies would wait for an acknowledgement
    models = ("m",)
    hang = 0.0
    headers_429 = {"Retry-After": "0"}

    @staticmethod
    def fault(question: str, attempt: int) -> str:
        return ""

    def do_GET(self) -> None:
        cards = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": 4096} for name in self.models]
        self._reply(200, {"object": "list", "data": cards})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        with self.lock:
            self.attempts[question] += 1
            self.seen.append((time.monotonic(), body, self.headers["Authorization"]))
            fault = self.fault(question, self.attempts[question])
            self.faults[fault] += 1
        if body["model"] not in self.models:
            fault = "404"
        answer = json.dumps(completion(question))
        if fault.isdigit():
            headers = self.headers_429 if fault == "429" else {}
            self._reply(int(fault), {"object": "error", "message": "no\nfor " + self.headers["Authorization"]}, headers)
        elif fault == "hang":
            time.sleep(self.hang)
            self.close_connection = True
        elif fault == "drip":
            self._head(200, len(answer))
            with contextlib.suppress(OSError):
                for byte in answer.encode():
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
        elif fault == "cut":
            self._head(200, len(answer))
            self.wfile.write(answer[: len(answer) // 2].encode())
            self.close_connection = True
        elif fault == "bad json":
            self._reply(200, answer[: len(answer) // 2])
        elif fault == "no chat":
            self._reply(200, {"error": {"message": "overloaded"}})
        else:
            self._reply(200, answer)

    def _reply(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        payload = (value if isinstance(value, str) else json.dumps(value)).encode()
        self._head(status, len(payload), headers)
        self.wfile.write(payload)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": length, **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


def completion(question: str) -> dict:
    """Reply to a question: a word that it decides, and usage as vLLM counts it, without details of the prompt."""
    word = hashlib.sha256(question.encode()).hexdigest()[:12]
    usage = {"prompt_tokens": 20, "total_tokens": 25, "completion_tokens": 5, "prompt_tokens_details": None}
    message = {"role": "assistant", "reasoning_content": None, "content": word, "tool_calls": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]} | {
        "usage": usage,
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }


def seeded(rate: float) -> object:
    """Faults in a share of the calls: the same ones in every run, whatever the order of the calls."""

    def fault(question: str, attempt: int) -> str:
        rng = random.Random(f"{question}/{attempt}")
        return rng.choices(list(FAULTS), list(FAULTS.values()))[0] if rng.random() < rate else ""

    return staticmethod(fault)


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that have lost patience are part of the tests."""


@contextlib.contextmanager
def serving(**settings: object) -> Iterator[tuple[str, type[Endpoint]]]:
    """Base URL and handler class of a server that runs while the context lasts."""
    state = {"lock": threading.Lock(), "attempts": collections.Counter(), "faults": collections.Counter(), "seen": []}
    handler = type("Handler", (Endpoint,), {**state, **settings})
    with _Server(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1", handler
        running.shutdown()
