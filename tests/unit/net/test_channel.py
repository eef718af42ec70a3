"""Sealing and opening DATA, and which of two channels both sides choose."""

import pytest

from failover.errors import MalformedBytes
from failover.ids import MemberId
from failover.net.addresses import Address
from failover.net.channel import FRAMES_SIZE_MAX, Channel
from failover.net.channels import prefer

SOMEWHERE = Address("192.0.2.1", 1)


def channel(send=b"a", receive=b"b", *, initiated=True, created=0.0, confirmed=True) -> Channel:
    return Channel(
        send_key=send * 32,
        receive_key=receive * 32,
        local_index=1,
        remote_index=2,
        initiated=initiated,
        confirmed=confirmed,
        created=created,
        peer_incarnation=1,
        address=SOMEWHERE,
    )


def test_what_one_seals_the_other_opens_once():
    ours, theirs = channel(b"a", b"b"), channel(b"b", b"a")
    datagram = ours.seal(b"frames")
    assert len(datagram) == 16 + 6 + 16
    assert theirs.open_untrusted(datagram) == b"frames"
    with pytest.raises(MalformedBytes, match="replayed"):
        theirs.open_untrusted(datagram)


def test_counters_rise_and_no_two_datagrams_are_alike():
    ours = channel()
    sealed = [ours.seal(b"same") for _ in range(5)]
    assert [int.from_bytes(each[8:16], "little") for each in sealed] == [0, 1, 2, 3, 4]
    assert len({each[16:] for each in sealed}) == 5


def test_one_changed_byte_anywhere_is_dropped_and_harms_nothing():
    ours, theirs = channel(b"a", b"b"), channel(b"b", b"a")
    datagram = ours.seal(b"x" * 50)
    for place in range(len(datagram)):
        forged = bytearray(datagram)
        forged[place] ^= 1
        with pytest.raises(MalformedBytes):
            theirs.open_untrusted(bytes(forged))
    assert theirs.open_untrusted(datagram) == b"x" * 50


def test_a_forged_counter_does_not_move_the_window():
    ours, theirs = channel(b"a", b"b"), channel(b"b", b"a")
    early = ours.seal(b"early")
    forged = early[:8] + (2**50).to_bytes(8, "little") + early[16:]
    with pytest.raises(MalformedBytes, match="authentic"):
        theirs.open_untrusted(forged)
    assert theirs.open_untrusted(early) == b"early"


def test_an_unconfirmed_channel_and_an_oversized_content_are_our_own_mistakes():
    with pytest.raises(AssertionError):
        channel(confirmed=False).seal(b"")
    with pytest.raises(AssertionError):
        channel().seal(bytes(FRAMES_SIZE_MAX + 49))


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        ((True, 0.0), (False, 1.0), 0),  # at once, by both: the smaller key's, which is ours
        ((False, 1.0), (True, 0.0), 1),
        ((True, 0.0), (False, 9.0), 1),  # far apart: the newer
        ((False, 0.0), (True, 9.0), 1),
        ((True, 0.0), (True, 1.0), 1),  # by the same side: the newer
        ((False, 3.0), (False, 1.0), 0),
    ],
)
def test_both_sides_prefer_the_same_channel(first, second, chosen):
    small, large = MemberId(bytes(32)), MemberId(b"\xff" * 32)
    ours = [channel(initiated=initiated, created=created) for initiated, created in (first, second)]
    theirs = [channel(initiated=not initiated, created=created) for initiated, created in (first, second)]
    assert prefer(*ours, own=small, peer=large, apart_s=5) is ours[chosen]
    assert prefer(*theirs, own=large, peer=small, apart_s=5) is theirs[chosen]
