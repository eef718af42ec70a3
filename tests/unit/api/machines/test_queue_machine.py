"""The queue's state machine: against plain lists, and against bytes that nobody should send."""

import pytest
from commands import ANN, BEN, SPOILING, Log, copied
from hypothesis import given
from hypothesis import strategies as st

import failover
from failover.machines import RAW, QueueMachine
from failover.machines.changes import DONE, FULL, MALFORMED, NO_TAKER, NOT_HELD, NOTHING, read_reply
from failover.machines.coding import number, sized
from failover.machines.queue_machine import (
    BACK,
    BODY_SIZE_MAX,
    BYE,
    FINISH,
    HELLO,
    ITEM_COST,
    PUT,
    RENEW,
    TAKE,
    TAKERS_MAX,
    TIDY,
    encode,
)

HOLD_S = 10.0
MEMBERS = (ANN, BEN, None)


def raw(**options):
    return QueueMachine(RAW, **options)


class Asker:
    """Speaks the machine's language."""

    def __init__(self, machine):
        self.log = Log(machine)

    def ask(self, sender, kind, *parts):
        code, index, rest = read_reply(self.log(encode(kind, *parts), sender))
        assert index == self.log.index
        return code, rest

    def put(self, topic, body=b"", sender=ANN):
        code, rest = self.ask(sender, PUT, sized(topic, 1), sized(body))
        return rest.number_untrusted() if code == DONE else None

    def hello(self, sender=ANN, hold_s=HOLD_S):
        return self.ask(sender, HELLO, number(round(hold_s * 1e6)))[1].take_untrusted(8)

    def take(self, taker, topic, sender=ANN):
        code, rest = self.ask(sender, TAKE, taker, sized(topic, 1))
        return (rest.number_untrusted(), rest.rest()) if code == DONE else code

    def let_go(self, kind, taker, item, sender=ANN):
        return self.ask(sender, kind, taker, number(item))[0]


class Lists:
    """What the queue should be, in the plainest way."""

    def __init__(self):
        self.ready = []  # (topic, number, body)
        self.held = []  # (taker, topic, number, body)
        self.takers = {}  # taker: (sender, until, hold)

    def forget(self, taker):
        self.takers.pop(taker, None)
        self.ready = sorted(
            self.ready + [item[1:] for item in self.held if item[0] == taker], key=lambda item: item[1]
        )
        self.held = [item for item in self.held if item[0] != taker]

    def pass_time(self, now):
        for taker in [taker for taker, (_, until, _) in self.takers.items() if until <= now]:
            self.forget(taker)

    def hears(self, taker, sender, now):
        known = self.takers.get(taker)
        if known is None or known[0] != sender:
            return False
        self.takers[taker] = (sender, now + known[2], known[2])
        return True


