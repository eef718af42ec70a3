"""`failover witness` from inside: many clusters, and what one of them does to the others (nothing)."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

import failover
from failover.cli import handing_in, keeping
from failover.cli.charge import Options
from failover.cli.handing_in import FILE_SIZE_MAX, Letterbox, tickets_in
from failover.cli.keeping import Keeper
from failover.cli.main import main
from failover.cli.telling import LINES_BURST, Teller
from failover.net.tickets import PREFIX

HERE = "127.0.0.1"


class Nothing:
    """A state machine without state."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        return b""

    def view(self) -> object:
        return None

    def snapshot(self) -> Any:
        return iter([b""])

    def restore(self, chunks: Any) -> None:
        for _ in chunks:
            pass

    def digest(self) -> bytes:
        return b"none"


async def until(condition: Any, within_s: float = 15.0) -> None:
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110  # views of members have no event to wait for
            await trio.sleep(0.005)


class Games:
    """Founders of clusters, each in a task of its own, until the test ends."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def found(self, **options: Any) -> failover.Member:
        member: failover.Member = await self._nursery.start(self._live, options)
        await until(lambda: member.is_host)
        return member

    async def _live(self, options: dict[str, Any], task_status: Any) -> None:
        async with failover.open_member(Nothing(), found=True, bind=HERE, name="ada", **options) as member:
            task_status.started(member)
            await trio.sleep_forever()


@pytest.fixture
async def games(nursery: trio.Nursery) -> Games:
    return Games(nursery)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_S", 0.02)
    monkeypatch.setattr(handing_in, "UNTOUCHED_S", 0.0)


class Kept:
    """A keeper that runs, and what it said."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.has_returned = False
        self.keeper = Keeper(folder, Options(**{"bind": HERE, **options}), self._hear)

    def _hear(self, cluster: str, line: str) -> None:
        self.lines.append(f"{cluster} {line}")

    @property
    def open(self) -> int:
        """How many clusters it is the witness of now."""
        return sum(charge.witness is not None for charge in self.keeper.charges.values())

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@asynccontextmanager
async def kept(folder: Path, *tickets: str, **options: Any) -> AsyncIterator[Kept]:
    """A keeper at work until the block ends."""
    it = Kept(folder, **options)

    async def run() -> None:
        await it.keeper.run(tickets)
        it.has_returned = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield it
        nursery.cancel_scope.cancel()


def has_witness(member: failover.Member) -> bool:
    return any(info.kind == "witness" and info.is_connected for info in member.status().members)


# --- many clusters ---


async def test_one_process_serves_many_and_goes_on_with_all_of_them(games, tmp_path):
    members = [await games.found() for _ in range(4)]
    tickets = [await member.invite() for member in members]
    async with kept(tmp_path, *tickets) as it:
        await until(lambda: all(map(has_witness, members)))
        await until(lambda: it.count("joined; it listens on UDP port") == 4)
        ports = {charge.witness.address.port for charge in it.keeper.charges.values()}
    assert len(list(tmp_path.glob("*.db"))) == 4
    await until(lambda: not any(map(has_witness, members)))
    async with kept(tmp_path) as it:
        await until(lambda: all(map(has_witness, members)))
        assert it.count("resumed; it listens on UDP port") == 4
        assert {charge.witness.address.port for charge in it.keeper.charges.values()} == ports
        await until(lambda: it.count("ada hosts") == 4)


async def test_a_removed_witness_ends_alone_and_its_storage_is_set_aside(games, tmp_path):
    ada, ben = await games.found(), await games.found()
    async with kept(tmp_path, await ada.invite(), await ben.invite()) as it:
        await until(lambda: it.open == 2 and has_witness(ada) and has_witness(ben))
        (witness,) = (info.member for info in ada.status().members if info.kind == "witness")
        await ada.remove(witness)
        await until(lambda: it.count("the members removed this witness"))
        assert len(it.keeper.charges) == 1 and has_witness(ben)
        assert len(list(tmp_path.glob("*.removed"))) == len(list(tmp_path.glob("*.db"))) == 1
        (tmp_path / "tickets" / "again").write_text(await ada.invite())  # a new storage, a new member
        await until(lambda: has_witness(ada))


async def test_a_damaged_storage_is_said_and_left_alone(games, tmp_path):
    ada, ben = await games.found(), await games.found()
    async with kept(tmp_path, await ada.invite(), await ben.invite()) as it:
        await until(lambda: it.open == 2 and has_witness(ada) and has_witness(ben))
        name = next(name for name, charge in it.keeper.charges.items() if ada.id in _members(charge))
    (tmp_path / f"{name}.db").write_bytes(b"\xff" * 5000)
    async with kept(tmp_path) as it:
        await until(lambda: has_witness(ben))
        await until(lambda: it.count(f"{name[:8]} "))
        assert "move it away" in it.lines[0] or "move it away" in it.lines[-1]
        assert len(it.keeper.charges) == 1 and not it.has_returned
    assert (tmp_path / f"{name}.db").read_bytes() == b"\xff" * 5000


