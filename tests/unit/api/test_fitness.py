"""How fit a computer is to host: the score, what it is made of, and what a game may say itself."""

import types

import psutil
import pytest
import trio
from world import host_of, in_virtual_time, until

import failover
from failover import fitness
from failover.fitness import Computer, FitnessWatch, Measures, load_between, look_at_this_computer, score

# --- the score ---


@pytest.mark.parametrize(
    ("measures", "hint"),
    [
        (Measures(), 255),
        (Measures(round_trips_s=(0.0003,)), 251),
        (Measures(round_trips_s=(0.002,)), 235),
        (Measures(round_trips_s=(0.030,)), 175),
        (Measures(round_trips_s=(0.100,)), 142),
        (Measures(round_trips_s=(60.0,)), 135),
        (Measures(round_trips_s=(0.010, 0.010, 9.0)), 203),
        (Measures(load=0.5), 225),
        (Measures(load=1.0), 195),
        (Measures(charge=1.0), 225),
        (Measures(charge=0.5), 225),
        (Measures(charge=0.25), 180),
        (Measures(charge=0.0), 135),
        (Measures(stall_s=0.020), 235),
        (Measures(stall_s=5.0), 195),
        (Measures(round_trips_s=(1.0,), load=1.0, charge=0.0, stall_s=1.0), 1),
    ],
)
def test_the_score(measures, hint):
    assert score(measures) == hint


def test_one_bad_link_of_another_is_nothing_against_this_one():
    assert score(Measures(round_trips_s=(0.01, 0.01, 5.0))) == score(Measures(round_trips_s=(0.01, 0.01, 0.01)))


@pytest.mark.parametrize(
    ("before", "after", "load"),
    [
        (Computer(10.0, 100.0), Computer(11.0, 102.0), 0.5),
        (Computer(10.0, 100.0), Computer(10.0, 102.0), 0.0),
        (Computer(10.0, 100.0), Computer(10.0, 100.0), 0.0),
        (Computer(10.0, 100.0), Computer(9.0, 101.0), 0.0),
        (Computer(10.0, 100.0), Computer(20.0, 101.0), 1.0),
    ],
)
def test_load_is_what_was_worked_between_two_looks(before, after, load):
    assert load_between(before, after) == load


# --- looking ---


def test_this_computer_can_be_looked_at():
    seen = look_at_this_computer()
    assert 0 <= seen.busy_s <= seen.total_s


@pytest.mark.parametrize(
    ("battery", "charge"),
    [
        (lambda: None, None),
        (lambda: types.SimpleNamespace(percent=80, power_plugged=True), None),
        (lambda: types.SimpleNamespace(percent=80, power_plugged=None), None),
        (lambda: types.SimpleNamespace(percent=80, power_plugged=False), 0.8),
    ],
)
def test_a_battery_counts_only_while_the_computer_runs_on_it(monkeypatch, battery, charge):
    monkeypatch.setattr(psutil, "sensors_battery", battery, raising=False)
    assert look_at_this_computer().charge == charge


@pytest.mark.parametrize("error", [NotImplementedError, FileNotFoundError, PermissionError, ValueError])
def test_a_system_that_tells_nothing_of_its_battery_has_none(monkeypatch, error):
    def refuse():
        raise error

    monkeypatch.setattr(psutil, "sensors_battery", refuse, raising=False)
    assert look_at_this_computer().charge is None
    monkeypatch.delattr(psutil, "sensors_battery")
    assert look_at_this_computer().charge is None


@pytest.mark.parametrize(
    "fields",
    [
        {"user": 6.0, "system": 2.0, "idle": 92.0},  # macOS has `nice`, too
        {"user": 6.0, "system": 2.0, "idle": 90.0, "interrupt": 1.0, "dpc": 1.0},  # Windows
        {"user": 6.0, "nice": 1.0, "system": 1.0, "idle": 85.0, "iowait": 7.0, "guest": 5.0, "guest_nice": 1.0},
    ],
)
def test_every_systems_processor_times_are_understood(monkeypatch, fields):
    times = types.SimpleNamespace(**fields)

    class Times(tuple):
        __slots__ = ()

        def __getattr__(self, name):
            return getattr(times, name)

    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(fields.values()))
    seen = look_at_this_computer()
    assert seen.total_s == 100.0
    assert 8.0 <= seen.busy_s <= 10.0


def test_a_system_that_hides_its_processor_times_says_nothing_of_load(monkeypatch):
    def refuse():
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    assert load_between(look_at_this_computer(), look_at_this_computer()) == 0.0


