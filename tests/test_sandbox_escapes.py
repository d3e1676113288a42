"""Programs that try to get out, to stay, to harm, or to fake a pass. Each must fail, and the next one must not notice.

A program says ``escaped = True`` where it got what it wanted, and only then does its function give right answers. So a
pass is an escape.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmexp_utils.sandbox import Boundary, Job, Limits, Outcome, SandboxError
from llmexp_utils.sandbox_pool import Worker

TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
GOOD = "import os\nassert os.listdir() == []\ndef f(x):\n    return x + x\n"
TAIL = "\ndef f(x):\n    return 2 * x if escaped else None\n"
LIMITS = Limits(seconds=2.0, cpu=1, memory_mb=256, file_mb=2)
CALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
CALL += "def call(*a):\n    r = libc.syscall(*a)\n    assert r != -1, ctypes.get_errno()\n    return r\n"
NUMBERS = {  # of system calls on x86_64
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "unshare": 272,
    "setns": 308,
    "kexec_load": 246,
    "init_module": 175,
    "bpf": 321,
    "perf_event_open": 298,
    "keyctl": 250,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "memfd_create": 319,
    "pidfd_open": 434,
    "socket": 41,
    "socketpair": 53,
    "ptrace": 101,
    "process_vm_readv": 310,
    "open_by_handle_at": 304,
    "sched_setaffinity": 203,
    "shmget": 29,
    "mq_open": 240,
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "reboot": 169,
    "settimeofday": 164,
    "seccomp": 317,
    "landlock_create_ruleset": 444,
}

READING = {
    "a secret in the home folder": "escaped = 'secret' in open('@secret').read()",
    "a secret by a symbolic link": "import os\nos.symlink('@secret', 'l')\nescaped = 'secret' in open('l').read()",
    "a secret by a hard link": "import os\nos.link('@secret', 'l')\nescaped = 'secret' in open('l').read()",
    "a secret by a relative path": "escaped = 'secret' in open('../../../../../..@secret').read()",
    "a secret that the library opens": "import runpy\nrunpy.run_path('@secret')\nescaped = True",
    "the list of the home folder": "import os\nescaped = bool(os.listdir('@folder'))",
    "the users of the machine": "escaped = 'root' in open('/etc/passwd').read()",
    "the repository": "escaped = bool(open('@repository/README.md').read())",
    "the test": "import os\nescaped = any('check' in open(os.path.join(a, n)).read() for a, _, c in os.walk('/') "
    "if not a.startswith(('/usr', '/lib', '/root', '/home', '/opt')) for n in c if n.endswith('.json'))",
    "its own environment": "escaped = bool(open('/proc/self/environ').read())",
    "environments of others": "import glob\nescaped = any(open(p).read() for p in glob.glob('/proc/*/environ')) or 1 / 0",
    "the memory of its parent": "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb').seek(4096)\nescaped = True",
    "the memory of the study": CALL
    + "b = ctypes.create_string_buffer(16)\ncall(310, @pid, b, 1, b, 1, 0)\nescaped = True",
    "a raw disk": "escaped = bool(open('/dev/vda', 'rb').read(1))",
    "the machine's memory": "escaped = bool(open('/dev/mem', 'rb').read(1))",
}
WRITING = {
    "outside": "open('@outside/made', 'w').write('x')\nescaped = True",
    "beside its folder": "open('../made', 'w').write('x')\nescaped = True",
    "into the root": "import os\nos.mkdir('/made')\nescaped = True",
    "into Python's library": "import os\nopen(os.__file__, 'a').write('')\nescaped = True",
    "through a symbolic link": "import os\nos.symlink('@outside', 'd')\nopen('d/made', 'w').write('x')\nescaped = True",
    "by moving a file out": "import os\nopen('a', 'w').close()\nos.rename('a', '@outside/made')\nescaped = True",
    "by linking a file out": "import os\nopen('a', 'w').close()\nos.link('a', '@outside/made')\nescaped = True",
    "into the homes of others": "import glob\nfor p in glob.glob('/tmp/sandbox-*') or [1 / 0]: open(p + '/made', 'w').close()\n"
    "escaped = True",
    "a device": "import os, stat\nos.mknod('d', 0o600 | stat.S_IFBLK, os.makedev(254, 0))\nescaped = True",
    "a set-user program": "import os\nopen('a', 'w').close()\nos.chmod('a', 0o4755)\nos.execv('./a', ['a'])\nescaped = True",
}
NETWORK = {
    "IPv4": "import socket\nsocket.create_connection(('127.0.0.1', @port), 1)\nescaped = True",
    "IPv6": "import socket\nsocket.socket(socket.AF_INET6).connect(('::1', @port))\nescaped = True",
    "a datagram": "import socket\nsocket.socket(2, 2).sendto(b'x', ('127.0.0.1', @port))\nescaped = True",
    "a Unix socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('@unix')\nescaped = True",
    "an abstract socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0@abstract')\nescaped = True",
    "a raw socket": "import socket\nsocket.socket(2, socket.SOCK_RAW, 1)\nescaped = True",
    "a packet socket": "import socket\nsocket.socket(17, 3, 768)\nescaped = True",
    "names": "import socket\nsocket.getaddrinfo('example.org', 80)\nescaped = True",
    "a pair of sockets": "import socket\nsocket.socketpair()\nescaped = True",
    "a library of Python": "import urllib.request as u\nu.urlopen('http://127.0.0.1:@port', timeout=1)\nescaped = True",
}
PROCESSES = {
    "a child": "import os\npid = os.fork()\nescaped = True",
    "a shell": "import os\nescaped = os.system('true') == 0",
    "another program": "import subprocess\nsubprocess.run(['/bin/true'], check=True)\nescaped = True",
    "itself replaced": "import os, sys\nos.execv(sys.executable, ['python', '-c', ''])\nescaped = True",
    "spawned": "import os\nos.posix_spawn('/bin/true', ['true'], {})\nescaped = True",
    "a pool": "import multiprocessing as m\nm.Pool(2)\nescaped = True",
    "a daemon": "import os\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\nescaped = True",
    "a session": "import os\nos.setsid()\nescaped = True",
    "signals to its parent": "import os, signal\nos.kill(os.getppid() or 1, signal.SIGKILL)\nescaped = True",
    "signals to the study": "import os\nos.kill(@pid, 9)\nescaped = True",
    "signals to all": "import os\nos.kill(-1, 9)\nescaped = True",
    "signals to its group": "import os\nos.killpg(0, 9)\nescaped = True",
    "signals to every number": "import os\nn = 0\nfor p in range(1, 400):\n  try: os.kill(p, 0); n += p != os.getpid()\n"
    "  except OSError: 0\nescaped = n > 0",
    "signals by a file": "import fcntl\nfcntl.fcntl(0, fcntl.F_SETOWN, 1)\nescaped = True",
    "another user": "import os\nos.setuid(0)\nescaped = True",
    "more memory": "import resource as r\nr.setrlimit(r.RLIMIT_AS, (1 << 40, 1 << 40))\nescaped = True",
    "another's limits": "import resource as r\nr.prlimit(1, r.RLIMIT_CPU, (1, 1))\nescaped = True",
    "another's priority": "import os\nos.setpriority(os.PRIO_PROCESS, 1, 19)\nescaped = True",
    "a tracer": CALL + "call(101, 16, 1, 0, 0)\nescaped = True",
}
BOMBS = {
    "of forks": "import os\nwhile True:\n    os.fork()",
    "of threads": "import threading, time\nthreading.stack_size(32768)\nfor _ in range(9999):\n"
    "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\nescaped = True",
    "of memory": "x = bytearray(1 << 34)\nescaped = True",
    "of memory, slowly": "x = [0]\nwhile True: x += x",
    "of mapped memory": "import mmap\nx = [mmap.mmap(-1, 1 << 20) for _ in range(9999)]\nescaped = True",
    "of files": "for n in range(99_999):\n    open(f'f{n}', 'w').close()\nescaped = True",
    "of one file": "open('f', 'wb').write(bytes(8 << 20))\nescaped = True",
    "of holes": "import os\nos.truncate(os.open('f', os.O_CREAT | os.O_RDWR), 1 << 40)\nescaped = True",
    "of open files": "import os\nx = [os.dup(0) for _ in range(999)]\nescaped = True",
    "of output": "while True: print('x' * 9999)",
    "of time": "while True: pass",
    "of sleep": "import time\ntime.sleep(99)",
    "of time, deaf": "import signal\nfor n in (14, 15, 24): signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    "of recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef g(n): return g(n + 1)\ng(0)\nescaped = True",
    "of recursion in C": "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)\nescaped = True",
    "of syntax": "compile('(' * 99999 + ')' * 99999, '', 'eval')\nescaped = True",
    "in memory of C": "import ctypes\nctypes.string_at(0)\nescaped = True",
}
LIES = {
    "an early exit": "import sys\nsys.exit(0)",
    "a hard exit": "import os\nos._exit(0)",
    "an exit when asked": "import os\ndef f(x): os._exit(0)",
    "an exception of exit": "def f(x): raise SystemExit(0)",
    "a word": "import os\nprint('pass', flush=True)\nos._exit(0)",
    "a message to every pipe": "import os\nfor n in range(3, 64):\n  try: os.write(n, b'pass')\n  except OSError: 0\nos._exit(0)",
    "no assertions": "import builtins\nbuiltins.AssertionError = Warning\ndef f(x): return 0",
    "another exec": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef f(x): return 0",
    "another check": "def check(c): pass\ndef f(x): return 0",
    "something equal to all": "class E(int):\n  def __eq__(s, o): return True\n  __hash__ = None\ndef f(x): return E(0)",
    "an object equal to all": "class E:\n  def __eq__(s, o): return True\ndef f(x): return E()",
    "a list of such": "class E(list):\n  def __eq__(s, o): return True\ndef f(x): return [E()]",
    "a class with a known name": "class Fraction:\n  def __eq__(s, o): return True\nFraction.__module__ = 'fractions'\n"
    "Fraction.__qualname__ = 'Fraction'\ndef f(x): return Fraction()",
    "a message with code": "import os, pickle\nclass E:\n  def __reduce__(s): return os.system, ('touch @outside/made',)\n"
    "d = pickle.dumps(E())\nos.write(4, len(d).to_bytes(4, 'little') + d)\nimport time\ntime.sleep(9)",
    "a message without end": "import os\nos.write(4, b'\\xff' * 4)\nimport time\ntime.sleep(9)",
    "a message without sense": "import os\nos.write(4, (4).to_bytes(4, 'little') + b'abcd')\nimport time\ntime.sleep(9)",
    "answers in advance": "import os, pickle\nd = pickle.dumps(('pass', ''))\nfor _ in range(9): os.write(4, "
    "len(d).to_bytes(4, 'little') + d)\nimport time\ntime.sleep(9)",
    "a message that changes a class": "import os, time\nfor m, n in [('collections', 'Counter'), ('builtins', 'list'), "
    "('llmexp_utils.sandbox_values', 'Opaque')]:\n"
    "  d = f'c{m}\\n{n}\\n(N}}\\x8c\\x06__eq__cbuiltins\\ntuple\\nstb.'.encode('latin-1')\n"
    "  os.write(4, len(d).to_bytes(4, 'little') + d)\ntime.sleep(9)",
    "closed pipes": "import os\nos.closerange(3, 64)\ndef f(x): return 0",
    "what stands in memory": "import gc\nw = ')3(etadidnac'\nescaped = any(w[::-1] in str(o) for p in gc.get_objects() "
    "for o in gc.get_referents(p) if isinstance(o, (str, bytes)))\nassert escaped",
    "what stands in frames": "import sys\nw, f, t = ')3(etadidnac', sys._getframe(), ''\n"
    "while f: t += repr(f.f_locals) + repr(f.f_globals); f = f.f_back\nescaped = w[::-1] in t\nassert escaped",
    "the judge as a module": "import llmexp_utils.sandbox_judge\nescaped = True",
    "the judge by another way": "import sys\nescaped = any('sandbox_judge' in n for n in sys.modules)\nassert escaped",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What there is to steal and to reach outside."""
    folder = tmp_path_factory.mktemp("outside")
    home = Path.home() if os.access(Path.home(), os.W_OK) else folder
    secret = home / f".llmexp-test-{os.getpid()}"
    secret.write_text("secret = 1")
    unix, abstract = str(folder / "s"), f"llmexp-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as named:
        with socket.socket(socket.AF_UNIX) as unnamed:
            named.bind(unix)
            named.listen()
            unnamed.bind(f"\0{abstract}")
            unnamed.listen()
            yield {
                "@secret": str(secret),
                "@folder": str(home),
                "@outside": str(folder),
                "@repository": str(Path(__file__).parents[1]),
                "@port": str(server.getsockname()[1]),
                "@unix": unix,
                "@abstract": abstract,
                "@pid": str(os.getpid()),
            }
    secret.unlink()