class Both:
    """The machine and the lists, asked the same."""

    def __init__(self):
        self.machine, self.lists = raw(), Lists()
        self.asker = Asker(self.machine)
        self.takers = dict.fromkeys(MEMBERS, bytes(8))

    def step(self, what, topic, sender, some):
        if what != "wait":
            self.lists.pass_time(self.asker.log.time)
        getattr(self, what)(topic, sender, self.takers[sender], some)

    def wait(self, topic, sender, taker, some):
        self.asker.log.time += some

    def put(self, topic, sender, taker, some):
        body = b"%d" % some
        self.lists.ready.append((topic, self.asker.put(topic, body, sender), body))

    def hello(self, topic, sender, taker, some):
        for old in [old for old, (member, _, _) in self.lists.takers.items() if member == sender]:
            self.lists.forget(old)
        new = self.takers[sender] = self.asker.hello(sender, HOLD_S)
        self.lists.takers[new] = (sender, self.asker.log.time + HOLD_S, HOLD_S)

    def take(self, topic, sender, taker, some):
        first = next((item for item in self.lists.ready if item[0] == topic), None)
        expected = first[1:] if first else NOTHING
        if not self.lists.hears(taker, sender, self.asker.log.time):
            expected = NO_TAKER
        elif first:
            self.lists.ready.remove(first)
            self.lists.held.append((taker, *first))
        assert self.asker.take(taker, topic, sender) == expected

    def finish(self, topic, sender, taker, some):
        self._let_go(FINISH, sender, taker, some)

    def back(self, topic, sender, taker, some):
        for item in self._let_go(BACK, sender, taker, some):
            self.lists.ready = sorted([*self.lists.ready, item[1:]], key=lambda item: item[1])

    def _let_go(self, kind, sender, taker, some):
        held = [item for item in self.lists.held if item[0] == taker]
        number_ = held[some % len(held)][2] if held else some
        hears = self.lists.hears(taker, sender, self.asker.log.time)
        gone = [item for item in held if hears and item[2] == number_]
        for item in gone:
            self.lists.held.remove(item)
        assert self.asker.let_go(kind, taker, number_, sender) == (DONE if gone else NOT_HELD)
        return gone

    def renew(self, topic, sender, taker, some):
        hears = self.lists.hears(taker, sender, self.asker.log.time)
        assert self.asker.ask(sender, RENEW, taker)[0] == (DONE if hears else NO_TAKER)

    def bye(self, topic, sender, taker, some):
        self.asker.ask(sender, BYE, taker)
        self.lists.forget(taker)

    def tidy(self, topic, sender, taker, some):
        self.asker.ask(sender, TIDY, number(1, 1), taker)
        self.lists.forget(taker)

    def check(self):
        picture, lists = self.machine.view(), self.lists
        topics = {topic: [item for item in lists.ready if item[0] == topic] for topic, _, _ in lists.ready}
        assert {topic.encode(): picture.waiting(topic) for topic in picture.topics} == {
            topic: len(items) for topic, items in topics.items()
        }
        assert picture.held_count == len(lists.held)
        assert all(picture.holds(item[0], item[2]) for item in lists.held)
        assert {key for key, _ in picture.takers} == set(lists.takers)


steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "take", "take", "finish", "back", "renew", "hello", "wait", "bye", "tidy"]),
        st.sampled_from([b"t", b"u", b""]),
        st.sampled_from(MEMBERS),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(steps)
def test_it_does_what_plain_lists_do(script):
    both = Both()
    for step in script:
        both.step(*step)
        if step[0] != "wait":
            both.check()
    other = copied(both.machine, raw)
    assert other.digest() == both.machine.digest()
    assert b"".join(other.snapshot()) == b"".join(both.machine.snapshot())


@given(steps)
def test_a_copy_goes_on_as_the_original_does(script):
    machine = raw()
    asker = Asker(machine)
    taker = asker.hello()
    for _, topic, who, some in script:
        asker.put(topic, b"%d" % some, who)
        asker.take(taker, topic)
    twin = Asker(copied(machine, raw))
    twin.log.index, twin.log.time = asker.log.index, asker.log.time
    for log in (asker.log, twin.log):
        log.time += HOLD_S
    assert twin.put(b"t") == asker.put(b"t")
    assert twin.log.machine.digest() == machine.digest()
    assert twin.take(twin.hello(), b"t") == asker.take(asker.hello(), b"t")
    assert twin.log.machine.digest() == machine.digest()


@given(st.binary(max_size=80), st.integers(0, 10))
def test_any_bytes_get_a_reply(data, kind):
    machine = raw()
    asker = Asker(machine)
    asker.put(b"t", b"1")
    asker.take(asker.hello(), b"t")
    for command in (data, bytes([kind]) + data, bytes([kind]) + number(2) + data):
        assert asker.log(command)[0] in range(7)
    assert copied(machine, raw).digest() == machine.digest()


