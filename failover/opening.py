"""From a storage (new or old), a ticket or a wish to found, to everything that a member starts from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from failover import levels
from failover.codes import ticket_by_code
from failover.copies import NOTE_MET, mark_copy, read_met, refuse_copy
from failover.errors import (
    BadAddress,
    BadTicket,
    FailoverError,
    StorageCopied,
    StorageMissing,
    UsageError,
)
from failover.events import Rejoined
from failover.ids import ClusterId, Generation, LogIndex, MemberId, SecretKey, Term
from failover.joining import NOTE_CLUSTER, NOTE_TICKET, gate_of, get_in, known_cluster, with_news
from failover.line import Line
from failover.naming import NameBook
from failover.net import names, short_codes
from failover.net.addresses import ADDRESSES_MAX
from failover.net.endpoint import Transport, UdpTransport
from failover.net.handshake import NO_INVITE
from failover.net.noise import public_key
from failover.net.peers import Peers, Secrets
from failover.net.runs import Run
from failover.net.tickets import Ticket
from failover.raft.effects import HardState, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.records import NAME_SIZE_MAX, RECORDS, Founding, MemberInfo, Versions
from failover.rejoining import noted_rejoin, rejoin
from failover.storage.contract import Identity, Storage
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage
from failover.surroundings import Entropy, Surroundings
from failover.wire import GUEST_KINDS, WIRE, JoinAccepted, JoinAsWitness, JoinRequest

log = logging.getLogger("failover")

GIVEN_MAX = 4
NOTE_KIND = "kind"
"""Whether the identity is a `WITNESS`; else there is no such note. No member ever becomes one, or ceases to be."""
MEMBER, WITNESS = b"member", b"witness"
NOTE_PORT = "port"
"""Of the last run, in ASCII."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A member that may begin to live."""

    identity: Identity
    known: JoinAccepted
    """Secrets, generation and the other members, as known last."""
    peers: Peers
    info: MemberInfo
    """What this member says of itself."""
    incarnation: int
    """The number of this run; larger than those of all earlier runs of this storage."""
    has_joined: bool
    """Whether this run joined the cluster: its state has yet to come."""
    given: tuple[str, ...] = ()
    """Addresses that people gave for this member."""
    rejoined: Rejoined | None = None
    """Whether this run gave up a generation for another."""


def open_storage(storage: Storage | str | os.PathLike[str] | None) -> Storage:
    """The storage to use: a file's path, one's own object, or None for memory.

    Raises:
        StorageCopied: it is a copy, or was found out to be one before.
    """
    if storage is None:
        return MemoryStorage()
    opened = SqliteStorage(Path(storage)) if isinstance(storage, str | os.PathLike) else storage
    try:
        refuse_copy(opened.get_note)
    except BaseException:
        opened.close()
        raise
    return opened


def check_stored(storage: Storage, versions: Versions) -> None:
    """Before anything is changed: raise WrongVersion if such a program cannot play what this storage last knew."""
    known = known_cluster(storage.get_note(NOTE_CLUSTER))
    if known is not None:
        levels.check(versions, known.version, known.level)


def open_transport(bind: str, port: int, storage: Storage) -> UdpTransport:
    """Open the socket; where any port will do, on that of the last run if it is free.

    Members that were all away at once know of each other only where they were: were each to come back on another
    port, none would ever find the others.
    """
    noted = storage.get_note(NOTE_PORT)
    if port == 0 and noted is not None:
        with suppress(FailoverError, ValueError):
            return UdpTransport(bind, int(noted))
    opened = UdpTransport(bind, port)
    storage.set_note(NOTE_PORT, b"%d" % opened.address.port)
    return opened


async def real_ticket(ticket: str | None, storage: Storage, bind: str, surroundings: Surroundings) -> str | None:
    """The ticket that a short code stands for; a storage that was admitted before needs none."""
    if ticket is None or not short_codes.is_code(ticket):
        return ticket
    if storage.get_note(NOTE_CLUSTER) is not None:
        return None
    return await ticket_by_code(ticket, bind=bind if ":" not in bind else "0.0.0.0", surroundings=surroundings)  # noqa: S104


