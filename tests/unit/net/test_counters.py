"""docs/reference/counters.md is complete: each reason for which the net drops something, and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "counters.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\w+: [^|]+?) \| [^|]+ \| [^|]+ \|$", PAGE, re.M)
AREAS = re.findall(r"^## (\w+)$", PAGE, re.M)
SOURCES = sorted((ROOT / "failover").rglob("*.py"))
ADVICE = "docs/reference/counters.md says what each reason means, under its area"


SAID_BY = {
    "initiation": ("gatekeeper", "limits", "freshness"),
    "announcement": ("discovery",),
    "code": ("code_giver", "code_seeker", "code_lister", "code_exchange"),
}
"""Areas whose reasons are put together at run time, `f"area: {reason}"`: the files of net/ that say the second
half, where they return a text, drop with it, or raise MalformedBytes with it."""


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def halves(source: str) -> set[str]:
    """The second halves that a file says."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Return(value=ast.expr() as value):
                found |= {text for text in texts(value) if re.fullmatch(r"[a-z][a-z0-9, ]+", text)}
            case ast.Call(func=ast.Attribute(attr="_drop") | ast.Name(id="MalformedBytes"), args=[first]):
                found |= set(texts(first))
    return found


def reasons(source: str) -> set[str]:
    """Reasons that stand in a source file; one that is put together at run time ends in "…" where that begins."""
    tree, found = ast.parse(source), set()
    pattern = re.compile(rf"({'|'.join(AREAS)}): \S.*")
    inside: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id="counters") | ast.Attribute(attr="counters" | "_counters")):
                said = node.slice.values[0] if isinstance(node.slice, ast.JoinedStr) else node.slice
                for text in texts(said):
                    assert text.partition(":")[0] in AREAS, f"{text!r}: {ADVICE}"
            case ast.JoinedStr(values=[ast.Constant(value=str(head)), *_]):
                inside |= {id(each) for each in node.values}
                if head.removesuffix(": ") in AREAS:
                    found.add(f"{head}…")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found |= {node.value} if pattern.fullmatch(node.value) else set()
    return found


def all_reasons() -> set[str]:
    found = {reason for path in SOURCES for reason in reasons(path.read_text(encoding="utf-8"))}
    for area, files in SAID_BY.items():
        found.remove(f"{area}: …")
        for name in files:
            source = (ROOT / "failover" / "net" / f"{name}.py").read_text(encoding="utf-8")
            found |= {f"{area}: {half}" for half in halves(source)}
    return found


def is_named(reason: str) -> bool:
    if reason.endswith("…"):
        return any(row.startswith(reason[:-1]) for row in ROWS)
    return reason in ROWS


def test_every_reason_in_the_source_is_on_the_page():
    assert sorted(reason for reason in all_reasons() if not is_named(reason)) == [], ADVICE


def test_every_reason_on_the_page_is_in_the_source():
    known = all_reasons()
    open_ended = tuple(reason[:-1] for reason in known if reason.endswith("…"))
    assert sorted(row for row in ROWS if row not in known and not row.startswith(open_ended)) == []


def test_each_reason_stands_once_and_under_its_area():
    assert len(set(ROWS)) == len(ROWS) == PAGE.count("\n| ") - 2 * len(AREAS)
    for section in PAGE.split("\n## ")[1:]:
        area = section.partition("\n")[0]
        assert all(row.startswith(f"{area}: ") for row in re.findall(r"^\| (\w+: [^|]+?) \|", section, re.M))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('counters["data: planted"] += 1', {"data: planted"}),
        ('self.context.counters["data: a" if x else "data: b"] += 1', {"data: a", "data: b"}),
        ('def f():\n    raise MalformedBytes("data: planted")', {"data: planted"}),
        ('counters[f"initiation: {f()}"] += 1', {"initiation: …"}),
        ('counters[f"socket: {name}"] += 1', {"socket: …"}),
        ('log.info("hello: you")', set()),
    ],
)
def test_a_planted_reason_is_found(source, found):
    assert reasons(source) == found


def test_a_planted_half_of_a_reason_is_found():
    source = 'def f():\n self._drop("a")\n if x: raise MalformedBytes("b")\n return "no c" if y else (d, e)'
    assert halves(source) == {"a", "b", "no c"}


def test_a_planted_reason_of_no_area_is_found():
    with pytest.raises(AssertionError, match="under its area"):
        reasons('self._counters["oddity: planted"] += 1')