@pytest.fixture(scope="module", params=[Boundary.FULL, Boundary.CONFINED])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    try:
        with Worker(replace(LIMITS, boundary=request.param)) as one:
            yield one
    except SandboxError as error:
        pytest.skip(str(error))


def attempt(worker: Worker, host: dict[str, str], program: str) -> Outcome:
    """Outcome of a hostile program; the next one must find everything as it should be."""
    for name, value in host.items():
        program = program.replace(name, value)
    before = worker.pid
    outcome, _ = worker.run(Job("hostile", program if "def f" in program else program + TAIL, TEST, "f"))
    after, _ = worker.run(Job("next", GOOD, TEST, "f"))
    assert after.verdict == "pass", after
    assert worker.pid == before, "the program brought its worker down"
    assert not (Path(host["@outside"]) / "made").exists()
    return outcome


def cases(*groups: dict[str, str]) -> list:
    return [pytest.param(program, id=name) for group in groups for name, program in group.items()]


@pytest.mark.parametrize("program", cases(READING, WRITING, NETWORK, PROCESSES))
def test_what_is_forbidden_is_refused(worker: Worker, host: dict[str, str], program: str) -> None:
    outcome = attempt(worker, host, program)
    assert outcome.verdict in ("error", "fail"), outcome


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize("name", NUMBERS)
def test_system_calls_are_refused(worker: Worker, host: dict[str, str], name: str) -> None:
    outcome = attempt(worker, host, f"{CALL}call({NUMBERS[name]}, 0, 0, 0, 0, 0, 0)\nescaped = True")
    assert (outcome.verdict, outcome.detail) == ("error", "AssertionError: 1"), outcome  # 1: not permitted


