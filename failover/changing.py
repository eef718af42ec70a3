"""The host's side of who is a member: admissions, departures, invites, secrets, judged before they are appended.

Changes of membership go one after another, each when the last one is complete and applied here: it may have used
up the invite of the next. What a change must not do is refused, and what cannot begin now waits.

Who departs knows the secrets, and reads the log for as long as the change needs its vote. So new ones are drawn
and appended behind the entry from which on nothing reaches it; that is owed until it is done, whoever hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.confirming import Confirming, Verdict
from failover.directory import ADMITTED, Directory
from failover.driver import Driver
from failover.errors import MalformedBytes
from failover.ids import LogIndex, MemberId, SecretKey
from failover.levels import why_not, why_not_yet
from failover.net.context import Secrets
from failover.net.handshake import INVITE_ID_SIZE
from failover.records import (
    ACTIONS,
    RECORDS,
    USES_MAX,
    Admit,
    AdmitWitness,
    BeginEpoch,
    Caller,
    CloseInvite,
    Depart,
    Moved,
    OpenInvite,
    Raise,
    SystemAction,
    SystemCommand,
)
from failover.replica import Replica
from failover.surroundings import Surroundings

if TYPE_CHECKING:
    from failover.hosting import Hosting

CHANGES_MAX = 16
"""Changes of membership that wait for the one in progress."""


@dataclass(slots=True)
class _Change:
    caller: Caller
    action: Admit | Depart


class Changing:
    """One member's, for all its tenures; `clear` forgets what one of them had under way."""

    def __init__(
        self,
        me: MemberId,
        hosting: Hosting,
        driver: Driver,
        replica: Replica,
        surroundings: Surroundings,
        confirming: Confirming,
    ) -> None:
        self._me = me
        self._hosting = hosting
        self._driver = driver
        self._replica = replica
        self._surroundings = surroundings
        self.confirming = confirming
        self.clear()

    def clear(self) -> None:
        """The tenure is over; who asked for something asks the next host."""
        self.confirming.clear()
        self._changes: list[_Change] = []
        self._closing: dict[bytes, LogIndex] = {}
        """Invites whose end is appended, and where: nobody comes in behind that."""
        self._epoch_begun = 0
        """Of the last secrets that this tenure has appended."""
        self._raised_at = LogIndex(0)
        """Where this tenure raised the version or the level last: who comes in behind that is judged by it."""
        self._looked_at: Directory | None = None
        """In which nothing is to be raised."""

    # --- requests of members ---

    def take(self, caller: Caller, body: bytes) -> None:
        """A member asks for an action of the library."""
        try:
            action = self._replica.kinds.actions.decode_untrusted(body)
        except MalformedBytes:
            self._hosting.refuse(caller, "this host does not know the action")
            return
        assert isinstance(action, SystemAction)
        if (reason := _why_not(action, caller) or self._why_not_yet(action)) is not None:
            self._hosting.refuse(caller, reason)
        elif isinstance(action, Admit | Depart):
            self._take_change(caller, action)
        elif (index := self._driver.propose(self._record(caller, action))) is None:
            self._hosting.let_ask_again(caller)
        elif isinstance(action, CloseInvite):
            applied = self._driver.core.applied_index
            self._closing = {invite: at for invite, at in self._closing.items() if at > applied}
            self._closing[action.invite] = index

    def _take_change(self, caller: Caller, action: Admit | Depart) -> None:
        if isinstance(action, Admit) and not self._is_confirmed(caller, action):
            return
        if len(self._changes) < CHANGES_MAX:
            self._changes.append(_Change(caller, action))
            self.go_on()
        else:
            self._hosting.let_ask_again(caller)

    # --- what is due ---

    def go_on(self) -> None:
        """Begin what can begin now: the next change of membership, the epoch that a departure made due, what all
        members know by now."""
        for change in tuple(self._changes):
            if not self._is_free():
                return
            # One that cannot begin now (no quorum would be left, ...) does not hold up the others.
            if self._begin(change) and change in self._changes:
                self._changes.remove(change)
        directory = self._replica.directory
        if directory is None:
            return
        if directory.is_epoch_due and self._is_free():
            self._begin_epoch(directory)
        if directory is not self._looked_at and self._is_free():
            self._raise(directory)

    def _is_free(self) -> bool:
        """Whether this member hosts, and the last change of membership or raise is complete and applied."""
        core = self._driver.core
        return (
            self._hosting.tenure is not None
            and max(core.log.membership_index, self._raised_at) <= core.applied_index
        )

    def _begin_epoch(self, directory: Directory) -> None:
        membership, epoch = self._driver.core.log.membership, directory.secrets[0].epoch + 1
        assert membership is not None
        if membership.is_joint or self._epoch_begun >= epoch:
            return
        if why_not_yet(BeginEpoch, directory) is not None:
            return  # due until they all know it
        entropy = self._surroundings.entropy
        secrets = Secrets(epoch, SecretKey(entropy(32)), SecretKey(entropy(32)))
        if self._driver.propose(self._record(None, BeginEpoch(secrets))) is not None:
            self._epoch_begun = epoch  # until it is applied, it is due and on its way

    def _raise(self, directory: Directory) -> None:
        """Have the cluster play by what all its members know."""
        due = directory.known_to_all()
        is_news = (due.version, due.level) != (directory.version, directory.level)
        # What the directory says of this member may be of another program, until it has said the news.
        if not is_news or why_not(self._replica.versions, due.version, due.level) is not None:
            self._looked_at = directory
        elif (index := self._driver.propose(self._record(None, due))) is not None:
            self._raised_at = index

    def _begin(self, change: _Change) -> bool:
        if isinstance(change.action, Admit):
            return self._admit(change.caller, change.action)
        return self._dismiss(change.caller, change.action.member)

    def _is_settled(self, caller: Caller, action: Admit) -> bool:
        """Answer a joiner about whom there is nothing to decide; else False."""
        directory = self._replica.directory
        assert directory is not None
        if action.info.member in directory.departed:
            self._hosting.refuse(caller, "its membership was ended, for good; join with a new storage")
        elif action.info.member in directory.members:
            self._hosting.answer(caller, ADMITTED)
        elif isinstance(action, AdmitWitness) and self._has_witness_beside(action.info.member):
            self._hosting.refuse(caller, "there is a witness already, and two are of no more use: remove that one")
        elif action.invite in self._closing or not directory.admits(action, self._surroundings.unix_time()):
            self._hosting.refuse(caller, "the invite is used up, expired or closed; ask for a new ticket")
        elif (reason := why_not(action.info.versions, directory.version, directory.level)) is not None:
            self._hosting.refuse(caller, reason)
        else:
            return False
        return True

    def _has_witness_beside(self, joiner: MemberId) -> bool:
        """One makes an even number of players odd; a second would make it even again, or wait for ever.

        The joiner itself is one as soon as that is appended, and may ask again before it is applied.
        """
        membership = self._driver.core.log.membership
        assert membership is not None
        return bool(membership.witnesses - {joiner})

    def _is_confirmed(self, caller: Caller, action: Admit) -> bool:
        """Whether the application lets the joiner in. It is asked before the joiner takes a place in the queue."""
        if self._is_settled(caller, action):
            return False
        directory = self._replica.directory
        if directory is not None and action.info.member in directory.former:
            return True  # it was let in once, and did nothing but stay behind
        verdict, reason = self.confirming.judge(action.info, is_witness=isinstance(action, AdmitWitness))
        if verdict is Verdict.OPEN:
            self._hosting.keep_waiting(caller)
        elif verdict is Verdict.NO:
            self._hosting.refuse(caller, reason)
        return verdict is Verdict.YES

    def _admit(self, caller: Caller, action: Admit) -> bool:
        if self._is_settled(caller, action):
            return True
        membership = self._driver.core.log.membership
        assert membership is not None
        learners = membership.learners | {action.info.member}
        witnesses = frozenset({action.info.member} if isinstance(action, AdmitWitness) else ())
        return self._change(membership.voters, learners, caller, action, witnesses)

    def _dismiss(self, caller: Caller, member: MemberId) -> bool:
        membership = self._driver.core.log.membership
        assert membership is not None
        if member not in membership.members:
            assert self._replica.directory is not None
            if member in self._replica.directory.members:
                return False  # it is on its way out already
            if member != caller.member:  # else the farewell tells it
                self._hosting.refuse(caller, "that is not a member")
            return True
        if membership.voters == {member}:
            self._hosting.refuse(caller, "the only voter cannot leave; close it instead")
            return True
        if member == self._me:  # the next host does it, when it is asked again
            self._driver.core.hand_over(None, self._driver.clock())
            self._driver.kick()
            return False
        depart = Depart(member, is_removal=member != caller.member)
        return self._change(membership.voters - {member}, membership.learners - {member}, caller, depart)

    def _change(
        self,
        voters: frozenset[MemberId],
        learners: frozenset[MemberId],
        caller: Caller,
        action: SystemAction,
        new_witnesses: frozenset[MemberId] = frozenset(),
    ) -> bool:
        core, record = self._driver.core, self._record(caller, action)
        if core.change_membership(voters, learners, record, self._driver.clock(), new_witnesses) is None:
            return False
        self._driver.kick()
        return True

    def _why_not_yet(self, action: SystemAction) -> str | None:
        directory = self._replica.directory
        assert directory is not None
        return why_not_yet(type(action), directory)

    def _record(self, caller: Caller | None, action: SystemAction) -> bytes:
        assert self._why_not_yet(action) is None, "it would stop the members that do not know it"
        return RECORDS.encode(SystemCommand(self._hosting.time_us(), caller, ACTIONS.encode(action)))


def _why_not(action: SystemAction, caller: Caller) -> str | None:
    """Why a member may not ask for this, if it may not."""
    match action:
        case Moved() if action.info.member != caller.member:
            return "a member says itself where it is"
        case BeginEpoch():
            return "the host draws the secrets"
        case Raise():
            return "the host says what is played"
        case OpenInvite() if not (
            len(action.invite) == INVITE_ID_SIZE and len(action.secret) == 32 and 1 <= action.uses <= USES_MAX
        ):
            return f"an invite lets in 1 to {USES_MAX} members"
    return None
