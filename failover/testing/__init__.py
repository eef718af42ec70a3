"""The workshop: simulated networks, disks and clocks, and checkers that know nothing of the faults.

General layout:

- `simulate` runs a game on simulated computers while all goes wrong that can: `docs/how-to` shows it.
  `faults` says what may, `stack_schedule` draws it, `stack_trial` is one run of a seed, `stack_simulation` is the
  world: `computer`s with a `process` each, `simulated_network`, `simulated_disk`, `simulated_clock`. `guest_run`
  steps the trio runs, `onlooker` shows the `stack_checkers` what the members do.
- `check_deterministic` gives a state machine's commands to two processes and compares (`determinism`, `twin`).
- `history` records what clients asked and heard; `models` says what one machine that never fails would reply;
  `linearizability` judges the one by the other, by the search in `linear_search`.
- `checkers`, `promise_checkers` and `rule_checkers` are oracles for what happens inside a cluster.
- `core_simulation` and `simulated_member` run real cores in virtual time, and `core_rules` shows the oracles what
  they do; `plan` and `schedule` draw what goes wrong from a seed; `trial` is one run of a seed.
  `python -m tests.simulation` runs many.
"""

from __future__ import annotations

from failover.testing.checkers import NoProgress, Violation
from failover.testing.determinism import (
    Command,
    DeterminismReport,
    check_deterministic,
    made_up_member,
)
from failover.testing.faults import Faults, Stroke
from failover.testing.history import ANY_REPLY, History, Operation, Outcome
from failover.testing.linearizability import (
    Result,
    Undecided,
    Verdict,
    check_exactly_once,
    check_linearizable,
    check_order,
)
from failover.testing.models import (
    Add,
    Append,
    AppendOnlyList,
    CompareAndPut,
    CompareAndSet,
    Counter,
    Get,
    KeyValue,
    Model,
    Put,
    Read,
    Register,
    Write,
)
from failover.testing.simulate import Report, simulate
from failover.testing.simulated_network import Link

__all__ = [
    "ANY_REPLY",
    "Add",
    "Append",
    "AppendOnlyList",
    "Command",
    "CompareAndPut",
    "CompareAndSet",
    "Counter",
    "DeterminismReport",
    "Faults",
    "Get",
    "History",
    "KeyValue",
    "Link",
    "Model",
    "NoProgress",
    "Operation",
    "Outcome",
    "Put",
    "Read",
    "Register",
    "Report",
    "Result",
    "Stroke",
    "Undecided",
    "Verdict",
    "Violation",
    "Write",
    "check_deterministic",
    "check_exactly_once",
    "check_linearizable",
    "check_order",
    "made_up_member",
    "simulate",
]
