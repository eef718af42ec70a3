"""One run: five members under load, storms of strokes and calm phases in turn, and a report at the end.

Times are real here, so two runs of one seed differ; what is done, and in which order, is the same.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.children import ChildFailed
from tests.processes.torture import histories, judging
from tests.processes.torture.clocks import true_ns
from tests.processes.torture.ground import Ground
from tests.processes.torture.judging import Verdict
from tests.processes.torture.notes import read_notes
from tests.processes.torture.planted import SHOWS_IN
from tests.processes.torture.seats import OPEN_S, Seat, host_among
from tests.processes.torture.strokes import CUTS, Kind, Stroke, draw_clock, draw_storm

MEMBERS = 5
STORM_S, CALM_S = 14.0, 3.0
HEALED_S = 20.0
"""When nothing is wrong any more, every member's request is accepted within this time."""
EQUAL_S = 20.0
LOOK_S = 0.02
COUNTED = ("storms", "lives", "kills", "pauses", "cuts", "fills", "replacements", "hand-overs asked")
NEEDED = ("kills", "pauses", "cuts", "fills", "tenures", "operations")
"""A run without these has tortured nobody."""


class NoProgress(Exception):
    """Nothing is wrong any more, and the cluster does not go on."""


class Torture:
    """See the module's docstring."""

    def __init__(
        self, seed: int, minutes: float, folder: Path, planted: str | None = None, storm_s: float = STORM_S
    ) -> None:
        self._seed, self._minutes, self._folder, self._storm_s = seed, minutes, folder, storm_s
        self._dice = random.Random(f"torture {seed}")
        self._planted = planted
        self._kinds = SHOWS_IN.get(planted or "", tuple(Kind))
        self._options = {"seed": seed, "planted": planted}
        self._verdict = Verdict()
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._calm: list[tuple[int, int]] = []
        self._healed_s = 0.0
        self._log: list[dict[str, Any]] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ground: Ground
        self._seats: list[Seat] = []

    def run(self) -> dict[str, Any]:
        """Run, judge, and report; the evidence is in the folder."""
        books: dict[str, Any] = {}
        with Ground(MEMBERS, self._folder) as self._ground:
            self._seats = [Seat(n, self._ground, self._folder, self._options) for n in range(MEMBERS)]
            try:
                self._open()
                until = time.monotonic() + 60 * self._minutes
                while not self._counts["storms"] or time.monotonic() < until - self._storm_s:
                    self._storm()
                    self._calm_down()
                books = self._end()
            except (NoProgress, ChildFailed) as error:
                self._verdict.count("no progress", [str(error)])
            finally:
                for seat in self._seats:
                    seat.kill()
                self._keep_evidence()
        return self._report(books)

    # --- phases ---

    def _open(self) -> None:
        """One founds the cluster, the others join it."""
        founder, *others = self._seats
        self._start(founder, found=True)
        founder.wait_until_open()
        self._until(lambda: founder.ask("status")["is_host"], "the founder does not host", HEALED_S)
        ticket = founder.ask("invite", uses=len(others))["ticket"]
        for seat in others:
            self._start(seat, ticket=ticket)
            seat.wait_until_open()
        self._until(self._is_complete, "the members do not vote", HEALED_S)

    def _storm(self) -> None:
        """Let strokes fall, and end each when its time is over."""
        began = time.monotonic()
        self._counts["storms"] += 1
        for stroke in draw_storm(self._dice, MEMBERS, self._storm_s, self._kinds):
            self._later(began + stroke.at_s, partial(self._strike, stroke))
        while self._due and self._due[0][0] < began + self._storm_s:
            for seat in self._seats:
                seat.is_open()
            time.sleep(min(LOOK_S, max(0.0, self._due[0][0] - time.monotonic())))
            while self._due and self._due[0][0] <= time.monotonic():
                heapq.heappop(self._due)[2]()
        self._due.clear()

    def _calm_down(self) -> None:
        """Heal all, demand progress, and leave them in peace for a while; maybe a new member takes a seat."""
        self._note(what="heal")
        self._ground.heal()
        for seat in self._seats:
            seat.go_on()
        self._until(self._are_open, f"not all members open: {[seat.failures for seat in self._seats]}", OPEN_S)
        self._demand_progress()
        since = true_ns()
        time.sleep(CALM_S)
        self._calm.append((since, true_ns()))
        if self._dice.random() < 0.5 or not self._counts["replacements"]:
            self._replace(self._dice.choice(self._seats))

    def _demand_progress(self) -> None:
        """Have every member's request accepted."""
        began = time.monotonic()
        name = f"p{next(self._numbers)}"
        asked = [(seat, seat.child.send("probe", name=name)) for seat in self._seats if seat.child is not None]
        for seat, number in asked:
            assert seat.child is not None
            try:
                seat.child.wait(number, max(0.0, began + HEALED_S - time.monotonic()))
            except ChildFailed as error:
                raise NoProgress(f"all is well, and {seat.name} has nothing accepted: {error}") from None
        self._healed_s = max(self._healed_s, time.monotonic() - began)

    def _replace(self, seat: Seat) -> None:
        """Whoever sits there is gone for good, and somebody new joins in its place."""
        self._note(what="replace", seat=seat.number)
        seat.kill()
        other = self._dice.choice([each for each in self._seats if each is not seat])
        other.ask("remove", member=seat.member)
        self._start(seat, ticket=other.ask("invite", uses=1)["ticket"])
        seat.wait_until_open()
        self._demand_progress()
        self._counts["replacements"] += 1

    def _end(self) -> dict[str, Any]:
        """Let the clients finish, wait until all members have the same, and return their states."""
        asked = [(seat, seat.child.send("rest")) for seat in self._seats if seat.child is not None]
        for seat, number in asked:
            assert seat.child is not None
            seat.child.wait(number, HEALED_S)
        self._until(self._is_complete, "the members do not become equal", EQUAL_S)
        return {seat.name: json.loads(Path(seat.ask("dump")["path"]).read_text()) for seat in self._seats}

    # --- strokes ---

    def _strike(self, stroke: Stroke) -> None:
        host = host_among(self._seats, true_ns())
        struck = stroke.struck(host)
        self._note(what=stroke.kind.value, host=host, struck=struck, lasts_s=stroke.lasts_s)
        ends = time.monotonic() + stroke.lasts_s
        match stroke.kind:
            case Kind.KILL | Kind.KILL_ALL | Kind.PAUSE:
                for number in struck:
                    self._strike_process(self._seats[number], stroke.kind, ends)
            case Kind.UNPLUG:
                self._ground.unplug(struck[0])
                self._later(ends, lambda: self._ground.plug_in(struck[0]))
            case Kind.FILL:
                for number in struck:
                    self._ground.fill(number)
                    self._later(ends, partial(self._ground.free, number))
                    self._counts["fills"] += 1
            case Kind.HAND_OVER:
                self._hand_over(self._seats[struck[0]])
            case _:
                cut = self._ground.cut(stroke.pairs(host))
                self._later(ends, lambda: self._ground.mend(cut))
        if stroke.kind in CUTS:
            self._counts["cuts"] += 1
            self._counts[f"cuts: {stroke.kind.value}"] += 1

    def _strike_process(self, seat: Seat, kind: Kind, ends: float) -> None:
        if kind is not Kind.PAUSE and seat.kill():
            self._counts["kills"] += 1
            self._later(ends, lambda: self._start_again(seat))
        elif kind is Kind.PAUSE and seat.pause():
            self._counts["pauses"] += 1
            name = seat.name
            self._later(ends, lambda: seat.go_on() if seat.name == name else None)

    def _hand_over(self, seat: Seat) -> None:
        """Ask for it; whatever the answer, nobody waits for it."""
        if seat.child is not None and seat.is_open():
            seat.child.send("hand_over")
            self._counts["hand-overs asked"] += 1

    def _start_again(self, seat: Seat) -> None:
        if seat.child is None:
            self._start(seat)

    def _start(self, seat: Seat, **options: Any) -> None:
        clock = draw_clock(self._dice)
        seat.start(clock, **options)
        self._counts["lives"] += 1
        self._note(what="start", name=seat.name, **clock)

    # --- what the phases need ---

    def _later(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), action))

    def _until(self, condition: Callable[[], bool], complaint: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise NoProgress(f"{complaint} after {seconds:g} s")
            time.sleep(LOOK_S)

    def _are_open(self) -> bool:
        """Whether all are; who is not there (a full disk may have refused it even now) is started again."""
        for seat in self._seats:
            if not seat.is_open() and seat.child is None:
                self._start(seat)
        return all(seat.is_open() for seat in self._seats)

    def _is_complete(self) -> bool:
        """Whether all vote, and have applied the same."""
        seen = [seat.ask("status") for seat in self._seats]
        voters = [sum(kind == "voter" for kind, _ in each["members"].values()) for each in seen]
        return set(voters) == {MEMBERS} and len({each["applied"] for each in seen}) == 1

    def _note(self, **values: Any) -> None:
        self._log.append({"at": true_ns(), **values})

    # --- the end ---

    def _keep_evidence(self) -> None:
        """What a person needs to find the cause: what was done, and the storages as they were left."""
        with (self._folder / "strokes.jsonl").open("w", encoding="utf-8") as file:
            for each in self._log:
                file.write(json.dumps(each) + "\n")
        for number, disk in enumerate(self._ground.disks):
            shutil.copytree(disk, self._folder / f"storage-{number}", ignore=shutil.ignore_patterns("ballast"))

    def _report(self, books: dict[str, Any]) -> dict[str, Any]:
        rows = histories.join(self._folder)
        histories.write(rows, self._folder / "history.jsonl")
        verdict = self._verdict
        judging.judge(rows, books, self._folder, verdict)
        verdict.count("crashes", [failure for seat in self._seats for failure in seat.failures])
        tenures = judging.tenures_in(self._folder)
        felt = sum(
            note["kind"] == "trouble" and note["text"] != ""
            for path in self._folder.glob("*.news")
            for note in read_notes(path)
        )
        counts = dict(self._counts) | {"tenures": len(tenures), "operations": len(rows), "fills felt": felt}
        if self._planted is None:  # a bug may be looked for with strokes of a few kinds
            verdict.count("not exercised", [f"no {name}" for name in NEEDED if not counts[name]])
        return {
            "seed": self._seed,
            "minutes": self._minutes,
            "violations": verdict.total,
            "lost": verdict.counts.get("lost", 0),
            "doubled": verdict.counts.get("doubled", 0),
            "two_hosts": verdict.counts.get("two hosts", 0),
            "found": verdict.violations,
            "by_kind": verdict.counts,
            **{name.replace(": ", "_").replace(" ", "_").replace("-", "_"): n for name, n in counts.items()},
            "acknowledged": sum(row["ok"] for row in rows),
            "unknown": sum(row["unknown"] for row in rows),
            "healed_within_s": round(self._healed_s, 3),
            "longest_gap_in_calm_s": round(judging.longest_gap_s(rows, self._calm), 3),
            "evidence": str(self._folder),
        }