def check_given(name: str, given: Sequence[str]) -> tuple[str, ...]:
    """The addresses that people gave for this member, in their one form. Raises BadAddress; UsageError for what is
    no name of a member."""
    if not _is_name(name):
        raise UsageError(f"a name has 1 to {NAME_SIZE_MAX} bytes of UTF-8")
    parsed = [names.parse(text) for text in given]
    if len(parsed) > GIVEN_MAX or sum(isinstance(each, names.Name) for each in parsed) > names.NAMES_MAX:
        raise BadAddress(f"a member has at most {GIVEN_MAX} addresses, {names.NAMES_MAX} of them names")
    unfit = next((each for each in parsed if each.port == 0), None)
    if unfit is not None:
        raise BadAddress(f"{unfit} has no port by which others could reach this member")
    return tuple(map(str, parsed))


def _is_name(name: str) -> bool:
    try:
        return 1 <= len(name.encode()) <= NAME_SIZE_MAX
    except UnicodeEncodeError:  # a half of a surrogate pair
        return False


def all_addresses(given: Sequence[str], transport: Transport) -> tuple[str, ...]:
    """Where others may reach this member: what people gave, then what the machine knows of itself."""
    return tuple(dict.fromkeys((*given, *map(str, transport.local_addresses))))[:ADDRESSES_MAX]


def is_on_loopback(transport: Transport) -> bool:
    """Whether this member can be reached on its own machine only."""
    return all(address.ip in ("127.0.0.1", "::1") for address in transport.local_addresses)


async def open_identity(
    storage: Storage,
    transport: Transport,
    line: Line,
    *,
    ticket: str | None,
    found: bool,
    name: str,
    versions: Versions,
    promise_ceiling_s: float,
    surroundings: Surroundings,
    given: Sequence[str] = (),
    is_witness: bool = False,
) -> Opened:
    """Resume what the storage holds, else join with the ticket, else found, else say what is missing."""
    parsed = Ticket.parse(ticket) if ticket is not None else None
    _check_start(storage, parsed, found=found, is_witness=is_witness)
    _check_kind(storage, is_witness=is_witness)
    identity = storage.identity()
    if identity is None:
        private_key = surroundings.entropy(32)
        cluster = parsed.cluster if parsed else ClusterId(surroundings.entropy(16))
        identity = Identity(MemberId(public_key(private_key)), private_key, cluster)
        storage.found(identity, HardState(Term(0), None, promise_ceiling_s))
    info = MemberInfo(identity.member, name, all_addresses(given, transport), versions).shown()
    if parsed is None and storage.get_note(NOTE_CLUSTER) is None:
        _found(storage, identity, info, promise_ceiling_s, surroundings.entropy)
    known, rejoined = known_cluster(storage.get_note(NOTE_CLUSTER)), None
    met = read_met(storage.get_note(NOTE_MET))
    has_joined = known is None
    incarnations = storage.begin_incarnation(int(surroundings.unix_time() * 1_000))
    peers = _open_peers(incarnations, identity, info, known, parsed, line, surroundings.entropy, met)
    request = (JoinAsWitness if is_witness else JoinRequest)(NO_INVITE, info.name, info.addresses, versions)
    with _copies_marked(storage, peers):
        if known is not None:
            peers.set_generation(known.generation)
            if (plan := noted_rejoin(storage)) is not None:
                outcome = await rejoin(plan, storage, peers, line, request, known, surroundings.clock)
                if outcome is not None:
                    (known, rejoined), has_joined, parsed = outcome, True, None
                    peers.set_secrets(known.secrets)
        if parsed is not None and known is not None:
            parsed = with_news(parsed, known, storage.get_note(NOTE_TICKET))
        if parsed is not None:
            book = NameBook(surroundings.resolve, surroundings.clock, allow_loopback=is_on_loopback(transport))
            parsed = await book.with_addresses(parsed)
            request = replace(request, invite=parsed.invite_id)
            known = await get_in(peers, line, parsed, request, known, surroundings.clock)
            levels.check(versions, known.version, known.level)
            storage.set_note(NOTE_CLUSTER, WIRE.encode(known))
            storage.set_note(NOTE_TICKET, parsed.invite_id)
    assert known is not None
    peers.set_generation(known.generation)
    peers.set_members({other.member: other.parsed_addresses() for other in known.members})
    return Opened(identity, known, peers, info, incarnations[1], has_joined, tuple(given), rejoined)


