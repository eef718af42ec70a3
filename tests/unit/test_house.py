"""The rules of the house: who may import whom, what is public, and how long a file may be.

The rules read source text, so that they hold for what no test ever runs; the last tests plant violations and
look whether they are found.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

import failover
import failover.machines
import failover.testing

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for room in ("failover", "demo_game") for path in (ROOT / room).rglob("*.py")
)
LINES_MAX = 500

# Of the standard library the core may use what computes; what reads a clock, a disk, a socket, the environment
# or dice is left out, and a new name is added here only on purpose.
PURE_LIBRARY = {
    "__future__", "abc", "bisect", "collections", "contextlib", "dataclasses", "enum", "functools", "heapq",
    "itertools", "math", "operator", "struct", "types", "typing",
}  # fmt: skip
IMPURE_BUILTINS = {"open", "print", "input", "hash", "id", "exec", "eval", "__import__"}
WORDS_OF_THE_CORE = {"failover.raft.messages", "failover.raft.effects", "failover.raft.membership"}
OPTIONS_OF_THE_NET = "failover.net.settings"  # plain values, named beside those of the core in `Settings`
# They meet in the driver; the member and what opens and runs it construct them; the front door shows names.
MEETING_PLACES = {
    f"failover/{name}.py"
    for name in ("driver", "member", "witness", "running", "opening", "rejoining", "__init__")
}
# What a member takes from outside comes from its `Surroundings`, so that a simulation can give all of it.
# The writer waits before it tries a full disk again; a file that is being made gets a name of its own; and where a
# file is, on which kind of file system, with a salt so that nobody reads the machine from it, is of the real file.
CHANCE_AND_TIME = ("random", "time", "secrets", "uuid", "os.urandom", "psutil")
KNOW_THE_WORLD = {
    f"failover/{name}.py"
    for name in (
        "surroundings",
        "clock",
        "writer",
        "fitness",
        "storage/sqlite_file",
        "storage/place",
        "net/endpoint",
        "net/rendezvous",
    )
}
PURE_GAME = {f"demo_game/{name}.py" for name in ("rules", "bots", "luck", "land")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield each imported name with its module: `failover.raft.messages.Entry`, `os`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, *modules: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def core_breaks(tree: ast.AST) -> Iterator[str]:
    for name in imported(tree):
        if not within(name, "failover.ids", "failover.errors", "failover.raft", *PURE_LIBRARY):
            yield f"the core imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
            yield f"the core calls {node.func.id}()"


def room_breaks(tree: ast.AST, room: str) -> Iterator[str]:
    allowed = ("failover.ids", "failover.errors", f"failover.{room}", *WORDS_OF_THE_CORE)
    # `from failover.raft import messages` names a module; `from failover.raft import core` does not pass.
    for name in imported(tree):
        if within(name, "failover", "demo_game") and not within(name, *allowed):
            yield f"{room} imports {name}"


def meeting_breaks(tree: ast.AST) -> Iterator[str]:
    """The core, the net and the storage meet in the hall alone; their words may be used anywhere."""
    met = {name for name in imported(tree) if within(name, *ROOMS) and not within(name, OPTIONS_OF_THE_NET)}
    rooms = {name.split(".")[1] for name in met} & {"net", "storage"}
    if any(within(name, "failover.raft") and not within(name, *WORDS_OF_THE_CORE) for name in imported(tree)):
        rooms.add("raft")
    if len(rooms) > 1:
        yield f"{' and '.join(sorted(rooms))} meet here"


def surroundings_breaks(tree: ast.AST) -> Iterator[str]:
    """Nobody but `Surroundings` and what it gives draws chance or looks at a clock."""
    for name in imported(tree):
        if within(name, *CHANCE_AND_TIME):
            yield f"{name} belongs to `Surroundings`"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="urandom"):
                yield "os.urandom belongs to `Surroundings`"


def machine_breaks(tree: ast.AST) -> Iterator[str]:
    """The ready machines come in by the front door, as a game does; `nursery` is a tool of trio's, no room."""
    allowed = ("failover.machines", "failover.nursery", *(f"failover.{name}" for name in failover.__all__))
    for name in imported(tree):
        if within(name, "failover") and name != "failover" and not within(name, *allowed):
            yield f"a ready machine imports {name}, which is not at the front door"


