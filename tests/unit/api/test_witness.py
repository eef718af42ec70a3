"""A witness among players: what it is told, what it counts for, and that it never hosts."""

from __future__ import annotations

import pytest
import trio
from world import host_of, in_virtual_time, settled, until, voters

import failover
from failover.directory import ADMITTED
from failover.ids import MemberId
from failover.net.tickets import Ticket
from failover.raft.timing import Timing
from failover.records import AdmitWitness, MemberInfo
from failover.wire import DigestReport

pytestmark = pytest.mark.trio(run=in_virtual_time)

SHORT_LOGS = failover.Settings(timing=Timing(snapshot_entries=20, kept_entries=5), digest_every=4)


def core_of(player):
    inner = getattr(player.member, "_member", player.member)
    return inner._running.core


def kinds(player) -> dict[str, str]:
    return {info.name: info.kind for info in player.member.status().members}


def survives(players) -> int | None:
    host = host_of([player for player in players if isinstance(player.member, failover.Member)])
    return host.member.status().failures_survived if host else None


async def witnessed(world, size: int = 2, storage=None, **options):
    """So many players, and a witness; ready when as many failures are survived as can be."""
    players = await world.cluster(size, **options)
    ticket = await players[0].member.invite()
    witness = await world.open(
        is_witness=True, ticket=ticket, storage=storage or failover.MemoryStorage(), name="w", **options
    )
    expected = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2}[size]
    await until(lambda: survives(players) == expected and not core_of(players[0]).log.membership.is_joint)
    return players, witness


async def test_two_players_survive_a_failure_with_a_witness(world, air):
    (ada, ben), witness = await witnessed(world)
    assert await ben.member.request(b"before") == b"0"
    air.cut.add(ada.address)
    await until(lambda: ben.member.is_host, 3.0)
    assert await ben.member.request(b"after") == b"1"
    assert ben.machine.commands == [b"before", b"after"]
    await until(lambda: witness.member.status().host == ben.member.id)


async def test_it_is_told_apart_from_players(world):
    (ada, ben), witness = await witnessed(world)
    for player in (ada, ben, witness):
        await until(
            lambda player=player: kinds(player) == {"member 1": "voter", "member 2": "voter", "w": "witness"}
        )
    joined = {event.name: event.is_witness for event in ben.events(failover.MemberJoined)}
    assert joined["w"] is True and not any(joined[name] for name in joined if name != "w")
    assert witness.member.id not in ada.member.status().next_hosts
    assert witness.member.status().digest == b""


@pytest.mark.parametrize(
    ("players", "voting"),
    [(1, {1}), (2, {1, 2, "w"}), (3, {1, 2, 3}), (4, {1, 2, 3, 4, "w"}), (5, {1, 2, 3, 4, 5})],
)
async def test_it_votes_where_it_makes_an_even_number_odd(world, players, voting):
    members, witness = await witnessed(world, players)
    await trio.sleep(2.0)
    names = {info.member: info.name for info in members[0].member.status().members}
    votes = {names[member] for member in core_of(members[0]).log.membership.voters}
    assert votes == {f"member {each}" if each != "w" else "w" for each in voting}
    for player in (*members, witness):
        told = {info.name for info in player.member.status().members if info.votes}
        assert told == votes, f"{player.member.status().name} is told otherwise"


async def test_a_lone_player_does_not_depend_on_a_witness(world, air):
    """Two voters would need each other, and one of them cannot host."""
    (ada, ben), witness = await witnessed(world)
    await ben.member.leave()
    await until(lambda: core_of(ada).log.membership.halves() == ({ada.member.id},))
    air.cut.add(witness.address)
    await trio.sleep(5.0)
    assert ada.member.is_host and await ada.member.request(b"alone") == b"0"


async def test_when_the_second_player_is_back_it_votes_again(world):
    (ada, ben), _ = await witnessed(world)
    storage = failover.MemoryStorage()
    await ben.member.leave()
    await until(lambda: voters(ada) == 1)
    cat = await world.open(ticket=await ada.member.invite(), storage=storage, name="cat")
    await until(lambda: survives([ada, cat]) == 1)
    await cat.close()
    await until(lambda: len(core_of(ada).log.membership.voters) == 1)
    cat = await world.open(storage=storage, name="cat")
    await until(lambda: survives([ada, cat]) == 1)


