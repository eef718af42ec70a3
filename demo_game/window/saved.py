"""What the window remembers between two runs: settings, and the games that one can return to. JSON files.

Whatever is wrong with such a file, the game starts: what cannot be read counts as not set.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

GAMES_MAX = 20
ANIMATIONS = ("slow", "fast", "off")
ANIMATION_S = {"slow": 0.450, "fast": 0.180, "off": 0.0}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a player chose."""

    name: str = ""
    """Empty: the name of the system's user."""
    sound: bool = True
    animation: str = "slow"
    """`slow` (450 ms), `fast` (180 ms) or `off`."""
    low_motion: bool = False
    """No rolling dice, no pulses, nothing that moves by itself."""
    fullscreen: bool = False
    bots: int = 3
    """For playing alone."""
    skill: int = 2
    map: int = 1

    @property
    def animation_s(self) -> float:
        """How long an attack is shown."""
        return ANIMATION_S[self.animation]


@dataclass(frozen=True, slots=True)
class SavedGame:
    """A game that one can return to."""

    folder: str
    name: str
    words: str
    """What it was when it was last seen: `round 7`, `lobby`."""
    at: float
    """Seconds since 1970."""
    solo: bool = False
    """Against bots alone: nobody is invited when it is opened again."""


def home() -> Path:
    """Return the folder of everything that the game keeps."""
    return platformdirs.user_data_path("hexhold")


class Saved:
    """The two files, in a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or home()
        self.settings = self._settings()

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _write(self, name: str, content: object) -> None:
        """Replace a file as a whole; a disk that is full costs the memory, not the game."""
        beside = self._folder / f"{name}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
            os.replace(beside, self._folder / name)  # Windows refuses while another program reads it
        except OSError:
            with suppress(OSError):
                beside.unlink()

    def _settings(self) -> Settings:
        read = self._read("settings.json")
        known = {each.name: type(getattr(Settings(), each.name)) for each in fields(Settings)}
        taken = {k: v for k, v in read.items() if type(v) is known.get(k)} if isinstance(read, dict) else {}
        settings = Settings(**taken)
        if settings.animation not in ANIMATIONS:
            settings = replace(settings, animation="slow")
        within = 1 <= settings.bots <= 7 and 1 <= settings.skill <= 3 and settings.map in (0, 1)
        return settings if within else replace(settings, bots=3, skill=2, map=1)

    def change(self, **what: Any) -> None:
        """Change settings and keep them."""
        self.settings = replace(self.settings, **what)
        self._write("settings.json", asdict(self.settings))

    def games(self) -> list[SavedGame]:
        """Return the games that one can return to, the newest first."""
        read = self._read("games.json")
        found = []
        for each in read if isinstance(read, list) else []:
            try:
                folder, name, words = (str(each[key]) for key in ("folder", "name", "words"))
                game = SavedGame(folder, name, words, float(each["at"]), each.get("solo") is True)
                if (Path(game.folder) / "game.db").exists():
                    found.append(game)
            except (TypeError, KeyError, ValueError, AttributeError):
                continue
        return sorted(found, key=lambda game: -game.at)[:GAMES_MAX]

    def remember(self, folder: Path, name: str, words: str, *, solo: bool = False) -> None:
        """Note a game, in place of what was noted of it before."""
        game = SavedGame(str(folder), name, words, time.time(), solo)
        others = [each for each in self.games() if each.folder != game.folder]
        self._write("games.json", [asdict(each) for each in [game, *others][:GAMES_MAX]])

    def forget(self, folder: Path) -> None:
        """Offer a game no more; its files stay."""
        left = [asdict(each) for each in self.games() if each.folder != str(folder)]
        self._write("games.json", left)
