"""The rules of Hexhold: position, moves, outcome, text notation. Pure: no clock, no network, no chance but `luck`.

A position is a value; a move makes the next one. The rules in one breath: roll all dice of a territory against
all dice of a foreign neighbour, the strictly greater sum wins; end the turn and get as many dice as your largest
connected region has territories; the last one on the map wins, or the largest after the last round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from demo_game import luck
from demo_game.coding import U8, U16
from demo_game.land import SIZES, STANDARD, Land, Size, grow

PLAYERS_MIN, PLAYERS_MAX = 2, 8
DICE_MAX = 8
STOCK_MAX = 32
ROUNDS_MAX = 99
ROUNDS_DEFAULT = 30

_COMPENSATION: Final[dict[tuple[str, int], int]] = {
    ("small", 2): 7,
    ("standard", 2): 12,
    ("small", 3): 2,
    ("standard", 3): 3,
    ("small", 4): 1,
    ("standard", 4): 1,
}
"""Extra dice per seat: moving first is a large advantage. Measured with `demo-game sim`; see docs/explanation."""


class IllegalMove(ValueError):
    """The move is not allowed in this position; the text says why, in words for the player."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Attack `target` from `source`, both territories."""

    source: U8
    target: U8


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Take the dice due and pass."""


Move = Attack | EndTurn


@dataclass(frozen=True, slots=True)
class Battle:
    """One attack and how it ended."""

    seat: U8
    foe: U8
    source: U8
    target: U8
    attack: bytes
    """The attacker's dice, one byte of 1 to 6 each."""
    defence: bytes
    captured: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a game ended."""

    winner: U8
    reason: str
    """`conquest` (all others are out) or `rounds` (the last round is over)."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything about a game between two moves.

    Invariants: every territory has an owner in `range(players)` and 1 to 8 dice; the seat on turn owns something;
    `0 <= stock <= 32`; `1 <= round <= rounds`.
    """

    seed: bytes
    size: Size
    players: U8
    rounds: U8
    """The last round."""
    owners: bytes
    """The seat that owns each territory."""
    dice: bytes
    """The dice on each territory."""
    stock: bytes
    """Dice that found no place, for each seat."""
    turn: U16 = 0
    """Turns played so far: a part of every draw's key."""
    round: U8 = 1
    seat: U8 = 0
    """Whose turn it is."""
    attacks: U16 = 0
    """Attacks made in this turn: the other part."""
    outcome: Outcome | None = None

    @property
    def land(self) -> Land:
        """The map; a function of the seed."""
        return grow(self.seed, self.size)

    @property
    def seal(self) -> bytes:
        """Four bytes that fix the next attack's dice without showing them."""
        return luck.seal(self.seed, self.turn, self.attacks)


def compensation(size: Size, players: int) -> int:
    """Return c: seat k (from 0) starts with c * k extra dice."""
    return _COMPENSATION.get((size.name, players), 0)


def seating(seed: bytes, players: int) -> list[int]:
    """Return who moves first, second, ...: the numbers 0 to `players` - 1 in the order that the seed decides."""
    return luck.shuffled(list(range(players)), seed, "seating")