async def test_it_hears_of_hosts_and_hosts_nothing(world):
    (ada, ben), witness = await witnessed(world)
    await ada.member.hand_over()
    await until(lambda: ben.member.is_host)
    await until(lambda: [event.host for event in witness.events(failover.HostChanged)][-1:] == [ben.member.id])
    assert witness.events(failover.BecomeHost) == []
    with pytest.raises(failover.NotHost):
        await ben.member.hand_over(witness.member.id)


async def test_a_second_witness_is_refused_and_admitted_when_the_first_was_removed(world):
    (ada, ben), witness = await witnessed(world)
    ticket = await ada.member.invite(uses=2)
    with pytest.raises(failover.NotAdmitted, match="there is a witness already"):
        await world.open(is_witness=True, ticket=ticket, storage=failover.MemoryStorage())
    await ada.member.remove(witness.member.id)
    await until(lambda: witness.events(failover.Stopped))
    assert [event.member for event in witness.events(failover.MemberLeft)] == [witness.member.id]
    ticket = await ada.member.invite()
    await world.open(is_witness=True, ticket=ticket, storage=failover.MemoryStorage())
    await until(lambda: survives([ada, ben]) == 1)


async def test_who_asks_through_two_members_at_once_is_not_taken_for_a_second_witness(world):
    """It is one as soon as the entry is appended; the second question came before that was applied."""
    ada, ben = await world.cluster(2)
    invite = Ticket.parse(await ada.member.invite()).invite_id
    joiner, answers = MemberInfo(MemberId(b"w" * 32), "w", ()), []

    async def ask(through) -> None:
        answers.append(await through.member._life.act(AdmitWitness(joiner, invite)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, ada)
        nursery.start_soon(ask, ben)
    assert answers == [ADMITTED, ADMITTED]


async def test_it_can_leave(world):
    (ada, ben), witness = await witnessed(world)
    await witness.member.leave()
    await until(lambda: len(ada.member.status().members) == 2 and survives([ada, ben]) == 0)
    assert await ben.member.request(b"still here") == b"0"


async def test_closing_it_gives_its_vote_up_and_stays_a_member(world, air):
    storage = failover.MemoryStorage()
    (ada, ben), witness = await witnessed(world, storage=storage)
    await witness.close()
    assert core_of(ada).log.membership.voters == {ada.member.id, ben.member.id}
    again = await world.open(is_witness=True, storage=storage)
    assert again.member.id == witness.member.id
    await until(lambda: survives([ada, ben]) == 1)


async def test_what_a_storage_was_opened_as_first_it_stays(world):
    player, witness = failover.MemoryStorage(), failover.MemoryStorage()
    ada = await world.open(found=True, storage=player)
    await until(lambda: ada.member.is_host)
    (await world.open(is_witness=True, ticket=await ada.member.invite(), storage=witness)).closing.set()
    with pytest.raises(failover.UsageError, match="a witness's"):
        await world.open(storage=witness)
    await ada.close()
    with pytest.raises(failover.UsageError, match="a player's"):
        await world.open(is_witness=True, storage=player)


async def test_a_witness_founds_nothing(world):
    with pytest.raises(failover.StorageMissing):
        await world.open(is_witness=True, storage=failover.MemoryStorage())


async def test_the_application_is_asked_about_a_witness(world):
    settings = failover.Settings(confirm_identity=True)
    ada = await world.open(found=True, settings=settings)
    await until(lambda: ada.member.is_host)
    ticket = await ada.member.invite()

    async def say_yes() -> None:
        await until(lambda: ada.member.joiners)
        (joiner,) = ada.member.joiners
        assert joiner.is_witness and joiner.name == "w"
        ada.member.admit(joiner.member)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say_yes)
        await world.open(is_witness=True, ticket=ticket, storage=failover.MemoryStorage(), name="w")
    assert kinds(ada)["w"] == "witness"


