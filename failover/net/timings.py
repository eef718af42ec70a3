"""How often and how long, in seconds: the tuning constants of channels, apart from those of the protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetTimings:
    """First values; every one was chosen with home networks in mind."""

    handshake_retry_s: float = 0.1
    """To the second initiation; doubles from there, with jitter."""
    handshake_retry_max_s: float = 5.0
    """Between initiations while somebody wants to talk to the peer."""
    handshake_retry_idle_s: float = 30.0
    """Between initiations when nobody asked for the peer for `wanted_s`."""
    wanted_s: float = 60.0
    probe_s: float = 1.0
    """Sent and heard nothing for this long: a PING, which must be answered."""
    silence_s: float = 2.0
    """Sent and heard nothing for this long: the peer may have restarted, a new handshake."""
    keepalive_s: float = 15.0
    """Home routers forget a mapping after 30 s without traffic."""
    rekey_s: float = 120.0
    """The initiator of a channel renews it at this age (WireGuard, 6.1); the other side 20 s later."""
    retired_s: float = 30.0
    """A channel that was replaced receives for this long."""
    channel_age_max_s: float = 180.0
    """Nothing is sent or received on an older channel."""
    provisional_s: float = 10.0
    """A responder's channel that nobody confirms is forgotten."""
    guest_idle_s: float = 15.0
    """A guest that has not asked to join for this long is dropped, whatever else it sends."""
    prefer_apart_s: float = 5.0
    """Channels made within this time of each other count as made at once."""
    path_silence_s: float = 1.0
    """A new address takes over only when the old one has been silent for this long."""