def test_bytes_after_a_command_make_it_none():
    machine = raw()
    asker = Asker(machine)
    assert asker.log(encode(PUT, sized(b"t", 1), sized(b"x"), b"!"))[0] == MALFORMED
    assert (
        asker.log(encode(PUT, sized(b"t", 1), (BODY_SIZE_MAX + 1).to_bytes(2, "big"), bytes(BODY_SIZE_MAX + 1)))[0]
        == MALFORMED
    )
    assert machine.view().ready_count == 0


def test_an_item_of_a_silent_taker_is_given_out_again_at_its_old_place():
    machine = raw()
    asker = Asker(machine)
    ann, ben = asker.hello(ANN), asker.hello(BEN)
    first, second, third = (asker.put(b"t", body) for body in (b"1", b"2", b"3"))
    assert asker.take(ann, b"t") == (first, b"1")
    assert asker.take(ben, b"t", BEN) == (second, b"2")
    asker.log.time = HOLD_S - 0.001
    assert asker.ask(BEN, RENEW, ben)[0] == DONE
    asker.log.time = HOLD_S
    assert asker.take(ben, b"t", BEN) == (first, b"1")
    assert asker.let_go(FINISH, ann, first, ANN) == NOT_HELD
    assert asker.let_go(FINISH, ben, first, BEN) == DONE
    assert asker.take(ben, b"t", BEN) == (third, b"3")


def test_nobody_finishes_what_somebody_else_holds():
    asker = Asker(raw())
    ann = asker.hello(ANN)
    item = asker.put(b"t")
    asker.take(ann, b"t")
    assert asker.let_go(FINISH, ann, item, BEN) == NOT_HELD
    assert asker.take(ann, b"t", BEN) == NO_TAKER
    assert asker.ask(BEN, BYE, ann)[0] == DONE
    assert asker.let_go(FINISH, ann, item, ANN) == DONE


def test_a_new_process_of_a_member_succeeds_the_old_one():
    asker = Asker(raw())
    old = asker.hello()
    item = asker.put(b"t", b"1")
    asker.take(old, b"t")
    new = asker.hello()
    assert asker.take(old, b"t") == NO_TAKER
    assert asker.take(new, b"t") == (item, b"1")


def test_what_does_not_fit_is_refused_until_something_is_finished():
    machine = raw(size_max=2 * (ITEM_COST + 11))
    asker = Asker(machine)
    items = [asker.put(b"t", bytes(10)) for _ in range(3)]
    assert items[2] is None
    taker = asker.hello()
    asker.take(taker, b"t")
    assert asker.put(b"t", bytes(10)) is None, "what is held takes its room"
    asker.let_go(FINISH, taker, items[0])
    assert asker.put(b"t", bytes(10)) is not None


def test_takers_are_bounded_and_time_makes_room():
    asker = Asker(raw())
    for each in range(TAKERS_MAX):
        asker.hello(number(each, 32))
    assert asker.ask(ANN, HELLO, number(10**6))[0] == FULL
    asker.log.time = HOLD_S
    assert asker.ask(ANN, HELLO, number(10**6))[0] == DONE


def test_a_snapshot_is_frozen_when_it_is_asked_for():
    machine = raw()
    asker = Asker(machine)
    taker = asker.hello()
    for each in range(2_000):
        asker.put(b"t", b"%0100d" % each)
    digest, taken = machine.digest(), []
    for piece in machine.snapshot():
        taken.append(piece)
        number_, _ = asker.take(taker, b"t")
        asker.let_go(FINISH, taker, number_)
        asker.put(b"u")
    other = raw()
    other.restore(taken)
    assert len(taken) > 3
    assert other.digest() == digest != machine.digest()


@pytest.mark.parametrize("spoil", SPOILING)
def test_a_spoilt_snapshot_is_refused_and_changes_nothing(spoil):
    machine, other = raw(), raw()
    Asker(machine).put(b"t", b"1")
    Asker(other).put(b"t", b"2")
    before = other.digest()
    with pytest.raises(failover.MalformedBytes):
        other.restore([spoil(b"".join(machine.snapshot()))])
    assert other.digest() == before
