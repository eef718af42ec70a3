"""The exchange behind a short code, decoded with nothing but docs/reference/wire-format.md and `spake2`.

`data/golden_codes.json` is written by `python -m tests.unit.net.test_wire_format_codes`; read the diff.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2s
from pathlib import Path
from typing import Any

import pytest
import wire_page
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from spake2 import SPAKE2_A

FILE = Path(__file__).parent / "data" / "golden_codes.json"
PAGE = wire_page.parse(wire_page.PAGE.read_text(encoding="utf-8"))
TITLE = "Ada · 1 of 4 seats"
GOLDEN_ANNOUNCEMENT = (
    "01727272727272727272727272727272720204611ec0a8010706621efd0000000000000000000000"
    "00000007881d66e989d1fa99b4d707ec87cf5ee3"
)


def golden() -> dict[str, Any]:
    """One conversation with fixed dice, and the dice of its seeker."""
    from failover.net import code_seeker
    from tests.unit.net.code_world import CODE, TICKET, CodeLan

    drawn: list[bytes] = []

    def overheard(password: bytes, *, entropy_f: Any, **options: bytes) -> SPAKE2_A:
        def draw(size: int) -> bytes:
            drawn.append(entropy_f(size))
            return drawn[-1]

        return SPAKE2_A(password, entropy_f=draw, **options)

    lan = CodeLan(seed=74)
    original, code_seeker.SPAKE2_A = code_seeker.SPAKE2_A, overheard
    try:
        lan.giver()
        lan.seeker()
        lan.run(0.1)
    finally:
        code_seeker.SPAKE2_A = original
    datagrams = [data.hex() for data, _, _ in lan.log]
    return {
        "code": CODE,
        "ticket": TICKET + "1",
        "seeker's dice": drawn[0].hex(),
        "datagrams": datagrams,
        "title": TITLE,
        "listing": golden_listing(),
    }


def golden_listing() -> list[str]:
    """Who asks which games are open, and one answer."""
    from tests.unit.net.code_world import CodeLan

    lan = CodeLan(seed=75)
    lan.giver(title=TITLE)
    lan.lister()
    lan.run(0.1)
    return [data.hex() for data, _, _ in lan.log]


def text_of(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def test_the_golden_conversation_says_what_the_page_says():
    told = json.loads(FILE.read_text(encoding="utf-8"))
    said = {}
    for each in told["datagrams"]:
        data = bytes.fromhex(each)
        name, fields, size = PAGE.codes[data[4]]
        assert len(data) == size and name not in said
        said[name] = PAGE.read_all(fields, data)
        magic = re.search(r"The magic is `(\w+)` and a (\d)", PAGE.text)
        assert said[name]["magic"] == magic[1].encode() + bytes([int(magic[2])]) and not any(said[name]["zero"])
    assert [data["nonce"] for data in said.values()] == [said["SEEK"]["nonce"]] * 2 + [said["OPEN"]["nonce"]] * 4
    assert said["OPEN"]["cookie"] == said["HERE"]["cookie"]
    key, nonce = key_of(told, said), said["OPEN"]["nonce"]
    labels = re.findall(r"`\"(failover code (?:confirm|ticket))\"`", PAGE.text)
    assert said["CONFIRM"]["mac"] == blake2s(labels[0].encode() + nonce, key=key).digest()
    sealed_under = blake2s(labels[1].encode() + nonce, key=key).digest()
    content = ChaCha20Poly1305(sealed_under).decrypt(bytes(12), said["TICKET"]["sealed"], nonce)
    size = int.from_bytes(content[:2], "little")
    assert content[2 : 2 + size].decode() == told["ticket"] and not any(content[2 + size :])


def test_the_golden_listing_says_what_the_page_says():
    told = json.loads(FILE.read_text(encoding="utf-8"))
    said = {}
    for each in told["listing"]:
        data = bytes.fromhex(each)
        name, fields, size = PAGE.codes[data[4]]
        assert len(data) == size and name not in said
        said[name] = PAGE.read_all(fields, data)
    assert list(said) == ["LIST", "LISTED"] and said["LIST"]["nonce"] == said["LISTED"]["nonce"]
    assert (said["LISTED"]["code"].decode(), said["LISTED"]["title"]) == (told["code"], told["title"])


def key_of(told: dict[str, Any], said: dict[str, Any]) -> bytes:
    """The seeker's key, from its dice and what the giver answered."""
    names = re.findall(r"`\"(failover code (?:seeker|giver))\"`", PAGE.text)
    dice = bytes.fromhex(told["seeker's dice"])
    side = SPAKE2_A(
        told["code"].encode(), idA=names[0].encode(), idB=names[1].encode(), entropy_f=lambda size: dice[:size]
    )
    assert side.start()[1:] == said["OPEN"]["element"]
    key: bytes = side.finish(b"B" + said["ANSWER"]["element"])
    return key


def test_an_announcement_says_what_the_page_says():
    from failover.ids import MemberId
    from failover.net.addresses import Address, pack_list
    from failover.net.discovery import announcement

    member, gate, homes = MemberId(b"m" * 32), b"g" * 32, [Address("192.168.1.7", 7777), Address("fd00::7", 7778)]
    written = announcement(gate, member, homes, b"r" * 16)
    said = PAGE.read_all(PAGE.announcement, written)
    assert [(each["ip"], each["port"]) for each in said["addresses"]["list"]] == [
        (b"\xc0\xa8\x01\x07", 7777), (b"\xfd" + bytes(14) + b"\x07", 7778),
    ]  # fmt: skip
    label = re.search(r'of `"(failover lan)"`', PAGE.text)[1].encode()
    key = blake2s(label + gate).digest()
    between = written[1 + 16 : -16]
    assert between == pack_list(tuple(homes))
    assert said["mac"] == blake2s(said["random"] + between + member, key=key, digest_size=16).digest()
    assert written.hex() == GOLDEN_ANNOUNCEMENT, "read the diff: it changes on the wire"


def test_the_library_still_says_it_so():
    assert text_of(golden()) == FILE.read_text(encoding="utf-8"), "read the diff: it changes on the wire"


def test_the_page_and_the_library_know_the_same_datagrams():
    from failover.net import code_exchange

    assert {number: size for number, (_, _, size) in PAGE.codes.items()} == code_exchange.SIZES
    for number, (name, _, _) in PAGE.codes.items():
        assert getattr(code_exchange, name) == number


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cookie 16, element 32, padding zeros | 128", "element 32, cookie 16, padding zeros | 128"),
        ("nonce 16, mac 32, padding zeros | 1152", "nonce 16, mac 16, padding zeros | 1152"),
        ('`"failover code ticket"`', '`"failover code tickets"`'),
    ],
)
def test_a_wrong_page_is_found(before, after, monkeypatch):
    assert PAGE.text.count(before) == 1
    monkeypatch.setitem(globals(), "PAGE", wire_page.parse(PAGE.text.replace(before, after)))
    with pytest.raises((wire_page.Wrong, AssertionError, IndexError)):
        test_the_golden_conversation_says_what_the_page_says()


if __name__ == "__main__":
    FILE.write_text(text_of(golden()), encoding="utf-8")
