"""A LAN's notice board in virtual time: who opens it sees what others put up, unless their link is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from failover.net.zeroconf_board import HEARD_MAX, Note
from failover.testing.simulated_network import Network


class SimulatedLan:
    """All computers are on it."""

    def __init__(self, network: Network) -> None:
        self.posted = 0
        """Notes that were put up."""
        self.boards: list[SimulatedBoard] = []
        self._network = network

    def open_for(self, computer: int) -> Callable[[str, Callable[[int], bytes]], SimulatedBoard]:
        """For `Surroundings.open_board` of that computer's process."""

        def open_board(bind: str, entropy: Callable[[int], bytes]) -> SimulatedBoard:
            board = SimulatedBoard(self, computer)
            self.boards.append(board)
            for other in self.boards:
                if other.note:
                    self.carry(other, board)
            return board

        return open_board

    def carry(self, sender: SimulatedBoard, reader: SimulatedBoard) -> None:
        """Let one read what another has up."""
        if (sender.computer, reader.computer) not in self._network.cut:
            reader.heard = [*reader.heard, sender.note][-HEARD_MAX:]


class SimulatedBoard:
    """A `Board` of one process."""

    def __init__(self, lan: SimulatedLan, computer: int) -> None:
        self.computer = computer
        self.note: Note = {}
        self.heard: list[Note] = []
        self.counters: Counter[str] = Counter()
        self._lan = lan

    def post(self, note: Note) -> None:
        """See `Board.post`."""
        self.note = note
        self._lan.posted += 1
        for reader in self._lan.boards:
            self._lan.carry(self, reader)

    def take(self) -> list[Note]:
        """See `Board.take`."""
        taken, self.heard = self.heard, []
        return taken

    async def aclose(self) -> None:
        """See `Board.aclose`."""
        if self in self._lan.boards:
            self._lan.boards.remove(self)
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
