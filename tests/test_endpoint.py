"""Recording from a server that fails: nothing lost, nothing twice, nothing spent that was not allowed."""

import json
import threading
import time
from email.utils import formatdate

import pytest
from endpoints import FAULTS, seeded, serving

from llmexp_utils import asking
from llmexp_utils.access import Access
from llmexp_utils.asking import Request
from llmexp_utils.budget import Ledger, estimate, most
from llmexp_utils.errors import StudyError
from llmexp_utils.in_order import AHEAD, answer_in_order
from llmexp_utils.llm import Answer, Client, check_generator, connect, model_identity
from llmexp_utils.recordings import Decoding, Recordings
from llmexp_utils.retries import retry_after

HELLO = [{"role": "user", "content": "hello"}]
DECODING = Decoding(1.0, 0.95, 30, 0)
QUICK = Access(request_seconds=5.0, backoff=0.01)


def requests(n):
    return [
        Request(f"T/{i}", "line", 1, 0, ({"role": "user", "content": f"question {i}"},), Decoding(1.0, 0.95, 30, i))
        for i in range(n)
    ]


def recorded(url, path, wanted, access=QUICK, ledger=None):
    with connect("m", url, access=access) as client:
        book = Recordings(path)
        return asking.record(wanted, "id", "m", book, client.complete, "e", access.concurrency, ledger)


