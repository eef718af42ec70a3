"""Ready state machines: a replicated dictionary and a message queue, for those who would rather not write one.

General layout:

- `open_dictionary`, `open_queue` open a member and give a handle for trio; `start_dictionary`, `start_queue` give
  one for programs with their own loop. `dictionary`, `queue` and their `_thread` sisters hold those handles,
  which are thin: all that counts is in the member's state.
- `dictionary_machine`, `queue_machine` (with `queue_state`, `queue_snapshot`) are the state machines. They hold
  bytes, bounded, and judge everything in `apply`, so that it does not matter who hosts.
- `tree` is the immutable sorted map of which both consist; `coding` has the codecs and reads commands, `chunks`
  cuts snapshots, `changes` tells the handles that there is a new picture.

These use the library as any game does, by its front door. docs/how-to/use-a-ready-machine.md shows them.
"""

from __future__ import annotations

from failover.machines.changes import Full, NotHeld
from failover.machines.coding import PLAIN, RAW, TEXT, Codec
from failover.machines.dictionary import Dictionary, Draft, Watch, open_dictionary
from failover.machines.dictionary_machine import ABSENT, Absent, Change, DictionaryMachine, Picture
from failover.machines.dictionary_thread import DictionaryThread, start_dictionary
from failover.machines.queue import Item, Queue, open_queue, use_queue
from failover.machines.queue_machine import QueueMachine
from failover.machines.queue_state import QueuePicture
from failover.machines.queue_thread import QueueThread, start_queue

__all__ = [
    "ABSENT",
    "PLAIN",
    "RAW",
    "TEXT",
    "Absent",
    "Change",
    "Codec",
    "Dictionary",
    "DictionaryMachine",
    "DictionaryThread",
    "Draft",
    "Full",
    "Item",
    "NotHeld",
    "Picture",
    "Queue",
    "QueueMachine",
    "QueuePicture",
    "QueueThread",
    "Watch",
    "open_dictionary",
    "open_queue",
    "start_dictionary",
    "start_queue",
    "use_queue",
]
