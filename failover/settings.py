"""Options: frozen, checked at birth, in and out of TOML. A misspelt or impossible option is loud."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field, fields
from typing import Any, cast

from failover.errors import BadSettings
from failover.net.settings import NetSettings
from failover.raft.timing import Timing

BYTES_PER_S_MAX = 125_000_000
READS = ("lease", "quorum")
CONFIRM_WITHIN_MAX_S = 600.0
_KINDS: dict[object, tuple[tuple[type, ...], str]] = {
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "str": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
}
"""What TOML may give for a field of this type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a member behaves. All members of a cluster should use equal settings; `Settings()` suits a LAN."""

    timing: Timing = field(default_factory=Timing)
    """Durations of the core; see `Timing` for each."""
    request_timeout_s: float = 30.0
    """A request without an answer for so long ends with `OutcomeUnknown`; with `NotHost` if nobody was asked."""
    serve_hang_s: float = 5.0
    """Requests that wait for longer while the server function takes none make the host hand over."""
    alive_s: float = 2.0
    """A server function that calls `host.alive()` must do so again within this time."""
    serve_back_off_s: float = 10.0
    """A member whose server function failed stands last for this long; doubled each time, to at most 300 s."""
    digest_every: int = 256
    """Members compare the digests of their states every so many entries."""
    confirm_identity: bool = False
    """Whether the application is asked about each joiner (`JoinRequested`) before it is admitted, on the host."""
    confirm_within_s: float = 120.0
    """A joiner about whom the application says nothing for so long is refused; at most 600."""
    reads: str = "lease"
    """How `read_barrier` makes sure that it is not told the past: by the host's "lease", at once, which trusts
    that clocks run within a tenth of true time; or by a round of the "quorum", which trusts no clock."""
    unreliable_peer_bytes_per_s: int = 64_000
    """So much leaves over the unreliable lane for one other member; what is above is dropped. Whole datagrams
    count, headers included: a body of n bytes counts n + 88. 0 = the lane is shut; may differ among members."""
    unreliable_bytes_per_s: int = 256_000
    """So much leaves over the unreliable lane for all members together: 2 Mbit/s. It should be no more than half
    of what the slowest player's line carries upwards, since a line that is full makes heartbeats late."""

    rejoins: bool = True
    """Whether a member without a quorum gives up its generation when it meets one that came from it and has a
    host: another member went on with `continue_alone`. Off, the application decides (`Member.rejoin`)."""
    lan_discovery: bool = True
    """Whether a member that misses others says on its LAN, to them alone, where it is, and looks for them."""
    net: NetSettings = field(default_factory=NetSettings)
    """Looking inside the net, and faults on demand: see `NetSettings`."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("request_timeout_s", "serve_hang_s", "alive_s", "serve_back_off_s"):
            value = getattr(self, name)
            if not 0 < value <= 86_400:
                raise BadSettings(f"{name} = {value} must be above 0 and at most 86400 seconds")
        for name in ("unreliable_peer_bytes_per_s", "unreliable_bytes_per_s"):
            if not 0 <= getattr(self, name) <= BYTES_PER_S_MAX:
                raise BadSettings(f"{name} = {getattr(self, name)} must be 0 to {BYTES_PER_S_MAX}")
        if not 1 <= self.confirm_within_s <= CONFIRM_WITHIN_MAX_S:
            raise BadSettings(
                f"confirm_within_s = {self.confirm_within_s} must be 1 to {CONFIRM_WITHIN_MAX_S:g} s"
            )
        if self.digest_every < 1:
            raise BadSettings(f"digest_every = {self.digest_every} must be at least 1")
        for name in ("rejoins", "lan_discovery"):
            if not isinstance(getattr(self, name), bool):
                raise BadSettings(f"{name} = {getattr(self, name)!r} must be true or false")
        if self.reads not in READS:
            raise BadSettings(f"reads = {self.reads!r} must be one of {', '.join(READS)}")

    @classmethod
    def internet(cls) -> Settings:
        """For members in different homes: promises outlast the jitter of home links."""
        return cls(
            timing=Timing(
                heartbeat_s=0.100,
                promise_s=0.500,
                margin_s=0.030,
                stagger_s=0.060,
                repeat_min_s=0.020,
                notice_s=0.010,
                window_bytes=512 * 1024,
            )
        )

    @classmethod
    def from_toml(cls, text: str) -> Settings:
        """Read settings; options that are not named keep their defaults.

        Raises:
            BadSettings: no TOML, an unknown option, or a value of the wrong type or range.
        """
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # the second: brackets in brackets in brackets
            raise BadSettings(f"the settings are not TOML: {error}") from None
        return cast(Settings, _read_table(cls, values, "the settings"))

    def to_toml(self) -> str:
        """All settings as TOML that `from_toml` reads back to an equal value."""
        return "\n".join(_table_lines(self, ""))


def _tables(cls: type[Any]) -> dict[str, type[Any]]:
    """The fields of `cls` that are tables of their own, and what they hold."""
    found: dict[str, type[Any]] = {}
    for each in dataclasses.fields(cls):
        factory: Any = each.default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            found[each.name] = factory
    return found


def _read_table(cls: type[Any], values: dict[str, Any], where: str) -> object:
    """An object of `cls` with these values, each known and of the type of its field."""
    tables = _tables(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise BadSettings(f"unknown option {name} in {where}; known are {', '.join(sorted(known))}")
        if name in tables:
            if not isinstance(value, dict):
                raise BadSettings(f"[{name}] must be a table")
            read[name] = _read_table(tables[name], value, f"[{name}]")
            continue
        wanted, kind = _KINDS[known[name].type]
        if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted == (bool,)):
            raise BadSettings(f"{name} = {value!r} must be {kind}")
        read[name] = value
    return cls(**read)


def _table_lines(table: Any, path: str) -> list[str]:
    """The options of `table`, then its tables, under their full names."""
    tables = _tables(type(table))
    plain = [f.name for f in fields(table) if f.name not in tables]
    lines = [f"[{path}]"] if path else []
    lines += [f"{name} = {_as_toml(getattr(table, name))}" for name in plain]
    for name in tables:
        lines += ["", *_table_lines(getattr(table, name), f"{path}.{name}" if path else name)]
    return lines if path else [*lines, ""]


def _as_toml(value: object) -> str:
    """TOML's basic strings are those of JSON, but for DEL."""
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
