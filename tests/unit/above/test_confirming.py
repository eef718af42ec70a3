"""One question per joiner, asked of whoever hosts; and who may ask the host for what."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from tally import founded, member, until

import failover
from failover.confirming import GIVEN_UP_S, QUESTIONS_MAX, REMEMBERED_S, Confirming, Verdict, fingerprint
from failover.directory import EPOCHS_MAX, Directory
from failover.errors import BadSettings
from failover.ids import MemberId
from failover.net.peers import Secrets
from failover.records import Admit, BeginEpoch, Depart, MemberInfo, OpenInvite
from failover.replica import Replica
from tests.unit.above.test_membership import SECRETS, A, B, C, apply

ASKS = failover.Settings(confirm_identity=True, confirm_within_s=20.0)
JOINER = MemberInfo(B, "ben", ())


class Asked:
    """A `Confirming` with a clock, and what the application heard."""

    def __init__(self, settings: failover.Settings = ASKS) -> None:
        self.now = 100.0
        self.heard: list[failover.Event] = []
        self.confirming = Confirming(settings, lambda: self.now, self.heard.append)

    def judge(self, info: MemberInfo = JOINER) -> Verdict:
        return self.confirming.judge(info)[0]

    def joiner_goes_on(self, seconds: float) -> Verdict:
        """It asks four times a second; the last verdict."""
        verdict = Verdict.OPEN
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            verdict = self.judge()
        return verdict


def test_without_the_setting_nobody_is_asked():
    asked = Asked(failover.Settings())
    assert asked.judge() is Verdict.YES and asked.heard == []


def test_a_joiner_is_asked_about_once_however_often_it_asks():
    asked = Asked()
    assert asked.joiner_goes_on(10) is Verdict.OPEN
    assert asked.heard == [failover.JoinRequested(B, "ben", failover.fingerprint(B))]
    assert asked.confirming.waiting == tuple(asked.heard)
    asked.confirming.answer(B, is_yes=True)
    assert asked.confirming.waiting == ()
    assert asked.judge() is Verdict.YES and len(asked.heard) == 1


def test_the_first_answer_counts():
    asked = Asked()
    asked.judge()
    asked.confirming.answer(B, is_yes=False, reason="who?")
    asked.confirming.answer(B, is_yes=True)
    assert asked.confirming.judge(JOINER) == (Verdict.NO, "who?")


def test_a_question_that_nobody_answers_is_a_refusal_in_time():
    asked = Asked()
    assert asked.joiner_goes_on(20) is Verdict.OPEN
    assert asked.joiner_goes_on(0.5) is Verdict.NO
    assert "nobody confirmed it within 20 s" in asked.confirming.judge(JOINER)[1]


def test_a_refusal_stands_for_half_a_minute_then_it_is_asked_anew():
    asked = Asked()
    asked.judge()
    asked.confirming.answer(B, is_yes=False)
    assert asked.joiner_goes_on(REMEMBERED_S - 1) is Verdict.NO and len(asked.heard) == 1
    assert asked.joiner_goes_on(2) is Verdict.OPEN and len(asked.heard) == 2


def test_who_gave_up_waits_no_more_and_makes_room():
    asked = Asked()
    for number in range(QUESTIONS_MAX + 4):
        assert asked.judge(replace(JOINER, member=MemberId(bytes([number]) * 32))) is Verdict.OPEN
    assert len(asked.heard) == len(asked.confirming.waiting) == QUESTIONS_MAX
    asked.now += GIVEN_UP_S + 0.1
    assert asked.confirming.waiting == ()
    assert asked.judge() is Verdict.OPEN and asked.heard[-1] == failover.JoinRequested(B, "ben", fingerprint(B))
    asked.confirming.answer(C, is_yes=True)  # nobody of that name waits
    assert asked.judge() is Verdict.OPEN


def test_what_a_tenure_has_asked_goes_with_it():
    asked = Asked()
    asked.judge()
    asked.confirming.answer(B, is_yes=True)
    asked.confirming.clear()
    assert asked.judge() is Verdict.OPEN and len(asked.heard) == 2


def test_a_fingerprint_is_sixteen_letters_in_fours_and_of_the_key_alone():
    assert fingerprint(A) == fingerprint(MemberId(bytes(A)))
    assert fingerprint(A) != fingerprint(B)
    assert [len(part) for part in fingerprint(A).split("-")] == [4, 4, 4, 4]


@pytest.mark.parametrize("seconds", [0, 601])
def test_a_time_to_confirm_that_makes_no_sense_is_refused(seconds):
    with pytest.raises(BadSettings, match="confirm_within_s"):
        failover.Settings(confirm_within_s=seconds)


# The directory.


def in_directory(replica: Replica) -> Directory:
    assert replica.directory is not None
    return replica.directory


def secrets(epoch: int, letter: bytes = b"n") -> Secrets:
    return Secrets(epoch, letter * 32, letter * 32)


def test_a_departure_makes_an_epoch_due_and_the_first_secrets_for_it_count():
    replica, _ = founded()
    apply(replica, None, Admit(MemberInfo(B, "b", ()), b""), A, B)
    apply(replica, None, BeginEpoch(secrets(2)))
    assert in_directory(replica).secrets == (SECRETS,), "nobody has gone"
    apply(replica, None, Depart(B), A)
    assert in_directory(replica).is_epoch_due
    for wrong in (1, 3):
        apply(replica, None, BeginEpoch(secrets(wrong)))
    apply(replica, None, BeginEpoch(secrets(2)))
    apply(replica, None, BeginEpoch(secrets(2, b"x")))
    assert in_directory(replica).secrets == (secrets(2), SECRETS) and not in_directory(replica).is_epoch_due


def test_the_last_four_epochs_are_kept_and_a_snapshot_holds_them():
    replica, _ = founded()
    for epoch in range(2, 9):
        apply(replica, None, Depart(B), A)
        apply(replica, None, BeginEpoch(secrets(epoch)))
    apply(replica, None, Depart(B), A)
    assert [each.epoch for each in in_directory(replica).secrets] == [8, 7, 6, 5] and EPOCHS_MAX == 4
    other, _ = founded()
    other.restore(replica.applied_index, list(replica.snapshot()))
    assert other.directory == replica.directory


def test_a_removal_closes_all_invites_and_a_leave_none():
    replica, _ = founded()
    apply(replica, None, OpenInvite(b"i" * 16, b"s" * 32, 2, 0))
    apply(replica, None, Depart(B), A)
    assert set(in_directory(replica).invites) == {b"i" * 16}
    apply(replica, None, Depart(C, is_removal=True), A)
    assert in_directory(replica).invites == {}


def test_an_invite_that_was_used_up_is_not_opened_again():
    replica, _ = founded()
    invite = OpenInvite(b"i" * 16, b"s" * 32, 1, 0)
    apply(replica, None, invite)
    apply(replica, None, Admit(MemberInfo(B, "b", ()), b"i" * 16), A, B)
    apply(replica, None, invite)
    assert not in_directory(replica).admits(Admit(MemberInfo(C, "c", ()), b"i" * 16), 0.0)


# Members.


async def test_invites_are_listed_and_closed():
    async with member(found=True) as founder:
        await founder.invite(uses=3, expires_s=0)
        await founder.invite(uses=1, expires_s=60)
        first, second = founder.invites()
        assert (first.uses, first.expires_at, second.uses) == (3, 0, 1)
        assert second.expires_at > 1_700_000_000
        await founder.close_invite(first.id)
        await founder.close_invite(first.id)
        assert founder.invites() == (second,)


@pytest.mark.parametrize(
    "action",
    [
        BeginEpoch(Secrets(2, b"x" * 32, b"x" * 32)),
        OpenInvite(b"i" * 16, b"s" * 32, 0, 0),
        OpenInvite(b"i" * 16, b"s" * 32, 65, 0),
        OpenInvite(b"i" * 15, b"s" * 32, 1, 0),
        OpenInvite(b"i" * 16, b"s" * 31, 1, 0),
    ],
)
async def test_what_no_member_may_ask_for_is_refused(action):
    async with member(found=True) as founder:
        with pytest.raises(failover.Refused):
            await founder._life.act(action)


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_the_application_decides_about_a_joiner(answer):
    async with member(found=True, settings=ASKS) as founder:
        ticket = await founder.invite()

        async def decide() -> None:
            async for event in founder.events():
                if isinstance(event, failover.JoinRequested):
                    assert founder.joiners == (event,) and event.name == "zoe"
                    await trio.sleep(1.0)
                    if answer == "yes":
                        founder.admit(event.member)
                    else:
                        founder.refuse(event.member, "not today")
                    return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(decide)
            if answer == "yes":
                async with member(ticket=ticket, name="zoe", settings=ASKS) as zoe:
                    assert failover.fingerprint(zoe.id) == zoe.fingerprint
                    with pytest.raises(failover.NotHost):
                        zoe.admit(founder.id)
            else:
                with pytest.raises(failover.NotAdmitted, match="not today"):
                    async with member(ticket=ticket, name="zoe", settings=ASKS):
                        pass


def test_a_window_with_its_own_loop_lets_somebody_in():
    options = {"bind": "127.0.0.1", "settings": ASKS}
    with failover.start_member(founded()[1], found=True, **options) as host:
        ticket = host.invite().result(5)
        assert len(host.invites()) == 1

        async def main() -> None:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def answers() -> None:
                    asked: list[failover.JoinRequested] = []
                    while not asked:
                        asked = [each for each in host.poll() if isinstance(each, failover.JoinRequested)]
                        await trio.sleep(0.01)
                    host.admit(asked[0].member).result(5)

                async with member(ticket=ticket) as guest:
                    await until(lambda: len(guest.status().members) == 2)

        trio.run(main)
        assert host.invites() == (), "it was for one"
        assert host.fingerprint == failover.fingerprint(host.id)
