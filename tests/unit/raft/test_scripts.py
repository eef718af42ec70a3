"""Stories among several members, each with the whole trace of what was said, written and applied.

One test for each file in `scripts/`. `SCRIPTS_REWRITE=1` writes the traces anew; what a script expects in words
must hold even then, and a changed trace is read before it is accepted.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
import script_language
from script_conditions import ScriptError

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))
REWRITE = os.environ.get("SCRIPTS_REWRITE") == "1"
HEAD = "A title\nA sentence.\n\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_story_goes_as_it_is_written(path):
    written = path.read_text(encoding="utf-8")
    try:
        real = str(script_language.run(script_language.read(written)))
    except (ScriptError, script_language.NotSo) as error:  # of anything else, where it came from is of interest
        pytest.fail(f"{path.name}: {error}", pytrace=False)
    if REWRITE:
        path.write_text(real, encoding="utf-8")
    elif real != written:
        lines = difflib.unified_diff(
            written.splitlines(), real.splitlines(), f"{path.name} as written", "as it goes", lineterm=""
        )
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a title"),
        ("A title\n\n> expect nobody hosts\n", "a sentence"),
        (HEAD + "> cluster a b\n", "without any `expect`"),
        (HEAD + "> cluster a b\nstray\n> expect nobody hosts\n", "line 5: neither"),
        (HEAD + "    a trace of nothing\n> expect nobody hosts\n", "line 4: neither"),
        (HEAD + "> cluster a b\n> make tea\n> expect nobody hosts\n", "line 5.*'make tea'"),
        (HEAD + "> cluster a b\n> expect tea\n", "line 5.*'tea'"),
        (HEAD + "> cluster a b\n> expect z leads\n", "line 5.*no member 'z'"),
        (HEAD + "> cluster a b\n> cluster a b\n> expect nobody hosts\n", "line 5.*one cluster"),
        (HEAD + "> settings speed=5\n> expect nobody hosts\n", "line 4.*speed"),
        (HEAD + "> cluster a b\n> wait soon\n> expect nobody hosts\n", "line 5.*'soon' is no time"),
        (HEAD + "> cluster a b\n> cut a -> b Nonsense\n> expect nobody hosts\n", "line 5.*no link"),
        (HEAD + "> cluster a b\n> drop a -> b\n> expect nobody hosts\n", "line 5.*no such message"),
        (HEAD + "> cluster a b\n> crash a\n> a proposes x\n> expect nobody hosts\n", "line 6.*down"),
    ],
)
def test_a_script_that_is_wrong_says_where(text, complaint):
    with pytest.raises(ScriptError, match=f"(?s){complaint}"):
        script_language.run(script_language.read(text))


@pytest.mark.parametrize(
    "sentence",
    [
        "b leads", "a leads term 3", "nobody hosts", "tenures a2 b3", "b follows nobody", "b is a leader",
        "a is in term 3", "no term above 1", "b voted for b", "y is committed", "x is committed everywhere",
        "x is in the log of b", "x is on the disk of b", "x is nowhere", "logs equal", "the log of a is 1 2",
        "the log of a ends at 2", "the log of a begins after 1", "a has applied 3", "b has durable 3",
        "a has a snapshot of 2", "voters a b", "learners a", "the membership is joint",
        "a replicates to b by snapshot", "a knows that b has 3", "no AppendEntries from a to b", "no entries to b",
        "at most 0 AppendEntries", "a takes itself for a learner", "the read is answered as of 3",
        "not a hosts in term 2", "not a leads term 2",
    ],
)  # fmt: skip
def test_an_expectation_that_does_not_hold_fails_the_script(sentence):
    """No condition is true of everything: each of these is false of a leader whose newest entry nobody got."""
    start = HEAD + "> cluster a b c led by a\n> cut a -> all\n> a proposes x\n"
    with pytest.raises(AssertionError, match="it is not so"):
        script_language.run(script_language.read(f"{start}> expect {sentence}\n"))


def test_what_is_read_is_written_the_same():
    text = HEAD + "> cluster a b\n    a           a trace\n\n# A comment.\n> expect nobody hosts\n"
    assert str(script_language.read(text)) == text


def test_a_rewrite_does_not_turn_a_story_round():
    """The traces are made anew, the expectations are not."""
    script = script_language.read(HEAD + "> cluster a b led by a\n    b leads\n> expect b leads\n")
    with pytest.raises(AssertionError, match="line 6: > expect b leads"):
        script_language.run(script)
