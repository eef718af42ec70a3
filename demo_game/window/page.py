"""A page: what is on the screen as values, and the small widgets that scenes build it from.

Layers are drawn from below: all meshes of a layer in any order, then its texts, then the next layer. So what lies
on something else has a higher layer: cards 0, rows 1, buttons and badges 2, what is on those 3. Every text has a
room that it keeps to: what is too long ends in an ellipsis, and a test compares what was really drawn with it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from demo_game.palette import AMBER, BACKGROUND, CARD, GREEN, LEAF, QUIET, RAISED, RED, ROW, TEXT, Colour
from demo_game.window import glyphs, shapes
from demo_game.window.fields import Field
from demo_game.window.look import Look
from demo_game.window.shapes import Ink, Mesh, ink, mixed

RADIUS = 10.0
BLINK_S = 0.53


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; its left top corner, y down."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """The point in its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def inset(self, by: float, down: float | None = None) -> Box:
        """Return the box made smaller at each side."""
        down = by if down is None else down
        return Box(self.x + by, self.y + down, self.width - 2 * by, self.height - 2 * down)

    def holds(self, x: float, y: float) -> bool:
        """Tell whether a point is in it."""
        return self.x <= x < self.right and self.y <= y < self.bottom


@dataclass(frozen=True, slots=True)
class Shape:
    """A mesh on a layer."""

    layer: int
    mesh: Mesh


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text."""

    layer: int
    words: str
    x: float
    """Left edge, middle or right edge, as `anchor` says."""
    y: float
    """The middle of its small letters' height."""
    size: float
    ink: Ink
    bold: bool
    anchor: str
    room: float
    """It is never wider than this."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be pressed: by a click, or by Enter where the keyboard's focus is."""

    name: str
    box: Box
    is_field: bool = False
    in_tabs: bool = True
    """Whether the Tab key comes by."""


