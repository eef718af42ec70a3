"""A name of this machine that outlives restarts, as each system keeps one; None where there is none.

It never leaves this process: whoever keeps something of it keeps a salted hash.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import winreg

_LINUX_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_HEX_DIGITS = 32
_UUID_SIZE = 16


def machine_id() -> bytes | None:
    """The machine's id. Containers and small systems may have none."""
    with suppress(OSError, AttributeError, ValueError):
        if sys.platform == "linux":
            return _of_linux()
        if sys.platform == "darwin":  # not run here
            return _of_macos()
        if sys.platform == "win32":  # not run here
            return _of_windows()
    return None


def _of_linux() -> bytes | None:
    """See machine-id(5): 32 digits; "uninitialized" while an image waits for its first start."""
    for file in _LINUX_FILES:
        with suppress(OSError, ValueError):
            text = file.read_text(encoding="ascii").strip()
            if len(text) == _HEX_DIGITS and int(text, 16):
                return text.encode()
    return None


def _of_macos() -> bytes | None:
    """gethostuuid(3) gives the IOPlatformUUID, without starting a program that would."""
    found = (ctypes.c_ubyte * _UUID_SIZE)()
    wait = (ctypes.c_long * 2)(1, 0)  # a `struct timespec`: it asks a daemon, for one second at most
    failed = ctypes.CDLL(None, use_errno=True).gethostuuid(found, wait)
    return None if failed or not any(found) else bytes(found)


def _of_windows() -> bytes | None:
    """The MachineGuid that Windows draws when it is installed."""
    if sys.platform == "win32":
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, access) as key:
            text, _ = winreg.QueryValueEx(key, "MachineGuid")
        return text.encode() if isinstance(text, str) and text else None
    return None