def _check_start(storage: Storage, ticket: Ticket | None, *, found: bool, is_witness: bool) -> None:
    """Refuse where there is nothing to start from, or a ticket that is for somebody else."""
    identity = storage.identity()
    if storage.get_note(NOTE_CLUSTER) is None and ticket is None and not found:
        again = "founding or joining was interrupted in this storage: "
        way = (
            "the ticket of the game that it is to witness"
            if is_witness
            else "a ticket to join with, or found=True"
        )
        raise StorageMissing(
            f"{'there is nothing in this storage yet: ' if identity is None else again}give {way}"
            " (or look whether you meant another storage)"
        )
    if ticket is not None and identity is not None and identity.cluster != ticket.cluster:
        raise BadTicket("the ticket is for another cluster than this storage; use a new storage for it")


@contextmanager
def _copies_marked(storage: Storage, peers: Peers) -> Iterator[None]:
    """Whose storage turns out to be a copy is refused at every later opening, too."""
    try:
        yield
    except StorageCopied:
        assert peers.runs.later is not None
        mark_copy(storage.set_note, peers.runs.later)
        raise


def _check_kind(storage: Storage, *, is_witness: bool) -> None:
    """What the storage's identity is, it stays. Noted before there is one."""
    kind = WITNESS if is_witness else MEMBER
    if (storage.get_note(NOTE_KIND) or MEMBER) == kind:
        return
    if storage.identity() is not None:
        raise UsageError(
            "this storage is a player's, and no witness; a witness needs a storage of its own"
            if is_witness
            else "this storage is a witness's, which never plays; use a storage of its own for a player"
        )
    storage.set_note(NOTE_KIND, kind)


def _found(
    storage: Storage, identity: Identity, info: MemberInfo, promise_ceiling_s: float, entropy: Entropy
) -> None:
    """Write the first entry: from here on the cluster exists."""
    secrets = Secrets(1, SecretKey(entropy(32)), SecretKey(entropy(32)))
    record = Founding(identity.cluster, Generation(entropy(16)), info, secrets)
    if not storage.load().entries:
        entry = Entry(
            LogIndex(1), Term(1), RECORDS.encode(record), Membership(voters=frozenset({identity.member}))
        )
        hard_state = HardState(Term(1), None, promise_ceiling_s)
        storage.write((Write(number=1, hard_state=hard_state, entries=(entry,)),))
    else:
        first = RECORDS.decode_untrusted(storage.load().entries[0].command)
        assert isinstance(first, Founding)
        record = first
    versions = record.founder.versions
    known = JoinAccepted((record.secrets,), record.generation, (), versions.newest, versions.level)
    storage.set_note(NOTE_CLUSTER, WIRE.encode(known))


def _open_peers(
    incarnations: tuple[int, int],
    identity: Identity,
    info: MemberInfo,
    known: JoinAccepted | None,
    ticket: Ticket | None,
    line: Line,
    entropy: Entropy,
    met: Mapping[MemberId, Run],
) -> Peers:
    if known is not None:
        secrets = known.secrets
    else:
        assert ticket is not None
        secrets = (gate_of(ticket),)
    previous, incarnation = incarnations
    return Peers(
        private_key=identity.private_key,
        cluster=identity.cluster,
        secrets=secrets,
        name=info.name,
        incarnation=incarnation,
        previous_incarnation=previous,
        codec=WIRE,
        transmit=line.transport.send,
        entropy=entropy,
        addresses=info.parsed_addresses(),
        guest_kinds=GUEST_KINDS,
        open_sink=_no_snapshots_yet,
        note_key=line.note_key,
        met=met,
    )


def _no_snapshots_yet(member: MemberId, header: object, size: int) -> None:
    """`Snapshots` takes them as soon as there is a member to take them for."""
