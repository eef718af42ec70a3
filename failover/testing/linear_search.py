"""The search for a linearization: the algorithm and nothing else (`linearizability` says what it is for).

Operations that took effect for certain are counted in the order of asking: everything below `low` is done, and
`window` has a bit for each one above. The others are optional: any number of them may be done.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from failover.testing.history import ANY_REPLY, Operation
from failover.testing.models import Model, OnlyGrows


@dataclass(frozen=True, slots=True)
class _Place:
    """A point of the search: what is done, and the state after it."""

    low: int
    window: int
    options: int
    """A bit for each optional operation that is done."""
    state: Hashable

    def with_certain(self, number: int, state: Hashable) -> _Place:
        window, low = self.window | 1 << (number - self.low), self.low
        while window & 1:
            window, low = window >> 1, low + 1
        return _Place(low, window, self.options, state)

    def with_option(self, number: int, state: Hashable) -> _Place:
        return _Place(self.low, self.window, self.options | 1 << number, state)


Step = tuple[Operation, _Place]


class Search:
    """One search over one part of a history."""

    def __init__(self, operations: Iterable[Operation], model: Model, steps_max: int) -> None:
        by_asking = sorted(operations, key=lambda each: each.invoked_event)
        self._certain = [each for each in by_asking if each.is_certain]
        self._options = [each for each in by_asking if each.may_have_happened and not each.is_certain]
        self._model = model
        self._grows = model if isinstance(model, OnlyGrows) else None
        self._places = self._places_of(by_asking)
        self._steps_max = steps_max
        self._last_look = self._find_last_look()
        self.steps = 0
        """How often the model was applied."""
        self.order: list[Operation] = []
        """If found: an order that fits; it need not be the one that happened."""
        self.state: Hashable = model.initial()
        """The state after that."""

    def _places_of(self, operations: list[Operation]) -> Mapping[int, float]:
        """Return the order to try first: as the cluster claims it, else as the replies show it."""
        claimed = {each.number: each.place for each in operations if each.place is not None}
        if not claimed and self._grows is not None:
            return self._grows.shown_places(operations)
        return claimed

    def run(self) -> bool | None:
        """Return whether there is a linearization, None if that is too much work."""
        place = _Place(0, 0, 0, self.state)
        seen = {place}
        stack = [self._next(place)]
        path: list[Step] = []
        while place.low < len(self._certain):
            if self.steps > self._steps_max:
                return None
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                if not stack:
                    return False
                path.pop()
            elif step[1] not in seen:
                place = step[1]
                seen.add(place)
                path.append(step)
                stack.append(self._next(place))
        self.order, self.state = [operation for operation, _ in path], place.state
        return True

    def _find_last_look(self) -> Operation | None:
        """Return the read that began when all else was over, if there is one: it is never done before the end."""
        certain = self._certain
        if len(certain) < 2 or not self._model.changes_nothing(certain[-1].asked, certain[-1].reply):
            return None
        is_last = all(each.answered_event < certain[-1].invoked_event for each in certain[:-1])
        return certain[-1] if is_last else None

    def _next(self, place: _Place) -> Iterator[Step]:
        """Yield what can happen next, the likeliest first."""
        limit, due = self._due(place)
        if self._is_dead_end(place, due):
            return
        steps = []
        for number in due:
            each = self._certain[number]
            state = self._apply(place, each)
            if state is None:
                continue
            after = place.with_certain(number, state[0])
            if self._model.changes_nothing(each.asked, each.reply):
                # It fits here, and wherever it would happen instead it would leave all as it is.
                yield each, after
                return
            steps.append((each, after))
        claimed, others = self._open_options(place, limit)
        steps += [step for number in claimed for step in self._option(place, number)]
        # The claimed order first; without one, whose answer was first.
        steps.sort(key=lambda step: (self._places.get(step[0].number, math.inf), step[0].answered_event))
        yield from steps
        for number in others:
            yield from self._option(place, number)

    def _due(self, place: _Place) -> tuple[float, list[int]]:
        """Return the first answer that is due, and the certain operations that were asked before it."""
        limit, due = math.inf, []
        window, number = place.window, place.low
        while number < len(self._certain) and self._certain[number].invoked_event < limit:
            if not window & 1:
                due.append(number)
                limit = min(limit, self._certain[number].answered_event)
            window, number = window >> 1, number + 1
        return limit, due

    def _is_dead_end(self, place: _Place, due: list[int]) -> bool:
        """Whether something that must follow cannot: what is due, or the last look at all that happened."""
        if self._grows is None:
            return False
        must_follow = [self._certain[number] for number in due]
        if self._last_look is not None:
            must_follow.append(self._last_look)
        return any(
            each.reply is not ANY_REPLY and self._grows.is_too_late(place.state, each.asked, each.reply)
            for each in must_follow
        )

    def _open_options(self, place: _Place, limit: float) -> tuple[Iterable[int], Iterable[int]]:
        """Return the optional operations that may be next: those with places, and the others.

        Nothing is ever due of them, so of equal ones (`Add(1)`) one is as good as another.
        """
        claimed: dict[object, int] = {}
        others: dict[object, int] = {}
        for number, each in enumerate(self._options):
            if each.invoked_event > limit:
                break
            if place.options >> number & 1:
                continue
            at = self._places.get(each.number)
            if at is None:
                others.setdefault(each.asked, number)
            elif each.asked not in claimed or at < self._places[self._options[claimed[each.asked]].number]:
                claimed[each.asked] = number
        return claimed.values(), others.values()

    def _option(self, place: _Place, number: int) -> Iterator[Step]:
        each = self._options[number]
        state = self._apply(place, each)
        if state is not None and state[0] != place.state:  # what changes nothing here can wait
            yield each, place.with_option(number, state[0])

    def _apply(self, place: _Place, each: Operation) -> tuple[Hashable] | None:
        """Return the state after `each`, None if it cannot be next because its reply is another one."""
        self.steps += 1
        state, reply = self._model.apply(place.state, each.asked)
        if each.is_certain and each.reply is not ANY_REPLY and each.reply != reply:
            return None
        return (state,)
