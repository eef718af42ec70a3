"""Text that is being typed: one line with a cursor."""

from __future__ import annotations

from dataclasses import dataclass

from demo_game.table import clean


@dataclass(slots=True)
class Field:
    """One line of text and where the next letter goes. Too long a text is cut, never refused."""

    text: str = ""
    length_max: int = 200
    cursor: int = 0

    def type(self, typed: str) -> None:
        """Insert what was typed or pasted, without control characters."""
        # `clean` drops spaces at the ends, which is right for a finished text and wrong for one being typed.
        kept = " " if typed == " " else _inside(typed)
        room = self.length_max - len(self.text)
        kept = kept[: max(0, room)]
        self.text = self.text[: self.cursor] + kept + self.text[self.cursor :]
        self.cursor += len(kept)

    def backspace(self) -> None:
        """Take away the letter before the cursor."""
        if self.cursor:
            self.text = self.text[: self.cursor - 1] + self.text[self.cursor :]
            self.cursor -= 1

    def delete(self) -> None:
        """Take away the letter after it."""
        self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self.text), self.cursor + by))

    def home(self) -> None:
        """Move to the beginning."""
        self.cursor = 0

    def end(self) -> None:
        """Move to the end."""
        self.cursor = len(self.text)

    def clear(self) -> str:
        """Empty the field; return what was in it."""
        text, self.text, self.cursor = self.text, "", 0
        return text

    def put(self, text: str) -> None:
        """Replace what is in it."""
        self.text = text[: self.length_max]
        self.end()


def _inside(typed: str) -> str:
    spread = typed.replace("\n", " ").replace("\t", " ")
    kept = clean(spread, len(spread))
    return (" " if spread.startswith(" ") and kept else "") + kept
