"""Tickets: the text with which a person joins. `failover1-` and base32 in lower case, without padding.

Base32, though a fifth longer than base64: it survives chats that fold case, can be read aloud, has no signs that
end a double click or mean something in a URL, and in upper case a QR code packs it as its alphanumeric kind, which
makes the code smaller than base64 would. Whoever holds a ticket can join: no part of it belongs in a log.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from hashlib import blake2s
from struct import Struct, error

from failover.errors import BadTicket, MalformedBytes
from failover.ids import CLUSTER_ID_SIZE, MEMBER_ID_SIZE, ClusterId, MemberId
from failover.net import addresses, names
from failover.net.addresses import Address
from failover.net.names import Name

PREFIX = "failover1-"
FORMAT = 1
CONTACTS_MAX = 4
ADDRESSES_PER_CONTACT_MAX = 4
TEXT_SIZE_MAX = 4096
CHECKSUM_SIZE = 5
"""40 bits; base32 packs 5 bytes into 8 letters."""
_HEAD = Struct("<BH16s32s16s32sQB")
"""The size stands second, so that a ticket that was cut off shows."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_AS_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""As Python writes numbers to the base of 32."""
_OTHER_VERSION = "this ticket was made by another version of the game; update, or ask for a new ticket"


@dataclass(frozen=True, slots=True)
class Contact:
    """A member that a newcomer may turn to."""

    member: MemberId
    addresses: tuple[Address, ...]
    names: tuple[Name, ...] = ()
    """Of machines whose address may change. A ticket holds the names themselves: it may be used days later."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a newcomer must know. Immutable; `str()` shows the fingerprint only, `text()` is the secret."""

    cluster: ClusterId
    contacts: tuple[Contact, ...]
    """1 to 4, each with 1 to 4 addresses and names, the most promising first."""
    gate: bytes
    """32 bytes: opens the ears of members, nothing else."""
    invite_id: bytes
    """16 bytes."""
    invite_secret: bytes
    """32 bytes: ends the guest's handshake."""
    expires_at: int
    """Unix seconds, judged by the members; 0 = never."""
    version: int = FORMAT

    def __post_init__(self) -> None:
        sizes = (len(self.cluster), len(self.gate), len(self.invite_id), len(self.invite_secret))
        assert sizes == (CLUSTER_ID_SIZE, 32, 16, 32)
        assert 1 <= len(self.contacts) <= CONTACTS_MAX and 0 <= self.expires_at < 2**64
        for contact in self.contacts:
            assert len(contact.member) == MEMBER_ID_SIZE
            assert 1 <= len(contact.addresses) + len(contact.names) <= ADDRESSES_PER_CONTACT_MAX

    def __repr__(self) -> str:
        return f"Ticket(cluster={self.cluster.hex()[:6]}, invite={self.fingerprint()})"

    __str__ = __repr__

    def fingerprint(self) -> str:
        """8 hex digits that name the invite and give nothing away."""
        return invite_fingerprint(self.invite_id)

    def text(self) -> str:
        """The ticket as text: `Ticket.parse` reads it back."""
        people = b"".join(_pack_contact(each) for each in self.contacts)
        head = _HEAD.pack(
            self.version,
            _HEAD.size + len(people) + CHECKSUM_SIZE,
            self.cluster,
            self.gate,
            self.invite_id,
            self.invite_secret,
            self.expires_at,
            len(self.contacts),
        )
        return PREFIX + _to_base32(head + people + _checksum(head + people))

    def text_within(self, size: int) -> str:
        """The same in at most `size` characters: the last contacts are left out. One always fits 1,000."""
        text, kept = self.text(), self.contacts
        while len(text) > size and len(kept) > 1:
            kept = kept[:-1]
            text = replace(self, contacts=kept).text()
        return text

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """Read what a person pasted: surrounding space, line breaks and case do not matter.

        Raises BadTicket with one line that says what is wrong with it; the line holds no part of the ticket.
        """
        letters = "".join(text.split()).lower()
        if len(letters) > TEXT_SIZE_MAX:
            raise BadTicket("this is no ticket: it is far too long")
        if not letters.startswith(PREFIX):
            raise BadTicket(_not_a_ticket(letters))
        raw, is_exact = _from_base32(letters[len(PREFIX) :])
        try:
            return _unpack_untrusted(raw, is_exact)
        except (MalformedBytes, AssertionError, error):
            raise BadTicket("this ticket was mistyped; copy it again, whole") from None


def _pack_contact(contact: Contact) -> bytes:
    return contact.member + addresses.pack_list(contact.addresses) + names.pack_list(contact.names)


def invite_fingerprint(invite_id: bytes) -> str:
    """8 hex digits that name an invite and give nothing away."""
    return blake2s(b"failover invite" + invite_id, digest_size=4).hexdigest()


def _not_a_ticket(letters: str) -> str:
    if PREFIX.startswith(letters) and letters:
        return "this ticket is cut off; copy it again, whole"
    if letters.startswith("failover") and letters[8:].partition("-")[0].isdigit():
        return _OTHER_VERSION
    return f"this is no ticket: a ticket begins with {PREFIX}"


def _to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _from_base32(letters: str) -> tuple[bytes, bool]:
    """All whole bytes, and whether no encoding but this one stands for them (left-over bits are zero)."""
    if not set(letters) <= set(_ALPHABET):
        raise BadTicket("this ticket was mistyped: it has a character that no ticket has")
    number = int(letters.translate(_AS_DIGITS), 32) if letters else 0
    size, left_over = divmod(5 * len(letters), 8)
    is_exact = left_over < 5 and not number & ((1 << left_over) - 1)
    return (number >> left_over).to_bytes(size, "big"), is_exact


def _checksum(data: bytes) -> bytes:
    return blake2s(b"failover ticket" + data, digest_size=CHECKSUM_SIZE).digest()


def _unpack_untrusted(raw: bytes, is_exact: bool) -> Ticket:
    """Raises BadTicket for what can be named, MalformedBytes for the rest."""
    if len(raw) < 3 or len(raw) < int.from_bytes(raw[1:3], "little"):
        raise BadTicket("this ticket is cut off; copy it again, whole")
    if not is_exact or _checksum(raw[:-CHECKSUM_SIZE]) != raw[-CHECKSUM_SIZE:]:
        raise BadTicket("this ticket was mistyped; copy it again, whole")
    if raw[0] != FORMAT:
        raise BadTicket(_OTHER_VERSION)
    version, size, cluster, gate, invite_id, invite_secret, expires_at, count = _HEAD.unpack_from(raw)
    contacts, offset = [], _HEAD.size
    for _ in range(count):
        member = MemberId(raw[offset : offset + MEMBER_ID_SIZE])
        found, offset = addresses.unpack_list_untrusted(raw, offset + MEMBER_ID_SIZE)
        named, offset = names.unpack_list_untrusted(raw, offset)
        contacts.append(Contact(member, found, named))
    if offset != size - CHECKSUM_SIZE or size != len(raw):
        raise MalformedBytes("ticket size")
    return Ticket(ClusterId(cluster), tuple(contacts), gate, invite_id, invite_secret, expires_at, version)
