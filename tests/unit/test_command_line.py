"""The commands of `failover`: what they show, and one line for each error."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from failover.cli.main import main
from failover.copies import mark_copy
from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.net.addresses import Address
from failover.net.peers import Secrets
from failover.net.runs import Run
from failover.net.tickets import Contact, Ticket
from failover.raft.effects import HardState, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.records import MemberInfo
from failover.storage.contract import Identity
from failover.storage.sqlite import SqliteStorage
from failover.wire import WIRE, JoinAccepted

ME = MemberId(b"\xab" * 32)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments, typed=None: CliRunner().invoke(main, list(map(str, arguments)), input=typed)


def only_line(result) -> str:
    lines = [line for line in result.output.splitlines() if line]
    assert len(lines) == 1, result.output
    return lines[0]


def test_version_is_said(run):
    result = run("--version")
    assert result.exit_code == 0
    assert only_line(result).startswith("failover ")


def test_inspect_shows_what_a_storage_holds_and_no_key(run, tmp_path):
    path = tmp_path / "game [red].db"
    storage = SqliteStorage(path)
    storage.found(Identity(ME, b"\xcd" * 32, ClusterId(b"\x12" * 16)), HardState(Term(3), ME, 0.4))
    entry = Entry(LogIndex(1), Term(3), b"hello", Membership(frozenset({ME})))
    storage.write((Write(1, entries=(entry,)),))
    assert "open in another process" in only_line(run("inspect", path))
    storage.close()
    result = run("inspect", path)
    assert result.exit_code == 0
    for text in ("game [red].db", "ab" * 32, "12" * 16, "400 ms", "1 to 1: 1, 5 bytes", "abababab (this one)"):
        assert text in result.output
    assert "cd" * 16 not in result.output


def test_inspect_shows_the_notes_but_none_of_their_secrets(run, tmp_path):
    path = tmp_path / "game.db"
    storage = SqliteStorage(path)
    storage.found(Identity(ME, b"\xcd" * 32, ClusterId(b"\x12" * 16)), HardState(Term(3), ME, 0.4))
    secrets = (Secrets(5, b"psk!" * 8, b"gate" * 8), Secrets(4, b"psk!" * 8, b"gate" * 8))
    other = MemberInfo(MemberId(b"\xba" * 32), "Zoë\x1b[31m", ("192.0.2.7:7777",))
    storage.set_note("cluster", WIRE.encode(JoinAccepted(secrets, Generation(b"g" * 16), (other,), 1, 1)))
    storage.set_note("met", b"\xba" * 32 + (77).to_bytes(8, "big") + b"seal" * 6)
    storage.set_note("port", b"7777")
    storage.set_note("ticket", b"i" * 16)
    mark_copy(storage.set_note, Run(1234, bytes(24)))
    storage.set_note("of a later version", b"12345")
    storage.close()
    result = run("inspect", path)
    assert result.exit_code == 0
    shown = ("babababa Zoë?[31m at 192.0.2.7:7777", "of epochs 5, 4", "run 77", "7777", "others met its run 1234",
             "note of a later version", "5 bytes", "place")  # fmt: skip
    for text in shown:
        assert text in result.output
    for secret in (b"psk!", b"gate", b"seal"):
        assert secret.decode() not in result.output and secret.hex() not in result.output


@pytest.mark.parametrize("note", ["cluster", "met"])
def test_inspect_says_which_note_it_cannot_read(run, tmp_path, note):
    path = tmp_path / "game.db"
    storage = SqliteStorage(path)
    storage.set_note(note, b"rubbish")
    storage.close()
    assert run("inspect", path).exit_code == 1
    assert only_line(run("inspect", path)).startswith("Error: ")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("a shopping list"), "move it away"),
        (lambda path: path.write_bytes(b""), "empty"),
    ],
)
def test_inspect_says_in_one_line_what_is_wrong(run, tmp_path, make, says):
    path = tmp_path / "game.db"
    make(path)
    result = run("inspect", path)
    assert result.exit_code == 1
    assert says in only_line(result)


def make_ticket(expires_at: int) -> Ticket:
    contact = Contact(ME, (Address("192.0.2.7", 4000),))
    secrets = {"gate": b"\x01" * 32, "invite_id": b"\x02" * 16, "invite_secret": b"\x03" * 32}
    return Ticket(ClusterId(b"\x12" * 16), (contact,), **secrets, expires_at=expires_at)


@pytest.mark.parametrize(("expires_at", "says"), [(0, "never"), (1, "(expired)"), (2**63, "far future")])
def test_ticket_shows_what_is_in_it_and_no_secret(run, tmp_path, expires_at, says):
    ticket = make_ticket(expires_at)
    (tmp_path / "ticket.txt").write_text(ticket.text())
    for result in (run("ticket", typed=ticket.text() + "\n"), run("ticket", tmp_path / "ticket.txt")):
        assert result.exit_code == 0, result.output
        for text in ("12" * 16, "192.0.2.7", "4000", "abababab", ticket.fingerprint(), says):
            assert text in result.output
        assert "03" * 8 not in result.output and ticket.text()[:40] not in result.output


@pytest.mark.parametrize(
    "text", ["", "hello", "failover1-", "failover1-abc", "x" * 100_000, "failover1-" + "a" * 300]
)
def test_a_wrong_ticket_gets_one_line(run, text):
    result = run("ticket", typed=text)
    assert result.exit_code == 1
    assert "ticket" in only_line(result)


def test_a_picture_is_no_ticket(run, tmp_path):
    (tmp_path / "ticket.png").write_bytes(b"\x89PNG\xff\xfe" * 100)
    result = run("ticket", tmp_path / "ticket.png")
    assert result.exit_code == 1
    assert "not even text" in only_line(result)
