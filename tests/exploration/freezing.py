"""A live member as a value: its whole state as bytes, and back.

Two members in the same state give the same bytes, whenever that was: times are kept relative to the member's own
clock, which shows 0 in every value, and are rounded to a microsecond. A time that has passed counts as just
passed, where the core only asks whether it has; so a state repeats although time goes on.

The walk knows no class of the core by name. It meets a new field of them by itself, and refuses a new float until
`TIMES` or `DURATIONS` says what it is.
"""

from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import is_dataclass
from enum import Enum
from types import FunctionType
from typing import Any

TIMES = {
    "Core": ("leader_heard_at", "_now", "_deadline"),
    "Promise": ("_restart_until", "unwinding_until", "_until"),
    "Lease": ("_sent", "_backed_until", "_reached", "_first_due", "_known"),
    "Standing": ("_due", "_last_until", "_stood_at"),
    "Election": ("_ask_at", "_asked_at", "_expires"),
    "Leadership": ("_next_round",),
    "HandingOver": ("give_up_at", "release_at", "other_target_at", "repeat_at"),
    "Succession": ("_led_since",),
    "VainAttempts": ("_until",),
    "DiskPatience": ("_made_way_at",),
    "Stagnation": ("_moved_at",),
    "Tending": ("_began", "_due", "_told_at", "_makes_way_from"),
    "Dwell": ("_since",),
    "Replication": ("notice_at",),
    "Progress": (
        "heard_at",
        "heartbeat_due",
        "_waiting_since",
        "repeat_at",
        "_caught_up_at",
        "_ready_since",
        "_snapshot_due",
    ),
    "Sent": ("at",),
    "_Pending": ("since",),
    "Member": ("function_until", "promised"),
}
"""Fields that hold a moment on the member's clock, alone or as the values of a dictionary."""
DURATIONS = {
    "Promise": ("ceiling_s", "ceiling_written_s"),
    "Lease": ("_margin_s",),
    "Election": ("_repeat_s", "_yield_s"),
    "Standing": ("_vote_patience_s", "_round_s"),
    "Patience": ("seconds",),
    "DiskPatience": ("_first_s", "_seconds"),
    "Progress": ("_snapshot_pause_s",),
    "Member": ("tick_s",),
    "Chosen": ("value_s",),
}
JUST_PASSED = -0.001
REMEMBERED_S = {("Progress", "heard_at"): -1.001, ("Lease", "_sent"): -1.001, ("Succession", "_led_since"): -0.301}
"""Fields from which the core counts on: how long ago they matter."""

OBJECT, AGAIN, VALUE, LIST, DEQUE, DICT, SET, TUPLE = range(8)
MAKERS: dict[int, Callable[..., Any]] = {LIST: list, DEQUE: deque, SET: set, TUPLE: tuple}

Field = tuple[str, bool, float]
"""Name, whether it holds times, and how far back those matter."""


class Freezer:
    """Turns members into bytes and bytes into members. Frozen values inside are kept once and numbered."""

    def __init__(self) -> None:
        self._values: list[Hashable] = []
        self._numbers: dict[tuple[type, Hashable], int] = {}
        self._classes: list[type] = []
        self._fields: dict[type, tuple[Field, ...]] = {}
        self._shift_s = 0.0

    def freeze(self, member: object) -> bytes:
        """Return the state of `member`, whose clock shows 0."""
        return marshal.dumps(self._frozen(member, {}, None), 2)

    def thaw(self, state: bytes, after_s: float = 0.0) -> Any:
        """Return a member in this state, `after_s` later on its own clock; the clock shows 0 again."""
        self._shift_s = after_s
        return self._thawed(marshal.loads(state), [], False)

    def number(self, value: Hashable) -> int:
        """Name a frozen value; equal values have one number."""
        key = (type(value), value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._values)
            self._values.append(value)
        return number

    def value(self, number: int) -> Any:
        """Return what `number` names."""
        return self._values[number]

    def _frozen(self, thing: Any, seen: dict[int, int], floor: float | None) -> Any:
        match thing:
            case None | bool() | int() | bytes():
                return thing
            case float():
                return round(thing, 6) + 0.0 if floor is None else max(round(thing, 6) + 0.0, floor)
            case frozenset() | Enum() | FunctionType():
                return (VALUE, self.number(thing))
            case tuple() | list() | deque():
                tag = {tuple: TUPLE, list: LIST, deque: DEQUE}[type(thing)]
                return (tag, *[self._frozen(item, seen, floor) for item in thing])
            case set():
                return (SET, *sorted(thing))
            case dict():
                items = [(self._frozen(key, seen, None), self._frozen(thing[key], seen, floor)) for key in thing]
                return (DICT, *sorted(items, key=repr))
        if is_dataclass(thing) and type(thing).__dataclass_params__.frozen:  # type: ignore[attr-defined]
            return (VALUE, self.number(thing))
        return self._frozen_object(thing, seen)

    def _frozen_object(self, thing: object, seen: dict[int, int]) -> Any:
        if id(thing) in seen:
            return (AGAIN, seen[id(thing)])
        seen[id(thing)] = len(seen)
        fields = self._fields_of(thing)
        assert not hasattr(thing, "__dict__") or len(vars(thing)) == len(fields), f"fields of {type(thing)} vary"
        values = [
            self._frozen(getattr(thing, name), seen, floor if timed else None) for name, timed, floor in fields
        ]
        return (OBJECT, self._classes.index(type(thing)), *values)

    def _fields_of(self, thing: object) -> tuple[Field, ...]:
        cls = type(thing)
        if cls not in self._fields:
            names = sorted(vars(thing)) if hasattr(thing, "__dict__") else list(cls.__slots__)  # type: ignore[attr-defined]
            times = TIMES.get(cls.__name__, ())
            self._fields[cls] = tuple(
                (name, name in times, REMEMBERED_S.get((cls.__name__, name), JUST_PASSED)) for name in names
            )
            self._classes.append(cls)
        for name, is_time, _ in self._fields[cls]:
            if not is_time and name not in DURATIONS.get(cls.__name__, ()):
                assert not _holds_floats(getattr(thing, name)), (
                    f"{cls.__name__}.{name} is new: say in TIMES or DURATIONS what it is"
                )
        return self._fields[cls]

    def _thawed(self, state: Any, made: list[Any], is_time: bool) -> Any:
        if type(state) is not tuple:
            return state - self._shift_s if is_time and type(state) is float else state
        tag = state[0]
        if tag == VALUE:
            return self._values[state[1]]
        if tag == AGAIN:
            return made[state[1]]
        if tag == OBJECT:
            cls = self._classes[state[1]]
            thing = cls.__new__(cls)
            made.append(thing)
            for (name, timed, _), value in zip(self._fields[cls], state[2:], strict=True):
                setattr(thing, name, self._thawed(value, made, timed))
            return thing
        if tag == DICT:
            return {self._thawed(key, made, False): self._thawed(value, made, is_time) for key, value in state[1:]}
        return MAKERS[tag]([self._thawed(item, made, is_time) for item in state[1:]])


def _holds_floats(value: object) -> bool:
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    return isinstance(value, float)
