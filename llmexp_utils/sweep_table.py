"""Results of a sweep as one tidy table for each kind of row: what was swept, the notebook's rows, where they are from.

``runs/<profile>/sweep/`` gets ``points.csv`` (one row a point) and, for each frame that the notebooks write
(``predictions``, ...), a Parquet file and a CSV file (columns that hold lists are in the Parquet file only), and of
predictions a ``..._summary.csv``: :mod:`llmexp_utils.sweep_summary`. One point is in memory at a time, for the summary
the points that are compared with each other. A CSV file is written of what a spreadsheet can open: a million rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llmexp_utils import frames, freshness
from llmexp_utils.paths import atomic_target, atomic_write
from llmexp_utils.sweep import Point, word
from llmexp_utils.sweep_summary import SWEPT, distinct, is_within, summary

CSV_ROWS = 1_000_000
SUFFIXES = (".parquet", ".jsonl")
ENDS, PREDICTIONS = (".parquet", ".csv", "_summary.csv"), "predictions"


def table_paths(points: Iterable[Point]) -> list[Path]:
    """Files that :func:`collect` writes, relative to the repository; none without points."""
    points = list(points)
    if not points:
        return []
    names = dict.fromkeys(field for point in points for field in _frames(point))
    folder = points[0].done.parents[2]
    ends = {name: ENDS if name.endswith(PREDICTIONS) else ENDS[:2] for name in names}
    return [folder / "points.csv", *(folder / f"{name}{end}" for name in names for end in ends[name])]


def collect(points: Mapping[str, Point]) -> list[str]:
    """Write the tables of all points whose result stands; returns the names of the others."""
    missing = [name for name, point in points.items() if point.changes()]
    standing = [point for name, point in points.items() if name not in missing]
    root = next(iter(points.values())).study.root
    described = {point.name: _facts(point) | _provenance(point) for point in standing}
    listed, *tables = table_paths(points.values())
    _write_csv(pd.DataFrame(list(described.values())), root / listed)
    for path in (root / path for path in tables if path.suffix == ".parquet"):
        own = [point for point in standing if path.stem in _frames(point)]
        _join(own, path)
        if path.stem.endswith(PREDICTIONS):
            _write_csv(summary(_compared(own, path.stem)), path.with_name(f"{path.stem}{ENDS[-1]}"))
    return missing


def _join(points: Sequence[Point], path: Path) -> None:
    """Write the rows of one frame of all points, a point at a time, as Parquet and, if they are not too many, CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = (pa.Table.from_pandas(_rows(point, path.stem), preserve_index=False) for point in points)
    schema = pa.unify_schemas([table.schema for table in tables] or [pa.schema([])], promote_options="permissive")
    schema, csv, written = schema.remove_metadata(), path.with_suffix(".csv"), 0
    plain = [field.name for field in schema if not pa.types.is_list(field.type)]
    with (
        atomic_target(path) as parquet,
        atomic_target(csv) as text,
        pq.ParquetWriter(parquet, schema, compression="zstd") as writer,
    ):
        for point in points:
            rows = _rows(point, path.stem).reindex(columns=schema.names)
            writer.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))
            if written + len(rows) <= CSV_ROWS:
                rows[plain].to_csv(text, mode="a", header=not written, index=False)
            written += len(rows)
    if written > CSV_ROWS:
        csv.unlink()


def _compared(points: Iterable[Point], field: str) -> Iterator[pd.DataFrame]:
    """Rows of points that are compared with each other: those that differ in a condition, a seed or a fold alone."""
    groups: dict[tuple[tuple[str, Any], ...], list[Point]] = {}
    for point in points:
        within = tuple((name, value) for name, value in _facts(point).items() if is_within(name))
        groups.setdefault(within, []).append(point)
    for group in groups.values():
        yield distinct(_rows(point, field) for point in group)


def _rows(point: Point, field: str) -> pd.DataFrame:
    """Rows of one frame of a point, between what was swept and their provenance."""
    rows = frames.read_frame(point.study.root / getattr(point.study.params[point.notebook], field), {})
    before = pd.DataFrame([_facts(point)] * len(rows), index=rows.index)
    after = pd.DataFrame([_provenance(point)] * len(rows), index=rows.index)
    return pd.concat([before, rows, after], axis=1)


def _facts(point: Point) -> dict[str, Any]:
    """What was swept; its columns cannot meet those of the rows, which may well have a ``seed`` of their own."""
    swept = {
        f"{SWEPT}{name}": word(value) if isinstance(value, list) else value for name, value in point.values.items()
    }
    return {"point": point.name, "notebook": point.notebook, **swept}


def _provenance(point: Point) -> dict[str, Any]:
    record = freshness.read_record(point.study.record_path(point.notebook))
    code = {name: part for name, part in record.fingerprint.items() if name == "code" or name.startswith("module ")}
    known = {"point_code": freshness.digest(code), "point_finished": record.finished, "point_seconds": record.seconds}
    return known | {f"point_{name}": text for name, text in record.provenance.items()}


def _frames(point: Point) -> list[str]:
    """Fields of the notebook that name a frame which it writes."""
    params = point.study.params[point.notebook]
    return [field for field in params.names("writes") if Path(getattr(params, field)).suffix in SUFFIXES]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    plain = [name for name in table if not table[name].map(pd.api.types.is_list_like).any()]
    atomic_write(path, table[plain].to_csv(index=False))
