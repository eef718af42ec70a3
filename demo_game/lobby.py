"""What commands do around a game: seats, options, the nonces that make the seed, chat, rematch.

The lobby is replicated like the game, so it survives its host. Whoever has a seat may set options and start; to
take somebody's seat away is for the player at the hosting machine.
"""

from __future__ import annotations

from dataclasses import replace

from demo_game import luck, rules, turns
from demo_game.bots import Skill
from demo_game.commands import AddBot, Chat, Join, Kick, Option, Ready, RemoveBot, Reveal, SetOption
from demo_game.land import SIZES
from demo_game.rules import PLAYERS_MAX, PLAYERS_MIN, ROUNDS_MAX
from demo_game.table import (
    BOT_NAMES,
    CHAT_LENGTH_MAX,
    MISSED_MAX,
    NAME_LENGTH_MAX,
    Clock,
    LineKind,
    Options,
    Phase,
    Refusal,
    Seat,
    Standing,
    Table,
    clean,
    with_input,
    with_line,
    with_seat,
)

CHAT_LINE_MS = 2_000
"""What a line costs: one every 2 s in the long run."""
CHAT_BURST_MS = 8_000
"""How far ahead of that a seat may be: five lines at once."""


def seated(table: Table, sender: bytes, number: int) -> int:
    """Return the sender's place at the table."""
    place = table.seat_of(sender, number)
    if place < 0:
        raise Refusal("take a seat first")
    return place


def in_lobby(table: Table) -> None:
    """Raise `Refusal` while a game is being dealt, played or looked at."""
    if table.phase is not Phase.LOBBY:
        raise Refusal("that can only be done in the lobby")


def join(table: Table, command: Join, sender: bytes, number: int, now_ms: int) -> Table:
    """Take a seat, or come back to one's own: then only the absence ends."""
    place = table.seat_of(sender, number)
    if place >= 0:
        seat = table.seats[place]
        standing = Standing.PLAYING if seat.standing is Standing.LEFT else seat.standing
        return with_input(with_seat(table, place, replace(seat, standing=standing)), place)
    if table.phase is not Phase.LOBBY:
        raise Refusal("a game is going on: watch it, and join the next one")
    colour = _free_colour(table)
    name = _unlike_others(table, clean(command.name, NAME_LENGTH_MAX) or f"Player {colour + 1}")
    table = replace(table, seats=(*table.seats, Seat(sender, number, name, colour)))
    return with_line(table, now_ms, f"{name} takes a seat.")


def _free_colour(table: Table) -> int:
    if len(table.seats) >= table.options.players:
        raise Refusal("every seat is taken")
    return next(colour for colour in range(PLAYERS_MAX) if table.colour_place(colour) < 0)


def _unlike_others(table: Table, name: str) -> str:
    """Return the name, with a number if another seat has the same."""
    taken = [seat.name for seat in table.seats]
    count = 1
    unlike = name
    while unlike in taken:
        count += 1
        unlike = f"{name[: NAME_LENGTH_MAX - 2]} {count}"
    return unlike


def leave(table: Table, place: int, now_ms: int) -> Table:
    """Give up a seat: it is free in the lobby, and a bot's in a game."""
    return _vacated(table, place, Standing.LEFT, f"{table.seats[place].name} leaves the table.", now_ms)


def kick(table: Table, command: Kick, now_ms: int) -> Table:
    """Take a person's seat away."""
    place = table.colour_place(command.colour)
    if place < 0 or not table.seats[place].is_person:
        raise Refusal("nobody sits there")
    text = f"{table.seats[place].name} was asked to leave."
    return _vacated(table, place, Standing.SURRENDERED, text, now_ms)


def surrender(table: Table, place: int, now_ms: int) -> Table:
    """Let a bot play a seat to the end of the game."""
    if table.phase is not Phase.PLAY:
        raise Refusal("no game is running")
    text = f"{table.seats[place].name} surrenders: a bot plays on."
    return _vacated(table, place, Standing.SURRENDERED, text, now_ms)


def _vacated(table: Table, place: int, standing: Standing, text: str, now_ms: int) -> Table:
    seat = table.seats[place]
    if table.phase is Phase.LOBBY:
        return with_line(_without(table, place), now_ms, text)
    if seat.standing is not Standing.PLAYING:
        raise Refusal("a bot plays this seat already")
    table = with_line(with_seat(table, place, replace(seat, standing=standing)), now_ms, text)
    return _deal_if_revealed(table, now_ms)


def _without(table: Table, place: int) -> Table:
    return replace(table, seats=table.seats[:place] + table.seats[place + 1 :])


def set_option(table: Table, command: SetOption) -> Table:
    """Change an option. Who was ready is asked again, since he was ready for something else."""
    in_lobby(table)
    return replace(table, options=_changed(table, command), seats=tuple(_unready(s) for s in table.seats))


def _changed(table: Table, command: SetOption) -> Options:
    options, value = table.options, command.value
    match command.option:
        case Option.PLAYERS if max(PLAYERS_MIN, len(table.seats)) <= value <= PLAYERS_MAX:
            return replace(options, players=value)
        case Option.MAP if value < len(SIZES):
            return replace(options, map=value)
        case Option.TURN if value == 0 or 10 <= value <= 600:
            return replace(options, turn_s=value)
        case Option.ROUNDS if 1 <= value <= ROUNDS_MAX:
            return replace(options, rounds=value)
    raise Refusal(f"{value} is out of range for {command.option.name.lower()}")


