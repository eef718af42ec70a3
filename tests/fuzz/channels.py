"""What comes through a channel: frames as the fuzzer wants them, from a member, a guest, or a newcomer's contact.

The sender is authenticated, so nothing stops it before the frames are read. It may be a cheater, a version of the
game that has a bug, or who found a ticket. Carol, who is none of these, must not notice.
"""

from __future__ import annotations

import hashlib

from failover.errors import MalformedBytes
from failover.net import frames
from failover.net.addresses import Address
from failover.net.channel import FRAMES_SIZE_MAX, RELAYING_SIZE_MAX
from failover.net.frames import CHUNK_SIZE, DIGEST_SIZE
from failover.net.peer import Role
from failover.net.places import short_id
from failover.net.transfers import MemorySource
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, Entry, InstallSnapshot
from failover.wire import WIRE
from tests.fuzz.feed import Feed, Row
from tests.fuzz.world import ELSEWHERE, HOME, IDS, NOW, WAIT_S_MAX, World

DIRECT, RELAYED, ELSEWHERE_FROM, WAIT, BOB_SENDS, AS_CAROL, TAKE = range(7)
STEPS_MAX = 60
CONTENT_MAX = RELAYING_SIZE_MAX - 32
ANNOUNCED = InstallSnapshot(1, 1, 1, Membership(frozenset(IDS.values())), 1, 3_000)  # type: ignore[arg-type]
WAITS_S = (0.0, 0.001, 0.006, 0.1, 0.5, 1.1, 3.0, 20.0)


def large(size: int) -> AppendEntries:
    """A message of more than `size` bytes."""
    return AppendEntries(1, 0, 1, (Entry(1, 1, b"x" * size),), 0)  # type: ignore[arg-type]


def note_claims(world: World, content: bytes) -> None:
    """Remember where the sender says that it may be."""
    try:
        found, _ = frames.parse_untrusted(content)
    except MalformedBytes:
        return
    for frame in found:
        if isinstance(frame, frames.Addresses):
            world.claimed.update(frame.addresses)


def run(role: Role, data: bytes) -> None:
    """Steps, each with its bytes, until they are used up."""
    feed, world = Feed(data), World(role)
    for _ in range(STEPS_MAX):
        if feed.is_over:
            break
        step(world, feed)
        world.check()
    world.wait(0.3)
    world.check()
    for name in world.ends:
        list(world.frames_for(name))
    if role is not Role.CONTACT:
        world.works("carol")
    if role is Role.MEMBER:
        world.works("alice", 2)


def step(world: World, feed: Feed) -> None:
    """One thing that happens."""
    what = feed.byte() % 7
    if what == WAIT:
        world.wait(feed.choice(WAITS_S))
    elif what == BOB_SENDS:
        bob_sends(world, feed.byte())
    elif what == TAKE:
        world.take_all()
    else:
        receive(world, what, feed)


def receive(world: World, what: int, feed: Feed) -> None:
    """A datagram of Alice's, or one of Carol's with what Alice wants relayed."""
    source = feed.choice(ELSEWHERE) if what == ELSEWHERE_FROM else HOME["alice"]
    content = feed.piece(FRAMES_SIZE_MAX if what == RELAYED else CONTENT_MAX)
    if world.role is not Role.GUEST:
        note_claims(world, content)
    if what == RELAYED and world.role is Role.MEMBER:
        world.relayed("alice", content)
    elif what == AS_CAROL and world.role is Role.MEMBER:
        passed = frames.relay(frames.PASSED_ON, short_id(IDS["dave"]), content[: CONTENT_MAX - 16])
        world.from_peer("carol", passed)
    else:
        world.from_peer("alice", content, source)


def bob_sends(world: World, what: int) -> None:
    """Something that the sender may disturb."""
    alice, now = IDS["alice"], world.now
    if world.role is Role.GUEST:
        world.bob.send_to_guest(alice, ANNOUNCED, now)
    elif world.role is Role.CONTACT:
        world.bob.send_as_guest(alice, ANNOUNCED, now)
    elif what % 4 == 0:
        world.bob.send(alice, large(10), now)
    elif what % 4 == 1:
        world.bob.send(alice, large(5_000), now)
    elif what % 4 == 2:
        world.bob.send_snapshot(alice, ANNOUNCED, MemorySource(bytes(3_000)), now)
    else:
        moved = Address("10.0.0.2", 7000 + what)
        world.bob.set_addresses((HOME["bob"], moved), now)


def member(data: bytes) -> None:
    """Frames of a member."""
    run(Role.MEMBER, data)


def guest(data: bytes) -> None:
    """Frames of a guest."""
    run(Role.GUEST, data)


def contact(data: bytes) -> None:
    """Frames of a newcomer's contact."""
    run(Role.CONTACT, data)


# Transfers: the frames are right, and their numbers are chosen.

