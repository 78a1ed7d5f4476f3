"""Sources of a log: files, folders and standard input; plain, gzip or zstd, detected by their first bytes."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa

from stream_app.errors import EmptyLog, NoSuchLog

STANDARD_INPUT: Final = "-"
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
PARQUET: Final = b"PAR1"
# Small, to lose little data if a file is truncated within a compressed block.
READ_BYTES: Final = 65_536


class Source(msgspec.Struct, frozen=True):
    """One file of a log, with its position among the files and its display name."""

    index: int
    name: str
    path: Path

    @property
    def size(self) -> int:
        """Size on disk in bytes."""
        return self.path.stat().st_size

    @property
    def magic(self) -> bytes:
        """First four bytes, which identify gzip, zstd and Parquet files."""
        with self.path.open("rb") as file:
            return file.read(4)

    def open(self) -> SourceStream:
        """Open a stream of the uncompressed bytes."""
        return SourceStream(self.path)


class SourceStream(io.RawIOBase):
    """The uncompressed bytes of a file. If compressed data is damaged, the stream ends early and `damage` says why.

    Ending early instead of raising preserves the data decompressed so far.
    """

    def __init__(self, path: Path) -> None:
        self.damage = ""
        self._file = path.open("rb")
        self._unpacked = _decompressor(self._file)

    def readable(self) -> bool:
        """Return True, as required by io.BufferedReader."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, or b"" at the end."""
        wanted = READ_BYTES if size < 0 else size
        try:
            return self._unpacked(wanted)
        except (EOFError, OSError, zlib.error) as error:
            self.damage = f"the compressed data is truncated or damaged here ({error})"
            return b""

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed wants Buffer of 3.12
        """Read bytes into a buffer and return how many were read, 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @property
    def position(self) -> int:
        """Number of bytes of the file on disk that have been read."""
        return self._file.tell()

    def close(self) -> None:
        """Close the stream and its file."""
        self._file.close()
        super().close()


def _decompressor(file: BinaryIO) -> Callable[[int], bytes]:
    """Return a function that reads up to a given number of uncompressed bytes."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=file).read1
    if magic == ZSTD:
        packed = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        return lambda size: packed.read(min(size, READ_BYTES))
    return file.read


def expand(paths: Sequence[str | Path], workdir: Path, stdin: BinaryIO | None = None) -> list[Source]:
    """Return the files of a log in reading order.

    Args:
        paths: files, folders, and `-` for standard input. Folders are searched recursively and sorted by path; names
            that begin with `.` or `_` are skipped, like the metadata of Spark and Hive.
        workdir: folder for a copy of standard input, since a log is read twice.
        stdin: stream to read for `-`.

    Raises:
        NoSuchLog: a path does not exist or cannot be read.
        EmptyLog: a folder contains no files.
    """
    named = [pair for path in paths for pair in _files(path, workdir, stdin)]
    sources = [Source(index, name, path) for index, (name, path) in enumerate(named)]
    for source in sources:
        try:
            source.magic  # noqa: B018  # raises if the file cannot be read
        except OSError as error:
            raise NoSuchLog(file=source.name, problem=error.strerror) from error
    return sources


def _files(path: str | Path, workdir: Path, stdin: BinaryIO | None) -> Iterable[tuple[str, Path]]:
    if str(path) == STANDARD_INPUT:
        return [("standard input", _spool(stdin or sys.stdin.buffer, workdir))]
    place = Path(path)
    if not place.is_dir():
        return [(str(path), place)]
    found = [(str(file), file) for file in sorted(_visible(place))]
    if not found:
        raise EmptyLog(file=path)
    return found


def _visible(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _visible(entry)
        else:
            yield entry


def _spool(stdin: BinaryIO, workdir: Path) -> Path:
    copy = workdir / "standard-input"
    with copy.open("wb") as file:
        shutil.copyfileobj(stdin, file)
    return copy
