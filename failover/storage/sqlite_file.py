"""Opening an SQLite file so that it is ours, alone, and safe against power loss; and what its errors mean.

Nothing here knows what the tables are for. The file is judged before anything is written to it: what is
damaged or belongs to another program stays as it is.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from failover.errors import FailoverError, StorageCorrupt, StorageFailed, StorageInUse

APPLICATION_ID = 0x464F5652
""""FOVR" in the file's header: tells our files from those of other programs."""

FORMAT_VERSION = 1
"""The `user_version`: the arrangement of the tables below."""

QUICK_CHECK_SIZE_MAX = 64 * 1024 * 1024
"""Files up to this size have their structure checked at opening (measured: 1.5 ms for each MiB, in cache).
For larger ones that would be felt; there the checksums on all rows, which `load` reads anyhow, must do."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE entry (
    log_index INTEGER PRIMARY KEY, term INTEGER NOT NULL, command BLOB NOT NULL, membership BLOB,
    checksum INTEGER NOT NULL);
CREATE TABLE chunk (number INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE record (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
COMMIT;
"""

_PRAGMAS = (
    # The lock of this connection lasts until it is closed, so a second process cannot get between two writes.
    # It also keeps the index of the write-ahead log in our own memory: no -shm file, no shared mapping.
    ("locking_mode", "EXCLUSIVE"),
    # A commit is one append to the write-ahead log; the default journal needs three syncs for it.
    ("journal_mode", "WAL"),
    # NORMAL would not sync at commit: a power failure could then take back a vote. FULL is one sync for each.
    ("synchronous", "FULL"),
    # On macOS a plain fsync leaves the data in the drive's cache; elsewhere these two do nothing.
    ("fullfsync", "ON"),
    ("checkpoint_fullfsync", "ON"),
    # After this many pages (4 MiB) a commit moves them into the main file and the log starts over at its
    # beginning. There are no other readers, so that always succeeds, and the log stays bounded.
    ("wal_autocheckpoint", "1000"),
    # One huge batch may stretch the log once; the next start-over cuts it back to this.
    ("journal_size_limit", str(16 * 1024 * 1024)),
    # A damaged page is refused when it is read, instead of being believed.
    ("cell_size_check", "ON"),
    # A schema that somebody else wrote may not call functions with side effects.
    ("trusted_schema", "OFF"),
    # Reads through a mapping turn an I/O error into SIGBUS, which ends the process.
    ("mmap_size", "0"),
    # Temporary tables, should SQLite want one, belong in memory: not in a directory that others can read.
    ("temp_store", "MEMORY"),
)

_MOVE_AWAY = "move it away and join again with a ticket; nothing was changed"

# Low bytes of SQLite's result codes (https://www.sqlite.org/rescode.html), by what they mean to us.
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FAILED = {
    sqlite3.SQLITE_FULL: "there is no room left on the disk; make room, then it goes on",
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only; make it writable",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check the disk, or move the game to another",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened or created; check the directory and who may write there",
    sqlite3.SQLITE_PERM: "permission denied; check who may write there",
    sqlite3.SQLITE_AUTH: "permission denied; check who may write there",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_INTERRUPT: "the call was interrupted",
}
_SHORT_READ = 522  # an I/O error that is none: the file ends in the middle of a page


