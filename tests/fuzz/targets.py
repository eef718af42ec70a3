"""All targets by name. A target is a function of bytes that raises when something is wrong, and its seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from failover.net import code_exchange, handshake, keylog, pcap
from failover.settings import Settings
from tests.fuzz import channels, datagrams, exchanges, members, parsers, planted, whole
from tests.fuzz.feed import Row
from tests.fuzz.world import HOME
from tests.unit.net import make_golden

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    size_max: int = 4_096
    """Bytes of an input."""
    share: int = 1
    """Of the time: what keeps state is slower, and has more to find."""


def _frames() -> list[bytes]:
    return [content for _, _, content in make_golden.frame_samples()] + [seed[3:] for seed in channels.seeds()]


def _messages() -> list[bytes]:
    return parsers.message_seeds() + [encoded for _, _, encoded in make_golden.message_samples()]


def _strangers() -> list[bytes]:
    golden = json.loads(make_golden.FILE.read_text(encoding="utf-8"))["datagrams"]
    whole = [Row().choices(0, 0).piece(bytes.fromhex(each["hex"])).done() for each in golden[:8]]
    return datagrams.stranger_seeds() + whole


def _member() -> list[bytes]:
    golden = [content for _, _, content in make_golden.frame_samples()]
    return channels.seeds() + [Row().choices(channels.DIRECT).piece(content).done() for content in golden]


def _payloads() -> list[bytes]:
    said = handshake.InitiationPayload(9, 8, 1, 1, 1, 1, handshake.NO_INVITE, "Zoë", (HOME["alice"],) * 3)
    return [said.pack(), said.pack()[:90], handshake.ResponsePayload(9, 8, 1, HOME["bob"]).pack()]


def _captures() -> list[bytes]:
    written = pcap.record(1.5, HOME["alice"], HOME["bob"], b"payload")
    return [pcap.file_header() + written + written, pcap.file_header()[:20] + b"\1\0\0\0" + bytes(60)]


def _key_logs() -> list[bytes]:
    text = keylog.line(77, bytes(32)).encode()
    return [text + b"# note\n" + text + b"\0" + bytes([4, 1, 0, 0, 77, 0, 0, 0]) + bytes(40)]


def _exchange() -> list[bytes]:
    return [bytes([kind]) + bytes(range(100)) for kind in code_exchange.SIZES]


TARGETS = {
    "frames": Target(parsers.read_frames, _frames, 1_200),
    "messages": Target(parsers.read_messages, _messages),
    "addresses": Target(
        parsers.read_addresses, lambda: [b"\2\4\0\1" + bytes(4), b"[::1]:7", b"\1\6" + bytes(18)], 200
    ),
    "payloads": Target(parsers.read_payloads, _payloads, 1_100),
    "tickets": Target(parsers.read_tickets, parsers.text_seeds, 700),
    "settings": Target(parsers.read_settings, lambda: [Settings().to_toml().encode(), b"[timing]\nmargin_s = 1"]),
    "captures": Target(parsers.read_capture, _captures),
    "key_log": Target(parsers.read_key_log, _key_logs, 1_000),
    "decode": Target(parsers.read_for_people, _frames, 1_200),
    "notes": Target(parsers.read_note_text, lambda: [b"f=abc\0g=" + bytes(range(1, 9))], 500),
    "stored": Target(parsers.read_stored, parsers.stored_seeds, 600),
    "exchange": Target(parsers.read_exchange, _exchange, 1_200),
    "strangers": Target(datagrams.strangers, _strangers, share=4),
    "initiations": Target(datagrams.initiations, datagrams.initiation_seeds, share=4),
    "responses": Target(datagrams.responses, datagrams.response_seeds, share=4),
    "member": Target(channels.member, _member, share=4),
    "guest": Target(channels.guest, channels.seeds, share=4),
    "contact": Target(channels.contact, channels.seeds, share=4),
    "transfers": Target(channels.transfers, channels.transfer_seeds, 600, share=4),
    "core": Target(members.core, members.seeds, 800, share=4),
    "lies": Target(whole.lies, whole.seeds, 2_000, share=4),
    "giver": Target(exchanges.giver, exchanges.giver_seeds, 2_000, share=2),
    "seeker": Target(exchanges.seeker, exchanges.seeker_seeds, 4_000, share=2),
    "lister": Target(exchanges.lister, exchanges.lister_seeds, 6_000),
    "announcements": Target(exchanges.announcements, exchanges.announcement_seeds, 2_000),
}
PLANTED = {"planted": Target(planted.run, list, 16)}
"""What must be found: a fuzzer that finds nothing may be one that sees nothing."""
