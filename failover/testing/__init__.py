"""The workshop: simulated networks, disks and clocks, and checkers that know nothing of the faults.

General layout:

- `history` records what clients asked and heard; `models` says what one machine that never fails would reply;
  `linearizability` judges the one by the other, by the search in `linear_search`.
- `checkers`, `promise_checkers` and `rule_checkers` are oracles for what happens inside a cluster.
- `core_simulation` and `simulated_member` run real cores in virtual time, and `core_rules` shows the oracles what
  they do; `plan` and `schedule` draw what goes wrong from a seed; `trial` is one run of a seed.
  `python -m tests.simulation` runs many.
"""

from __future__ import annotations

from failover.testing.checkers import Violation
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

__all__ = [
    "ANY_REPLY",
    "Add",
    "Append",
    "AppendOnlyList",
    "CompareAndPut",
    "CompareAndSet",
    "Counter",
    "Get",
    "History",
    "KeyValue",
    "Model",
    "Operation",
    "Outcome",
    "Put",
    "Read",
    "Register",
    "Result",
    "Undecided",
    "Verdict",
    "Violation",
    "Write",
    "check_exactly_once",
    "check_linearizable",
    "check_order",
]
