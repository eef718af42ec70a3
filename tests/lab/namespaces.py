"""Network namespaces that are gone again afterwards, whatever happens, and sockets inside them."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
COMMAND_S = 10.0
_CLONE_NEWNET = 0x4000_0000
_OWNED = re.compile(r"fo-([0-9]+)-")
_numbers = itertools.count(1)


class NoLab(Exception):
    """This machine cannot do it; the text says what is missing."""


def check_machine(*programs: str) -> None:
    """Raise `NoLab` unless namespaces can be made here and these programs are installed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoLab("network namespaces need root on Linux")
    packages = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack"}
    for program in ("ip", *programs):
        if shutil.which(program) is None:
            raise NoLab(f"the program {program} is missing; it is in the package {packages.get(program, program)}")


def run(*command: str, text: str | None = None) -> str:
    """Run it, with `text` for its input; returns what it printed, complains with what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def before_all_others() -> list[str]:
    """What to put before a command that is to run whenever it can; nothing where the machine does not allow it.

    Not `nice`: where the kernel groups processes by session, that counts within a session alone.
    """
    command = ["chrt", "--rr", "5"]
    try:
        run(*command, "true")
    except (OSError, RuntimeError):
        return []
    return command


class Namespaces:
    """Some namespaces of this process; `close` removes them with all that is in them.

    Their names hold the process id, so that those of a process that was killed are found and removed by the next.
    """

    def __init__(self) -> None:
        self._tag = f"fo-{os.getpid()}-{next(_numbers)}-"
        self._names: list[str] = []

    def add(self, word: str) -> str:
        """A new one; returns its full name."""
        name = self._tag + word
        run("ip", "netns", "add", name)
        self._names.append(name)
        ip(name, "link set lo up")
        return name

    def close(self) -> None:
        """Take them apart; what is not there is not missed."""
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=COMMAND_S, check=False)
        self._names.clear()


def remove_orphans() -> None:
    """Remove what processes that are gone have left."""
    for path in Path("/run/netns").glob("fo-*"):
        owner = _OWNED.match(path.name)
        if owner is not None and not Path("/proc", owner[1]).exists():
            subprocess.run(["ip", "netns", "delete", path.name], capture_output=True, timeout=10, check=False)


def ip(namespace: str, *lines: str) -> None:
    """Carry out lines of `ip`'s own language in a namespace, in one process."""
    run("ip", "-n", namespace, "-batch", "-", text="\n".join(lines))


def inside(namespace: str) -> list[str]:
    """What to put before a command that is to run in the namespace."""
    return ["ip", "netns", "exec", namespace]


def set_kernel_values(namespace: str, values: dict[str, object]) -> None:
    """Write what `sysctl` would: {"net.ipv4.ip_forward": 1}."""
    script = "; ".join(f"echo {value} > /proc/sys/{name.replace('.', '/')}" for name, value in values.items())
    run(*inside(namespace), "sh", "-ec", script)


def call_inside(namespace: str, function: Callable[[], T]) -> T:
    """Call it in the namespace: a socket that it makes stays there. In a thread of its own, which then ends."""
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            with Path("/run/netns", namespace).open("rb") as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns to {namespace}")
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter_and_call)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def udp_socket(namespace: str, address: str = "0.0.0.0", port: int = 0, timeout_s: float = 0.3) -> socket.socket:
    """A bare UDP socket in the namespace, for tests of the network itself."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(timeout_s)
        made.bind((address, port))
        return made

    return call_inside(namespace, make)


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close them."""
    for each in sockets:
        each.close()