@pytest.mark.parametrize("program", cases(BOMBS))
def test_bombs_hurt_nobody_else(worker: Worker, host: dict[str, str], program: str) -> None:
    outcome = attempt(worker, host, program)
    assert outcome.verdict in ("error", "timeout", "fail"), outcome


def test_the_disk_is_not_filled(worker: Worker, host: dict[str, str]) -> None:
    if worker.limits.boundary != Boundary.FULL:
        pytest.skip("without a file system of its own only the size of each file is limited")
    program = "for n in range(64):\n    open(f'f{n}', 'wb').write(bytes(2 << 20))\nescaped = True"
    outcome = attempt(worker, host, program)
    assert (outcome.verdict, outcome.detail) == ("error", "OSError: [Errno 28] No space left on device")


@pytest.mark.parametrize("program", cases(LIES))
def test_a_pass_cannot_be_faked(worker: Worker, host: dict[str, str], program: str) -> None:
    outcome = attempt(worker, host, program)
    assert outcome.verdict in ("error", "fail"), outcome


def test_every_attempt_would_be_seen(host: dict[str, str]) -> None:
    """The attempts do what they say where nothing forbids it: some of them, with limits alone."""
    groups = (READING["a secret in the home folder"], WRITING["outside"], NETWORK["IPv4"], PROCESSES["a shell"])
    with Worker(replace(LIMITS, boundary=Boundary.LIMITS)) as weak:
        for program in groups:
            for name, value in host.items():
                program = program.replace(name, value)
            outcome, _ = weak.run(Job("hostile", program + TAIL, TEST, "f"))
            assert outcome.verdict == "pass", (program, outcome)
    (Path(host["@outside"]) / "made").unlink()


def test_files_of_a_program_are_gone_for_the_next(worker: Worker, host: dict[str, str]) -> None:
    left = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\n"
    deep = "import os\nfor _ in range(2000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    for program in (left, deep, "import os\nos.symlink('/', 'root')\nos.symlink('@outside', 'o')\n"):
        assert attempt(worker, host, program + "escaped = True").verdict != "timeout"
