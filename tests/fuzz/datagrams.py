"""Datagrams from outside any channel: of strangers, of who holds a ticket or is in another's place; handshakes.

Strangers get nothing at all. Who holds the gate gets no more bytes than he sent, and nobody else gets any.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.errors import MalformedBytes
from failover.net import cookies, handshake, noise
from failover.net.addresses import Address
from failover.net.channel import TYPE_DATA, VERSION
from failover.net.peer import Role
from tests.fuzz.feed import Feed, Row
from tests.fuzz.world import CLUSTER, HOME, IDS, INVITE, INVITE_SECRET, KEYS, SECRETS, World, check_tables

STRANGERS = (Address("203.0.113.66", 666), Address("203.0.113.67", 6666), Address("2001:db8::66", 6666),
             HOME["alice"], HOME["carol"])  # fmt: skip
"""Two of them write the addresses of members into their datagrams."""
HEAD = bytes([VERSION, 0, 0])
MAC1_KEY = handshake.mac1_key(IDS["bob"], SECRETS.gate)
GUEST_KEY = b"\x77" * 32
AUTHORS = (KEYS["alice"], KEYS["carol"], GUEST_KEY, KEYS["bob"], b"\x78" * 32)
INVITES = (handshake.NO_INVITE, INVITE, b"?" * 16)


def strangers(data: bytes) -> None:
    """Datagrams of who knows nothing: they are dropped, and that is all."""
    feed, world = Feed(data), World()
    before = len(world.sent)
    while not feed.is_over:
        form, source = feed.byte() % 6, feed.choice(STRANGERS)
        datagram = feed.piece(2_000)
        if 1 <= form <= 4:
            datagram = (bytes([form]) + HEAD + datagram).ljust(world_size(form), b"\0")
        if form == TYPE_DATA:  # of a channel that there is
            datagram = datagram[:4] + IDS["alice"][:4] + datagram[8:]
        world.arrive(datagram, source)
        world.check()
        assert len(world.sent) == before, "a stranger got an answer"
        assert not world.bob.has_news
    world.works("alice")
    world.works("dave")


def world_size(form: int) -> int:
    """Of a whole datagram of this type, so that it passes the first check."""
    return {TYPE_DATA: 0, cookies.TYPE_COOKIE: cookies.COOKIE_DATAGRAM_SIZE}.get(form, handshake.HANDSHAKE_SIZE)


def initiation(author: bytes, payload: bytes, index: int, ephemeral: bytes) -> tuple[noise.Initiator, bytes]:
    """As its author would make it, but for the payload."""
    initiator = noise.Initiator(
        static=author, ephemeral=ephemeral, responder_static=IDS["bob"], prologue=handshake.prologue(CLUSTER),
        payload=payload.ljust(handshake.INITIATION_PAYLOAD_SIZE, b"\0")[: handshake.INITIATION_PAYLOAD_SIZE],
    )  # fmt: skip
    return initiator, handshake.initiation(sender_index=index, noise_message=initiator.message, key=MAC1_KEY)


def initiations(data: bytes) -> None:
    """Initiations with the right mac1: of members, guests, Bob himself, and one who found an old gate."""
    feed, world, number = Feed(data), World(), 0
    while not feed.is_over and number < 30:
        number += 1
        source = feed.choice(STRANGERS)
        how = feed.byte() % 4
        if how == 0:  # garbage behind a mac1 that is right
            body = (bytes([1]) + HEAD + feed.piece()).ljust(handshake.MAC1_OFFSET, b"\0")[: handshake.MAC1_OFFSET]
            mac1 = handshake.mac1(MAC1_KEY, handshake.body_digest(body))
            caused = world.arrive(body + mac1 + feed.piece(16).ljust(16, b"\0"), source)
        elif how == 1:
            world.wait(feed.choice((0.01, 0.3, 3.0)))
            caused = []
        else:
            caused = shake(world, feed, source, number, completes=how == 3)
        assert len(caused) <= 1 and all(each.target == source for each in caused), (
            "somebody else was sent something"
        )
        world.check()
        world.take_all()
    world.works("dave")


def shake(world: World, feed: Feed, source: Address, number: int, *, completes: bool) -> list:
    """An initiation whose payload is the fuzzer's; perhaps with the DATA that makes a channel of it."""
    author, invite = feed.choice(AUTHORS), feed.choice(INVITES)
    is_packed = feed.byte() & 1
    if is_packed:
        payload = handshake.InitiationPayload(
            feed.number(8), feed.number(8), feed.number(4), feed.byte() % 3, feed.byte() % 3, feed.byte() % 3,
            invite, "x" * (feed.byte() % 65), (Address("10.9.9.9", 9999),) * (feed.byte() % 9),
        ).pack()  # fmt: skip
    else:
        payload = feed.piece(handshake.INITIATION_PAYLOAD_SIZE)
        try:
            said = handshake.InitiationPayload.unpack_untrusted(payload.ljust(1016, b"\0"))
        except MalformedBytes:
            pass
        else:
            assert said.pack() == payload.ljust(1016, b"\0")
    initiator, datagram = initiation(author, payload, number, bytes([number]) * 32)
    caused = world.arrive(datagram, source)
    assert len(caused) <= 1 and all(len(each.data) <= len(datagram) for each in caused)
    if completes and caused and caused[0].data[0] == handshake.TYPE_RESPONSE:
        complete(world, initiator, caused[0].data, feed, source)
    return caused


