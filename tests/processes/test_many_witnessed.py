"""One process that is the witness of twenty games, killed and started again."""

from __future__ import annotations

import trio

import failover
from failover.net.tickets import Ticket
from tests.processes.keeper import KeeperProcess
from tests.processes.worker import Ledger

GAMES = 20


async def test_one_process_is_the_witness_of_twenty_games_and_none_of_them_harms_another(nursery, tmp_path):
    async def found(task_status) -> None:
        async with failover.open_member(Ledger(), found=True, bind="127.0.0.1", name="ada") as member:
            while not member.is_host:  # noqa: ASYNC110  # nobody tells of it
                await trio.sleep(0.01)
            task_status.started(member)
            await trio.sleep_forever()

    async def all_are_witnessed(games: list[failover.Member]) -> None:
        with trio.fail_after(40):
            while not all(map(is_witnessed, games)):  # noqa: ASYNC110  # nobody tells of it
                await trio.sleep(0.05)

    games = [await nursery.start(found) for _ in range(GAMES)]
    tickets = [await game.invite() for game in games]
    with await trio.to_thread.run_sync(lambda: KeeperProcess(tmp_path, tickets=tuple(tickets))) as witness:
        await all_are_witnessed(games)
        await trio.to_thread.run_sync(witness.kill)
    assert len(list(tmp_path.glob("*.db"))) == GAMES
    leaving, damaged, *others = games
    (tmp_path / f"{await name_of(damaged)}.db").write_bytes(b"no storage" * 1000)
    with await trio.to_thread.run_sync(lambda: KeeperProcess(tmp_path)) as witness:
        await all_are_witnessed([leaving, *others])
        (member,) = (info.member for info in leaving.status().members if info.kind == "witness")
        await leaving.remove(member)
        await trio.to_thread.run_sync(witness.wait_for, "the members removed this witness")
        assert all(map(is_witnessed, others))
        with trio.fail_after(10):
            while is_witnessed(damaged):  # noqa: ASYNC110  # it was heard a moment ago, before it was damaged
                await trio.sleep(0.05)
        assert sum("move it away" in line for line in witness.lines) == 1
        assert await trio.to_thread.run_sync(witness.terminate) == 0


def is_witnessed(game: failover.Member) -> bool:
    return any(info.kind == "witness" and info.is_connected for info in game.status().members)


async def name_of(game: failover.Member) -> str:
    """Of its storage in the witness's folder: the cluster's id."""
    return Ticket.parse(await game.invite()).cluster.hex()
