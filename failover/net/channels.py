"""The channels of one peer: which of them sends, which still receive, and when each ends.

Both sides of a peer choose alike (`prefer`), so two handshakes at once are no quarrel. A channel that the peer
initiated is provisional until the first valid DATA on it: whoever replays an initiation, or holds a stolen static
key of ours, gets no further (key compromise impersonation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.net.channel import REKEY_AFTER_DATAGRAMS, Channel
from failover.net.measuring import Meter, Traffic

if TYPE_CHECKING:
    from failover.net.context import Context
    from failover.net.peer import Peer

CHANNELS_MAX = 4
PROVISIONAL_MAX = 4
"""Unconfirmed channels of one peer: as many initiations as fit into a long round trip."""
RESPONDER_REKEYS_LATER_S = 20.0
INFINITE = float("inf")


class Channels:
    """One per peer; keeps the context's table of indices in step."""

    __slots__ = ("_context", "_meter", "_peer", "confirmed", "provisional", "sending")

    def __init__(self, peer: Peer, context: Context) -> None:
        self._peer = peer
        self._context = context
        self.confirmed: list[Channel] = []
        self.provisional: list[Channel] = []
        self.sending: Channel | None = None
        self._meter = Meter()

    def add_provisional(self, channel: Channel) -> None:
        """A responder's channel: receives, and waits for its first valid DATA."""
        while len(self.provisional) >= PROVISIONAL_MAX:
            self._drop_provisional(self.provisional[0])
        self.provisional.append(channel)
        self._context.channels[channel.local_index] = (self._peer, channel)
        self._context.provisional_count += 1

    def confirm(self, channel: Channel) -> None:
        """Valid DATA came on a provisional channel; `adopt` is next."""
        self.provisional.remove(channel)
        self._context.provisional_count -= 1
        channel.confirmed = True
        if channel.claims is not None:
            self._peer.claims_proved(channel.claims)

    def adopt(self, channel: Channel, now: float) -> bool:
        """Take a confirmed channel. True if it is with a new process of the peer: the older ones are gone then."""
        is_new_process = channel.peer_incarnation > max(
            (each.peer_incarnation for each in self.confirmed), default=0
        )
        if is_new_process:
            for each in list(self.confirmed):
                self._drop(each)
            for each in [each for each in self.provisional if each.peer_incarnation < channel.peer_incarnation]:
                self._drop_provisional(each)
        if not channel.initiated:
            # Only what this very handshake superseded. Where both sides begin at once, dropping the peer's
            # provisional channel as our own completes would leave each sending where the other does not listen.
            for each in [each for each in self.provisional if each.created <= channel.created]:
                self._drop_provisional(each)
        while len(self.confirmed) >= CHANNELS_MAX:
            self._drop(min(self.confirmed, key=lambda each: each.created))
        self.confirmed.append(channel)
        self._meter.handshakes += 1
        self._context.channels[channel.local_index] = (self._peer, channel)
        self.choose(now)
        return is_new_process

    def choose(self, now: float) -> None:
        """Settle which channel sends; the others receive for a while longer."""
        timings = self._context.timings
        best: Channel | None = None
        for channel in self.confirmed:
            if now < channel.created + timings.channel_age_max_s:
                best = channel if best is None else self._prefer(best, channel)
        self.sending = best
        for channel in self.confirmed:
            if channel is not best and channel.retire_at == INFINITE:
                channel.retire_at = now + timings.retired_s

    def _prefer(self, first: Channel, second: Channel) -> Channel:
        return prefer(
            first,
            second,
            own=self._context.member,
            peer=self._peer.member,
            apart_s=self._context.timings.prefer_apart_s,
        )

    def is_alive(self, channel: Channel, now: float) -> bool:
        """Whether it may still receive. A retired one in use lives on: the peer may have chosen otherwise."""
        timings = self._context.timings
        if now >= self._ends_at(channel):
            return False
        if channel.retire_at != INFINITE:
            channel.retire_at = now + timings.retired_s
        return True

    def rekey_at(self) -> float:
        """When the sending channel wants a successor; its initiator asks first."""
        channel = self.sending
        if channel is None:
            return INFINITE
        if channel.counter >= REKEY_AFTER_DATAGRAMS:
            return channel.created
        later = 0.0 if channel.initiated else RESPONDER_REKEYS_LATER_S
        return channel.created + self._context.timings.rekey_s + later

    def expire(self, now: float) -> None:
        """Drop what is too old."""
        timings = self._context.timings
        for channel in list(self.confirmed):
            if now >= self._ends_at(channel):
                self._drop(channel)
        for channel in list(self.provisional):
            if now >= channel.created + timings.provisional_s:
                self._drop_provisional(channel)
        if self.sending is None and self.confirmed:
            self.choose(now)

    def _ends_at(self, channel: Channel) -> float:
        """The very sum that `deadline` shows: `now - created >= age` may round otherwise, and a deadline in the
        past that no tick removes would keep the pump spinning."""
        return min(channel.retire_at, channel.created + self._context.timings.channel_age_max_s)

    @property
    def deadline(self) -> float:
        """When `expire` has something to do."""
        timings = self._context.timings
        ages = [self._ends_at(each) for each in self.confirmed]
        ages += [each.created + timings.provisional_s for each in self.provisional]
        return min(ages, default=INFINITE)

    def traffic(self) -> Traffic:
        """What passed on all of them, and on those before them."""
        return self._meter.traffic(self.confirmed)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left, not even a provisional one."""
        return not self.confirmed and not self.provisional

    def close(self) -> None:
        """Drop all, at once."""
        for channel in list(self.confirmed):
            self._drop(channel)
        for channel in list(self.provisional):
            self._drop_provisional(channel)

    def _drop(self, channel: Channel) -> None:
        self.confirmed.remove(channel)
        self._meter.close(channel)
        self._context.channels.pop(channel.local_index, None)
        if self.sending is channel:
            self.sending = None

    def _drop_provisional(self, channel: Channel) -> None:
        self.provisional.remove(channel)
        self._context.channels.pop(channel.local_index, None)
        self._context.provisional_count -= 1


def prefer(first: Channel, second: Channel, *, own: MemberId, peer: MemberId, apart_s: float) -> Channel:
    """Which of two channels both sides send on: the newer; if made at once by both, that of the smaller key."""
    apart = abs(first.created - second.created) > apart_s
    if apart or first.initiated == second.initiated:
        return second if second.created >= first.created else first
    return first if first.initiated == (own < peer) else second