def _members(charge: Any) -> set[failover.MemberId]:
    return {info.member for info in charge.witness.status().members}


async def test_a_mistake_in_one_cluster_is_nothing_to_the_others(games, tmp_path, monkeypatch):
    ada, ben = await games.found(), await games.found()
    async with kept(tmp_path, await ada.invite(), await ben.invite()) as it:
        await until(lambda: it.open == 2 and has_witness(ada) and has_witness(ben))
        sick = next(charge for charge in it.keeper.charges.values() if ada.id in _members(charge))
        sick.witness._member._life.stop(RuntimeError("planted"))
        await until(lambda: it.count("stopped: planted"))
        await until(lambda: it.count("resumed"))
        await until(lambda: it.open == 2 and has_witness(ada) and has_witness(ben))


# --- tickets ---


async def test_a_file_with_a_ticket_is_taken_while_it_runs_and_deleted_when_it_was_of_use(games, tmp_path):
    ada = await games.found()
    async with kept(tmp_path):
        post = tmp_path / "tickets" / "ada.txt"
        post.write_text(await ada.invite() + "\n")
        await until(lambda: has_witness(ada))
        await until(lambda: not post.exists())


async def test_what_is_of_no_use_is_set_aside_and_no_secret_is_ever_said(games, tmp_path):
    ada = await games.found()
    used_up = await ada.invite()
    async with kept(tmp_path / "first", used_up):
        await until(lambda: has_witness(ada))
    box = tmp_path / "second" / "tickets"
    async with kept(tmp_path / "second") as it:
        (box / "used up").write_text(used_up)
        (box / "picture.png").write_bytes(os.urandom(100_000))
        (box / "empty").write_text("")
        (box / "long").write_text(PREFIX + "a" * (FILE_SIZE_MAX + 1))
        (box / "cut off").write_text(used_up[:-5])
        (box / "folder").mkdir()
        await until(lambda: len(list(box.glob("*.refused"))) == 4, 20)
        assert (box / "empty").exists(), "somebody is about to write it"
        assert not it.has_returned and not it.keeper.charges
        said = "\n".join(it.lines)
        assert used_up[20:40] not in said and "there is a witness already" in said
    async with kept(tmp_path / "second") as it:  # a storage that never came in is no cluster
        await until(lambda: not it.keeper.charges)
        assert it.lines == []


async def test_a_folder_full_of_files_is_taken_in_turns(tmp_path):
    taken = []
    box = Letterbox(tmp_path, lambda ticket, done: taken.append(ticket))
    for number in range(200):
        (tmp_path / f"{number:03}").write_text(str(number))
    box.look()
    assert len(taken) == handing_in.TICKETS_MAX
    box.look()
    assert len(taken) == handing_in.TICKETS_MAX, "each once"


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(handing_in, "UNTOUCHED_S", 60.0)
    taken = []
    (tmp_path / "new").write_text("half of")
    box = Letterbox(tmp_path, lambda ticket, done: taken.append(ticket))
    box.look()
    assert taken == []


async def test_a_game_that_is_not_there_yet_is_tried_again_until_it_is(games, tmp_path, monkeypatch):
    monkeypatch.setattr("failover.admission.UNREACHABLE_AFTER_S", 0.2)
    monkeypatch.setattr("failover.cli.charge.AGAIN_FIRST_S", 0.05)
    async with failover.open_member(Nothing(), found=True, bind=HERE, storage=tmp_path / "ada.db") as ada:
        await until(lambda: ada.is_host)
        ticket = await ada.invite()
    async with kept(tmp_path / "witness", ticket) as it:
        await until(lambda: it.count("nobody answered at"))
        ada = await games.found(storage=tmp_path / "ada.db")
        await until(lambda: has_witness(ada))
        assert it.count("nobody answered at") == 1, "once is enough"


async def test_a_ticket_for_a_cluster_that_is_served_changes_nothing(games, tmp_path):
    ada = await games.found()
    async with kept(tmp_path, await ada.invite()) as it:
        await until(lambda: it.open == 1 and has_witness(ada))
        judged = []
        it.keeper.take(await ada.invite(), judged.append)
        assert judged == [True] and len(it.keeper.charges) == 1


async def test_a_short_code_is_as_good_as_a_ticket_on_the_same_network(games, tmp_path):
    ada = await games.found()
    async with kept(tmp_path, await ada.short_code()):
        await until(lambda: has_witness(ada))


async def test_tickets_that_are_all_of_no_use_end_it(tmp_path):
    async with kept(tmp_path, "failover1-abc", "hello world, this is no ticket") as it:
        await until(lambda: it.has_returned)
        assert len(it.lines) == 2


