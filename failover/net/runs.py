"""Which run of a member was met, and the proof of it: what tells a member that its storage is a copy or a backup.

Each run of a member has a number, its *incarnation*, and a *seal*, which only the owner of the member's private
key can make, and which is random: where a clock stands still, a backup may come to a number that was there before.
Peers cannot read seals; they keep the newest one, and show it to a run that does not know of it. So nobody can
tell an honest member that there was another run of it: there is none that anybody could show.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from failover.ids import MemberId

NONCE_SIZE, MAC_SIZE = 8, 16
SEAL_SIZE = NONCE_SIZE + MAC_SIZE
MET_MAX = 256
"""Members whose newest run is remembered; the one that was met last comes last."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a member's process."""

    incarnation: int
    """0 = none."""
    seal: bytes


NO_RUN = Run(0, bytes(SEAL_SIZE))


def sealed_run(private_key: bytes, incarnation: int, nonce: bytes) -> Run:
    """The run with its seal, as only the owner of the key makes it."""
    packed = incarnation.to_bytes(8, "little") + nonce
    mac = blake2s(packed, key=private_key, person=b"fo run 1", digest_size=MAC_SIZE).digest()
    return Run(incarnation, nonce + mac)


class Runs:
    """This member's own run, and the newest of each other that was met.

    Args:
        private_key: this member's.
        own: this run.
        previous: of the one before, as the storage has it; 0 = none.
        met: what `met` was when an earlier run of this member ended.
        counters: where what is dropped is counted.
    """

    def __init__(
        self,
        private_key: bytes,
        own: Run,
        previous: int,
        met: Mapping[MemberId, Run],
        counters: Counter[str],
    ) -> None:
        self.own = own
        self.met = dict(met)
        """The newest run that each member proved to be; to be kept, to find copies after a restart, too."""
        self.later: Run | None = None
        """A run of this member that its storage does not know of: the storage is a copy or a backup. Nobody who
        met that run gives this one a channel; it is time to stop."""
        self.on_met: Callable[[], None] = lambda: None
        """Called when `met` has changed."""
        self.on_later: Callable[[], None] = lambda: None
        """Called when `later` is set."""
        self._private_key = private_key
        self._previous = previous
        self._counters = counters

    def of(self, member: MemberId) -> Run:
        """The newest run of a member that was met."""
        return self.met.get(member, NO_RUN)

    def proved(self, member: MemberId, run: Run) -> None:
        """A member has proved that this is a run of it."""
        if run.incarnation > self.of(member).incarnation:
            self.met.pop(member, None)
            self.met[member] = run
            if len(self.met) > MET_MAX:
                del self.met[next(iter(self.met))]
            self.on_met()

    def shown(self, run: Run) -> None:
        """A peer says that it met this run of ours; believed for the proof, not for who says so.

        An honest storage is in one place: no run is later than the one that uses it, and none lies between that
        and the one before. Runs up to the one before are its own, whoever shows them.
        """
        is_foreign = run.incarnation > self._previous and run != self.own
        proof = sealed_run(self._private_key, run.incarnation, run.seal[:NONCE_SIZE])
        if not (is_foreign and hmac.compare_digest(run.seal, proof.seal)):
            self._counters["response: later run without proof"] += 1
        elif self.later is None:
            self.later = run
            self.on_later()
