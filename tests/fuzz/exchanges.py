"""The exchange behind a short code, both sides of it; which games are listed; and what is heard on the LAN."""

from __future__ import annotations

import random
from collections import Counter

from failover.errors import MalformedBytes
from failover.net import addresses, code_exchange, code_giver, discovery, short_codes
from failover.net.addresses import Address
from failover.net.code_exchange import (
    ANSWER,
    CONFIRM,
    HERE,
    LIST,
    LISTED,
    OPEN,
    SEEK,
    SIZES,
    TICKET,
    datagram,
    listing,
    split_untrusted,
)
from failover.net.code_giver import Giver
from failover.net.code_lister import ANSWERS_MAX, Lister
from failover.net.code_seeker import TRIALS_MAX, Seeker
from failover.net.titles import TITLE_SIZE_MAX, clean
from tests.fuzz.feed import Feed, Row
from tests.fuzz.parsers import TICKET as REAL_TICKET
from tests.fuzz.world import IDS, NOW

CODE = "K7QF-3MDA"
PLACES = [Address(f"192.168.1.{n}", 40_000) for n in range(1, 6)]
WAITS_S = (0.0, 0.4, 1.0, 5.1, 21.0)
COUNTERS_MAX = 20
GATE = b"g" * 32


class Line:
    """What was sent, and how much to whom."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []
        self.out: Counter[Address] = Counter()
        self.came: Counter[Address] = Counter()

    def transmit(self, data: bytes, target: Address) -> None:
        """Keep it; all that leaves is of the protocol."""
        assert datagram(*split_untrusted(data)) == data
        self.sent.append((data, target))
        self.out[target] += len(data)


def formed(kind: int, nonce: bytes, body: bytes) -> bytes:
    """A datagram of this kind whatever the body is."""
    size = SIZES[kind]
    return (code_exchange.MAGIC + bytes([kind, 0, 0, 0]) + nonce + body).ljust(size, b"\0")[:size]


def giver(data: bytes) -> None:
    """Datagrams for who gave the code away: no answer is longer than its question, and the ticket stays here.

    Every other input meets one that is listed; of the others no byte of the code leaves.
    """
    feed, line, now = Feed(data), Line(), NOW
    dice = random.Random(1)
    title = "Ada" if len(data) % 2 else ""
    side = Giver(code=CODE, ticket=REAL_TICKET.text(), uses=2, valid_until=NOW + 600, entropy=dice.randbytes,
                 transmit=line.transmit, title=title)  # fmt: skip
    for _ in range(24):
        if feed.is_over:
            break
        what, source = feed.byte() % 4, feed.choice(PLACES)
        if what == 0:
            now += feed.choice(WAITS_S)
            side.tick(now)
            assert not side.deadline <= now or side.is_over(now) or side.deadline == now
        else:
            raw = _for_giver(feed, side, source, now, is_raw=what == 1)
            line.came[source] += len(raw)
            side.datagram_received(raw, source, now)
        check_giver(side, line)


def _for_giver(feed: Feed, side: Giver, source: Address, now: float, *, is_raw: bool) -> bytes:
    if is_raw:
        return feed.piece(1_300)
    kind, nonce, body = feed.choice((SEEK, OPEN, CONFIRM, LIST)), bytes([feed.byte() % 4]) * 16, feed.piece(64)
    if kind == OPEN and feed.byte() % 2:
        body = side._cookie(source, now) + body
    return formed(kind, nonce, body)


def check_giver(side: Giver, line: Line) -> None:
    """Bounds, and who got how much."""
    assert len(side._exchanges) <= code_giver.EXCHANGES_MAX + 2
    assert len(side._failures) <= code_giver.SOURCES_MAX
    assert len(side.counters) <= COUNTERS_MAX
    assert side.uses == 2, "nobody here knows the code"
    assert not any(raw[4] == TICKET for raw, _ in line.sent)
    assert side.title or not any(raw[4] == LISTED or CODE.encode() in raw for raw, _ in line.sent)
    for place, size in line.out.items():
        assert size <= line.came[place]


def seeker(data: bytes) -> None:
    """Datagrams for who looks for a code: it asks 8 at most, and takes no ticket but the one for its code."""
    feed, line, now, calls = Feed(data), Line(), NOW, []
    dice = random.Random(2)
    side = Seeker(code=CODE, entropy=dice.randbytes, transmit=line.transmit, call=calls.append, now=now)
    other = random.Random(3)
    elses = Giver(code="0000-0000", ticket="failover1-not", uses=9, valid_until=NOW + 600, entropy=other.randbytes,
                  transmit=line.transmit)  # fmt: skip
    assert elses.uses == 9
    for _ in range(24):
        if feed.is_over:
            break
        what, source = feed.byte() % 4, feed.choice(PLACES)
        if what == 0:
            now = min(now + feed.choice(WAITS_S), side.over_at)
            while side.deadline <= now < side.over_at:
                before = side.deadline
                side.tick(now)
                assert side.deadline > before
        elif what == 1:
            side.datagram_received(feed.piece(1_300), source, now)
        else:
            kind, body = feed.choice((HERE, ANSWER, TICKET)), feed.piece()
            trial = side._trials.get(source)
            nonce = side._nonce if kind == HERE or trial is None else trial.nonce
            side.datagram_received(formed(kind, nonce, body), source, now)
        assert side.met <= TRIALS_MAX and len(side.counters) <= COUNTERS_MAX
        assert side.ticket is None
        assert {target for _, target in line.sent} <= set(PLACES)
        assert len(calls) <= 7


def lister(data: bytes) -> None:
    """Datagrams for who asks which games are open: few games come of it, and nothing that harms a screen."""
    feed, now, calls = Feed(data), NOW, []
    side = Lister(within_s=1.0, entropy=random.Random(4).randbytes, call=calls.append, now=now)
    for _ in range(64):
        if feed.is_over:
            break
        what, source = feed.byte() % 4, Address("192.168.1.9", 1 + feed.byte())
        if what == 0:
            now = min(now + feed.choice((0.0, 0.2, 0.6)), side.over_at)
            while side.deadline <= now < side.over_at:
                side.tick(now)
        elif what == 1:
            side.datagram_received(feed.piece(200), source, now)
        else:
            side.datagram_received(formed(LISTED, side._nonce, feed.piece(120)), source, now)
        assert len(side._heard) <= ANSWERS_MAX and len(side.counters) <= COUNTERS_MAX and len(calls) <= 3
    games = side.games
    assert games == tuple(sorted(games)) and len({(game.title, game.code) for game in games}) == len(games)
    for game in games:
        assert game.title == clean(game.title) and 1 <= len(game.title.encode()) <= TITLE_SIZE_MAX
        assert short_codes.parse(game.code) == game.code


def announcements(data: bytes) -> None:
    """What is heard on the LAN, with macs that are right and that are not."""
    feed, members = Feed(data), [IDS["alice"], IDS["carol"]]
    recogniser = discovery.Recogniser(
        IDS["bob"], lambda: (GATE, b"o" * 32), lambda: members, allow_loopback=bool(feed.byte() & 1)
    )
    now = NOW
    for _ in range(60):
        if feed.is_over:
            break
        now += feed.choice((0.0, 0.01, 1.0))
        whose = feed.choice((None, *members, IDS["bob"], IDS["dave"]))
        raw = feed.piece(200)
        if whose is not None:
            random_part, packed = raw[:16].ljust(16, b"r"), raw[16:]
            raw = bytes([discovery.VERSION]) + random_part + packed
            raw += discovery._mac(GATE, random_part, packed, whose)
            _check_split(raw)
        found = recogniser.heard(raw, now)
        assert found is None or (found == whose and found in members)
        assert len(recogniser._seen) <= discovery.SEEN_MAX and len(recogniser._found) <= len(members)
        assert len(recogniser.counters) <= COUNTERS_MAX
        for member in members:
            near = recogniser.addresses_of(member)
            assert len(near) <= discovery.ADDRESSES_MAX
            assert all(discovery.is_near(each, allow_loopback=True) for each in near)


def _check_split(raw: bytes) -> None:
    try:
        random_part, _, listed, mac = discovery._split_untrusted(raw)
    except MalformedBytes:
        return
    assert bytes([discovery.VERSION]) + random_part + addresses.pack_list(listed) + mac == raw


def giver_seeds() -> list[bytes]:
    """A seeker that guesses wrong, three times, from two places."""
    row = Row()
    for nonce in range(3):
        row.choices(2, nonce % 2, 0, nonce).piece(b"")
        row.choices(2, nonce % 2, 1, nonce).piece(b"\x05" * 32).choices(1)
        row.choices(2, nonce % 2, 2, nonce).piece(b"m" * 32)
        row.choices(0, 0, 3)
    return [row.done(), Row().choices(1, 0).piece(datagram(SEEK, b"n" * 16, b"")).done(), *_asked()]


def _asked() -> list[bytes]:
    """Who is listed is asked, and who is not."""
    rows = [Row().choices(2, 0, 3, 1).piece(b"").choices(*more) for more in ((), (0,))]
    return [row.done() for row in rows]


def seeker_seeds() -> list[bytes]:
    """Givers with other codes, and none."""
    element = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")
    row = Row().choices(0, 0, 1)
    for place in range(3):
        row.choices(2, place, 0).piece(b"c" * 16).choices(2, place, 1).piece(element)
        row.choices(2, place, 2).piece(b"t" * 1128).choices(0, 0, 2)
    return [row.done(), Row().choices(1, 0).piece(bytes(64)).done()]


def lister_seeds() -> list[bytes]:
    """Games of many machines, and titles that nobody should see as they are."""
    row = Row().choices(0, 0, 1)
    for place, title in enumerate(("Ada", "\u202eAda", "\x1b[2J", "", "B" * TITLE_SIZE_MAX)):
        row.choices(2, place).piece(listing(f"0000-000{place}", title)).choices(0, 0, 1)
    row.choices(1, 9).piece(datagram(LISTED, bytes(16), listing(CODE, "forged")))
    full = Row()
    for place in range(40):
        full.choices(2, place).piece(listing(CODE, f"game {place}"))
    return [row.done(), full.done()]


def announcement_seeds() -> list[bytes]:
    """Of each member, with addresses of each family."""
    packed = addresses.pack_list((Address("192.168.1.7", 7777), Address("fe80::7", 7777)))
    far = addresses.pack_list((Address("8.8.8.8", 7777),))
    row = Row().choices(0)
    for whose in range(5):
        row.choices(2, whose).piece(b"r" * 16 + packed).choices(0, whose).piece(b"q" * 16 + far)
    return [row.done()]
