"""Line states kept by content: each (correct function, faulty version) pair is read by the frozen model once.

A store is a folder with two append-only files: ``states.f16`` (float16 rows of all lines, one after the other) and
``index.jsonl`` (key, first row, number of rows). Rows are written before their index line, so that a killed run leaves
nothing half-known, and other processes can map the rows into memory.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache as remember
from pathlib import Path

import numpy as np

from llmexp_utils.reader import DEFAULT_READER, Reader, weights

FUNCTIONS_A_TASK = 24


class StateStore:
    """Line states of one model and layer in a folder."""

    def __init__(self, folder: Path, hidden: int) -> None:
        self.folder, self.hidden = Path(folder), hidden
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._index = self.folder / "states.f16", self.folder / "index.jsonl"
        self._place: dict[str, tuple[int, int]] = {}
        lines = self._index.read_text().splitlines() if self._index.exists() else []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut short by a kill: that pair is read again
            self._place[entry["key"]] = (entry["row"], entry["n"])

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def get(self, keys: Sequence[str]) -> list[np.ndarray]:
        """Arrays (n_lines, hidden), float16, mapped from the file."""
        if not keys:
            return []
        whole = self._rows.stat().st_size // (2 * self.hidden)  # a killed run may have left a piece of a row
        rows = np.memmap(self._rows, np.float16, "r", shape=(whole, self.hidden))
        return [rows[start : start + n] for start, n in (self._place[key] for key in keys)]

    def add(self, keys: Sequence[str], states: Sequence[np.ndarray]) -> None:
        """Append arrays."""
        size = 2 * self.hidden
        with self._rows.open("ab") as rows, self._index.open("a+") as index:
            if extra := rows.tell() % size:  # a row cut short by a kill
                rows.truncate(rows.tell() - extra)
                rows.seek(0, 2)
            index.seek(max(0, index.tell() - 1))
            if index.tell() and index.read(1) not in ("", "\n"):
                index.write("\n")
            for key, one in zip(keys, states, strict=True):
                entry = {"key": key, "row": rows.tell() // size, "n": len(one)}
                rows.write(np.ascontiguousarray(one, np.float16).tobytes())
                rows.flush()
                index.write(json.dumps(entry) + "\n")
                self._place[key] = (entry["row"], entry["n"])


def pair_key(model: str, correct: str, code: str) -> str:
    """Key of a version's states: they depend on the model and on both texts (see :mod:`hidden_states`)."""
    return hashlib.sha256(f"{model}\0{correct}\0{code}".encode()).hexdigest()


def line_states_of(
    codes: Sequence[str],
    corrects: Sequence[str],
    cache: Path,
    reader: Reader = DEFAULT_READER,
    workers: int = 2,
    progress: bool = True,
) -> list[np.ndarray]:
    """Line states of faulty functions, from the store or read now, with a progress bar.

    Parameters
    ----------
    codes, corrects : sequence of str
        Faulty functions and the correct ones that they are versions of, in normal form.
    cache : Path
        Folder of the stores.
    reader : Reader
        The model, the layer and the pooling.
    workers : int
        Processes of one thread each; one reads in this process.

    Returns
    -------
    list of ndarray
        One (n_lines, hidden) float16 array a function.
    """
    import filelock

    model, path = reader.identity, weights(reader.model)
    folder = (
        Path(cache) / "states" / (model[:16] + model[24:])
    )  # a short hash, and the pooling if it is not the usual one
    pairs = list(zip(codes, corrects, strict=True))
    keys = [pair_key(model, correct, code) for code, correct in pairs]
    hidden = _hidden_size(path, reader.layers)
    store = StateStore(folder, hidden)
    if all(key in store for key in keys):
        return store.get(keys)
    with filelock.FileLock(folder / "writer.lock"):
        store = StateStore(folder, hidden)  # another process may have read some of them meanwhile
        wanted = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in store}
        if wanted:
            _read(wanted, store, reader, workers, progress)
    return store.get(keys)


def _read(wanted: dict[str, tuple[str, str]], store: StateStore, reader: Reader, workers: int, progress: bool) -> None:
    from tqdm.auto import tqdm

    by_correct = sorted(wanted, key=lambda key: wanted[key][1])  # versions of one function share its reading
    parts = [by_correct[start : start + FUNCTIONS_A_TASK] for start in range(0, len(by_correct), FUNCTIONS_A_TASK)]
    tasks = [[(key, *wanted[key]) for key in part] for part in parts]
    with tqdm(total=len(wanted), desc="reading functions", unit="function", disable=not progress) as bar:
        for keys, states in _results(tasks, reader, workers):
            store.add(keys, states)
            bar.update(len(keys))


def _results(tasks: list, reader: Reader, workers: int) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    if workers == 1 or len(tasks) == 1:
        yield from (_read_task(reader, task) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        yield from pool.map(_read_task, [reader] * len(tasks), tasks)


def _read_task(reader: Reader, task: list[tuple[str, str, str]]) -> tuple[list[str], list[np.ndarray]]:
    from llmexp_utils.hidden_states import line_states

    keys, codes, corrects = (list(column) for column in zip(*task, strict=True))
    model, tokenizer = _loaded(weights(reader.model), reader.layers)
    return keys, line_states(codes, model, tokenizer, corrects, reader.pooling)


@remember
def _loaded(path: Path, layers: int) -> tuple:
    """Model and tokenizer, loaded once a process."""
    from llmexp_utils.lower_layers import load_lower_layers

    return load_lower_layers(path, layers)


def _hidden_size(path: Path, layers: int) -> int:
    from llmexp_utils.lower_layers import lower_layers_folder

    config = json.loads((lower_layers_folder(path, layers) / "config.json").read_text())
    return config["hidden_size"] if "hidden_size" in config else config["n_embd"]  # GPT-2 has its own word