def deal(
    seed: bytes,
    players: int,
    size: Size = STANDARD,
    rounds: int = ROUNDS_DEFAULT,
    extra: int | None = None,
) -> Position:
    """Deal territories and dice.

    Args:
        seed: 32 bytes, from `luck.seed_of`.
        players: 2 to 8 seats.
        size: `SMALL` or `STANDARD`.
        rounds: the last round, 1 to 99.
        extra: c, to measure it; None takes the one that was measured.
    """
    assert PLAYERS_MIN <= players <= PLAYERS_MAX and 1 <= rounds <= ROUNDS_MAX, "checked by who asks"
    extra = compensation(size, players) if extra is None else extra
    order = luck.shuffled(list(range(size.territories)), seed, "deal")
    leftovers = size.territories % players
    owners = bytearray(size.territories)
    for place, territory in enumerate(order):
        dealt = place < size.territories - leftovers
        owners[territory] = place % players if dealt else players - size.territories + place
    dice = bytearray(b"\x01" * size.territories)
    draws = luck.Draws(seed, "dice")
    for seat in range(players):
        for _ in range(2 * (size.territories // players) + extra * seat):
            room = [t for t in range(size.territories) if owners[t] == seat and dice[t] < DICE_MAX]
            if room:
                dice[room[draws.below(len(room))]] += 1
    return Position(seed, size, players, rounds, bytes(owners), bytes(dice), bytes(players))


def objection(position: Position, move: Move) -> str | None:
    """Return why a move is not allowed, in words for the player; None if it is."""
    if position.outcome is not None:
        return "the game is over"
    if isinstance(move, EndTurn):
        return None
    count = position.size.territories
    if not (0 <= move.source < count and 0 <= move.target < count):
        return "there is no such territory"
    if position.owners[move.source] != position.seat:
        return "attack from a territory of your own"
    if position.owners[move.target] == position.seat:
        return "that territory is yours already"
    if position.dice[move.source] < 2:
        return "an attack needs at least two dice"
    if move.target not in position.land.neighbours[move.source]:
        return "those two territories do not touch"
    return None


def attacks(position: Position) -> Iterator[Attack]:
    """Yield every attack that is allowed, in order of source and target."""
    if position.outcome is not None:
        return
    neighbours, owners, dice, seat = position.land.neighbours, position.owners, position.dice, position.seat
    for source, owner in enumerate(owners):
        if owner == seat and dice[source] > 1:
            for target in neighbours[source]:
                if owners[target] != seat:
                    yield Attack(source, target)


def play(position: Position, move: Move) -> tuple[Position, Battle | None]:
    """Make a move; return the next position and, for an attack, the battle.

    Raises:
        IllegalMove: with the reason; the position stands as it was.
    """
    if reason := objection(position, move):
        raise IllegalMove(reason)
    if isinstance(move, Attack):
        return _attack(position, move)
    return _end_turn(position), None


def _attack(position: Position, move: Attack) -> tuple[Position, Battle]:
    """Roll both sides; move all dice but one in, or lose all but one."""
    key = (position.turn, position.attacks)
    attack = luck.roll(position.seed, "attack", *key, position.dice[move.source])
    defence = luck.roll(position.seed, "defence", *key, position.dice[move.target])
    captured = sum(attack) > sum(defence)
    foe = position.owners[move.target]
    owners, dice = bytearray(position.owners), bytearray(position.dice)
    if captured:
        owners[move.target] = position.seat
        dice[move.target] = dice[move.source] - 1
    dice[move.source] = 1
    battle = Battle(position.seat, foe, move.source, move.target, attack, defence, captured)
    alone = captured and owners.count(position.seat) == len(owners)
    outcome = Outcome(position.seat, "conquest") if alone else None
    after = replace(
        position, owners=bytes(owners), dice=bytes(dice), attacks=position.attacks + 1, outcome=outcome
    )
    return after, battle


def _end_turn(position: Position) -> Position:
    """Place the dice due, then pass to the next seat that owns something; past the last seat a round is over."""
    dice, stock = reinforced(position)
    seat, round_ = position.seat, position.round
    while True:
        seat += 1
        if seat == position.players:
            seat, round_ = 0, round_ + 1
        if position.owners.count(seat):
            break
    after = replace(position, dice=dice, stock=stock, turn=position.turn + 1, attacks=0)
    if round_ > position.rounds:
        return replace(after, outcome=Outcome(ranking(after)[0], "rounds"))
    return replace(after, seat=seat, round=round_)


def reinforced(position: Position) -> tuple[bytes, bytes]:
    """Return dice and stock after the seat on turn placed what is due, one by one on own territories below 8."""
    seat = position.seat
    dice, stock = bytearray(position.dice), bytearray(position.stock)
    stock[seat] = min(STOCK_MAX, stock[seat] + income(position, seat))
    room = [t for t, owner in enumerate(position.owners) if owner == seat and dice[t] < DICE_MAX]
    k = 0
    while stock[seat] and room:
        place = room[luck.below(len(room), position.seed, "place", position.turn, k)]
        dice[place] += 1
        stock[seat] -= 1
        k += 1
        if dice[place] == DICE_MAX:
            room.remove(place)
    return bytes(dice), bytes(stock)


def income(position: Position, seat: int) -> int:
    """Return the size of a seat's largest connected region: the dice that the end of its turn brings."""
    return max((len(region) for region in regions(position, seat)), default=0)


def regions(position: Position, seat: int) -> list[list[int]]:
    """Return a seat's connected regions; each is flooded from its first territory."""
    neighbours = position.land.neighbours
    left = {territory for territory, owner in enumerate(position.owners) if owner == seat}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        region = [start]
        for territory in region:  # grows while it is read: a queue
            for other in neighbours[territory]:
                if other in left:
                    left.discard(other)
                    region.append(other)
        found.append(region)
    return found


def ranking(position: Position) -> list[int]:
    """Return the seats from first to last: most territories, then most dice, then the later seat."""

    def worth(seat: int) -> tuple[int, int, int]:
        dice = sum(d for d, owner in zip(position.dice, position.owners, strict=True) if owner == seat)
        return position.owners.count(seat), dice, seat

    return sorted(range(position.players), key=worth, reverse=True)


# --- text notation ------------------------------------------------------------

_POSITION = re.compile(
    r"(?P<size>[a-z]+) (?P<seed>[0-9a-f]{64}) (?P<rounds>\d{1,2}) "
    r"(?P<land>(?:[a-h][1-8])+) (?P<stock>\d{1,2}(?:,\d{1,2}){1,7}) "
    r"(?P<turn>\d{1,5})\.(?P<attacks>\d{1,5}) (?P<round>\d{1,2}) (?P<seat>[a-h])"
    r"(?: (?P<winner>[a-h]) (?P<reason>conquest|rounds))?"
)


def territory_name(territory: int) -> str:
    """Return a territory's name: A1 to A8, B1 to B8, ..."""
    return f"{chr(ord('A') + territory // 8)}{territory % 8 + 1}"


def move_text(move: Move) -> str:
    """Write a move: `B3xC1` is an attack, `end` ends the turn."""
    if isinstance(move, EndTurn):
        return "end"
    return f"{territory_name(move.source)}x{territory_name(move.target)}"


def move_of(text: str) -> Move:
    """Read a move that `move_text` wrote; ValueError for anything else."""
    if text == "end":
        return EndTurn()
    match = re.fullmatch(r"([A-E])([1-8])x([A-E])([1-8])", text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is no move; write B3xC1 or end")
    rows, places = match.group(1, 3), match.group(2, 4)
    source, target = (8 * (ord(r) - ord("A")) + int(p) - 1 for r, p in zip(rows, places, strict=True))
    return Attack(source, target)


def position_text(position: Position) -> str:
    """Write a position in one line: size, seed, last round, owner and dice of each territory, stock, turn, ..."""
    land = "".join(f"{chr(97 + o)}{d}" for o, d in zip(position.owners, position.dice, strict=True))
    stock = ",".join(map(str, position.stock))
    where = f"{position.turn}.{position.attacks} {position.round} {chr(97 + position.seat)}"
    end = f" {chr(97 + position.outcome.winner)} {position.outcome.reason}" if position.outcome else ""
    head = f"{position.size.name} {position.seed.hex()} {position.rounds}"
    return f"{head} {land} {stock} {where}{end}"


def position_of(text: str) -> Position:
    """Read a position that `position_text` wrote; ValueError for anything that is not one."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise ValueError("this line is no position of Hexhold")
    land, stock = match["land"], bytes(map(int, match["stock"].split(",")))
    size = next((s for s in SIZES if s.name == match["size"]), None)
    if size is None or len(land) != 2 * size.territories:
        raise ValueError("the territories do not fit the size of the map")
    owners = bytes(ord(letter) - 97 for letter in land[::2])
    winner = match["winner"]
    position = Position(
        seed=bytes.fromhex(match["seed"]),
        size=size,
        players=len(stock),
        rounds=int(match["rounds"]),
        owners=owners,
        dice=bytes(map(int, land[1::2])),
        stock=stock,
        turn=int(match["turn"]),
        round=int(match["round"]),
        seat=ord(match["seat"]) - 97,
        attacks=int(match["attacks"]),
        outcome=Outcome(ord(winner) - 97, match["reason"]) if winner else None,
    )
    check(position)
    return position


def check(position: Position) -> None:
    """Raise ValueError if a position breaks an invariant: for positions from outside, and for tests."""
    players = position.players
    fair = (
        PLAYERS_MIN <= players <= PLAYERS_MAX,
        len(position.seed) == luck.SEED_SIZE,
        len(position.owners) == len(position.dice) == position.size.territories,
        len(position.stock) == players and max(position.stock) <= STOCK_MAX,
        max(position.owners) < players and position.seat < players,
        all(1 <= dice <= DICE_MAX for dice in position.dice),
        1 <= position.round <= position.rounds <= ROUNDS_MAX,
        position.outcome is not None or position.owners.count(position.seat) > 0,
        position.outcome is None or position.outcome.winner < players,
    )
    if not all(fair):
        raise ValueError("this position cannot come about in a game")
