"""Where a log lies: files, folders and standard input; plain, gzip or zstd, told by their first bytes."""

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
# Small enough that a file cut off in the middle of a compressed block loses little of what could be unpacked.
READ_BYTES: Final = 65_536


class Source(msgspec.Struct, frozen=True):
    """One file of a log. `name` is what people are shown, `index` its place among the files of the log."""

    index: int
    name: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes on the disk, compressed or not."""
        return self.path.stat().st_size

    @property
    def magic(self) -> bytes:
        """The first four bytes, which tell a gzip, zstd or Parquet file whatever its name is."""
        with self.path.open("rb") as file:
            return file.read(4)

    def open(self) -> SourceStream:
        """The unpacked bytes from the beginning."""
        return SourceStream(self.path)


class SourceStream(io.RawIOBase):
    """The unpacked bytes of a file. Where packed data is damaged, the stream ends and `damage` says why.

    An error in the middle would drop what was unpacked just before; an early end keeps all of it.
    """

    def __init__(self, path: Path) -> None:
        self.damage = ""
        self._file = path.open("rb")
        self._unpacked = _unpacker(self._file)

    def readable(self) -> bool:
        """Always; asked by the wrappers of the standard library."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; fewer do not mean that the end is near, none do."""
        wanted = READ_BYTES if size < 0 else size
        try:
            return self._unpacked(wanted)
        except (EOFError, OSError, zlib.error) as error:
            self.damage = f"the compressed data is cut off or damaged here ({error})"
            return b""

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed wants Buffer of 3.12
        """Fill the buffer from the start; the number of bytes, 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @property
    def position(self) -> int:
        """Bytes of the file on the disk that were read so far."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file beneath too."""
        self._file.close()
        super().close()


def _unpacker(file: BinaryIO) -> Callable[[int], bytes]:
    """A function that gives at most so many unpacked bytes, none at the end."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=file).read1
    if magic == ZSTD:
        packed = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        return lambda size: packed.read(min(size, READ_BYTES))
    return file.read


def expand(paths: Sequence[str | Path], workdir: Path, stdin: BinaryIO | None = None) -> list[Source]:
    """The files of a log in reading order.

    paths: files, folders (searched in depth, sorted by path; names that begin with `.` or `_` are skipped, as the
    bookkeeping of Spark and Hive is) and `-` for standard input, copied to `workdir` because a log is read twice.
    Raises NoSuchLog for a path that is not there or not readable, EmptyLog for a folder without files.
    """
    named = [pair for path in paths for pair in _files(path, workdir, stdin)]
    sources = [Source(index, name, path) for index, (name, path) in enumerate(named)]
    for source in sources:
        _check_readable(source)
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


def _check_readable(source: Source) -> None:
    try:
        source.magic  # noqa: B018  # reads, and so finds out
    except OSError as error:
        raise NoSuchLog(file=source.name, problem=error.strerror) from error