ROOMS = ("failover.net", "failover.storage", "failover.raft")


def guest_breaks(tree: ast.AST, path: str) -> Iterator[str]:
    for name in imported(tree):
        if name.startswith("failover.") and (name.count(".") > 1 or name.split(".")[1] not in failover.__all__):
            yield f"the game imports {name}, which is not at the front door"
        if path in PURE_GAME and within(name, "failover", "pyglet", "trio"):
            yield f"a pure part of the game imports {name}"
    for node in ast.walk(tree):  # `failover.net.peer` through the front door's attributes
        match node:
            case ast.Attribute(value=ast.Name(id="failover"), attr=name) if name not in failover.__all__:
                yield f"the game uses failover.{name}, which is not at the front door"


def breaks(path: str, source: str) -> list[str]:
    """Return every rule that the file at `path` would break with this source."""
    tree, parts = ast.parse(source), PurePosixPath(path).parts
    found = [f"relative import of {name}" for name in imported(tree) if name.startswith(".")]
    if ast.get_docstring(tree) is None:
        found.append("no docstring that says what this file is for")
    if source.count("\n") > LINES_MAX:
        found.append(f"more than {LINES_MAX} lines: it holds a second idea")
    is_window = parts[0] == "demo_game" and parts[1].startswith("window")
    found += [f"{name} outside the window" for name in imported(tree) if within(name, "pyglet") and not is_window]
    if parts[:2] == ("failover", "raft"):
        found += core_breaks(tree)
    elif parts[:2] in (("failover", "net"), ("failover", "storage")):
        found += room_breaks(tree, parts[1])
    elif parts[0] == "failover":
        found += [f"the library imports {name}" for name in imported(tree) if within(name, "demo_game")]
        if parts[1] == "machines":
            found += machine_breaks(tree)
        if path not in MEETING_PLACES and parts[1] != "testing":
            found += meeting_breaks(tree)
    else:
        found += guest_breaks(tree, path)
    if parts[0] == "failover" and path not in KNOW_THE_WORLD and parts[1] not in ("testing", "cli", "raft"):
        found += surroundings_breaks(tree)
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_a_file_keeps_the_rules(path):
    assert breaks(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_the_front_door_lists_all_its_names_in_order():
    tree = ast.parse((ROOT / "failover" / "__init__.py").read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    listed = [name for name in failover.__all__ if not name.startswith("__")]
    assert listed == sorted(listed)
    assert set(listed) >= {name for name in names if not name.startswith("_")}
    assert len(set(failover.__all__)) == len(failover.__all__)
    assert all(hasattr(failover, name) for name in failover.__all__)


def undocumented(name: str, thing: object) -> Iterator[str]:
    """Yield what a reader of `help(name)` would miss. Docstrings that a decorator makes up do not count."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return
    text = thing.__doc__ or ""
    if not text.strip() or text.startswith(f"{thing.__name__}("):
        yield name
    if inspect.isclass(thing):
        for attribute, value in vars(thing).items():
            if not attribute.startswith("_") and isinstance(value, property | classmethod | staticmethod):
                function = value.fget if isinstance(value, property) else value.__func__
                if not function.__doc__:
                    yield f"{name}.{attribute}"
            elif not attribute.startswith("_") and inspect.isfunction(value) and not value.__doc__:
                yield f"{name}.{attribute}"


def test_every_public_name_is_documented():
    doors = (failover, failover.machines, failover.testing)
    missing = [text for door in doors for name in door.__all__ for text in undocumented(name, getattr(door, name))]
    assert missing == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("failover/raft/core.py", "import time"),
        ("failover/raft/core.py", "from random import Random"),
        ("failover/raft/core.py", "import os.path"),
        ("failover/raft/core.py", "from failover.net import channel"),
        ("failover/raft/core.py", "from failover import storage"),
        ("failover/raft/core.py", "import trio"),
        ("failover/raft/core.py", "def f():\n    import secrets"),
        ("failover/raft/core.py", "from . import log"),
        ("failover/raft/core.py", "open('x')"),
        ("failover/net/peer.py", "from failover.raft import core"),
        ("failover/net/peer.py", "from failover.raft.core import Core"),
        ("failover/net/peer.py", "from failover.storage.contract import Storage"),
        ("failover/net/peer.py", "import failover.storage"),
        ("failover/storage/sqlite.py", "from failover.net.channel import Channel"),
        ("failover/storage/sqlite.py", "import failover"),
        ("failover/host.py", "from failover.raft.core import Core\nfrom failover.net.peer import Peer"),
        ("failover/host.py", "import failover.net.peer, failover.storage.sqlite"),
        ("failover/host.py", "from demo_game import rules"),
        ("failover/life.py", "import time"),
        ("failover/net/peer.py", "from random import Random"),
        ("failover/opening.py", "import os\nkey = os.urandom(32)"),
        ("failover/monitor/page.py", "import pyglet"),
        ("failover/machines/queue.py", "from failover.replica import Replica"),
        ("failover/machines/queue.py", "import failover.net.codec"),
        ("demo_game/rules.py", "import failover"),
        ("demo_game/bots.py", "import trio"),
        ("demo_game/land.py", "from pyglet import shapes"),
        ("demo_game/server.py", "from failover.net import peer"),
        ("demo_game/server.py", "import failover.driver"),
        ("demo_game/server.py", "import failover\nfailover.driver.Driver"),
        ("demo_game/model.py", "import pyglet.window"),
        ("demo_game/model.py", "\n" * LINES_MAX + "x = 1"),
    ],
)
def test_a_planted_violation_is_found(path, line):
    assert breaks(path, f'"""A file."""\n{line}\n') != []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("failover/raft/core.py", "from collections.abc import Iterable\nfrom failover.raft import log"),
        ("failover/net/peer.py", "from failover.raft.messages import Entry\nimport cbor2, os"),
        ("failover/net/codec.py", "from failover.raft import messages"),
        ("failover/storage/sqlite.py", "import sqlite3\nfrom failover.raft.effects import Write"),
        ("failover/driver.py", "from failover.raft.core import Core\nfrom failover.net.peer import Peer"),
        ("failover/testing/world.py", "import failover.net.peer, failover.storage.memory"),
        ("failover/host.py", "from failover.raft.effects import StopReason\nimport failover.net.peer"),
        (
            "failover/machines/queue.py",
            "import failover\nfrom failover import Member\nimport failover.machines.tree",
        ),
        ("demo_game/window/board.py", "import pyglet"),
        ("demo_game/window.py", "import pyglet"),
        ("demo_game/server.py", "import failover\nimport trio"),
    ],
)
def test_what_is_allowed_passes(path, line):
    assert breaks(path, f'"""A file."""\n{line}\n') == []


def test_a_file_without_docstring_is_found():
    assert breaks("failover/host.py", "x = 1\n") != []


def test_a_name_without_docstring_is_found():
    class Bare:
        pass

    class Half:
        """A class."""

        def method(self):
            pass

        @property
        def value(self):
            return 1

    assert list(undocumented("Bare", Bare)) == ["Bare"]
    assert list(undocumented("Half", Half)) == ["Half.method", "Half.value"]
    assert list(undocumented("sorted", sorted)) == []


def test_ci_runs_exactly_what_the_readme_tells_a_reader_to_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in readme if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == commands[1]