def rows(path):
    """What a file of recordings holds, apart from the seconds."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(row.pop("seconds") >= 0 for row in found)
    return found


def test_a_thousand_calls_of_which_a_third_fail_leave_the_recordings_of_a_clean_run(tmp_path):
    wanted = requests(1000)
    access = Access(concurrency=32, request_seconds=1.0, backoff=0.02, attempts=20)
    with serving() as (url, _):
        assert recorded(url, tmp_path / "clean.jsonl", wanted) == 1000
    with serving(fault=seeded(0.3), hang=1.3) as (url, handler):
        assert recorded(url, tmp_path / "faulty.jsonl", wanted, access) == 1000
    calls = sum(handler.faults.values())
    assert set(handler.faults) == {"", *FAULTS} and 0.27 < 1 - handler.faults[""] / calls < 0.33
    clean, faulty = rows(tmp_path / "clean.jsonl"), rows(tmp_path / "faulty.jsonl")
    assert [row["task_id"] for row in faulty] == [request.task_id for request in wanted], "lost, twice or out of order"
    assert faulty == clean


@pytest.mark.parametrize("fault", [*FAULTS, "503", "408", "drip"])
def test_each_fault_is_asked_again(fault):
    slow = fault in ("hang", "drip")
    access = Access(request_seconds=0.5 if slow else 30.0, backoff=0.01)
    with serving(fault=lambda self, question, attempt: fault if attempt < 3 else "", hang=1.0) as (url, handler):
        with connect("m", url, access=access) as client:
            answer = client.complete(HELLO, DECODING)
    asked = handler.attempts["hello"]
    assert answer.text and (asked >= 3 if slow else asked == 3)  # on a busy machine a good answer may be slow, too
    assert answer.lost == (asked - 1 if slow or fault in ("cut", "bad json", "no chat") else 0)


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "422"])
def test_a_refusal_is_not_asked_again_and_does_not_tell_the_key(monkeypatch, status):
    monkeypatch.setenv("LLMEXP_API_KEY", "sesame")
    with serving(fault=lambda self, question, attempt: status) as (url, handler):
        with (
            connect("m", url, access=QUICK) as client,
            pytest.raises(StudyError, match=f"Error code: {status}") as told,
        ):
            client.complete(HELLO, DECODING)
    assert handler.attempts["hello"] == 1 and handler.seen[0][2] == "Bearer sesame"
    assert "sesame" not in str(told.value) and "\n" not in str(told.value)
    assert ("(is LLMEXP_API_KEY set?)" in str(told.value)) == (status in ("401", "403"))


def test_after_the_last_attempt_there_is_one_line_and_what_was_recorded_stays(tmp_path):
    wanted, path = requests(12), tmp_path / "book.jsonl"
    broken = {"fault": lambda self, question, attempt: "500" if question == "question 7" else ""}
    access = Access(concurrency=4, request_seconds=5.0, backoff=0.01, attempts=3)
    with serving(**broken) as (url, handler), pytest.raises(StudyError) as told:
        recorded(url, path, wanted, access)
    assert "given up after 3 attempts; 7 of 12 missing answers were recorded before, run again" in str(told.value)
    assert handler.attempts["question 7"] == 3 and "\n" not in str(told.value)
    assert [row["task_id"] for row in rows(path)] == [f"T/{i}" for i in range(7)]
    with serving() as (url, _):
        assert recorded(url, path, wanted, access) == 5
        recorded(url, tmp_path / "clean.jsonl", wanted)
    assert rows(path) == rows(tmp_path / "clean.jsonl")


def test_a_server_is_left_alone_for_as_long_as_it_asks():
    once = {"fault": lambda self, question, attempt: "429" if attempt == 1 else ""}
    with serving(**once, headers_429={"Retry-After": "1"}) as (url, handler):
        with connect("m", url, access=QUICK) as client:
            client.complete(HELLO, DECODING)
    (first, *_), (second, *_) = handler.seen
    assert 1.0 <= second - first


def test_a_server_that_is_out_for_the_day_ends_the_run():
    always = {"fault": lambda self, question, attempt: "429", "headers_429": {"Retry-After": "3600"}}
    with serving(**always) as (url, handler), connect("m", url, access=QUICK) as client:
        with pytest.raises(StudyError, match=r"RateLimitError.*\(it asks to wait 3600 s\)$"):
            client.complete(HELLO, DECODING)
    assert handler.attempts["hello"] == 1


@pytest.mark.parametrize(("value", "seconds"), [("2.5", 2.5), ("-3", 0), ("soon", 0), ("date", 90)])
def test_retry_after_is_a_number_or_a_date(value, seconds):
    headers = {"retry-after": value if value != "date" else formatdate(time.time() + 90, usegmt=True)}
    error = type("Error", (Exception,), {"response": type("Response", (), {"headers": headers})})
    assert retry_after(error()) == pytest.approx(seconds, abs=2)


def test_requests_are_spread_over_the_minute():
    with serving() as (url, handler):
        with connect("m", url, access=Access(requests_per_minute=600, concurrency=8)) as client:
            answer_in_order(client.complete, requests(8), lambda *_: None, Ledger(Access()), 8)
    starts = sorted(at for at, *_ in handler.seen)
    assert starts[-1] - starts[0] > 0.6, "seven gaps of a tenth of a second"


def test_a_budget_of_tokens_stops_before_it_is_exceeded_and_a_new_run_goes_on(tmp_path):
    wanted, path = requests(20), tmp_path / "book.jsonl"
    access = Access(concurrency=3, token_budget=400, backoff=0.01)
    message = r"^stopped before the budget of 400 tokens is exceeded: \d+ of 20 missing answers were recorded in .*book"
    with serving() as (url, handler):
        with pytest.raises(StudyError, match=message) as told:
            recorded(url, path, wanted, access, ledger := Ledger(access))
        first = len(rows(path))
        assert 0 < first < 20 and ledger.read + ledger.written == 25 * first <= 400 < 25 * first + sum(most(wanted[0]))
        assert "raise token_budget, or run again" in str(told.value)
        assert sum(handler.attempts.values()) == first, "nothing is asked for that is not recorded"
        recorded(url, path, wanted)
        recorded(url, tmp_path / "clean.jsonl", wanted)
    assert rows(path) == rows(tmp_path / "clean.jsonl")


def test_a_budget_of_money_counts_lost_replies_and_servers_that_do_not_count():
    access = Access(money_budget=1e-3, prices=(1.0, 10.0))
    ledger, request = Ledger(access), requests(1)[0]
    read, written = most(request)
    assert ledger.hold(request) and ledger.hold(request) and not ledger.hold(request)
    ledger.settle(request, Answer("a", "stop", 20, 0, 5, 0.1))
    assert ledger.money == pytest.approx(70e-6)
    assert str(ledger) == "25 tokens for 7e-05"
    ledger.settle(request, Answer("a", "stop", 0, 0, 0, 0.1, lost=1))
    assert (ledger.read, ledger.written, ledger.lost) == (20 + read, 5 + written, 1)
    assert f"and at most {read + written} more for 1 replies that were lost" in str(ledger)
    assert not ledger.hold(request), "what a lost reply may have cost is kept"


def test_the_estimate_learns_from_what_is_on_record(capsys, tmp_path):
    wanted, path = requests(40), tmp_path / "book.jsonl"
    unknown = estimate(wanted, [], Access(requests_per_minute=10, prices=(1.0, 1.0)), 1)
    assert str(unknown).endswith("and at most 1,200 to write, at most 0.0013 in money, about 4 min")
    with serving() as (url, _):
        recorded(url, path, wanted[:10])
        recorded(url, path, wanted)
    first, second = (line for line in capsys.readouterr().out.splitlines() if line.startswith("asking m: "))
    assert "10 answers, about 29 tokens to read and at most 300 to write" in first
    assert "30 answers, about 660 tokens to read and about 150 to write, about " in second


def test_answers_wait_in_bounds_and_are_written_in_order():
    asked, written = [], []

    def ask(messages, decoding):
        asked.append(decoding.seed)
        if decoding.seed == 0:
            end = time.monotonic() + 20
            while len(asked) < 3 * AHEAD and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(0.1)  # for one too many
        return Answer(str(decoding.seed), "stop", 1, 0, 1, 0.0)

    def write(request, answer):
        written.append((request.task_id, answer.text, len(asked)))

    assert answer_in_order(ask, requests(30), write, Ledger(Access()), 3) == 30
    assert [(task, text) for task, text, _ in written] == [(f"T/{i}", str(i)) for i in range(30)]
    assert written[0][2] == 3 * AHEAD, "a slow answer holds up what is asked after it"


def test_an_interruption_loses_nothing_that_was_written_and_does_not_wait(tmp_path):
    path = tmp_path / "book.jsonl"

    def ask(messages, decoding):
        if decoding.seed == 5:
            raise KeyboardInterrupt
        return Answer("a", "stop", 1, 0, 1, 0.0)

    with pytest.raises(KeyboardInterrupt):
        asking.record(requests(30), "id", "m", Recordings(path), ask, "e", 4)
    assert [row["task_id"] for row in rows(path)] == [f"T/{i}" for i in range(5)]


def test_a_closed_client_does_not_go_on_asking():
    with serving(fault=lambda self, question, attempt: "500") as (url, handler):
        client = Client(url, "m", "none", access=Access(backoff=60.0))
        threading.Timer(0.3, client.close).start()
        start = time.monotonic()
        with pytest.raises(StudyError):
            client.complete(HELLO, DECODING)
    assert time.monotonic() - start < 50 and handler.attempts["hello"] == 1


def test_a_vllm_server_is_asked_and_read(tmp_path):
    wanted = requests(3)
    with serving(models=("owner/model",)) as (url, handler):
        check_generator("owner/model", url)
        with pytest.raises(StudyError, match="does not know the model 'owner/modle': did you mean 'owner/model'"):
            check_generator("owner/modle", url)
        handler.seen.clear()
        with asking.asker("owner/model", "record", url, QUICK) as client:
            model = model_identity("owner/model", url)
            answers = list(asking.settle("line", wanted, "owner/model", tmp_path, model, client))
    sent = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 30, "seed": 2, "model": "owner/model"}
    assert sent.items() <= handler.seen[2][1].items() and set(handler.seen[2][1]) == {*sent, "messages"}
    assert [(row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]) for row in answers] == [
        (20, 0, 5)
    ] * 3
    assert (tmp_path / "line_owner_model.jsonl").exists()
    with asking.asker("owner/model", "replay", url) as client:  # the server is gone
        assert list(asking.settle("line", wanted, "owner/model", tmp_path, model, client)) == answers


def test_a_password_in_an_address_is_not_recorded(tmp_path):
    with serving() as (url, _):
        private = url.replace("//", "//me:sesame@") + "?key=sesame"
        assert model_identity("m", private) == model_identity("m", url)
        with asking.asker("m", "record", private.removesuffix("?key=sesame"), QUICK) as client:
            asking.settle("line", requests(1), "m", tmp_path, model_identity("m", private), client)
    assert "sesame" not in (tmp_path / "line_m.jsonl").read_text()


def test_a_busy_server_passes_the_check():
    with serving() as (url, handler):
        handler.do_GET = lambda self: self._reply(503, {"error": {"message": "Loading model"}})
        check_generator("m", url)
        handler.do_GET = lambda self: self._reply(403, {})
        with pytest.raises(StudyError, match="refuses: 403"):
            check_generator("m", url)
