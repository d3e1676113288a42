"""The filter of system calls, run by an interpreter of its own: what the kernel will answer."""

from __future__ import annotations

import struct

import pytest

from llmexp_utils import sandbox_syscalls as calls

X86, ARM = calls.MACHINES["x86_64"], calls.MACHINES["aarch64"]
ME = 4711
READ, SOCKET, FORK, CLONE, CLONE3, KILL, FCNTL, PRLIMIT, SENDMSG, SECCOMP = 0, 41, 57, 56, 435, 62, 72, 302, 46, 317
PERMITTED, REFUSED, UNKNOWN = calls.ALLOW, calls.ERRNO | 1, calls.ERRNO | 38


def answer(program: bytes, number: int, *arguments: int, architecture: int = X86[1]) -> int:
    """What a filter says about a call."""
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    place = value = 0
    while True:
        operation, yes, no, constant = code[place]
        place += 1
        match operation:
            case calls.LOAD:
                known = {calls.NUMBER: number, calls.ARCHITECTURE: architecture}
                known |= {calls.ARGUMENTS + 8 * n: one for n, one in enumerate(arguments)}
                value = known.get(constant, 0)
            case calls.EQUAL:
                place += yes if value == constant else no
            case calls.AT_LEAST:
                place += yes if value >= constant else no
            case calls.ANY_BIT:
                place += yes if value & constant else no
            case calls.RETURN:
                return constant


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(calls.platform, "machine", lambda: request.param)
    return list(calls.MACHINES).index(request.param)


def test_exactly_what_is_listed_is_allowed(machine: int) -> None:
    program = calls.own_filter(ME, calls.filter_template())
    architecture = (X86, ARM)[machine][1]
    special = {pair[machine] for pair in (calls.CLONE, calls.CLONE3, *calls.SIGNALS.values())}
    special |= {pair[machine] for pair in (calls.FCNTL, calls.IOCTL, calls.PRCTL, calls.PRLIMIT)}
    listed = {pair[machine] for pair in calls.ALLOWED.values()}
    for number in set(range(600)) - special:
        expected = PERMITTED if number in listed else REFUSED
        assert answer(program, number, architecture=architecture) == expected, number
    for number in (-1 & 0xFFFFFFFF, 0x40000000 | READ, 1 << 20):
        assert answer(program, number, architecture=architecture) == REFUSED


def test_numbers_stand_once_in_a_column() -> None:
    every = {**calls.ALLOWED, **calls.JUDGE_ALLOWED, **calls.PARENT_ALLOWED}
    for column in (0, 1):
        numbers = [pair[column] for pair in every.values() if pair[column] is not None]
        assert len(set(numbers)) == len(numbers)


@pytest.fixture
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls.platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("x86")
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ((CLONE, calls.CLONE_THREAD | 0x100), PERMITTED),
        ((CLONE, 17), REFUSED),
        ((CLONE3, 0), UNKNOWN),
        ((FORK,), REFUSED),
        ((KILL, ME), PERMITTED),
        ((KILL, 1), REFUSED),
        ((KILL, 0xFFFFFFFF), REFUSED),
        ((FCNTL, 0, 3), PERMITTED),
        ((FCNTL, 0, 8), REFUSED),
        ((PRLIMIT, 0), PERMITTED),
        ((PRLIMIT, 1), REFUSED),
        ((SOCKET,), REFUSED),
        ((SENDMSG,), REFUSED),
        ((SECCOMP,), REFUSED),
    ],
)
def test_calls_with_arguments(call: tuple[int, ...], expected: int) -> None:
    assert answer(calls.own_filter(ME, calls.filter_template()), *call) == expected


@pytest.mark.usefixtures("x86")
def test_a_program_gives_up_what_its_parent_may() -> None:
    parent = calls.own_filter(ME, calls.filter_template(calls.PARENT_ALLOWED))
    second = calls.second_filter()
    for number in {pair[0] for pair in calls.PARENT_ALLOWED.values()}:
        assert answer(parent, number, 17) == PERMITTED
        kept = number in {pair[0] for pair in calls.SIGNALS.values()}
        assert answer(second, number, 17) == (PERMITTED if kept else REFUSED), number
    assert answer(second, CLONE, calls.CLONE_THREAD) == answer(second, READ) == PERMITTED
    assert answer(parent, SOCKET) == REFUSED


@pytest.mark.usefixtures("x86")
def test_another_architecture_ends_the_process() -> None:
    assert answer(calls.filter_template(), READ, architecture=0x40000003) == calls.KILL_PROCESS


def test_an_unknown_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="system calls of riscv64 are not known"):
        calls.filter_template()
