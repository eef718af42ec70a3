"""The ground on which members are tortured: a namespace and a small disk of its own for each. Linux, root.

Cuts and full disks are undone in any order; what several cuts forbid stays forbidden until the last of them ends.
All of it is gone again afterwards, and what a process that was killed has left is removed by the next.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from tests.lab import namespaces
from tests.lab.lan import Lan
from tests.lab.namespaces import inside, run

DISK_SIZE = 24 * 1024 * 1024
PIECE_SIZE = 64 * 1024
_OWNED = re.compile(r"fo-torture-([0-9]+)")

Pair = tuple[int, int]
"""Who does not hear whom."""


def check_machine() -> None:
    """Raise `NoLab` unless this machine has all that the ground needs."""
    namespaces.check_machine("nft", "mount", "umount")


class Ground:
    """Places for so many members; open it in a `with` block."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size = size
        self.disks = [folder / f"disk-{number}" for number in range(size)]
        self._lan = Lan(size)
        self._cuts: list[frozenset[Pair]] = []
        self._unplugged: set[int] = set()
        self._mounted: list[Path] = []
        self._freed_at: dict[int, float] = {}

    def __enter__(self) -> Ground:
        check_machine()
        namespaces.remove_orphans()
        remove_orphaned_disks()
        try:
            self._lan.open()
            for disk in self.disks:
                disk.mkdir(parents=True)
                run("mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", f"fo-torture-{os.getpid()}", str(disk))
                self._mounted.append(disk)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take it apart; end the processes before."""
        for disk in self._mounted:
            subprocess.run(["umount", "--lazy", str(disk)], capture_output=True, check=False)
        self._mounted.clear()
        self._lan.close()

    @property
    def namespaces(self) -> list[str]:
        """Of the members."""
        return self._lan.namespaces

    def prefix(self, number: int) -> list[str]:
        """What to put before the command of a member. Nothing puts members before other programs here."""
        return inside(self._lan.namespaces[number])

    def address(self, number: int) -> str:
        """To bind to."""
        return self._lan.addresses[number]

    def cut(self, pairs: Iterable[Pair]) -> frozenset[Pair]:
        """From now on these do not hear each other; returns what to `mend`."""
        cut = frozenset(pairs)
        self._cuts.append(cut)
        self._set_deaf()
        return cut

    def mend(self, cut: frozenset[Pair]) -> None:
        """Undo one cut."""
        self._cuts.remove(cut)
        self._set_deaf()

    def unplug(self, number: int) -> None:
        """The member's machine sees its interface go down."""
        self._lan.cut(number)
        self._unplugged.add(number)

    def plug_in(self, number: int) -> None:
        """Undo it."""
        self._lan.mend(number)
        self._unplugged.discard(number)

    def fill(self, number: int) -> None:
        """Leave no room on the disk."""
        with self._ballast(number).open("ab", buffering=0) as file:
            piece = bytes(PIECE_SIZE)
            while piece:
                try:
                    written = file.write(piece)
                except OSError:  # full, for a piece of this size
                    piece = piece[: len(piece) // 2]
                else:
                    piece = piece[:written]

    def free(self, number: int) -> None:
        """Make room again."""
        if self._ballast(number).exists():
            self._ballast(number).unlink()
            self._freed_at[number] = time.monotonic()

    def was_full(self, number: int, since: float) -> bool:
        """Whether it has been full at some moment since then, or is."""
        return self._ballast(number).exists() or self._freed_at.get(number, -math.inf) >= since

    def heal(self) -> None:
        """Undo all."""
        self._cuts.clear()
        self._set_deaf()
        for number in tuple(self._unplugged):
            self.plug_in(number)
        for number in range(self.size):
            self.free(number)

    def _ballast(self, number: int) -> Path:
        return self.disks[number] / "ballast"

    def _set_deaf(self) -> None:
        pairs = frozenset().union(*self._cuts)
        for number in range(self.size):
            self._lan.make_deaf(number, {other for who, other in pairs if who == number})


def remove_orphaned_disks() -> None:
    """Unmount what processes that are gone have left."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        source, point, *_ = line.split()
        owner = _OWNED.fullmatch(source)
        if owner is not None and not Path("/proc", owner[1]).exists():
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
