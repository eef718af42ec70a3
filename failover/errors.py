"""Everything that can go wrong, whose fault it is, and what to do now.

FailoverError
├── UsageError              the caller's mistake; nothing happened; mend the call
│   ├── BadTicket           the text is no ticket, is cut off, or is for another cluster
│   ├── BadAddress          not an address, or not one of this machine
│   └── BadSettings         a value out of its range; says which and what would do
├── NotHost                 nobody hosts, or not this member (any more); nothing happened; ask again
├── OutcomeUnknown          it may have happened or not; look at the state before trying again
├── Refused                 the host or its server function said no; nothing happened
├── LossNotAccepted         going on alone would lose what is known to be accepted; nothing happened
├── Superseded              the others went on as another generation; open the storage again to rejoin
├── WrongVersion            the cluster's rules or library are newer, or older, than this program knows; update it
├── NotAdmitted             joining failed: invite used up, expired or refused, or wrong version of the game
├── Unreachable             nobody answered at the addresses given, or the ticket's invite was closed
├── Closed                  this member is closed or has stopped; nothing happened
├── PortInUse               another program holds the port; choose another or 0
├── StorageInUse            another process has this storage open
├── StorageCorrupt          the file is damaged; names it and says what to do; nothing was changed
├── StorageCopied           the file is a copy or an old backup, which must not run; join anew with a new file
├── StorageMissing          no identity stored, and neither `ticket` nor `found` was given
├── StorageFailed           the disk refused (full, read-only); what was accepted before is kept
├── MachineFailed           the application's machine raised; has the method, the index, the original as cause
│   └── ApplyFailed         the same in `apply`: at this very entry
└── MalformedBytes          bytes from outside break a rule; caught, counted and dropped inside the library
"""

from __future__ import annotations


class FailoverError(Exception):
    """Base of all errors that this library raises on purpose."""


class UsageError(FailoverError):
    """The call cannot work as it was made. Nothing happened; mend the call."""


class BadTicket(UsageError):
    """The text is no ticket, is cut off or mistyped, or is for another cluster than this storage. Ask for a new
    one, or use a new storage for it. (A ticket whose time is over is `NotAdmitted`.)"""


class BadAddress(UsageError):
    """The text is not an address, or this machine has no such address."""


class BadSettings(UsageError):
    """A setting is out of its range; the message names it and its range."""


class NotHost(FailoverError):
    """Nothing happened. From `Member.request`: there was nobody to ask in all its time; ask again. From a `Host`:
    its tenure is over; whoever asked asks the next host by itself."""


class OutcomeUnknown(FailoverError):
    """The command may have happened or not. Never retried by itself; look at the state before trying again."""


class Refused(FailoverError):
    """The host or its server function refused before anything happened. The text is its reason."""


class LossNotAccepted(FailoverError):
    """`continue_alone` would lose what is known to be accepted. Nothing happened; ask people, then accept it."""


class Superseded(FailoverError):
    """The cluster went on as another generation, and this member gave its own up. Open the storage again: it
    rejoins there, and what only this member had is kept in a file beside the storage."""


class WrongVersion(FailoverError):
    """This program does not know the version of the rules that the cluster plays, or needs a newer library.
    The message says both. Update the game, then open the same storage again: it stays as it is."""


class NotAdmitted(FailoverError):
    """The cluster did not admit this member: invite used up, expired or refused (ask for a new ticket), or this
    program does not know the version of the rules that is played (the message says both; update the game)."""


class Unreachable(FailoverError):
    """Nobody answered at the addresses given. Check that the game runs, and that UDP passes the firewall. Or the
    ticket's invite was closed (the removal of a member closes all): ask for a new ticket."""


class Closed(FailoverError):
    """This member is closed or has stopped. Nothing happened."""


class PortInUse(FailoverError):
    """Another program holds the UDP port. Choose another port, or 0 for any free one."""


class StorageInUse(FailoverError):
    """Another process has this storage open. Close it there, or use another file."""


class StorageCorrupt(FailoverError):
    """The storage is damaged, or not one of ours. Nothing was changed; the message names the file."""


class StorageCopied(FailoverError):
    """The storage is a copy of another, or an old backup of itself: it may have forgotten what it promised.

    Raised when it is opened; in `Stopped` where another member finds it out. Nothing was sent or accepted with it
    since. Move the file away, and join anew with a new one and a ticket.
    """


class StorageMissing(FailoverError):
    """The storage is new, and neither a ticket to join with nor `found=True` was given."""


class StorageFailed(FailoverError):
    """The disk refused a write (full, read-only, failing). Everything accepted before is kept."""


class MachineFailed(FailoverError):
    """The application's machine raised in `method`, with the log applied up to `index`; the cause is the original.

    This member has stopped, since nobody knows what state its machine is in; the others go on.
    """

    def __init__(self, method: str, index: int, message: str) -> None:
        """Say where it happened and what was raised."""
        super().__init__(
            f"{method} raised at log index {index}: {message}; mend the machine, then open the same storage "
            "again: it goes on from there"
        )
        self.method = method
        self.index = index


class ApplyFailed(MachineFailed):
    """The application's `apply` raised at `index`; the original exception is the cause."""

    def __init__(self, index: int, message: str) -> None:
        """Say where it happened and what was raised."""
        super().__init__("apply", index, message)


class MalformedBytes(FailoverError):
    """Bytes from outside break a rule of the format. Raised by functions named `..._untrusted` alone."""