async def test_there_is_room_for_so_many_and_no_more(games, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "CLUSTERS_MAX", 1)
    ada, ben = await games.found(), await games.found()
    async with kept(tmp_path, await ada.invite(), await ben.invite()) as it:
        await until(lambda: it.count("not served") == 1)
        await until(lambda: has_witness(ada))
        assert len(it.keeper.charges) == 1


def test_tickets_stand_one_a_line_beside_what_is_for_people():
    assert tickets_in("# of Ada\nfailover1-a  # until May\n\n  failover1-b\r\n") == ["failover1-a", "failover1-b"]


# --- ports ---


def free_ports(count: int) -> range:
    """So many in a row that are free now."""
    for first in range(40_000, 60_000, 17):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind((HERE, port))
            return range(first, first + count)
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no free ports")


async def test_each_cluster_has_a_port_of_the_range_and_keeps_it(games, tmp_path):
    ports = free_ports(3)
    members = [await games.found() for _ in range(2)]
    tickets = [await member.invite() for member in members]
    used = []
    for given in (tickets, ()):
        async with kept(tmp_path, *given, ports=ports, addresses=["witness.example.org"]) as it:
            await until(lambda: all(map(has_witness, members)))
            await until(lambda it=it: it.open == 2)
            used.append({name: charge.witness.address.port for name, charge in it.keeper.charges.items()})
    assert used[0] == used[1] and set(used[0].values()) <= set(ports) and len(set(used[0].values())) == 2
    directory = members[0]._running.replica.directory
    assert any(
        address.startswith("witness.example.org:")
        for info in directory.members.values()
        for address in info.addresses
    )


async def test_where_no_port_is_left_it_says_so(games, tmp_path):
    ports = free_ports(1)
    ada = await games.found()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HERE, ports[0]))
        async with kept(tmp_path, await ada.invite(), ports=ports) as it:
            await until(lambda: it.count(f"none of the ports {ports[0]} to {ports[0]} is free"))


# --- what it says ---


def test_however_much_happens_so_many_lines_are_written():
    said, now = [], [0.0]
    teller = Teller(said.append, lambda: now[0])
    for number in range(1_000):
        teller.say(f"line {number}")
    assert len(said) == LINES_BURST
    now[0] = 10.0
    teller.say("later")
    assert said[-2:] == ["(970 lines were left out)", "later"]


async def test_a_full_disk_is_said_and_its_end_too(games, tmp_path, monkeypatch):
    monkeypatch.setattr("failover.cli.telling.LOOK_S", 0.02)
    ada = await games.found()
    async with kept(tmp_path, await ada.invite()) as it:
        await until(lambda: it.open == 1)
        (charge,) = it.keeper.charges.values()
        life = charge.witness._member._life
        life.trouble = "there is no room left"
        await until(lambda: it.count("the disk: there is no room left") == 1)
        life.trouble = ""
        await until(lambda: it.count("the disk is well again") == 1)


async def test_who_waits_to_be_let_in_says_by_what_it_is_known(games, tmp_path, caplog):
    caplog.set_level("INFO", "failover")
    ada = await games.found(settings=failover.Settings(confirm_identity=True))
    async with kept(tmp_path, await ada.invite()):
        await until(lambda: ada.joiners)
        (joiner,) = ada.joiners
        assert joiner.is_witness
        await until(lambda: f"fingerprint is {joiner.fingerprint}" in caplog.text)
        ada.admit(joiner.member)
        await until(lambda: has_witness(ada))


def test_what_cannot_be_written_does_not_end_it(tmp_path):
    folder = tmp_path / "Zoë 🎲"
    result = CliRunner(charset="ascii").invoke(main, ["witness", "--folder", str(folder), "failover1-abc"])
    assert result.exit_code == 1 and "nothing to witness" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ports", "0-5"], "is no port"),
        (["--ports", "5-4"], "is no port"),
        (["--ports", "9" * 5000], "is no port"),
        (["--ports", "1-70000"], "is no port"),
        (["--address", "example.org"], "needs --ports"),
        (["--tickets-from", "/nowhere/at/all"], "No such file"),
    ],
)
def test_a_wrong_call_gets_one_line(tmp_path, arguments, says):
    result = CliRunner().invoke(main, ["witness", "--folder", str(tmp_path), *arguments])
    assert result.exit_code == 2 and says in result.output.splitlines()[-1]


def test_a_wrong_ticket_is_an_error_of_one_line(tmp_path):
    result = CliRunner().invoke(main, ["witness", "--folder", str(tmp_path), "failover1-abc"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: nothing to witness")
    assert "cut off" in result.output or "mistyped" in result.output


def test_settings_that_are_none_are_an_error_of_one_line(tmp_path):
    (tmp_path / "settings.toml").write_text("hearbeat_s = 3")
    options = ["--folder", str(tmp_path), "--settings", str(tmp_path / "settings.toml")]
    result = CliRunner().invoke(main, ["witness", *options])
    assert result.exit_code == 1 and "unknown option hearbeat_s" in result.output.splitlines()[-1]
