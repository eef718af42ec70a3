"""`failover decode`: golden datagrams, captures of our own and of tcpdump, and files that are none."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

import failover
from failover.cli.datagrams import describe_untrusted
from failover.cli.main import main
from failover.net import keylog, pcap
from failover.net.addresses import Address
from failover.net.keylog import KeyRing
from failover.net.tap import opened

GOLDEN = json.loads((Path(__file__).parent / "net" / "data" / "golden.json").read_text(encoding="utf-8"))
ALICE, BOB = Address("192.0.2.1", 7777), Address("2001:db8::2", 7778)
PLACES = {"alice": ALICE, "bob": BOB}


def run(*arguments):
    return CliRunner().invoke(main, ["decode", *map(str, arguments)])


def golden_keys() -> str:
    """A key log for the golden datagrams, from the channels that they were sealed with."""
    import importlib.util

    path = Path(__file__).parent / "net" / "make_golden.py"
    spec = importlib.util.spec_from_file_location("make_golden_for_keys", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    noted = []

    class Noting(module.Channel):
        def __init__(self, **options):
            noted.append(keylog.line(options["remote_index"], options["send_key"]))
            super().__init__(**options)

    module.Channel = Noting
    module.golden()
    return "# two directions\n\n" + "".join(noted)


@pytest.fixture(scope="module")
def keys():
    return golden_keys()


def ring(keys):
    found = KeyRing()
    found.read_untrusted(keys.splitlines())
    return found


def capture_of(datagrams, **options):
    """A capture of golden datagrams, one a second."""
    records = [
        pcap.record(1_000_000_000 + number, PLACES[each["from"]], ALICE, payload)
        for number, (each, payload) in enumerate(datagrams)
    ]
    return pcap.file_header() + b"".join(records)


@pytest.fixture(scope="module")
def sealed():
    return capture_of([(each, bytes.fromhex(each["hex"])) for each in GOLDEN["datagrams"]])


@pytest.fixture(scope="module")
def unsealed(keys):
    found = ring(keys)
    return capture_of([(each, opened(bytes.fromhex(each["hex"]), found)) for each in GOLDEN["datagrams"]])


def written(tmp_path, content, name="file.pcap"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_with_the_keys_all_golden_datagrams_are_read(tmp_path, sealed, keys):
    result = run(written(tmp_path, sealed), "--keys", written(tmp_path, keys, "keys"), "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert len(lines) == len(GOLDEN["datagrams"])
    for number, (line, each) in enumerate(zip(lines, GOLDEN["datagrams"], strict=True)):
        assert (line["time"], line["type"]) == (1_000_000_000 + number, each["type"])
        assert line["size"] == len(each["hex"]) // 2
        if each["type"] != "DATA":
            continue
        names = [name.replace(" ", "") for name, _ in each["says"]]
        assert [frame["frame"].upper() for frame in line["frames"]] == names
        for frame, (_, fields) in zip(line["frames"], each["says"], strict=True):
            if fields.get("body"):
                name, values = fields["body"]
                assert frame["message"] == {"kind": name, "fields": values}


def test_our_own_capture_needs_no_keys_and_says_the_same(tmp_path, sealed, unsealed, keys):
    with_keys = run(written(tmp_path, sealed), "--keys", written(tmp_path, keys, "keys"))
    without = run(written(tmp_path, unsealed, "own.pcap"))
    assert without.exit_code == 0
    assert without.output == with_keys.output


def test_for_people_it_is_lines_with_times_ends_frames_and_fields(tmp_path, unsealed):
    output = run(written(tmp_path, unsealed)).output
    assert "\x1b" not in output, "plain when piped"
    lines = output.splitlines()
    assert lines[0].startswith("01:46:40.000000  192.0.2.1:7777 > ")
    assert "INITIATION  sender_index 0a0a0a0a  size 1152" in lines[0]
    assert "    PING  token=9223372036854775809" in lines
    assert any(line.startswith("    MESSAGE  CommitNotice  term=") for line in lines)
    assert lines[-1] == f"{len(GOLDEN['datagrams']):,} datagrams"


def test_without_keys_it_says_what_can_be_seen(tmp_path, sealed):
    output = run(written(tmp_path, sealed)).output
    data = sum(each["type"] == "DATA" for each in GOLDEN["datagrams"])
    assert output.count("(sealed, and no key opens it)") == data
    assert output.splitlines()[-1] == f"{len(GOLDEN['datagrams'])} datagrams, {data} not readable"


def test_other_traffic_is_foreign_and_does_no_harm(tmp_path, keys):
    dice = random.Random(1)
    heads = [bytes([dice.choice([0x84, 4, 1, 99]), 1, 0, 0])[: dice.randint(0, 4)] for _ in range(300)]
    strange = [head + dice.randbytes(dice.randint(0, 2000)) for head in heads]
    each = {"from": "alice"}
    result = run(written(tmp_path, capture_of([(each, payload) for payload in strange])), "--json")
    assert result.exit_code == 0
    kinds = {json.loads(line)["type"] for line in result.output.splitlines()}
    assert "foreign" in kinds and kinds <= {"foreign", "DATA", "INITIATION", "RESPONSE", "COOKIE"}


def test_texts_of_peers_do_not_reach_the_terminal_raw(tmp_path):
    from failover.net import frames
    from failover.wire import WIRE, JoinRefused

    body = WIRE.encode(JoinRefused("\x1b[2J [red]bold[/red]\nforged line"))
    payload = bytes([0x84, 1, 0, 0]) + bytes(12) + frames.join(body)
    output = run(written(tmp_path, capture_of([({"from": "alice"}, payload)]))).output
    assert "\x1b" not in output and len(output.splitlines()) == 3
    assert "[red]bold[/red]" in output


# Files that are none.


def one_line(result):
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a capture"),
        (b"a shopping list, quite long already", "not a capture"),
        (b"\x0a\x0d\x0d\x0a" + bytes(100), "pcapng"),
        (gzip.compress(b"x" * 100, mtime=0), "not a capture"),
        (pcap.file_header()[:10], "cut off"),
        (pcap.file_header()[:20] + struct.pack("<I", 127), "link type 127"),
        (pcap.file_header() + bytes(7), "cut off in packet 1"),
        (pcap.file_header() + struct.pack("<IIII", 0, 0, 2**32 - 1, 2**32 - 1), "damaged from packet 1"),
        (pcap.file_header() + struct.pack("<IIII", 0, 2**31, 10, 10) + bytes(10), "damaged from packet 1"),
    ],
)
def test_a_file_that_is_no_capture_is_one_line(tmp_path, content, says):
    line = one_line(run(written(tmp_path, content)))
    assert says in line and "file.pcap" in line


def test_what_was_read_before_the_damage_is_shown(tmp_path, unsealed):
    result = run(written(tmp_path, unsealed[:-5]))
    assert "cut off in packet" in one_line(result)
    assert "    PING  token=" in result.output


def test_every_cut_and_every_flipped_byte_is_survived(tmp_path, unsealed):
    short, dice = unsealed[:6000], random.Random(2)
    path = tmp_path / "file.pcap"
    for _ in range(60):
        damaged = bytearray(short[: dice.randint(0, len(short))])
        for _ in range(dice.randint(0, 3)):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        result = run(path)
        assert result.exception is None or isinstance(result.exception, SystemExit), damaged.hex()
        assert result.exit_code == 0 or one_line(result)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"DATA_KEY 0a0b", "line 1"),
        (b"# fine\nDATA_KEY 0a0a0a0a " + b"ab" * 31, "line 2"),
        (b"a shopping list", "line 1"),
        (b"x" * 100_000, "line 1"),
        (b"\xff\xfe\xfd", "not even text"),
    ],
)
def test_a_file_that_is_no_key_log_is_one_line(tmp_path, sealed, content, says):
    line = one_line(run(written(tmp_path, sealed), "--keys", written(tmp_path, content, "keys")))
    assert says in line and "keys" in line


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    result = run(tmp_path / "nowhere.pcap")
    assert result.exit_code == 2 and "No such file" in result.output


# Other writers' forms.


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "per_second"), [(0xA1B2C3D4, 10**6), (0xA1B23C4D, 10**9)])
@pytest.mark.parametrize(
    ("link", "before"),
    [
        (1, b"m" * 12 + b"\x08\x00"),
        (1, b"m" * 12 + b"\x81\x00\x00\x07\x08\x00"),
        (113, b"s" * 16),
        (276, b"s" * 20),
        (0, b"\x02\0\0\0"),
        (101, b""),
        (12, b""),
    ],
)
def test_captures_of_other_networks_and_machines_are_read(tmp_path, order, magic, per_second, link, before):
    ours = pcap.record(0.0, ALICE, Address("192.0.2.9", 9), b"payload")[16:]
    packet = before + ours
    content = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    content += struct.pack(order + "IIII", 1_000_000_000, per_second // 2, len(packet), len(packet)) + packet
    path = written(tmp_path, content)
    with path.open("rb") as file:
        (found,) = pcap.read_untrusted(file)
    assert found == (1_000_000_000.5, ALICE, Address("192.0.2.9", 9), b"payload", True)


def test_a_datagram_that_was_captured_in_part_is_no_riddle(sealed, keys):
    payload = next(bytes.fromhex(each["hex"]) for each in GOLDEN["datagrams"] if each["type"] == "DATA")
    said = describe_untrusted(payload[:40], ring(keys), is_whole=False)
    assert said["frames"] is None and "beginning" in said["why"]


# With tcpdump.


def test_tcpdump_reads_what_we_write(tmp_path, unsealed, require):
    require(shutil.which("tcpdump") is not None, "tcpdump is not installed")
    command = ["tcpdump", "-n", "-vv", "-r", str(written(tmp_path, unsealed))]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout.count("udp sum ok") == len(GOLDEN["datagrams"])
    assert "bad" not in told.stdout


class Counting:
    """The smallest game."""

    def __init__(self):
        self.bodies = []

    def apply(self, command, context):
        self.bodies.append(command)
        return b"ok"

    def view(self):
        return tuple(self.bodies)

    def snapshot(self):
        return iter([b"\n".join(self.bodies)])

    def restore(self, chunks):
        self.bodies = b"".join(chunks).split(b"\n")

    def digest(self):
        return b""


def started(command):
    """tcpdump, as soon as it listens."""
    tcpdump = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while "listening on" not in tcpdump.stderr.readline():
        assert tcpdump.poll() is None
    return tcpdump


async def test_tcpdump_and_a_key_log_show_what_members_said(tmp_path, require):
    require(shutil.which("tcpdump") is not None, "tcpdump is not installed")
    require(hasattr(os, "geteuid") and os.geteuid() == 0, "only root may capture")
    transport, path, log = failover.UdpTransport("127.0.0.1"), tmp_path / "net.pcap", tmp_path / "keys.txt"
    command = [
        "tcpdump",
        "-Z",
        "root",
        "-i",
        "lo",
        "-U",
        "-w",
        str(path),
        "udp",
        "port",
        str(transport.address.port),
    ]
    with started(command) as tcpdump:
        try:
            settings = failover.Settings(net=failover.NetSettings(key_log=str(log)))
            async with (
                failover.open_member(Counting(), found=True, transport=transport, settings=settings) as one,
                failover.open_member(Counting(), ticket=await one.invite(), bind="127.0.0.1") as two,
            ):
                with trio.fail_after(20):
                    await two.request(b"a secret move")
                await trio.sleep(0.3)
        finally:
            tcpdump.send_signal(signal.SIGINT)
    assert b"a secret move" not in path.read_bytes()
    result = run(path, "--keys", log, "--json")
    assert result.exit_code == 0, result.output[-500:]
    lines = [json.loads(line) for line in result.output.splitlines()]
    data = [line for line in lines if line["type"] == "DATA"]
    assert len(data) > 20 and all(line["frames"] for line in data)
    asked = [
        frame["message"]["fields"]
        for line in data
        for frame in line["frames"]
        if frame.get("message", {}).get("kind") == "Ask"
    ]
    assert b"a secret move".hex() in {fields["body"] for fields in asked}
    assert {line["type"] for line in lines} >= {"INITIATION", "RESPONSE", "DATA"}
