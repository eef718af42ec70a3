"""Where a storage's file is: on which machine, and which file of it. A copy is another file with the same note.

Only what is certain counts. A file that was moved within its file system is still the same; one on another
machine, on another file system, or on one whose files have no lasting numbers may have been moved there as well as
copied: then it runs, and the peers decide by the runs that they have met.
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path
from struct import Struct

import psutil

from failover.errors import MalformedBytes

_SALT_SIZE, _HASH_SIZE = 16, 16
_UNKNOWN = bytes(_HASH_SIZE)
_PLACE = Struct(f">{_SALT_SIZE}s{_HASH_SIZE}sQQ16s")
_MASK = 2**64 - 1

LASTING = frozenset({
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs", "apfs", "hfs", "ntfs", "refs",
})  # fmt: skip
"""File systems on which a file keeps its number, and no other gets it meanwhile. FAT and FUSE draw numbers anew at
each mount, overlays at times; shares do as their servers like."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file and its machine; which machine that is, nobody can tell from it."""

    salt: bytes
    machine: bytes
    """A hash of the machine's id with the salt; zeros = it has none."""
    device: int
    file_system: int
    """Two numbers of the file system, of which the system may draw the first anew at each start."""
    file: int
    """The file's number; 0 = it has none that lasts."""

    def is_copy_of(self, noted: Place) -> bool:
        """Whether this is for certain another file than the one in which `noted` was written."""
        is_known = _UNKNOWN not in (self.machine, noted.machine) and 0 not in (self.file, noted.file)
        is_same_disk = (self.machine, self.device, self.file_system) == (
            noted.machine,
            noted.device,
            noted.file_system,
        )
        return is_known and is_same_disk and self.file != noted.file


def place_of(path: Path, machine: bytes | None, salt: bytes | None = None) -> Place:
    """Where the file at `path` is now.

    Args:
        path: the file, which is there.
        machine: the machine's id, None if it has none.
        salt: that of the place with which this one is to be compared; None = a new one.
    """
    salt = secrets.token_bytes(_SALT_SIZE) if salt is None else salt
    hashed = _UNKNOWN if machine is None else blake2s(machine, key=salt, digest_size=_HASH_SIZE).digest()
    found = path.stat()
    file = found.st_ino if file_system_name(path) in LASTING else 0
    disk = os.statvfs(path).f_fsid & _MASK if sys.platform != "win32" else 0
    return Place(salt, hashed, found.st_dev & _MASK, disk, file)


def file_system_name(path: Path) -> str:
    """Such as "ext4"; "" if nobody says."""
    real = Path(os.path.realpath(path))
    best, name = -1, ""
    try:
        for mounted in psutil.disk_partitions(all=sys.platform == "linux"):
            depth = len(Path(mounted.mountpoint).parts)
            if depth >= best and real.is_relative_to(mounted.mountpoint):  # the last mount hides those before
                best, name = depth, mounted.fstype.lower()
    except (OSError, psutil.Error):
        return ""
    return name


def pack_place(place: Place) -> bytes:
    """Salt, hash, two numbers of the file system, the number of the file in 16 bytes."""
    number = place.file.to_bytes(16, "big")
    return _PLACE.pack(place.salt, place.machine, place.device, place.file_system, number)


def unpack_place_untrusted(data: bytes) -> Place:
    """Return the place."""
    if len(data) != _PLACE.size:
        raise MalformedBytes("place: wrong length")
    salt, machine, device, file_system, number = _PLACE.unpack(data)
    return Place(salt, machine, device, file_system, int.from_bytes(number, "big"))