async def test_who_goes_on_alone_meets_its_witness_again(world, air):
    """It was left behind with the host that crashed; in the new generation it is a witness again, not a player."""
    storage = failover.MemoryStorage()
    (ada, ben), witness = await witnessed(world, storage=storage)
    await ben.member.request(b"before")
    await settled([ada, ben])
    air.cut |= {ada.address, witness.address}
    await until(lambda: ben.events(failover.QuorumLost))
    await ben.member.continue_alone()
    air.cut.discard(witness.address)
    await until(lambda: witness.events(failover.Stopped))
    assert isinstance(witness.events(failover.Stopped)[0].error, failover.Superseded)
    await witness.close()
    again = await world.open(is_witness=True, storage=storage)
    assert again.member.id == witness.member.id and again.events(failover.Rejoined)
    membership = core_of(ben).log.membership
    assert membership.witnesses == {again.member.id} and membership.voters == {ben.member.id}
    assert kinds(ben)["witness"] == "witness" and await ben.member.request(b"after") == b"1"


# --- state and snapshots ---


async def test_digests_are_compared_without_it(world):
    (ada, ben), witness = await witnessed(world, settings=SHORT_LOGS)
    sent = []
    for player in (ada, ben, witness):
        peers = getattr(player.member, "_member", player.member)._running.peers
        send = peers.send

        def noting(to, message, now, send=send, player=player):
            if isinstance(message, DigestReport):
                sent.append((player, to))
            send(to, message, now)

        peers.send = noting
    for number in range(30):
        await ben.member.request(b"%d" % number)
    await settled([ada, ben])
    assert {(ada, ben.member.id)} == set(sent)
    assert not any(player.events(failover.StateDiverged) for player in (ada, ben, witness))


async def test_its_log_stays_short_by_the_hosts_snapshots_and_they_bring_in_a_newcomer_to_the_cluster(world, air):
    """The host crashes; the witness has the log and a snapshot, and the player that returns has nothing of it."""
    storage = failover.MemoryStorage()
    (ada, ben), witness = await witnessed(world, storage=storage, settings=SHORT_LOGS)
    for number in range(100):
        await ada.member.request(b"%d" % number)
    await until(lambda: witness.member.status().snapshot_index > 60)
    assert core_of(witness).log.base_index > 50
    air.cut.add(ben.address)
    for number in range(100, 200):
        await ada.member.request(b"%d" % number)
    await until(lambda: core_of(witness).log.base_index > 150)
    air.cut.add(ada.address)
    air.cut.discard(ben.address)
    await until(lambda: ben.member.is_host)
    assert ben.machine.restored == 1 and ben.machine.commands == [b"%d" % number for number in range(200)]
    assert [event.host for event in ben.events(failover.HostChanged)][-1] == ben.member.id
    for player in (ben, witness):
        assert witness.member.id not in [event.host for event in player.events(failover.HostChanged)]


async def test_restarted_from_its_storage_it_knows_who_the_members_are_and_holds_what_was_accepted(world, air):
    storage = failover.MemoryStorage()
    (ada, ben), witness = await witnessed(world, storage=storage, settings=SHORT_LOGS)
    for number in range(100):
        await ada.member.request(b"%d" % number)
    await until(lambda: witness.member.status().snapshot_index > 60)
    await witness.close()
    again = await world.open(is_witness=True, storage=storage, settings=SHORT_LOGS)
    assert len(again.member.status().members) == 3, "from the head of the snapshot"
    await until(lambda: survives([ada, ben]) == 1)
    air.cut.add(ada.address)
    await until(lambda: ben.member.is_host)
    assert await ben.member.request(b"after") == b"100"


async def test_it_keeps_no_replies(world):
    storage = failover.MemoryStorage()
    (_, ben), witness = await witnessed(world, storage=storage, settings=SHORT_LOGS)
    for number in range(60):
        await ben.member.request(b"%d" % number)
    await until(lambda: witness.member.status().snapshot_index > 20)
    await witness.close()
    again = await world.open(is_witness=True, storage=storage, settings=SHORT_LOGS)
    for player in (witness, again):
        table = player.member._member._running.replica.sessions._sessions
        replies = [reply for session in table.values() for reply in session.replies.values()]
        assert replies and set(replies) <= {b"", b"done", b"admitted"}
