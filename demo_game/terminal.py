"""The board as text: for terminals, logs, and machines without a display.

One pure function makes a picture out of a scene, for a given width and height; 80 x 24 shows everything. A cell of
the map is two characters wide. Territories of one owner that touch get different shades, so that borders show
without lines; each one's glyph and dice stand in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from demo_game import palette, rules
from demo_game.land import SEA, Land
from demo_game.palette import AMBER, BACKGROUND, GLYPHS, GREEN, QUIET, RED, SEATS, TEXT, Colour, code, shaded
from demo_game.rules import Position
from demo_game.table import AWAY_MS, Line, LineKind, Phase, Seat, Standing, Table

_SHADES = (100, 80, 64, 90)
"""Per cent of the owner's colour for neighbouring territories of one owner."""
_SIDE_MIN = 18
_TONES = {"silent": AMBER, "moved": GREEN, "alone": RED}


@dataclass(frozen=True, slots=True)
class Machine:
    """A row of the network panel."""

    name: str
    role: str
    """`host`, `voter`, `warm`, `gone`, or `player` where nothing more is known."""
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows."""

    table: Table
    now_ms: int = 0
    """Cluster time."""
    me: bytes = b""
    """The member that looks; empty for a spectator."""
    machines: tuple[Machine, ...] = ()
    banner: str = ""
    tone: str = "moved"
    """`silent` (amber), `moved` (green) or `alone` (red)."""
    digest: str = ""
    """For instance `9c1e77a0 on 3 of 3`."""
    names: bool = False
    """Show the territories' names, for who types moves."""
    story: tuple[str, ...] = ()
    """Lines that only this machine knows, such as how long a change of host took."""


