"""Joining, leaving, and what stands in the log about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from tally import A, founded, member, until, voters

import failover
from failover.admission import Admission
from failover.directory import Directory
from failover.errors import StorageFailed
from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.net.frames import MESSAGE_SIZE_MAX
from failover.net.peers import Secrets
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.records import (
    ACTIONS,
    RECORDS,
    Admit,
    AppCommand,
    Caller,
    Depart,
    MemberInfo,
    Moved,
    OpenInvite,
    SystemAction,
    SystemCommand,
    Versions,
)
from failover.replica import Applied, Replica
from failover.storage.memory import MemoryStorage
from failover.wire import WIRE, JoinAccepted, JoinRequest

SECRETS = Secrets(1, bytes(32), bytes(32))
B, C = (MemberId(letter * 32) for letter in (b"b", b"c"))


def apply(replica: Replica, caller: Caller | None, what: bytes | SystemAction, *voters: MemberId) -> Applied:
    record: object = (
        AppCommand(0, caller, what) if isinstance(what, bytes) else SystemCommand(0, caller, ACTIONS.encode(what))
    )
    membership = Membership(voters=frozenset(voters)) if voters else None
    index = LogIndex(replica.applied_index + 1)
    return replica.apply(Entry(index, Term(1), RECORDS.encode(record), membership))


def test_a_request_of_a_member_that_was_removed_meanwhile_is_not_done_again() -> None:
    replica, machine = founded()
    apply(replica, None, Admit(MemberInfo(B, "b", ()), b""), A, B)
    apply(replica, Caller(B, 1, 1, 1), b"once")
    apply(replica, Caller(A, 1, 1, 1), Depart(B), A)
    assert apply(replica, Caller(B, 1, 1, 1), b"once").reply is None
    assert machine.items == ["once"]


def test_who_left_leaves_nothing_behind_in_the_table_of_requests() -> None:
    replica, _ = founded()
    apply(replica, None, Admit(MemberInfo(B, "b", ()), b""), A, B)
    assert apply(replica, Caller(B, 1, 1, 1), Depart(B), A).reply is not None
    assert replica.sessions.dump() == []


def test_the_directory_follows_the_membership_though_the_asker_has_given_up() -> None:
    replica, _ = founded()
    apply(replica, Caller(A, 1, 5, 5), b"later")
    apply(replica, Caller(A, 1, 4, 4), Admit(MemberInfo(B, "b", ()), b""), A, B)
    assert replica.directory is not None and B in replica.directory.members


def test_an_invite_that_gave_way_still_lets_in_whom_the_host_let_in() -> None:
    directory = Directory(ClusterId(b"c" * 16), Generation(b"g" * 16), (SECRETS,), {}, {})
    after, _ = directory.after(Admit(MemberInfo(B, "b", ()), b"gone"))
    assert B in after.members


def test_used_up_invites_give_way_first() -> None:
    directory = Directory(ClusterId(b"c" * 16), Generation(b"g" * 16), (SECRETS,), {}, {})
    for number in range(64):
        directory, _ = directory.after(OpenInvite(bytes([number]), b"", 1, 0))
    directory, _ = directory.after(Admit(MemberInfo(B, "b", ()), bytes([7])))
    assert not directory.admits(Admit(MemberInfo(C, "c", ()), bytes([7])), 0.0)
    directory, _ = directory.after(OpenInvite(b"new", b"", 1, 0))
    assert bytes([7]) not in directory.invites and bytes([0]) in directory.invites and len(directory.invites) == 64


def test_what_is_no_address_is_left_out() -> None:
    info = MemberInfo(A, "a", ("junk", "example.org:80", "1.2.3.4:x", "[::1", "127.0.0.1:99999", "127.0.0.1:7"))
    assert [str(address) for address in info.parsed_addresses()] == ["127.0.0.1:7"]


async def test_the_answer_to_a_newcomer_fits_into_a_datagram_however_many_addresses_there_are() -> None:
    sent: list[object] = []

    class Peers:
        def send_to_guest(self, guest: MemberId, message: object, now: float) -> None:
            sent.append(message)

    async def ask(action: Admit) -> bytes:
        raise AssertionError("it is a member")

    addresses = tuple(f"[2001:db8:1234:5678:9abc:def0:1234:{number}]:54321" for number in range(8))
    infos = [MemberInfo(MemberId(bytes([number]) * 32), "n" * 64, addresses) for number in range(10)]
    empty = Directory(ClusterId(b"c" * 16), Generation(b"g" * 16), (SECRETS,), {}, {})
    directory = replace(empty, members={info.member: info for info in infos})
    async with trio.open_nursery() as nursery:
        admission = Admission(Peers, lambda: directory, ask, nursery, lambda: 0.0)  # type: ignore[arg-type, return-value]
        admission.guest_asks(infos[0].member, JoinRequest(b"", "n", (), Versions()))
    assert isinstance(sent[0], JoinAccepted) and sent[0].members
    assert len(WIRE.encode(sent[0])) <= MESSAGE_SIZE_MAX


class FailsOnce(MemoryStorage):
    """Refuses the first note: a newcomer that crashes when it was admitted, before it has noted that."""

    def __init__(self) -> None:
        super().__init__()
        self.has_failed = False

    def set_note(self, key: str, value: bytes) -> None:
        if key == "cluster" and not self.has_failed:
            self.has_failed = True
            raise StorageFailed("crashed")
        super().set_note(key, value)


async def test_a_newcomer_that_crashed_between_admission_and_note_joins_with_the_same_ticket_for_one() -> None:
    storage = FailsOnce()
    async with member(found=True) as founder:
        ticket = await founder.invite(uses=1)
        with pytest.raises(StorageFailed):
            async with member(ticket=ticket, storage=storage):
                pass
        with trio.fail_after(5):
            async with member(ticket=ticket, storage=storage) as newcomer:
                assert await newcomer.request(b"a", timeout=2) == b"1"
                with pytest.raises(failover.NotAdmitted, match="used up"):
                    async with member(ticket=ticket):
                        pass


async def test_a_member_cannot_say_where_another_one_is() -> None:
    async with member(found=True) as founder, member(ticket=await founder.invite()) as other:
        with pytest.raises(failover.Refused):
            await other._life.act(Moved(MemberInfo(founder.id, "x", ("127.0.0.1:1",))))


async def test_a_host_that_ignores_requests_hears_new_ones_for_ever() -> None:
    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"answer me":
                await request.propose()

    async with member(found=True, serve=serve) as alone:
        await until(lambda: alone.is_host)
        for _ in range(18):
            with trio.move_on_after(0.01):
                async with trio.open_nursery() as nursery:
                    for _ in range(64):
                        nursery.start_soon(alone.request, b"ignore me")
        assert await alone.request(b"answer me", timeout=2) == b"1"


async def test_of_two_newcomers_with_a_ticket_for_one_one_is_admitted() -> None:
    async with member(found=True) as founder:
        ticket, outcomes = await founder.invite(uses=1), []

        async def join() -> None:
            try:
                async with member(ticket=ticket) as newcomer:
                    outcomes.append("joined")
                    await voters(2, founder, newcomer)
            except failover.NotAdmitted:
                outcomes.append("refused")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join)
            nursery.start_soon(join)
        assert sorted(outcomes) == ["joined", "refused"]
        assert len(founder.status().members) == 2