@pytest.mark.trio
async def test_the_loop_goes_on_while_the_computer_is_looked_at(monkeypatch):
    entered, leave = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def slow():
        trio.from_thread.run_sync(entered.set, trio_token=token)
        trio.from_thread.run(leave.wait, trio_token=token)
        return Computer(1.0, 2.0)

    monkeypatch.setattr(fitness, "look_at_this_computer", slow)
    seen = []

    async def look():
        seen.append(await fitness.look_from_thread())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await entered.wait()
        assert not seen
        leave.set()
    assert seen == [Computer(1.0, 2.0)]


# --- the watch ---


def watch(hints, *, own=None, looks=(), round_trips=()):
    remaining = list(looks)

    async def look():
        await trio.lowlevel.checkpoint()
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return FitnessWatch(
        own=own, look=look, round_trips_s=lambda: round_trips, stall_s=lambda: 0.0, set_hint=hints.append
    )


@pytest.mark.trio(run=in_virtual_time)
async def test_load_is_smoothed_and_a_short_burst_of_work_costs_little():
    hints = []
    looks = [Computer(0, 0), Computer(0, 3), Computer(3, 6), Computer(3, 9), Computer(3, 12)]
    with trio.move_on_after(10.0):
        await watch(hints, looks=looks).run()
    assert hints[0] == 255
    assert 230 < hints[1] < hints[2] < 255


@pytest.mark.trio(run=in_virtual_time)
async def test_what_a_game_says_is_taken_as_it_is_and_nonsense_is_none(caplog):
    hints = []
    said = iter([200, 1, 0, 255, 256, -1, 2.5, "fit", None, 7])

    def own():
        try:
            return next(said)
        except StopIteration:
            raise ZeroDivisionError from None

    with trio.move_on_after(3.0 * 11.5):
        await watch(hints, own=own).run()
    assert hints == [200, 1, 0, 255, 0, 0, 0, 0, 0, 7, 0, 0]
    assert len(caplog.records) == 1, "it is complained of once"


# --- members ---


@pytest.mark.trio(run=in_virtual_time)
async def test_status_shows_the_hints_and_the_real_order_on_every_member(world):
    said = {0: 100, 1: 60, 2: 220}
    founder = await world.open(found=True, fitness=lambda: said[0])
    await until(lambda: founder.member.is_host)
    ticket = await founder.member.invite(uses=2)
    players = [founder, *[await world.open(ticket=ticket, fitness=lambda n=n: said[n]) for n in (1, 2)]]
    ids = [player.member.id for player in players]

    def shown(player):
        status = player.member.status()
        return {each.member: each.hint for each in status.members}, status.next_hosts

    await until(
        lambda: all(shown(p) == (dict(zip(ids, said.values(), strict=True)), (ids[2], ids[1])) for p in players)
    )
    said[1] = 255
    await until(lambda: all(shown(player)[1] == (ids[1], ids[2]) for player in players))
    await players[0].close()
    await until(lambda: host_of(players[1:]))
    assert players[1].member.is_host, "the fittest takes over"


@pytest.mark.trio(run=in_virtual_time)
async def test_a_member_measures_itself_where_the_game_says_nothing(world):
    founder = await world.open(found=True)
    await until(lambda: founder.member.is_host)
    await until(lambda: founder.member.status().members[0].hint > 200)


@pytest.mark.trio(run=in_virtual_time)
async def test_a_host_makes_way_for_a_fitter_member_where_settings_say_so(world):
    timing = failover.Timing(fitter_margin=50, fitter_dwell_s=5.0, fitter_rest_s=5.0)
    settings = failover.Settings(timing=timing)
    founder = await world.open(found=True, fitness=lambda: 100, settings=settings)
    await until(lambda: founder.member.is_host)
    other = await world.open(ticket=await founder.member.invite(), fitness=lambda: 200, settings=settings)
    await until(lambda: other.member.is_host, 40.0)
    assert await founder.member.request(b"on") == b"0"


@pytest.mark.trio
async def test_a_member_measures_this_very_computer():
    class Nothing:
        def apply(self, command, context):
            return b""

        def view(self):
            return None

        def snapshot(self):
            return iter(())

        def restore(self, chunks):
            list(chunks)

        def digest(self):
            return b""

    async with failover.open_member(Nothing(), found=True, bind="127.0.0.1") as member:
        await until(lambda: member.status().members and member.status().members[0].hint > 0)