@dataclass(slots=True)
class Page:
    """What a scene draws itself into."""

    look: Look
    items: list[Shape | Text] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    """The later ones lie above the earlier."""
    again_s: float | None = None
    """In how many seconds the picture will differ though nothing happens; None = not by itself."""
    base: int = 0
    """Added to every layer: overlays draw themselves above what is there."""

    def again(self, in_s: float) -> None:
        """Say that the picture will differ in so many seconds; 0 = in every picture."""
        self.again_s = in_s if self.again_s is None else min(self.again_s, in_s)

    # --- shapes and texts ---

    def draw(self, mesh: Mesh, layer: int = 1) -> None:
        """Add a mesh."""
        self.items.append(Shape(self.base + layer, mesh))

    def write(
        self,
        words: str,
        x: float,
        y: float,
        size: float = 16.0,
        colour: Colour = TEXT,
        *,
        room: float,
        bold: bool = False,
        anchor: str = "left",
        layer: int = 1,
        alpha: int = 255,
    ) -> float:
        """Add a line of text, cut to its room; return how wide it is.

        Args:
            words: one line.
            x: its left edge, middle or right edge (`anchor`).
            y: its middle.
            size: of the letters.
            colour: of the letters.
            room: its greatest width.
            bold: whether the letters are.
            anchor: `left`, `center` or `right`.
            layer: where it lies.
            alpha: 255 = not transparent.
        """
        words = self.fitted(words, size, room, bold=bold)
        if words:
            shade = ink(colour, alpha)
            self.items.append(Text(self.base + layer, words, x, y, size, shade, bold, anchor, room))
        return self.look.measure(words, size, bold)

    def fitted(self, words: str, size: float, room: float, *, bold: bool = False) -> str:
        """Return words that fit into a room, with an ellipsis if some are missing."""
        measure = self.look.measure
        if measure(words, size, bold) <= room:
            return words
        low, high = 0, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            if measure(words[:middle].rstrip() + "…", size, bold) <= room:
                low = middle
            else:
                high = middle - 1
        return words[:low].rstrip() + "…" if low else ""

    def wrapped(self, words: str, size: float, room: float) -> list[str]:
        """Break a text into lines that fit; a word longer than a line is broken, too."""
        lines = [""]
        for word in words.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if self.look.measure(longer, size, False) <= room:
                lines[-1] = longer
                continue
            *whole, rest = self._pieces(word, size, room)
            if lines[-1]:
                lines.append("")
            lines[-1:] = [*whole, rest]
        return [line for line in lines if line]

    def _pieces(self, word: str, size: float, room: float) -> list[str]:
        pieces = [""]
        for letter in word:
            if pieces[-1] and self.look.measure(pieces[-1] + letter, size, False) > room:
                pieces.append("")
            pieces[-1] += letter
        return pieces

    def prose(
        self, words: str, box: Box, size: float = 16.0, colour: Colour = TEXT, *, gap: float = 1.45, layer: int = 1
    ) -> float:
        """Write a text of several lines; return where the next would begin. An ellipsis stands for the rest."""
        y = box.y
        lines = self.wrapped(words, size, box.width)
        fit = max(1, int((box.height + 1) // (size * gap)))
        if len(lines) > fit:
            lines[fit - 1 :] = [self.fitted(f"{lines[fit - 1]}…", size, box.width)]
        for line in lines:
            self.write(line, box.x, y + size * gap / 2, size, colour, room=box.width + 1, layer=layer)
            y += size * gap
        return y

    # --- widgets ---

    def panel(
        self, box: Box, colour: Colour = CARD, *, radius: float = RADIUS, layer: int = 1, alpha: int = 255
    ) -> None:
        """Add a rectangle with round corners, for other things to lie on."""
        self.draw(shapes.rounded(box.x, box.y, box.width, box.height, radius, ink(colour, alpha)), layer)

    def card(self, box: Box) -> None:
        """Add a card: below everything else on it."""
        self.panel(box, layer=0)

    def target(self, name: str, box: Box, *, is_field: bool = False, in_tabs: bool = True) -> bool:
        """Add something to press; return whether it is looked at, by pointer or focus."""
        self.targets.append(Target(name, box, is_field, in_tabs))
        if self.has_focus(name):
            ring = box.inset(-3)
            mesh = shapes.frame(ring.x, ring.y, ring.width, ring.height, RADIUS + 2, 2.0, ink((255, 255, 255)))
            self.draw(mesh, 4)
        return self.look.hover == name or self.has_focus(name)

    def has_focus(self, name: str) -> bool:
        """Whether the keyboard acts on this, and it should be seen."""
        return self.look.shows_focus and self.look.focus == name

    def button(
        self,
        name: str,
        box: Box,
        words: str,
        under: str = "",
        *,
        kind: str = "quiet",
        enabled: bool = True,
        size: float = 17.0,
    ) -> None:
        """Add a button.

        Args:
            name: what the scene is told when it is pressed.
            box: where.
            words: on it.
            under: smaller, below them: a key, a consequence.
            kind: `main` (what one is meant to press), `quiet`, `danger`, `on` (a choice that is made).
            enabled: a button that is not does nothing.
            size: of the words.
        """
        ground = {"main": LEAF, "quiet": ROW, "danger": (128, 44, 40), "on": (30, 84, 122)}[kind]
        letters, small = TEXT, mixed(TEXT, ground, 25)
        if not enabled:
            ground, letters, small = mixed(ROW, CARD, 50), mixed(QUIET, CARD, 40), mixed(QUIET, CARD, 50)
        elif self.target(name, box):
            ground = mixed(ground, (255, 255, 255), 14)
        self.panel(box, ground, layer=2)
        x, y = box.middle
        room = box.width - 20
        bold = kind in ("main", "danger")
        if under:
            self.write(words, x, y - 9, size, letters, room=room, bold=bold, anchor="center", layer=3)
            self.write(under, x, y + 14, 13.0, small, room=room, anchor="center", layer=3)
        else:
            self.write(words, x, y, size, letters, room=room, bold=bold, anchor="center", layer=3)

    def field(self, name: str, box: Box, typed: Field, placeholder: str, *, size: float = 17.0) -> None:
        """Add a line to type into; its end stays in sight while the cursor is there."""
        focused = self.look.focus == name
        self.target(name, box, is_field=True)
        self.panel(box, mixed(BACKGROUND, ROW, 35), radius=8.0, layer=2)
        edge = ink(mixed(QUIET, CARD, 20) if focused else RAISED)
        self.draw(shapes.frame(box.x, box.y, box.width, box.height, 8.0, 1.5, edge), 3)
        room, y = box.width - 24, box.middle[1]
        if not typed.text and not focused:
            self.write(placeholder, box.x + 12, y, size, mixed(QUIET, CARD, 25), room=room, layer=3)
            return
        before = typed.text[: typed.cursor]
        measure = self.look.measure
        first = bisect_left(range(len(before)), True, key=lambda k: measure(before[k:], size, False) <= room - 4)
        rest = range(typed.cursor, len(typed.text))
        last = typed.cursor + bisect_left(
            rest, True, key=lambda k: measure(typed.text[first : k + 1], size, False) > room
        )
        self.write(typed.text[first:last], box.x + 12, y, size, room=room, layer=3)
        if focused:
            self.again(BLINK_S - self.look.now % BLINK_S)
            if self.look.now % (2 * BLINK_S) < BLINK_S:
                x = box.x + 12 + self.look.measure(before[first:], size, False)
                self.draw(shapes.rectangle(x, y - size * 0.7, 1.5, size * 1.4, ink(TEXT)), 4)

    def choice(self, name: str, box: Box, label: str, value: str, *, enabled: bool = True) -> None:
        """Add a row with a value that one steps through: `NAME -` and `NAME +` are pressed at its ends."""
        y = box.middle[1]
        value_width = min(250.0, box.width * 0.66)
        self.write(label, box.x, y, 16.0, QUIET, room=box.width - value_width - 12)
        left, right = (
            Box(box.right - value_width, box.y, 34, box.height),
            Box(box.right - 34, box.y, 34, box.height),
        )
        middle = Box(left.right, box.y, right.x - left.right, box.height)
        if not enabled:
            self.write(value, box.right, y, 16.0, TEXT, room=value_width, anchor="right")
            return
        self.panel(Box(left.x, box.y, value_width, box.height), ROW, radius=8.0)
        for spot, sign in ((left, "-"), (right, "+")):
            lit = self.target(f"{name} {sign}", spot)
            shade = ink(TEXT if lit else QUIET)
            self.draw(glyphs.chevron(*spot.middle, 13.0, shade, left=sign == "-"), 2)
        self.write(value, *middle.middle, 16.0, TEXT, room=middle.width - 4, anchor="center", layer=2)

    def badge(self, colour: int, box: Box, shade: Colour) -> None:
        """Add a seat's colour with its sign."""
        self.panel(box, shade, radius=box.width * 0.22, layer=2)
        self.draw(glyphs.glyph(colour, *box.middle, box.width * 0.56, ink((10, 14, 20))), 3)

    def dim(self, alpha: int = 170) -> None:
        """Darken everything below, for an overlay."""
        self.draw(shapes.rectangle(0, 0, self.look.width, self.look.height, ink((6, 8, 12), alpha)), -1)

    def press_at(self, x: float, y: float) -> str:
        """Return the name of what lies uppermost at a point; empty if nothing does."""
        return next((target.name for target in reversed(self.targets) if target.box.holds(x, y)), "")

    def box_of(self, name: str) -> Box | None:
        """Return where a target is."""
        return next((target.box for target in self.targets if target.name == name), None)


TONES: dict[str, Colour] = {"silent": AMBER, "moved": GREEN, "alone": RED}