def picture(scene: Scene, width: int = 80, height: int = 24) -> Text:
    """Return the scene in exactly `width` columns and `height` - 1 rows (the last row is left to the cursor)."""
    rows = height - 1
    board = _board(scene)
    board_width = cell_len(board[0].plain) if board else 0
    side_width = max(_SIDE_MIN, width - board_width - 2)
    side = _side(scene, side_width, rows - 1)
    above = max(0, (rows - 2 - len(board)) // 2)
    left = [Text()] * above + board
    lines = [_header(scene, width)]
    for row in range(rows - 2):
        line = left[row].copy() if row < len(left) else Text()
        lines.append(_joined(line, side[row] if row < len(side) else Text(), width - side_width))
    last = _dice(scene.table)
    lines.append(_joined(last, side[rows - 2] if rows - 2 < len(side) else Text(), width - side_width))
    text = Text("\n", no_wrap=True, overflow="crop").join(lines)
    text.stylize_before(Style(bgcolor=code(BACKGROUND), color=code(TEXT)))
    return text


def _joined(left: Text, right: Text, column: int) -> Text:
    """Put two lines side by side, the right one from `column` on."""
    line = left.copy()
    line.truncate(column - 1, overflow="ellipsis")
    line.append(" " * (column - cell_len(line.plain)))
    return line.append_text(right)


def _style(colour: Colour, *, bold: bool = False) -> Style:
    return Style(color=code(colour), bold=bold)


# --- the map -------------------------------------------------------------------------


def _board(scene: Scene) -> list[Text]:
    """Return the map's rows; before the first game its place holds the lobby's words."""
    table = scene.table
    position = table.position
    if position is None:
        return _lobby(table)
    land, size = position.land, position.size
    shades = _shades(land, position.owners)
    rows = []
    for row in range(size.height):
        line = Text(" " if row % 2 else "")
        for cell in range(row * size.width, (row + 1) * size.width):
            _put(line, scene, position, shades, cell)
        if not row % 2:
            line.append(" ")
        rows.append(line)
    return rows


def _put(line: Text, scene: Scene, position: Position, shades: tuple[int, ...], cell: int) -> None:
    """Append one cell of the map."""
    territory = position.land.cells[cell]
    if territory == SEA:
        line.append("  ")
        return
    colour = scene.table.seats[position.owners[territory]].colour
    if position.land.centres[territory] == cell:
        label = f"{GLYPHS[colour]}{position.dice[territory]}"
        line.append(label, Style(color="#ffffff", bgcolor=code(BACKGROUND), bold=True))
        return
    ground = shaded(SEATS[colour], shades[territory])
    name = _named_here(position.land, cell) if scene.names else ""
    # The letter is invisible where there are colours, and all there is to see where there are none.
    ink = shaded(ground, 40) if name else ground
    line.append(name or "abcdefgh"[colour] * 2, Style(color=code(ink), bgcolor=code(ground), bold=bool(name)))


def _named_here(land: Land, cell: int) -> str:
    """Return the territory's name if this cell carries it: the one right of the dice, or else the one left."""
    territory, width = land.cells[cell], land.size.width
    centre = land.centres[territory]
    right = centre + 1 if (centre + 1) % width and land.cells[centre + 1] == territory else centre - 1
    return rules.territory_name(territory) if cell == right else ""


@lru_cache(maxsize=16)
def _shades(land: Land, owners: bytes) -> tuple[int, ...]:
    """Give each territory a shade that no earlier neighbour of the same owner has."""
    shades: list[int] = []
    for territory, owner in enumerate(owners):
        near = {shades[n] for n in land.neighbours[territory] if n < territory and owners[n] == owner}
        shades.append(next((shade for shade in _SHADES if shade not in near), _SHADES[-1]))
    return tuple(shades)


def _lobby(table: Table) -> list[Text]:
    """Return the lobby: seats, who is ready, what is to be played."""
    options = table.options
    clock = f"{options.turn_s} s a turn" if options.turn_s else "no clock"
    lines = [
        Text("HEXHOLD", _style(TEXT, bold=True)),
        Text("a hex dice war that outlives its host", _style(QUIET)),
        Text(f"{options.size.name} map · {clock} · {options.rounds} rounds", _style(QUIET)),
        Text(),
    ]
    for number in range(options.players):
        if number < len(table.seats):
            seat = table.seats[number]
            line = Text(f" {GLYPHS[seat.colour]} ", _style(SEATS[seat.colour], bold=True))
            line.append(set_cell_size(seat.name, 34), _style(TEXT))
            done = not seat.is_person or seat.nonce_hash
            line.append("ready" if done else "choosing", _style(GREEN if done else QUIET))
        else:
            line = Text(" · open seat", _style(QUIET))
        lines.append(line)
    return [_joined(line, Text(), 61) for line in lines]


# --- around it -----------------------------------------------------------------------


def _header(scene: Scene, width: int) -> Text:
    """Return the top line: the banner if there is one, else whose turn it is, and the clock as a bar."""
    if scene.banner:
        style = Style(color=code(BACKGROUND), bgcolor=code(_TONES[scene.tone]), bold=True)
        return Text(set_cell_size(f"  {scene.banner}", width), style)
    table = scene.table
    seat = table.on_turn
    line = Text(" HEXHOLD ", _style(TEXT, bold=True))
    if seat is None or table.position is None:
        words = {Phase.LOBBY: "lobby", Phase.REVEAL: "drawing the seed", Phase.OVER: "game over"}
        return line.append(words.get(table.phase, ""), _style(QUIET))
    line.append(f"round {table.position.round}/{table.position.rounds}  ", _style(QUIET))
    whose = "your turn" if scene.me and seat.member == scene.me else f"{seat.name}'s turn"
    line.append(f"{GLYPHS[seat.colour]} ", _style(SEATS[seat.colour], bold=True)).append(
        whose, _style(TEXT, bold=True)
    )
    if table.limit_ms:
        left_ms = max(0, table.limit_ms - table.used_ms(scene.now_ms))
        room = max(10, width - cell_len(line.plain) - 10)
        full = room * left_ms // table.limit_ms
        line.append(f"  {left_ms // 1000:>3} s ", _style(QUIET))
        line.append("━" * full, _style(SEATS[seat.colour])).append("━" * (room - full), _style(shaded(QUIET, 40)))
    return line


def _dice(table: Table) -> Text:
    """Return the last battle, with all its dice."""
    battle = table.battle
    if battle is None:
        return Text()
    line = Text(" ")
    for place, dice in ((battle.seat, battle.attack), (battle.foe, battle.defence)):
        colour = table.seats[place].colour
        line.append(f"{GLYPHS[colour]} ", _style(SEATS[colour], bold=True))
        line.append(" ".join(map(str, dice)), _style(QUIET)).append(f" = {sum(dice)}", _style(TEXT, bold=True))
        if place == battle.seat and dice is battle.attack:
            line.append(" beats " if battle.captured else " fails against ", _style(QUIET))
    return line


def _side(scene: Scene, width: int, rows: int) -> list[Text]:
    """Return the panel at the right: players, network, proof, story. The story takes the rows that are left."""
    table = scene.table
    lines = [_player(scene, place, width) for place in range(len(table.seats))]
    if scene.machines and rows >= len(lines) + len(scene.machines) + 6:
        lines += [Text(), _title("NETWORK", width)]
        lines += [_machine(machine, width) for machine in scene.machines]
    foot = []
    if scene.digest:
        words = scene.digest if width < 24 else f"state {scene.digest}"
        foot.append(Text(set_cell_size(words, width), _style(QUIET)))
    if table.seal:
        foot.append(Text(set_cell_size(f"seal {table.seal.hex()}", width), _style(QUIET)))
    room = rows - len(lines) - len(foot) - 2
    if room > 0:
        lines += [Text(), _title("STORY", width), *_story(scene, width, room)]
    lines += [Text()] * (rows - len(lines) - len(foot))
    return lines + foot


def _title(words: str, width: int) -> Text:
    return Text(set_cell_size(words, width), _style(QUIET, bold=True))


def _player(scene: Scene, place: int, width: int) -> Text:
    """Return a player's row: turn, glyph, name, crown, what keeps him away, territories, income, stock."""
    table = scene.table
    seat = table.seats[place]
    numbers = ""
    if table.position is not None:
        count, stock = table.position.owners.count(place), table.position.stock[place]
        numbers = f"{count:>3} +{rules.income(table.position, place):<2}" + (f" {stock:>2}" if width >= 30 else "")
    turn = table.on_turn is seat
    line = Text("▶" if turn else " ", _style(AMBER))
    line.append(f"{GLYPHS[seat.colour]} ", _style(SEATS[seat.colour], bold=True))
    crown = " ♛" if seat.is_person and seat.member == table.host else ""
    note = _note(seat, scene.now_ms, wide=width >= 44)
    out = table.position is not None and not table.position.owners.count(place)
    name = seat.name + crown + (f" · {note}" if note and width >= 30 else "")
    line.append(_fitted(name, width - 3 - len(numbers)), _style(QUIET if note or out else TEXT, bold=turn))
    return line.append(numbers, _style(TEXT, bold=turn))


def _note(seat: Seat, now_ms: int, *, wide: bool) -> str:
    """Return why somebody else plays a seat, or soon will."""
    if seat.standing is not Standing.PLAYING:
        return "a bot plays"
    if seat.away_ms:
        away_s = max(0, now_ms - seat.away_ms) // 1000
        since = f"away {away_s // 60}:{away_s % 60:02}"
        return f"{since}, bot at 0:{AWAY_MS // 1000}" if wide else since
    return ""


def _fitted(text: str, width: int) -> str:
    """Return text in exactly so many columns, with an ellipsis if it was cut."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, max(0, width - 1)).rstrip() + "…", width)


def _machine(machine: Machine, width: int) -> Text:
    colour = {"host": AMBER, "gone": RED}.get(machine.role, GREEN)
    rtt = f"{machine.rtt_ms:>4.0f} ms" if machine.rtt_ms is not None and width >= 30 else ""
    room = width - 9 - (8 if width >= 30 else 0)
    line = Text("• ", _style(colour)).append(_fitted(machine.name, room), _style(TEXT))
    return line.append(f" {machine.role:<6}", _style(colour)).append(rtt, _style(QUIET))


def _story(scene: Scene, width: int, room: int) -> list[Text]:
    """Return the newest lines, wrapped, the last at the bottom."""
    lines: list[Text] = []
    table_lines = [_told(scene.table, line) for line in scene.table.lines[-room:]]
    for words, colour in table_lines + [(text, GREEN) for text in scene.story]:
        lines += [Text(part, _style(colour)) for part in _wrapped(words, width)]
    return lines[-room:]


def _told(table: Table, line: Line) -> tuple[str, Colour]:
    if line.kind is LineKind.CHAT:
        place = table.colour_place(line.colour)
        name = table.seats[place].name if place >= 0 else "somebody"
        return f"{name}: {line.text}", palette.TEXT
    return line.text, AMBER if line.kind is LineKind.HOST else QUIET


def _wrapped(words: str, width: int) -> list[str]:
    """Break a line between words; a word longer than a line is cut."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_fitted(word, width).rstrip())
    return [line for line in lines if line]
