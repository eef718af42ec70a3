"""The language of the scripts: what a story may say, line by line, and how a file of it is read and written.

A file is a title, a sentence or two that say what it shows, and then commands, each with the trace that it caused:

    > a proposes x
        a           stores 3/2 x
        a -> b c    AppendEntries      term 2, after 2/2: 3/2 x; commit 2

Lines that begin with `#` are for the reader. Time stands still but for `settle`, `wait`, `until`, `elect` and
`stand`. The commands are the functions of `Story` below; what can be expected is in `script_conditions`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import script_trace as words
from script_conditions import ScriptError, condition, live, member
from script_process import Process
from script_world import Letter, Rule, World, ids

from failover.ids import LogIndex, MemberId, Term
from failover.raft import messages
from failover.raft.messages import Entry
from failover.raft.timing import Timing
from failover.testing.simulated_member import Disk

INDENT = "    "
LIMIT_S = 3.0
"""`until` and `elect` wait no longer than this, unless they say so."""


class NotSo(AssertionError):
    """The story goes otherwise than it says in words."""


Command = Callable[..., None]
_COMMANDS: list[tuple[re.Pattern[str], Command, bool]] = []


def command(pattern: str, *, changes_nothing: bool = False) -> Callable[[Command], Command]:
    """Make a function the meaning of the lines of this form."""

    def remember(function: Command) -> Command:
        _COMMANDS.append((re.compile(pattern), function, changes_nothing))
        return function

    return remember


@dataclass
class Part:
    """A command and the trace that belongs to it, or a line for the reader (then without a command)."""

    number: int
    text: str
    trace: list[str] = field(default_factory=list)

    @property
    def is_command(self) -> bool:
        return self.text.startswith("> ")


@dataclass
class Script:
    """A file, read."""

    head: list[str]
    parts: list[Part]

    def __str__(self) -> str:
        lines = [*self.head, ""]
        for part in self.parts:
            lines.append(part.text)
            lines += [INDENT + line for line in part.trace]
        return "\n".join(lines) + "\n"


def read(text: str) -> Script:
    """Read a script; says which line is wrong."""
    lines = text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if "" not in lines:
        raise ScriptError("line 1: a title and a sentence that says what is shown, then an empty line")
    end = lines.index("")
    if end < 2:
        raise ScriptError("line 1: a title, and below it a sentence that says what is shown")
    parts: list[Part] = []
    for number, line in enumerate(lines[end + 1 :], end + 2):
        if line == "" or line.startswith(("> ", "#")):
            parts.append(Part(number, line.rstrip()))
        elif line.startswith(INDENT) and parts and parts[-1].is_command:
            parts[-1].trace.append(line[len(INDENT) :])
        else:
            raise ScriptError(f"line {number}: neither a command (>), nor a trace below one, nor a comment (#)")
    if not any(part.text.startswith("> expect ") for part in parts):
        raise ScriptError("a script without any `expect` shows nothing")
    return Script(lines[:end], parts)


def run(script: Script) -> Script:
    """Return the script with the traces that its commands really cause."""
    story = Story()
    done = []
    for part in script.parts:
        if part.is_command:
            try:
                trace = story.carry_out(part.text.removeprefix("> "))
            except ScriptError as error:
                raise ScriptError(f"line {part.number}: {part.text}\n{error}") from None
            except AssertionError as error:  # of the story, of a checker, or of the core
                done.append(Part(part.number, part.text, story.world.trace.take()))
                so_far = str(Script(script.head, done))
                kind = NotSo if isinstance(error, NotSo) else type(error)
                raise kind(f"line {part.number}: {part.text}\n{error}\n\nso far:\n{so_far}") from error
            done.append(Part(part.number, part.text, trace))
        else:
            done.append(part)
    return Script(script.head, done)


class Story:
    """One script under way."""

    def __init__(self) -> None:
        self.world = World(Timing())

    def carry_out(self, line: str) -> list[str]:
        """Do what one line says; returns its trace."""
        for pattern, function, changes_nothing in _COMMANDS:
            if (match := pattern.fullmatch(line)) is not None:
                if not changes_nothing:
                    self.world.trace.forget()
                function(self, **match.groupdict())
                return self.world.trace.take()
        raise ScriptError(f"nobody knows what {line!r} means")

    # --- beginnings ---

    @command(r"settings (?P<pairs>.+)")
    def settings(self, pairs: str) -> None:
        """`settings snapshot_entries=5 kept_entries=2`: fields of `Timing`; before the cluster."""
        known = {f.name: f.type for f in dataclasses.fields(Timing)}
        given = dict(pair.split("=", 1) for pair in pairs.split())
        if (strange := given.keys() - known.keys()) or self.world.processes:
            raise ScriptError(f"no such setting: {strange}" if strange else "settings come before the cluster")
        numbers = {key: int(value) if known[key] == "int" else float(value) for key, value in given.items()}
        self.world = World(dataclasses.replace(self.world.timing, **numbers))  # type: ignore[arg-type]

    @command(
        r"cluster (?P<voters>[\w ]+?)( learners (?P<learners>[\w ]+?))?( witness (?P<witness>\w+))?"
        r"( led by (?P<leader>\w+))?"
    )
    def cluster(self, voters: str, learners: str | None, witness: str | None, leader: str | None) -> None:
        """`cluster a b c learners d led by a`: new members that hold the founding entry.

        `cluster a b w witness w`: all three vote, and w never hosts.

        With "led by" it is elected, hosts, and all is quiet; how that came is another script's story.
        """
        if self.world.processes:
            raise ScriptError("one script, one cluster")
        self.world.found(voters.split(), (learners or "").split(), (witness or "").split())
        if leader:
            self.elect(leader)
            self.world.trace.take()
            self.mark()
            self.status()

    @command(r"log (?P<a>\w+) (?P<terms>[\d ]+)(, term (?P<term>\d+))?")
    def log(self, a: str, terms: str, term: str | None) -> None:
        """`log b 1 1 4, term 7`: b begins with entries of these terms, and has seen term 7."""
        numbers = [int(each) for each in terms.split()]
        old = member(self.world, a).disk.entries[LogIndex(1)]
        entries = {LogIndex(1): old}
        for index, each in enumerate(numbers[1:], 2):
            entries[LogIndex(index)] = Entry(LogIndex(index), Term(each), f"{chr(95 + index)}{each}".encode())
        if self.world.now or numbers[0] != old.term:
            raise ScriptError("a log is given at the beginning, and begins with the founding entry of term 1")
        process = member(self.world, a)
        process.crash()
        process.disk = Disk(self.world.hard_state(int(term or numbers[-1])), entries)
        process.start()

    @command(r"newcomer (?P<a>\w+)")
    def newcomer(self, a: str) -> None:
        """A process with an empty disk."""
        if a in self.world.processes:
            raise ScriptError(f"there is a member {a!r}; an id is never used twice")
        self.world.add(a, Disk(self.world.hard_state(0)))

    # --- time ---

    @command(r"settle", changes_nothing=True)
    def settle(self) -> None:
        """Until nothing is under way but heartbeats."""
        self.world.settle()

    @command(r"wait (?P<time>\S+)", changes_nothing=True)
    def wait(self, time: str) -> None:
        """`wait 30ms`, `wait 2s`."""
        self.world.run_until(self.world.now + seconds(time))

    @command(r"until (?P<sentence>.+?)( within (?P<time>\S+))?", changes_nothing=True)
    def until(self, sentence: str, time: str | None) -> None:
        """`until b hosts within 200ms`: let time pass until it is so; it must become so."""
        holds = condition(sentence)
        limit = seconds(time) if time else LIMIT_S
        if not self.world.run_until(self.world.now + limit, lambda: holds(self.world)):
            raise NotSo(f"waited {limit} s in vain")

    @command(r"elect (?P<a>\w+)")
    def elect(self, a: str) -> None:
        """Nobody else stands until this member hosts; then all is quiet."""
        self._only(a, lambda: bool(self.world.hosts) and self.world.hosts[0].name == a)
        self.world.settle()

    @command(r"(?P<a>\w+) stands")
    def stand(self, a: str) -> None:
        """Nobody else stands until this member does."""
        process = live(self.world, a)
        self._only(a, lambda: process.core.election is not None)

    @command(r"(only (?P<who>[\w ]+)|everybody) may stand")
    def may_stand(self, who: str | None) -> None:
        """From now on the others are slow to notice that it is time; until everybody may."""
        self._may_stand(who.split() if who else None)

    def _may_stand(self, who: list[str] | None) -> None:
        self.world.only_stands = who
        for process in self.world.processes.values():
            if process.is_up and not process.is_paused:
                process.carry_out()  # plans its ticks anew

    def _only(self, a: str, reached: Callable[[], bool]) -> None:
        world = self.world
        live(world, a)
        before, world.only_stands = world.only_stands, [a]
        if not world.run_until(world.now + LIMIT_S, reached):
            raise NotSo(f"{a} did not come so far")
        self._may_stand(before)

    # --- what members are asked to do ---

    @command(r"(?P<a>\w+) proposes (?P<what>.+)", changes_nothing=True)
    def propose(self, a: str, what: str) -> None:
        """`a proposes x y`, or `a proposes 10 entries`, in one round; "one by one" makes it a round for each."""
        process = live(self.world, a)
        one_by_one = what.endswith(" one by one")
        what = what.removesuffix(" one by one")
        many = re.fullmatch(r"(\d+) entries", what)
        texts = [f"e{n}" for n in range(1, int(many[1]) + 1)] if many else what.split()
        for text in texts:
            if process.core.propose(text.encode(), process.clock()) is None:
                self.world.trace.write(a, f"refuses {text}")
            if one_by_one:
                process.carry_out()
        process.carry_out()

    @command(r"(?P<a>\w+) changes voters to (?P<voters>[\w ]+?)( and learners to (?P<learners>[\w ]+))?")
    def change(self, a: str, voters: str, learners: str | None) -> None:
        """`a changes voters to a b d and learners to c`: exactly these."""
        process = live(self.world, a)
        wanted = ids(voters.split()), ids((learners or "").split())
        if process.core.change_membership(*wanted, b"", process.clock()) is None:
            self.world.trace.write(a, "refuses the change")
        process.carry_out()

    @command(r"(?P<a>\w+) hands over( to (?P<b>\w+))?")
    def hand_over(self, a: str, b: str | None) -> None:
        """To that member, or to whoever is best."""
        process = live(self.world, a)
        target = MemberId(b.encode()) if b else None
        agreed = process.core.hand_over(target, process.clock())
        self.world.trace.write(a, "agrees to hand over" if agreed else "refuses to hand over")
        process.carry_out()

    @command(r"(?P<a>\w+) resigns")
    def resign(self, a: str) -> None:
        """It stops leading, with nobody to take over."""
        process = live(self.world, a)
        process.core.resign(process.clock())
        process.carry_out()

    @command(r"(?P<a>\w+) is about to close")
    def close(self, a: str) -> None:
        """It says so with its next answers."""
        live(self.world, a).core.is_leaving = True

    @command(r"(?P<a>\w+) reads", changes_nothing=True)
    def read(self, a: str) -> None:
        """By its lease."""
        process = live(self.world, a)
        index = self.world.last_read = process.core.read_index(process.clock())
        self.world.trace.write(a, "cannot answer a read" if index is None else f"answers a read as of {index}")
        process.carry_out()

    @command(r"the server function of (?P<a>\w+) (?P<how>unwinds slowly|has unwound)")
    def unwind(self, a: str, how: str) -> None:
        """It takes its time to end, or has ended."""
        process = live(self.world, a)
        process.unwinds_at_once = how == "has unwound"
        if process.unwinds_at_once:
            process.host_stopped()

    # --- processes, disks, clocks ---

    @command(r"crash (?P<who>[\w ]+)")
    def crash(self, who: str) -> None:
        """These processes die at once."""
        for a in who.split():
            live(self.world, a).crash()

    @command(r"restart (?P<who>[\w ]+)")
    def restart(self, who: str) -> None:
        """These come back with what their disks hold."""
        for a in who.split():
            if member(self.world, a).is_up:
                raise ScriptError(f"{a!r} is up")
            member(self.world, a).start()

    @command(r"pause (?P<a>\w+)")
    def pause(self, a: str) -> None:
        """The process stands still."""
        live(self.world, a).pause()

    @command(r"resume (?P<a>\w+)")
    def resume(self, a: str) -> None:
        """It goes on."""
        live(self.world, a).resume()

    @command(r"the disk of (?P<a>\w+) (?P<how>is fast|is worked by hand|is full|takes \S+)")
    def disk(self, a: str, how: str) -> None:
        """How long its writes take from now on; a full disk writes nothing until it is fast again."""
        takes = seconds(how.removeprefix("takes ")) if how.startswith("takes") else math.inf
        member(self.world, a).use_disk(0.0 if how == "is fast" else takes)

    @command(r"stored (?P<a>\w+)( (?P<count>\d+))?")
    def stored(self, a: str, count: str | None) -> None:
        """By hand: the next so many writes (all, without a number) are durable now."""
        if not live(self.world, a).finish_writes(int(count) if count else None):
            raise ScriptError(f"{a} has nothing to write")

    @command(r"the clock of (?P<a>\w+) is (?P<percent>\d+)% (?P<how>fast|slow)")
    def clock(self, a: str, percent: str, how: str) -> None:
        """Its seconds are so much shorter or longer than true ones."""
        part = int(percent) / 100
        live(self.world, a).run_at(1 + part if how == "fast" else 1 - part)

    # --- network ---

    @command(r"(?P<fate>cut|hold) (?P<links>.+)")
    def break_links(self, fate: str, links: str) -> None:
        """`cut a -> b`, `cut a <-> all`, `hold b -> a AppendResponse`: lost, or kept until asked for."""
        for a, b, kind in self._links(links):
            self.world.rules.append(Rule(a, b, kind, fate))

    @command(r"heal( (?P<links>.+))?")
    def heal(self, links: str | None) -> None:
        """Links carry everything again; what is held is delivered, in its order."""
        wanted = None if links is None else {(a, b) for a, b, _ in self._links(links)}
        healed = [rule for rule in self.world.rules if wanted is None or (rule.sender, rule.to) in wanted]
        self.world.rules = [rule for rule in self.world.rules if rule not in healed]
        for letter in list(self.world.held):
            if wanted is None or (letter.sender, letter.to) in wanted:
                self._take(letter)

    @command(r"(?P<how>deliver|drop|repeat) (?P<links>.+?)( (?P<which>first|last))?")
    def held(self, how: str, links: str, which: str | None) -> None:
        """What is held arrives now; or is lost; or arrives and is held still, to come once more."""
        links_, world = list(self._links(links)), self.world
        found = [
            letter
            for letter in world.held
            if any((letter.sender, letter.to) == (a, b) and kind in (None, letter.kind) for a, b, kind in links_)
        ]
        if not found:
            raise ScriptError("no such message is held")
        for letter in {"first": found[:1], "last": found[-1:]}.get(which or "", found):
            if how == "drop":
                world.held.remove(letter)
                world.lost(letter)
            elif how == "repeat":
                world.deliver(letter)
            else:
                self._take(letter)

    def _take(self, letter: Letter) -> None:
        self.world.held.remove(letter)
        self.world.deliver(letter)

    def _links(self, text: str) -> Iterator[tuple[str, str, str | None]]:
        """`a -> b c`, `a <-> all`, `a -> b AppendEntries`: (from, to, kind) for each way."""
        match = re.fullmatch(r"(\w+) (<?->) ([a-z0-9 ]+?)(?: ([A-Z]\w+))?", text)
        if match is None or not (match[4] is None or hasattr(messages, match[4])):
            raise ScriptError(f"no link: {text!r}")
        everybody = list(self.world.processes)
        from_ = everybody if match[1] == "all" else [match[1]]
        to = everybody if match[3] == "all" else match[3].split()
        for a in from_:
            for b in to:
                if member(self.world, a) is not member(self.world, b):
                    yield a, b, match[4]
                    if match[2] == "<->":
                        yield b, a, match[4]

    # --- looking ---

    @command(r"show everything")
    def show_everything(self) -> None:
        """From now on every heartbeat is in the trace, and what is said again; else only what is news."""
        self.world.trace.shows_all = True

    @command(r"mark", changes_nothing=True)
    def mark(self) -> None:
        """What is expected to be said, or not to be said, counts from here."""
        self.world.sent.clear()

    @command(r"status", changes_nothing=True)
    def status(self) -> None:
        """One line for each member."""
        for process in self.world.processes.values():
            self.world.trace.write(process.name, _status(process))

    @command(r"expect (?P<sentence>.+)", changes_nothing=True)
    def expect(self, sentence: str) -> None:
        """It is so; else the script fails, whatever its traces say."""
        if not condition(sentence)(self.world):
            self.status()
            raise NotSo(f"it is not so that {sentence}")


def _status(process: Process) -> str:
    if not process.is_up:
        return "is down"
    core, log = process.core, process.core.log
    text = f"{process.describe_role()}, log ends {log.last_index}/{log.last_term}, commit {core.commit_index}"
    if log.membership is not None:
        text += f", {words.membership(log.membership)}"
    return text + (f", HOSTS in term {core.tenure}" if core.tenure else "")


def seconds(text: str) -> float:
    """`30ms`, `1.5s`."""
    match = re.fullmatch(r"([\d.]+)(ms|s)", text)
    if match is None:
        raise ScriptError(f"{text!r} is no time: 30ms, 1.5s")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)