TRANSFERS = (1, 2, 3, 4, 5, 6, 7, 200, 2**32 - 1)
NUMBERS = (0, 1, 2, 3, 4, 5, 963, 4095, 4096, 4097, 2**31, 2**32 - 1)
SIZES = (0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, 5_000, 1 << 20,
         (1 << 20) + 1, 256 << 20, (256 << 20) + 1, 2**64 - 1)  # fmt: skip
GIVEN_UP_S = 20.0
"""By then no transfer is left that nobody answers."""
BITMAPS = (0, 1, 2, 0b1011, (1 << 4096) - 1, 1 << 4095)
DIGESTS = (hashlib.sha256(b"").digest(), bytes(DIGEST_SIZE), hashlib.sha256(bytes(5_000)).digest())


def transfer_frame(feed: Feed) -> bytes:
    """One frame of a transfer, with numbers that matter."""
    kind, transfer = feed.byte() % 5, feed.choice(TRANSFERS)
    if kind == 0:
        is_snapshot = bool(feed.byte() & 1)
        if not is_snapshot:
            return frames.open_batch(transfer, feed.choice(SIZES))
        return frames.open_snapshot(transfer, feed.choice(SIZES), feed.choice(DIGESTS), WIRE.encode(ANNOUNCED))
    if kind == 1:
        number, size = feed.choice(NUMBERS), min(feed.choice(SIZES), CHUNK_SIZE)
        return frames.chunk(transfer, number, bytes([feed.byte()]) * size)
    if kind == 2:
        return frames.ack(transfer, feed.choice(NUMBERS), feed.choice(BITMAPS))
    if kind == 3:
        return frames.end(transfer, bool(feed.byte() & 1))
    return frames.accept(transfer, feed.choice(NUMBERS), feed.choice(BITMAPS))


def transfers(data: bytes) -> None:
    """Transfers in both directions, while their frames come in any order and with any number."""
    feed, world = Feed(data), World(Role.MEMBER)
    for _ in range(200):
        if feed.is_over:
            break
        what = feed.byte() % 8
        if what == 0:
            left_s = NOW + WAIT_S_MAX - GIVEN_UP_S - world.now
            world.wait(max(0.0, min(feed.choice(WAITS_S), left_s)))
        elif what == 1:
            bob_sends(world, feed.byte() % 3)
        elif what == 2:
            world.take_all()
        else:
            world.from_peer("alice", transfer_frame(feed))
        world.check()
    world.wait(GIVEN_UP_S)
    assert not world.peer("alice").receiver.active, "what is silent is given up"
    assert not world.peer("alice").sender.active
    assert not world.bob._context.shelf.arriving and not world.bob._context.budget.used
    world.check()


# Seeds.


def seeds() -> list[bytes]:
    """Each kind of frame alone, then some together, each in each way."""
    message = WIRE.encode(large(3))
    each = [
        frames.ping(5), frames.pong(5, HOME["bob"]), frames.pong(5, None), frames.message(message),
        frames.join(message), frames.open_batch(1, 2_000), frames.accept(1, 0, 0),
        frames.open_snapshot(2, 2_000, bytes(32), WIRE.encode(ANNOUNCED)), frames.chunk(1, 0, bytes(CHUNK_SIZE)),
        frames.ack(1, 0, 5), frames.end(1, True), frames.candidate_addresses((HOME["alice"], ELSEWHERE[1])),
        frames.unreliable(frames.Way.MEMBER, b"n" * 16, 1, b"here"),
        frames.relay(frames.PASS_ON, short_id(IDS["carol"]), bytes(40)),
        frames.relay(frames.PASSED_ON, short_id(IDS["dave"]), bytes(40)),
        frames.relay_refused(short_id(IDS["dave"])), bytes(20), b"\x0d", b"\xff",
    ]  # fmt: skip
    rows = [Row().choices(DIRECT).piece(content) for content in each]
    rows += [Row().choices(way).piece(b"".join(each[:6])) for way in (DIRECT, RELAYED, AS_CAROL)]
    rows += [Row().choices(ELSEWHERE_FROM, place).piece(frames.ping(9)) for place in range(len(ELSEWHERE))]
    everything = Row()
    for number, content in enumerate(each):
        everything.choices(BOB_SENDS, number, WAIT, number % 8, number % 2).piece(content)
    return [row.done() for row in (*rows, everything)]


def transfer_seeds() -> list[bytes]:
    """A batch, a snapshot, and what goes against one of Bob's."""
    batch = Row().choices(3, 0, 0, 0, 5).choices(*(b for n in range(5) for b in (3, 1, 0, n, 3, 7)))
    snapshot = Row().choices(3, 0, 1, 1, 6, 2).choices(*(b for n in range(4) for b in (3, 1, 1, n, 3, 0)))
    snapshot.choices(3, 1, 1, 4, 11, 0)
    against = Row().choices(1, 1, 1, 2, 0, 2, 3, 4, 0, 3, 2, 0, 2, 0, 3, 2, 0, 5, 0, 3, 3, 0, 0)
    return [batch.done(), snapshot.done(), against.done(), bytes(range(256))]