def complete(world: World, initiator: noise.Initiator, response: bytes, feed: Feed, source: Address) -> None:
    """Seal frames on the channel that the response made."""
    content = feed.piece(1_100)
    sender, _, message = handshake.split_response(response)
    for psk in (SECRETS.psk, INVITE_SECRET):
        try:
            packed, keys = initiator.read_response_untrusted(message, psk)
        except MalformedBytes:
            continue
        said = handshake.ResponsePayload.unpack_untrusted(packed)
        assert said.pack() == packed and said.observed == source
        header = bytes([TYPE_DATA]) + HEAD + sender.to_bytes(4, "little") + bytes(8)
        sealed = ChaCha20Poly1305(keys.initiator_sends).encrypt(bytes(12), content, header)
        world.claimed.add(Address("10.9.9.9", 9999))
        world.heard_at(source)
        world.arrive(header + sealed, feed.choice((source, *STRANGERS)))
        return
    raise AssertionError("a response that nobody can read")


def responses(data: bytes) -> None:
    """Bob is the initiator, a newcomer or a member; what comes back is the fuzzer's, authentic or not."""
    feed, world = Feed(data), World(Role.MEMBER)
    alice = world.peer("alice")
    alice.channels.close()
    world.sent.clear()
    world.bob.connect(IDS["alice"], world.now)
    for _ in range(10):
        if feed.is_over:
            break
        asked = [each for each in world.sent if each.data[0] == handshake.TYPE_INITIATION and
                 each.target == HOME["alice"]]  # fmt: skip
        if asked:
            answer(world, feed, asked[-1].data)
        check_tables(world.bob)
        world.wait(feed.choice((0.0, 0.2, 2.0)))
    world.check()
    world.works("dave")


def answer(world: World, feed: Feed, asked: bytes) -> None:
    """A RESPONSE or a COOKIE to that initiation."""
    index, message = handshake.split_initiation(asked)
    key = handshake.mac1_key(IDS["bob"], SECRETS.gate)
    form, source = feed.byte() % 4, feed.choice(STRANGERS)
    raw = feed.piece()
    if form == 0:
        payload = raw.ljust(handshake.RESPONSE_PAYLOAD_SIZE, b"\0")[: handshake.RESPONSE_PAYLOAD_SIZE]
        responder = noise.Responder(static=KEYS["alice"], prologue=handshake.prologue(CLUSTER), message=message)
        message, _ = responder.respond(ephemeral=b"\x33" * 32, psk=SECRETS.psk, payload=payload)
    else:
        message = raw.ljust(handshake.MAC1_OFFSET - 12, b"\0")[: handshake.MAC1_OFFSET - 12]
    if form < 2:
        datagram = handshake.response(sender_index=9, receiver_index=index, noise_message=message, key=key)
    else:
        cookie_key = cookies.cookie_key(IDS["alice"], SECRETS.gate) if form == 2 else raw[:32].ljust(32, b"\0")
        mac1 = asked[handshake.MAC1_OFFSET : handshake.MAC2_OFFSET]
        sealer = cookies.CookieSealer(cookie_key, b"n" * 16)
        datagram = sealer.datagram(receiver_index=index, cookie=raw[:16].ljust(16, b"\0"), mac1=mac1)
    caused = world.arrive(datagram, source)
    if form != 0:
        assert all(each.target == source for each in caused)
        assert len(caused) <= 1, "at most the same initiation again, with mac2"


# Seeds.


def stranger_seeds() -> list[bytes]:
    """One of each type."""
    return [Row().choices(form, 0).piece(bytes(range(200))).done() for form in range(6)]


def initiation_seeds() -> list[bytes]:
    """Accepted ones first."""
    rows = []
    for author, invite in ((0, 0), (1, 0), (2, 1), (3, 0), (4, 2), (0, 1)):
        for how in (2, 3):
            row = Row().choices(0, how, author, invite, 1).number(30, 8).number(10, 8).number(1, 4)
            rows.append(row.choices(1, 1, 1, 4, 1).piece(b"\x01" + bytes(27)))
    packed = handshake.InitiationPayload(9, 8, 1, 1, 1, 1, handshake.NO_INVITE, "Zoë", (HOME["alice"],)).pack()
    rows.append(Row().choices(0, 2, 0, 0, 0).piece(packed))
    rows.append(Row().choices(0, 0).piece(bytes(300)).piece(b""))
    rows.append(Row().choices(*([0, 0, 0, 0, 0, 0] * 28)))
    return [row.done() for row in rows]


def response_seeds() -> list[bytes]:
    """One that is right, one that is not, a cookie of each kind."""
    packed = handshake.ResponsePayload(30, 10, 1, HOME["bob"]).pack()
    rows = [Row().choices(0, 3).piece(packed).choices(1), Row().choices(1, 3).piece(packed).choices(1)]
    rows += [Row().choices(form, 3).piece(b"k" * 40).choices(1) for form in (2, 3)]
    return [row.done() for row in rows]
