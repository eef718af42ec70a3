"""What happens to one witness, a calm line for each event: for a terminal, or the journal of a small server.

Names of members come from others: the library has replaced in them what could move a cursor. However much
happens, so many lines a minute are written, and no more: a full journal would be the end of other things.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

import failover
from failover.ids import MemberId, short
from failover.net.bucket import Bucket

LINES_PER_S, LINES_BURST = 0.5, 30.0
LOOK_S = 5.0
"""How often the disk's complaints are looked at."""


class Teller:
    """Says what happens to one witness.

    Args:
        say: called with each line.
        clock: seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._lines = Bucket(LINES_PER_S, LINES_BURST, clock())
        self._left_out = 0
        self._last = ""
        self._names: dict[MemberId, str] = {}

    def say(self, line: str) -> None:
        """Say it, unless it was said just before, or there were too many."""
        if line == self._last:
            return
        if not self._lines.take(self._clock()):
            self._left_out += 1
            return
        if self._left_out:
            self._say(f"({self._left_out} lines were left out)")
            self._left_out = 0
        self._last = line
        self._say(line)

    def opened(self, witness: failover.Witness, *, has_joined: bool) -> None:
        """It is open."""
        self._learn_names(witness)
        others = ", ".join(sorted(name for member, name in self._names.items() if member != witness.id))
        how = "joined" if has_joined else "resumed"
        self.say(f"{how}; it listens on UDP port {witness.address.port}; the others are {others or 'not known'}")

    async def look_on(self, witness: failover.Witness) -> bool:
        """Tell of all events until the last; returns whether the members have removed this witness."""
        was_removed = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_at_disk, witness)
            async for event in witness.events():
                self._learn_names(witness)
                if isinstance(event, failover.MemberLeft) and event.member == witness.id:
                    was_removed = True
                elif line := self._line(event):
                    self.say(line)
            nursery.cancel_scope.cancel()
        return was_removed

    async def _look_at_disk(self, witness: failover.Witness) -> None:
        trouble = ""
        while True:
            before, trouble = trouble, witness.status().trouble
            if trouble != before:
                self.say(f"the disk: {trouble}" if trouble else "the disk is well again")
            await trio.sleep(LOOK_S)

    def _line(self, event: failover.Event) -> str:
        match event:
            case failover.HostChanged():
                return f"{self._name(event.host)} hosts"
            case failover.QuorumLost():
                return f"too few are here: {event.reachable} of {event.voters} that vote; waiting"
            case failover.QuorumRegained():
                return "enough are here again"
            case failover.MemberJoined():
                return f"{self._name(event.member)} joined"
            case failover.MemberLeft():
                return f"{self._name(event.member)} left for good"
            case failover.Stopped(failover.Superseded()):
                return "a player went on alone, as another generation of the game; following in a moment"
            case failover.Stopped(error) if error is not None:
                return f"stopped: {error}"
        return ""

    def _learn_names(self, witness: failover.Witness) -> None:
        """Of those who are members; of who has just left, what was known before."""
        known = {info.member: info.name or short(info.member) for info in witness.status().members}
        gone = {member: name for member, name in self._names.items() if member not in known}
        self._names = dict(list(gone.items())[-8:]) | known

    def _name(self, member: MemberId) -> str:
        return self._names.get(member, short(member))