def corrupt(path: Path, found: str) -> StorageCorrupt:
    """Return the error that says what was found in which file, and what to do."""
    return StorageCorrupt(f"{path}: {found}. If it held your game, {_MOVE_AWAY}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the system into ours, each with one line that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(path, error) from error
    except OSError as error:
        raise StorageFailed(f"{path}: {error.strerror or error}") from error


def _translate(path: Path, error: sqlite3.Error) -> FailoverError:
    code = getattr(error, "sqlite_errorcode", None)  # errors of the Python module itself have none
    primary = None if code is None else code & 0xFF
    if primary in _IN_USE:
        return StorageInUse(f"{path} is open in another process; close it there, or use another file")
    if primary in _FAILED and code != _SHORT_READ:
        return StorageFailed(f"{path}: {_FAILED[primary]} ({error})")
    return corrupt(path, f"damaged ({error})")


def open_exclusive(path: Path) -> sqlite3.Connection:
    """Open the storage at `path`, creating it if nothing is there, and keep everybody else out.

    Raises:
        StorageInUse: another process, or another object of this one, has it open; at once, without waiting.
        StorageCorrupt: damaged, or not one of ours.
        StorageFailed: the system refused.
    """
    with translated(path):
        if not path.exists():
            _create(path)
        check_is_ours(path)
        # SQLite would open it read-only without a word, and fail later with a vague "disk I/O error".
        if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise StorageFailed(f"{path}: {_FAILED[sqlite3.SQLITE_READONLY]}")
        connection = _connect(path, "mode=rw")
        try:
            _lock_and_check(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open the storage at `path` for looking only. Raises as `open_exclusive` does, and makes no file."""
    with translated(path):
        if not path.exists():
            raise StorageFailed(f"{path}: there is no such file")
        check_is_ours(path)
        # A write-ahead log beside it means: open elsewhere (then the first read says so), or left by a crash
        # and to be read along. Without one nothing can change; `immutable` keeps SQLite from making files.
        left_over = path.with_name(path.name + "-wal").exists()
        connection = _connect(path, "mode=ro" if left_over else "mode=ro&immutable=1")
        try:
            _check_version(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def check_is_ours(path: Path) -> None:
    """Refuse, without touching it, what another program wrote.

    Read through an `immutable` connection, which takes no locks and makes no files. (A plain `open` and
    `close` would drop this process's POSIX locks on the file: https://www.sqlite.org/howtocorrupt.html, 2.2.)
    """
    if path.is_dir():
        raise StorageCorrupt(f"{path} is a directory; name a file in it")
    if not path.is_file():
        raise StorageCorrupt(f"{path} is not a plain file; name another")
    if path.stat().st_size == 0:  # `_create` never leaves one
        raise corrupt(path, "empty, so not written by this library, or lost by the disk")
    with closing(_connect(path, "mode=ro&immutable=1")) as connection:
        try:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT:
                return  # perhaps another process is just writing; judged again under the lock
            raise
    if found != APPLICATION_ID:
        raise corrupt(path, "a database of another program")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=0,  # who is second hears so at once
        isolation_level=None,  # transactions begin and end where this package says, and nowhere else
        check_same_thread=False,  # one thread at a time, as the contract says, but not always the same
    )


def _lock_and_check(path: Path, connection: sqlite3.Connection) -> None:
    for name, value in _PRAGMAS:
        connection.execute(f"PRAGMA {name} = {value}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    _check_version(path, connection)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        raise StorageFailed(f"{path}: this file system allows no write-ahead log ({mode}); use a local disk")
    if path.stat().st_size <= QUICK_CHECK_SIZE_MAX:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise corrupt(path, f"damaged ({' '.join(verdict.split())})")
    # Left by a reader of a storage that had crashed; with the lock in our hands nobody uses it.
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT_VERSION:
        raise StorageCorrupt(
            f"{path}: written by a newer version of this library (format {version}); update the game"
        )
    if version != FORMAT_VERSION:
        raise corrupt(path, f"unknown format {version}")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables != {"entry", "chunk", "record"}:
        raise corrupt(path, "its tables are not ours")


def _create(path: Path) -> None:
    """Make an empty storage beside `path`, whole, and then give it its name: no crash leaves half of one."""
    for suffix in ("-wal", "-journal"):
        left_over = path.with_name(path.name + suffix)
        if left_over.exists():  # SQLite would take it for the log of the new file
            raise corrupt(left_over, f"belongs to {path.name}, which is missing")
    new_directories = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    unborn = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        # For the owner alone: it holds the member's private key. SQLite gives its log the same mode. (On
        # Windows the mode says nothing; there the rights of the user's own directory apply.)
        os.close(os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(_connect(unborn, "mode=rw")) as connection:
            for name, value in _PRAGMAS:
                connection.execute(f"PRAGMA {name} = {value}")
            connection.executescript(_SCHEMA)
        try:
            _name_it(unborn, path)
        except FileExistsError:
            return  # another process was quicker: theirs is opened, or found in use
    finally:
        for suffix in ("", "-wal", "-journal"):
            unborn.with_name(unborn.name + suffix).unlink(missing_ok=True)
    for directory in [path.parent, *(parent.parent for parent in new_directories)]:
        sync_directory(directory)


def _name_it(unborn: Path, path: Path) -> None:
    try:
        os.link(unborn, path)  # unlike a rename on POSIX it never replaces a file that came meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        unborn.rename(path)


def sync_directory(directory: Path) -> None:
    """Make a new name durable: a file's own sync does not cover the directory that names it."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot sync a directory, and NTFS journals names by itself
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
