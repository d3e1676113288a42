"""One notebook, run headlessly in a kernel of its own."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmexp_utils import progress
from llmexp_utils.errors import RunFailed

LONGEST_SOCKET_PATH = 80
"""A Unix socket's path may have about 100 characters; a longer temporary folder is passed over for /tmp."""


def execute(notebook: Path, executed: Path, parameters: Mapping[str, Any], root: Path, title: str = "") -> None:
    """Run a notebook with papermill, in the folder ``root``; what it printed is kept, also if it fails.

    The kernel is this very Python, whatever kernels are installed, and is spoken to over Unix sockets in a
    private folder: with TCP, kernels that start at the same moment can be given the same port.

    Parameters
    ----------
    notebook : Path
        Notebook to run; it is not changed.
    executed : Path
        Where the executed notebook goes; saved after each cell, so it shows how far a killed run came.
    parameters : mapping
        Values for the ``parameters`` cell.
    root : Path
        Working folder of the kernel.
    title : str
        What its progress is shown under (default: its name).

    Raises
    ------
    RunFailed
        If a cell raises or the kernel dies.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # optional to jsonschema; compiles a grammar for seconds
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what ends a run is raised, and told once
    import papermill
    from nbclient.exceptions import DeadKernelError

    executed.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="llmexp-", dir=_socket_folder()) as sockets:
        status = Path(sockets) / "status"
        manager_class, started = _kernel_manager(Path(sockets), {progress.STATUS: str(status)})
        try:
            with progress.shown(title or notebook.stem, status):
                papermill.execute_notebook(
                    notebook,
                    executed,
                    dict(parameters),
                    cwd=root,
                    progress_bar=False,
                    kernel_manager_class=manager_class,
                )
        except papermill.PapermillExecutionError as error:
            place = f"{notebook.stem}, cell [{error.exec_count}]"
            raise RunFailed(f"{place}: {_message(error)}; see {executed}") from None
        except DeadKernelError:
            raise RunFailed(f"{notebook.stem}: the kernel died (out of memory?); see {executed}") from None
        except KeyboardInterrupt:
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the cell ends with its kernel: no news
            raise
        finally:
            for manager in started:
                _kill(manager)


def _kernel_manager(sockets: Path, environment: Mapping[str, str]) -> tuple[type, list[Any]]:
    """Class of kernel managers that start this Python's ipykernel on sockets in a folder; its objects."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    made: list[Any] = []

    class LocalKernelManager(AsyncKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs, transport="ipc", connection_file=str(sockets / "kernel.json"))
            made.append(self)

        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            command += ["--log-level=CRITICAL", f"--InteractiveShellApp.extra_extensions={progress.__name__}"]
            return KernelSpec(argv=command, display_name="Python 3", language="python", env=dict(environment))

    return LocalKernelManager, made


def _kill(manager: Any) -> None:
    """End a kernel that is still there: its client, interrupted while it started, does not."""
    process = getattr(manager.provisioner, "process", None)
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()


def _message(error: Any) -> str:
    """One line for the error of a cell; a StudyError, which renders as its bare message, is only that."""
    lines = [line for line in str(error.evalue).splitlines() if line.strip()] or [""]
    if "".join(error.traceback) == "".join(str(error.evalue).splitlines()):
        return "; ".join(lines)
    return f"{error.ename}: {lines[0]}"


def _socket_folder() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder) < LONGEST_SOCKET_PATH else "/tmp"
