"""State machines with one mistake each, for the tests of `check_deterministic`; other processes import them."""

from __future__ import annotations

import hashlib
import json
import time


class Words:
    """Has no mistake: remembers words, and replies how often it was told each."""

    def __init__(self):
        self.words: dict[str, int] = {}

    def apply(self, command, context):
        word = command.decode("utf-8", "replace")
        self.words[word] = self.words.get(word, 0) + 1
        return b"%d" % self.words[word]

    def view(self):
        return None

    def snapshot(self):
        words = dict(self.words)
        return iter([json.dumps([word, count]).encode() + b"\n" for word, count in words.items()])

    def restore(self, chunks):
        self.words = dict(json.loads(line) for line in b"".join(chunks).splitlines())

    def digest(self):
        return hashlib.sha256(json.dumps(self.words).encode()).digest()


class SecondEdition(Words):
    """Has no mistake either: from version 2 on it knows a word when it begins, and replies with the version."""

    version, oldest_version = 3, 1

    def migrate(self, version):
        self.words[f"edition {version}"] = 0

    def apply(self, command, context):
        assert self.words["edition 3"] == 0 and context.version == 3
        return super().apply(command, context)


class GoesThroughASet(Words):
    def apply(self, command, context):
        super().apply(command, context)
        return ",".join(set(self.words)).encode()


class Hashes(Words):
    def apply(self, command, context):
        self.words["hash"] = hash(command) % 1_000
        return super().apply(command, context)


class LooksAtAddresses(Words):
    def apply(self, command, context):
        return b"%d" % id(command)


class LooksAtTheClock(Words):
    def apply(self, command, context):
        self.words["time"] = time.time_ns()
        return super().apply(command, context)


class ForgetsInSnapshots(Words):
    def snapshot(self):
        return iter(list(super().snapshot())[:10])


class ForgetsWhatNoDigestShows(Words):
    def __init__(self):
        super().__init__()
        self.told = 0

    def apply(self, command, context):
        self.told += 1
        super().apply(command, context)
        return b"%d" % self.told


class AddsInRestore(Words):
    def restore(self, chunks):
        super().restore(chunks)
        self.words["more"] = 1


class ThawsInSnapshots(Words):
    def snapshot(self):
        for word in list(self.words):
            yield json.dumps([word, self.words[word]]).encode() + b"\n"


class Raises(Words):
    def apply(self, command, context):
        if len(self.words) == 5:
            raise ValueError("five are enough")
        return super().apply(command, context)


class RepliesText(Words):
    def apply(self, command, context):
        return "text"


class HasALongDigest(Words):
    def digest(self):
        return bytes(33)


class RaisesInSnapshots(Words):
    def snapshot(self):
        yield b"{}"
        raise OSError("no")


class PiecesOfText(Words):
    def snapshot(self):
        return iter(["text"])


class RaisesInRestore(Words):
    def restore(self, chunks):
        raise OSError("no")


class Slow(Words):
    def snapshot(self):
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        yield from super().snapshot()


class Dies(Words):
    def apply(self, command, context):
        raise SystemExit(3)


class Counts:
    """Shows its contexts in its replies."""

    def __init__(self):
        self.seen = 0

    def apply(self, command, context):
        self.seen += 1
        sender = "host" if context.sender is None else context.sender.hex()[:8]
        return f"{self.seen} {context.index} {context.epoch.term} {sender} {context.time:.3f}".encode()

    def view(self):
        return self.seen

    def snapshot(self):
        return iter([b"%d" % self.seen])

    def restore(self, chunks):
        self.seen = int(b"".join(chunks))

    def digest(self):
        return b"%8d" % self.seen


def configured():
    """A factory, such as for a machine that takes options."""
    return Counts()
