"""One process that takes jobs from a replicated queue, in a thread of its own; writes down what it took and did.

It prints its ticket if it founded the queue, then `ready`, and goes on until it is killed. Of each job it notes
`got`, works for a moment, then `done` when the queue says so, or `not held`.
"""

from __future__ import annotations

import sys
import time

from failover.machines import NotHeld, start_queue
from tests.benchmarks.parentage import die_with_parent

WORK_S = 0.02


def main() -> None:
    """Arguments: storage, journal, and the ticket, `found` or `again`."""
    storage, journal, ticket = sys.argv[1:]
    die_with_parent()
    options = {"found": {"found": True}, "again": {}}.get(ticket, {"ticket": ticket})
    with (
        start_queue(storage=storage, bind="127.0.0.1", hold_s=1.0, **options) as queue,
        open(journal, "a", encoding="utf-8", buffering=1) as notes,
    ):
        if ticket == "found":
            print(queue.member.invite(uses=8).result(20), flush=True)
        print("ready", flush=True)
        while True:
            item = queue.get("jobs").result()
            notes.write(f"got {item.value}\n")
            time.sleep(WORK_S)
            try:
                queue.done(item).result()
            except NotHeld:
                notes.write(f"not held {item.value}\n")
            else:
                notes.write(f"done {item.value}\n")


if __name__ == "__main__":
    main()