def _unready(seat: Seat) -> Seat:
    return replace(seat, nonce_hash=b"", nonce=b"")


def add_bot(table: Table, command: AddBot) -> Table:
    """Put a bot on an open seat."""
    in_lobby(table)
    colour = _free_colour(table)
    seat = Seat(b"", 0, _unlike_others(table, f"bot {BOT_NAMES[colour]}"), colour, Skill(command.skill).value)
    return replace(table, seats=(*table.seats, seat))


def remove_bot(table: Table, command: RemoveBot) -> Table:
    """Send a bot away."""
    in_lobby(table)
    place = table.colour_place(command.colour)
    if place < 0 or table.seats[place].is_person:
        raise Refusal("no bot sits there")
    return _without(table, place)


def ready(table: Table, command: Ready, place: int) -> Table:
    """Commit to a nonce, or take it back."""
    in_lobby(table)
    if len(command.nonce_hash) not in (0, luck.NONCE_HASH_SIZE):
        raise Refusal("that is no hash of a nonce")
    return with_seat(table, place, replace(table.seats[place], nonce_hash=command.nonce_hash, nonce=b""))


def start(table: Table, now_ms: int) -> Table:
    """Ask for the nonces. Absent players are not waited for: a bot plays for them until they come back."""
    in_lobby(table)
    if len(table.seats) < PLAYERS_MIN:
        raise Refusal("a game needs two seats taken: wait for a player, or add a bot")
    late = [seat.name for seat in table.seats if seat.is_person and not seat.nonce_hash and not seat.away_ms]
    if late:
        raise Refusal(f"not ready yet: {', '.join(late)}")
    if not any(seat.nonce_hash for seat in table.seats):
        raise Refusal("somebody has to be ready")
    return replace(table, phase=Phase.REVEAL, clock=Clock(table.clock.epoch, 0, now_ms, now_ms, now_ms))


def reveal(table: Table, command: Reveal, place: int, now_ms: int) -> Table:
    """Show a nonce; the last one shown deals the game."""
    if table.phase is not Phase.REVEAL:
        raise Refusal("no nonces are asked for now")
    seat = table.seats[place]
    if seat.nonce:
        raise Refusal("this seat has shown its nonce")
    fits = len(command.nonce) == luck.NONCE_SIZE
    if not fits or luck.nonce_hash(command.nonce, seat.member, seat.number) != seat.nonce_hash:
        raise Refusal("this nonce is not the one committed to")
    return _deal_if_revealed(with_seat(table, place, replace(seat, nonce=command.nonce)), now_ms)


def _owed(table: Table) -> list[Seat]:
    """Return the seats whose nonces are still to come."""
    return [s for s in table.seats if s.nonce_hash and not s.nonce and s.standing is Standing.PLAYING]


def _deal_if_revealed(table: Table, now_ms: int) -> Table:
    return table if table.phase is not Phase.REVEAL or _owed(table) else deal(table, now_ms)


def deal(table: Table, now_ms: int) -> Table:
    """Make the seed out of the nonces shown, seat the players and deal. Who showed none is left out, and named.

    With no nonce at all there would be no luck in the seed: then everybody is asked to get ready again.
    """
    silent = ", ".join(seat.name for seat in _owed(table))
    if silent:
        table = with_line(table, now_ms, f"The dice do without {silent}: no nonce shown in time.")
    nonces = [seat.nonce for seat in table.seats if seat.nonce]
    if not nonces:
        table = with_line(table, now_ms, "Nobody showed a nonce. Get ready again.")
        return replace(table, phase=Phase.LOBBY, seats=_stayed(table))
    seed = luck.seed_of(nonces, table.game + 1)
    order = rules.seating(seed, len(table.seats))
    seats = tuple(_at_first_move(table.seats[place]) for place in order)
    options = table.options
    position = rules.deal(seed, len(seats), options.size, options.rounds)
    return turns.begin(replace(table, seats=seats), position, now_ms)


def _at_first_move(seat: Seat) -> Seat:
    missed = MISSED_MAX if seat.is_person and not seat.nonce_hash else 0
    return replace(seat, missed=missed, acted=False, dice_thrown=0, pips=0)


def _stayed(table: Table) -> tuple[Seat, ...]:
    """Return the seats as a lobby has them: who left is gone, nobody is ready."""
    stay = [seat for seat in table.seats if seat.standing is not Standing.LEFT]
    return tuple(replace(_unready(seat), standing=Standing.PLAYING, missed=0, acted=False) for seat in stay)


def rematch(table: Table, now_ms: int) -> Table:
    """Go back to the lobby after a game."""
    if table.phase is not Phase.OVER:
        raise Refusal("the game is not over")
    table = replace(table, phase=Phase.LOBBY, seats=_stayed(table), position=None, battle=None, history=())
    return with_line(table, now_ms, "Another game: get ready.")


def chat(table: Table, command: Chat, place: int, now_ms: int) -> Table:
    """Say something, at most five lines at once and one every 2 s."""
    text = clean(command.text, CHAT_LENGTH_MAX)
    if not text:
        raise Refusal("there is nothing to say in that")
    seat = table.seats[place]
    paid_ms = max(seat.chat_ms, now_ms) + CHAT_LINE_MS
    if paid_ms - now_ms > CHAT_BURST_MS + CHAT_LINE_MS:
        raise Refusal("not so fast: wait a moment before the next line")
    table = with_seat(table, place, replace(seat, chat_ms=paid_ms))
    return with_line(table, now_ms, text, LineKind.CHAT, seat.colour)
