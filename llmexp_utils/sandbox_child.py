"""What runs in the child process of :mod:`llmexp_utils.sandbox`: limits, then one program, then one verdict.

This file is started as a script, never imported by the study. It needs the standard library alone, and little
of it: the start of the interpreter is nearly the whole cost of a program.

Messages leave through a pipe of their own, as lines ``<nonce> <word> <detail>``. The nonce is random, comes
in through standard input before any untrusted text is compiled, and lives only in local variables of
:func:`main`. What decides after the program has run is bound to local names before, because a program can
replace any global. A program that walks the frames of its own interpreter can still find the nonce: only a
verdict that is taken in another process would stop it.
"""

import marshal
import os
import resource
import sys

CHUNK = 1 << 16
DETAIL = 300
OPEN_FILES = 64
PROGRAM, TEST = "<program>", "<test>"


def main() -> None:
    """Judge the job on standard input and report to the descriptor that is the only argument."""
    write, leave, own_pid, pid = os.write, os._exit, os.getpid, os.getpid()
    channel = int(sys.argv[1])
    nonce, limits, job = marshal.loads(read_all(0))
    isolate(limits)
    write(channel, f"{nonce} ready\n".encode())
    verdict, detail = judge(*job)
    if own_pid() != pid:  # a copy that the program forked must not speak for the program
        leave(1)
    message = f"\n{nonce} {verdict} {detail}\n"
    write(channel, message.encode("utf-8", "backslashreplace"))
    leave(0)


def read_all(descriptor: int) -> bytes:
    """Everything up to the end of a pipe."""
    parts = []
    while part := os.read(descriptor, CHUNK):
        parts.append(part)
    return b"".join(parts)


def isolate(limits: dict[str, int]) -> None:
    """Set the resource limits, and leave the program no input, no environment and no arguments."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()  # the interpreter itself may have set LC_CTYPE
    sys.argv[:] = [PROGRAM]
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, limits["file"])
    lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    lower(resource.RLIMIT_NPROC, tasks_of_user() + limits["processes"])
    lower(resource.RLIMIT_AS, limits["memory"])
    lower(resource.RLIMIT_CPU, limits["cpu"], limits["cpu"] + 1)  # SIGXCPU first; SIGKILL if that is ignored


def lower(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or keep the present one where that is already lower."""
    ceiling = resource.getrlimit(kind)[1]
    wanted = soft if hard is None else hard
    hard = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
    resource.setrlimit(kind, (min(soft, hard), hard))


def tasks_of_user() -> int:
    """Threads that the user runs now: the kernel counts them, not those of the program, against the limit."""
    user, tasks = os.getuid(), 0
    for name in os.listdir("/proc") if user else []:  # nothing to count for root: the kernel exempts it
        if name.isdigit():
            try:
                status = os.stat(f"/proc/{name}/task")
            except OSError:
                continue  # has ended meanwhile
            tasks += status.st_nlink - 2 if status.st_uid == user else 0
    return tasks


def judge(program: str, test: str, entry_point: str) -> tuple[str, str]:
    """Run ``program``, then ``test``, then ``check(entry_point)``; return a verdict and its reason."""
    execute, anything, about, verdict_of = exec, BaseException, describe, explain
    try:
        code = compile(program, PROGRAM, "exec", dont_inherit=True)
    except Exception as error:  # SyntaxError, ValueError (NUL, surrogates), RecursionError, MemoryError
        return "syntax", about(error)
    try:
        suite = compile(test, TEST, "exec", dont_inherit=True)
    except Exception as error:
        return "error", f"the test does not compile: {about(error)}"
    module = type(sys)("program")
    sys.modules["program"] = sys.modules["__main__"] = module  # `import __main__` must not give this file
    try:
        execute(code, module.__dict__)
        names = dict(module.__dict__)  # the program keeps its own globals, whatever names the test defines
        names.pop("check", None)
        if entry_point not in names:
            return "error", f"the program does not define {entry_point}"
        candidate = names[entry_point]
        execute(suite, names)
        if "check" not in names:
            return "error", "the test does not define check(candidate)"
        names["check"](candidate)
    except anything as error:  # SystemExit and KeyboardInterrupt too: no exit is a pass
        return verdict_of(error, test)
    return "pass", ""


def explain(error: BaseException, test: str) -> tuple[str, str]:
    """``fail`` for an assertion of the test, ``error`` for all else (also an assertion of the program)."""
    line, step = 0, error.__traceback__
    while step:  # the innermost frame of either text tells who raised
        name = step.tb_frame.f_code.co_filename
        line = step.tb_lineno if name == TEST else 0 if name == PROGRAM else line
        step = step.tb_next
    text = describe(error)
    if not (line and isinstance(error, AssertionError)):
        return "error", text
    assertion = " ".join(test.splitlines()[line - 1].split())
    return "fail", (f"{text}: {assertion}" if text == "AssertionError" else text)[:DETAIL]


def describe(error: BaseException) -> str:
    """Class and message of an error on one line."""
    name = type(error).__name__
    try:
        text = str(error)[: 2 * DETAIL]
    except BaseException:  # the message is made by code of the program
        text = ""
    return " ".join(f"{name}: {text}".split())[:DETAIL].removesuffix(":")


if __name__ == "__main__":
    main()
