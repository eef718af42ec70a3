"""Short codes: what a person reads aloud, `K7QF-3MDA`, and another types; the ticket then comes over the LAN.

Eight characters of Crockford's base32, 40 random bits: no I, L, O or U, and what is typed for them is understood.
40 bits can be gone through by any computer, so nothing that could be checked against them ever leaves a machine:
`code_exchange` says how. A code belongs in no log, as a ticket does not.
"""

from __future__ import annotations

from failover.errors import BadTicket

LETTERS = 8
CODE_SIZE = 5
"""Random bytes that make one."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_HEARD_AS = str.maketrans("OIL", "011")
TYPED_SIZE_MAX = 24
"""Characters, with dashes and spaces, beyond which nobody meant a code."""
_TICKETS_BEGIN = "failover"


def from_entropy(random: bytes) -> str:
    """The code for 5 random bytes, with its dash."""
    assert len(random) == CODE_SIZE
    number = int.from_bytes(random, "big")
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(LETTERS)))
    return f"{letters[:4]}-{letters[4:]}"


def is_code(typed: str) -> bool:
    """Whether a person meant a code rather than a ticket; `parse` says whether it is one."""
    plain = "".join(typed.split())
    return 0 < len(plain) <= TYPED_SIZE_MAX and not plain.lower().startswith(_TICKETS_BEGIN)


def parse(typed: str) -> str:
    """The one form of what a person typed: case, dashes and spaces do not matter, O is 0, I and L are 1.

    Raises BadTicket, with a line that holds no part of it.
    """
    letters = "".join(typed.replace("-", " ").split()).upper().translate(_HEARD_AS)
    if len(letters) != LETTERS:
        raise BadTicket(
            f"a short code has {LETTERS} letters and digits, like K7QF-3MDA, and a ticket begins with failover1-"
        )
    if any(letter not in _ALPHABET for letter in letters):
        raise BadTicket("this code was mistyped: it has a sign that no code has")
    return f"{letters[:4]}-{letters[4:]}"
