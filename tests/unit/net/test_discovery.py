"""Announcements: recognised by holders of a gate, random to everybody else, and of no use to attackers."""

from __future__ import annotations

import random

import pytest

from failover.ids import MemberId
from failover.net import discovery
from failover.net.addresses import Address
from failover.net.discovery import ANNOUNCEMENT_SIZE_MAX, Recogniser, announcement

ME, ADA, BOB, EVE = (MemberId(bytes([number]) * 32) for number in range(1, 5))
OLD, GATE, OTHER = b"o" * 32, b"g" * 32, b"x" * 32
HOME = (Address("192.168.1.7", 7777),)
RANDOM = b"r" * 16


class Ears(Recogniser):
    def __init__(self, gates=(GATE, OLD), members=(ADA, BOB), allow_loopback=False):
        self.gates, self.members = list(gates), set(members)
        super().__init__(ME, lambda: self.gates, lambda: self.members, allow_loopback=allow_loopback)


def test_a_holder_of_a_gate_recognises_which_member_is_where():
    ears = Ears()
    assert ears.heard(announcement(GATE, ADA, HOME, RANDOM), 0.0) == ADA
    assert ears.heard(announcement(OLD, BOB, (Address("fd00::9", 7777),), b"s" * 16), 0.0) == BOB
    assert ears.addresses_of(ADA) == HOME and ears.addresses_of(BOB) == (Address("fd00::9", 7777),)
    assert ears.heard(announcement(GATE, ADA, HOME, b"t" * 16), 0.0) is None, "no news"
    assert ears.heard(announcement(GATE, ME, HOME, RANDOM), 0.0) is None, "our own"
    assert not ears.counters


@pytest.mark.parametrize(("gate", "member"), [(OTHER, ADA), (GATE, EVE), (bytes(32), ADA)])
def test_others_learn_nothing_and_are_nobody(gate, member):
    ears = Ears()
    for _ in range(3):
        assert ears.heard(announcement(gate, member, HOME, RANDOM), 0.0) is None
    assert ears.counters == {"announcement: nobody we know": 1, "announcement: nobody we know, again": 2}


def test_an_announcement_says_nothing_without_a_gate():
    said = announcement(GATE, ADA, HOME, RANDOM)
    assert ADA not in said and GATE not in said
    one, other = (announcement(GATE, ADA, HOME, bytes([number]) * 16) for number in (1, 2))
    assert one[-16:] != other[-16:], "the mac changes with the random value: nobody is known again by it"


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_one_changed_byte_makes_it_nobodys(place):
    said = announcement(GATE, ADA, HOME, RANDOM)
    if place < len(said):
        ears = Ears()
        assert ears.heard(said[:place] + bytes([said[place] ^ 1]) + said[place + 1 :], 0.0) is None
        assert not ears.addresses_of(ADA)


def test_hostile_records_are_dropped_and_counted():
    ears, dice = Ears(), random.Random(3)
    for size in (0, 1, 16, 33, 34, 50, ANNOUNCEMENT_SIZE_MAX, ANNOUNCEMENT_SIZE_MAX + 1, 255, 9_000):
        for _ in range(50):
            assert ears.heard(dice.randbytes(size), dice.random()) is None
            assert ears.heard(b"\x01" + dice.randbytes(16) + b"\x08" + dice.randbytes(size), 0.0) is None
    said = announcement(GATE, ADA, HOME, RANDOM)
    for size in range(len(said)):
        assert ears.heard(said[:size], 0.0) is None
    assert sum(ears.counters.values()) == 2 * 10 * 50 + len(said)
    assert not ears.addresses_of(ADA)


def test_a_flood_costs_a_bounded_number_of_macs(monkeypatch):
    computed = []
    real = discovery._mac
    monkeypatch.setattr(discovery, "_mac", lambda *given: computed.append(1) or real(*given))
    members = [MemberId(number.to_bytes(32, "big")) for number in range(100)]
    ears = Ears(gates=[bytes([number]) * 32 for number in range(4)], members=members)
    said = [b"\x01" + number.to_bytes(16, "big") + b"\x01\x04\x10\x10" + bytes(20) for number in range(5_000)]
    for each in said:
        ears.heard(each, 1.0)
    assert len(computed) <= discovery.BURST * 4 * (discovery.MEMBERS_MAX + 1)
    assert len(ears._seen) <= discovery.SEEN_MAX
    assert ears.counters["announcement: too many"] >= 4_900


def test_lists_of_addresses_hammer_no_victim():
    """A holder of a leaked ticket may say that a member is anywhere: only what is near is a candidate."""
    ears = Ears()
    victims = (
        "203.0.114.9",
        "8.8.8.8",
        "2606:4700::1111",
        "224.0.0.251",
        "255.255.255.255",
        "127.0.0.1",
        "0.0.0.0",
    )
    for number, ip in enumerate(victims):
        said = announcement(GATE, ADA, (Address(ip, 7777),), bytes([number]) * 16)
        assert ears.heard(said, float(number)) is None
    assert ears.heard(announcement(GATE, ADA, (Address("192.168.1.1", 53),), b"p" * 16), 9.0) is None
    assert ears.counters == {"announcement: not of this network": len(victims) + 1}
    for number in range(40):
        near = tuple(Address(f"192.168.{number}.{each}", 7777) for each in range(4))
        ears.heard(announcement(GATE, ADA, near, number.to_bytes(16, "big")), 10.0 + number)
    assert len(ears.addresses_of(ADA)) == discovery.ADDRESSES_MAX
    assert ears.addresses_of(ADA)[0] == Address("192.168.39.0", 7777)


def test_a_forged_announcement_does_not_hide_the_true_one():
    ears = Ears()
    forged = (Address("192.168.1.66", 6666),)
    ears.heard(announcement(GATE, ADA, HOME, RANDOM), 0.0)
    ears.heard(announcement(GATE, ADA, forged, b"f" * 16), 1.0)
    assert ears.addresses_of(ADA) == (*forged, *HOME)


def test_what_was_nobodys_may_be_somebodys_after_a_change():
    ears = Ears(gates=[OLD], members=[BOB])
    said = announcement(GATE, ADA, HOME, RANDOM)
    assert ears.heard(said, 0.0) is None
    ears.gates.insert(0, GATE)
    assert ears.heard(said, 1.0) is None
    ears.members.add(ADA)
    assert ears.heard(said, 2.0) == ADA
    ears.members.discard(ADA)
    ears.forget_others()
    assert not ears.addresses_of(ADA)


def test_loopback_counts_where_a_member_has_nothing_else():
    said = announcement(GATE, ADA, (Address("127.0.0.1", 7777),), RANDOM)
    assert Ears(allow_loopback=True).heard(said, 0.0) == ADA


def test_macs_are_compared_in_constant_time(monkeypatch):
    """Tailscale TS-2025-003."""
    compared = []
    real = discovery.hmac.compare_digest
    monkeypatch.setattr(discovery.hmac, "compare_digest", lambda a, b: compared.append(b) or real(a, b))
    said = announcement(GATE, ADA, HOME, RANDOM)
    assert Ears().heard(said, 0.0) == ADA and compared[-1] == said[-16:]
