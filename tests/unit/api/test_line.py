"""What `settings.net` puts between a member and its transport: faults, a capture, a key log."""

import os
import stat

import pytest
import trio
from world import Ledger, in_virtual_time, settled, until

import failover
from failover import Faults, FaultSettings, NetSettings
from failover.net import pcap
from failover.net.keylog import KeyRing
from failover.net.tap import TYPE_OPENED

pytestmark = pytest.mark.trio(run=in_virtual_time)
BAD = Faults(loss=0.05, duplication=0.02, delay_s=0.02, jitter_s=0.02, reordering=0.02)


def settings(**options) -> failover.Settings:
    return failover.Settings(net=NetSettings(**options))


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "failover"]


async def test_members_play_on_a_bad_network_that_was_asked_for(world, caplog):
    slow = failover.Settings(
        timing=failover.Settings.internet().timing, net=NetSettings(faults=FaultSettings(sent=BAD, received=BAD))
    )
    players = await world.cluster(3, settings=slow)
    lines = warnings(caplog)
    assert len(lines) == 3 and all("5.0% lost" in line and "20 ms later" in line for line in lines)
    for number in range(20):
        await players[number % 3].member.request(b"%d" % number)
    await settled(players)
    assert len(players[2].machine.commands) == 20
    await trio.sleep(60)

    def shortest_ms():
        links = [info.link for player in players for info in player.member.status().members if info.link]
        return [link.round_trip_min_ms for link in links]

    # Followers have little to say to each other: of the few pings of a minute, each comes back four times of five.
    await until(lambda: None not in shortest_ms(), seconds=600)
    assert min(shortest_ms()) > 80  # there and back, 20 ms on each end of each way
    assert all(player.member.status().dropped["faults: lost on demand"] > 10 for player in players)


async def test_nothing_is_put_between_unless_asked_for(world, caplog):
    (player,) = await world.cluster(1)
    assert player.member._running.driver._transport is world.air._ends[player.address]
    assert warnings(caplog) == []


def datagrams(path):
    with open(path, "rb") as file:
        return list(pcap.read_untrusted(file))


async def test_a_capture_has_what_was_said_decrypted(world, tmp_path, caplog):
    path = tmp_path / "game.pcap"
    founder = await world.open(found=True, settings=settings(capture=str(path)))
    await until(lambda: founder.member.is_host)
    guest = await world.open(ticket=await founder.member.invite())
    await guest.member.request(b"a very secret move")
    await trio.sleep(1)
    await founder.close()
    assert any("WRITTEN TO" in line and str(path) in line for line in warnings(caplog))
    found = datagrams(path)
    kinds = {each.payload[0] for each in found}
    assert kinds == {1, 2, TYPE_OPENED}
    ends = {founder.address, guest.address}
    assert all({each.source, each.target} == ends and each.is_whole for each in found)
    assert {each.source for each in found if b"a very secret move" in each.payload} == ends
    times = [each.time for each in found]
    assert times == sorted(times)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_key_log_opens_a_recording_of_the_network(world, tmp_path, caplog):
    path = tmp_path / "keys.txt"
    path.write_text("# mine\n")
    path.chmod(0o644)
    founder = await world.open(found=True, settings=settings(key_log=str(path)))
    await until(lambda: founder.member.is_host)
    heard, carry = [], world.air.carry

    def overhear(data, source, target):
        heard.append(data)
        carry(data, source, target)

    world.air.carry = overhear
    guest = await world.open(ticket=await founder.member.invite())
    await guest.member.request(b"a very secret move")
    await founder.close()
    assert any("KEYS OF ALL CHANNELS" in line for line in warnings(caplog))
    assert path.read_text().startswith("# mine\n")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = KeyRing()
    keys.read_untrusted(path.read_text().splitlines())
    sealed = [data for data in heard if data[0] == 4]
    opened = [keys.open_untrusted(data) for data in sealed]
    assert None not in opened and not any(b"secret" in data for data in heard)
    assert any(b"a very secret move" in frames for frames in opened)


async def test_the_environment_can_ask_for_both(tmp_path, monkeypatch):
    monkeypatch.setenv("FAILOVER_CAPTURE", str(tmp_path / "c.pcap"))
    monkeypatch.setenv("FAILOVER_KEY_LOG", str(tmp_path / "k.txt"))
    async with failover.open_member(Ledger(), found=True, transport=failover.UdpTransport("127.0.0.1")):
        pass
    assert datagrams(tmp_path / "c.pcap") == []
    assert (tmp_path / "k.txt").exists()


async def test_a_capture_never_overwrites_another(world, tmp_path):
    path = tmp_path / "game.pcap"
    path.write_text("mine")
    (player,) = await world.cluster(1, settings=settings(capture=str(path)))
    await player.close()
    assert path.read_text() == "mine"
    assert (tmp_path / "game-2.pcap").exists()


async def test_a_capture_ends_at_its_size(world, tmp_path, caplog):
    path = tmp_path / "game.pcap"
    players = await world.cluster(2, settings=settings(capture=str(path), capture_size_max=50_000))
    await trio.sleep(30)
    for player in players:
        await player.close()
    assert 45_000 < path.stat().st_size <= 50_000
    assert len(datagrams(path)) > 100
    assert sum("capture ends here" in line for line in warnings(caplog)) == 2


@pytest.mark.parametrize("option", ["capture", "key_log"])
async def test_a_file_that_cannot_be_made_is_said_before_anything_begins(world, tmp_path, option):
    with pytest.raises(failover.BadSettings, match="cannot be written"):
        await world.open(found=True, settings=settings(**{option: str(tmp_path / "nowhere" / "x")}))


@pytest.mark.skipif(os.name != "posix", reason="Windows lets only administrators make links")
async def test_keys_are_not_written_to_where_a_link_points(world, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(failover.BadSettings):
        await world.open(found=True, settings=settings(key_log=str(tmp_path / "link")))
    (player,) = await world.cluster(1, settings=settings(capture=str(tmp_path / "link")))
    await player.close()
    assert not (tmp_path / "elsewhere").exists()
