"""Counts the words that make a text hard to read in docstrings, messages and documentation of the finished rooms.

Each room must stay below one such word per 1,000 words. Add a room to `FINISHED` when its text is rewritten. A word that
is correct in some phrases has these phrases in `EXCEPTIONS`; a whole hit is printed with file and line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
PER_THOUSAND: Final = 1.0
MESSAGE_WORDS: Final = 4

FINISHED: Final = (
    "pipeline/bare_earth",
    "pipeline/borders",
    "pipeline/core",
    "pipeline/coregistration",
    "pipeline/demo",
    "pipeline/errors.py",
    "pipeline/exports",
    "pipeline/file_lists.py",
    "pipeline/formats",
    "pipeline/implicit",
    "pipeline/job.py",
    "pipeline/learning/bare_earth",
    "pipeline/learning/image_heights",
    "pipeline/learning/sensors",
    "pipeline/learning/superres",
    "pipeline/manifest.py",
    "pipeline/planning",
    "pipeline/resampling",
    "pipeline/settings.py",
    "pipeline/sources",
    "pipeline/superres",
    "pipeline/tile",
    "pipeline/validation",
    "pipeline/version.py",
    "pipeline/vertical",
    "README.md",
    "CHANGELOG.md",
    "changes",
    "docs",
    "infra/api",
    "infra/cli",
    "infra/cluster",
    "infra/engines",
    "infra/machine",
    "infra/objects",
    "infra/reporting",
    "infra/runs",
    "infra/service",
    "infra/stores",
    "orograph/__init__.py",
    "stac",
    "CONTRIBUTING.md",
    "deploy/README.md",
    "SECURITY.md",
)
"""Files and folders whose text is rewritten."""

WORDS: Final = {
    "refuse: reject, raise": r"refus(?:e|es|ed|al|als|ing)",
    "tell: record, report, is given": r"tells?|told",
    "lack: is missing": r"lacks?|lacked",
    "hold: contain": r"holds",
    "lie: is": r"lies",
    "lest: so that ... not": r"lest",
    "anew: again": r"anew",
    "mend: fix, repair": r"mend(?:s|ed|ing)?",
    "beside: next to, compared with": r"beside",
    "somebody: the user": r"somebody|nobody|a person",
    "for ever: indefinitely": r"for ever",
    "shipped: bundled": r"shipped|ships",
    "but for: except": r"but for",
    "thinned: decimated, averaged": r"thinned",
    "is no X: is not an X": r"(?<!there )(?:is|are) no [a-z]+",
    "one a tile: one per tile": r"one a (?:tile|cell|band|row|pixel|file|day|second)",
    "ground: terrain, DTM": r"ground",
    "surface model: DSM": r"surface models?",
}
"""Regular expression of whole words, in any case, by the advice to the writer."""

STARTS: Final = {
    "What ...: start with a noun": r"(?:^|[.:]\s+)What (?![^.?]*\?)[a-z]+",
    "Nothing. for an empty method: No-op.": r"^Nothing[.:,]",
}
"""Regular expressions that depend on the place in a sentence, case-sensitive."""

EXCEPTIONS: Final = {
    "ground: terrain, DTM": r"ground control|ground truth|on the ground|background|names? (?:and|or) ground",
    "hold: contain": r"(?:which|that|well|neither|one|it|shape|statement) holds\b(?= [.:;,]|[.:;,]| for| in | on )",
    "surface model: DSM": r"digital surface model",
}
"""Phrases in which a listed word is the field's own term or its plain meaning."""


class Hit(NamedTuple):
    """A listed word and its place."""

    place: str
    advice: str
    text: str


class Passage(NamedTuple):
    """One docstring, message or page."""

    place: str
    text: str


def _without_code(text: str) -> str:
    """Remove fenced blocks, inline code and names of options: identifiers are not prose."""
    text = re.sub(r"^( *)(```+|~~~+).*?^\1\2", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`|--[a-z][a-z0-9-]+", "code", text)


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Docstrings of modules, classes, functions, attributes and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _text(node: ast.expr) -> str:
    """Text of a string or f-string; a placeholder counts as one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "value" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Strings of at least four words among the arguments of calls, once each."""
    seen: set[int] = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        for node in ast.walk(call):
            if isinstance(node, ast.JoinedStr):
                seen.update(id(part) for part in node.values)
            if isinstance(node, ast.expr) and id(node) not in seen and len(_text(node).split()) >= MESSAGE_WORDS:
                seen.add(id(node))
                yield node.lineno, _text(node)


def passages(path: Path) -> Iterator[Passage]:
    """Text of a file that people read: docstrings and messages of a module, or a whole Markdown page."""
    name = str(path.relative_to(ROOT))
    if path.suffix == ".md":
        yield Passage(name, _without_code(path.read_text()))
        return
    tree = ast.parse(path.read_text())
    for node in _docstrings(tree):
        yield Passage(f"{name}:{node.lineno}", _without_code(str(node.value)))
    for line, text in _messages(tree):
        yield Passage(f"{name}:{line}", _without_code(text))


def hits(passage: Passage) -> Iterator[Hit]:
    """Listed words of a passage."""
    patterns = {advice: (rf"\b(?:{words})\b", re.IGNORECASE) for advice, words in WORDS.items()}
    patterns |= {advice: (start, re.MULTILINE) for advice, start in STARTS.items()}
    for advice, (pattern, flags) in patterns.items():
        text = passage.text
        if advice in EXCEPTIONS:
            text = re.sub(EXCEPTIONS[advice], "term", text, flags=re.IGNORECASE)
        for match in re.finditer(pattern, text, flags):
            around = text[max(0, match.start() - 40) : match.end() + 30].replace("\n", " ")
            yield Hit(passage.place, advice, around)


def files_of(room: str) -> list[Path]:
    """Modules and pages of a room."""
    path = ROOT / room
    return [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.md")])


@pytest.mark.parametrize("room", FINISHED)
def test_finished_rooms_are_plain(room: str) -> None:
    read = [passage for file in files_of(room) for passage in passages(file)]
    words = sum(len(passage.text.split()) for passage in read)
    found = [hit for passage in read for hit in hits(passage)]
    assert words > 0, f"{room} has no text: correct FINISHED"
    rate = 1000 * len(found) / words
    listing = "\n".join(f"  {hit.place} [{hit.advice}] ...{hit.text}..." for hit in found)
    assert rate < PER_THOUSAND, f"{room}: {rate:.2f} per 1,000 of {words} words\n{listing}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("The tile is refused.", "refuse: reject, raise"),
        ("What cannot be read stays void.", "What ...: start with a noun"),
        ("x.avi is no .mp4 but x is no film", "is no X: is not an X"),
        ("Nothing: logs want ends.", "Nothing. for an empty method: No-op."),
        ("Waits for ever", "for ever: indefinitely"),
        ("The ground is void", "ground: terrain, DTM"),
    ],
)
def test_listed_words_are_found(text: str, advice: str) -> None:
    assert advice in {hit.advice for hit in hits(Passage("text", text))}


@pytest.mark.parametrize(
    "text",
    [
        "There is no object at the href.",
        "Somewhat is fine; what follows is not a start.",
        "What is this file?",
        "Ground control points check the standard deviation.",
        "The layer is drawn on a white background.",
        _without_code("Pass `ground` and `told`.\n\n```\nrefused = 1\n```\n"),
    ],
)
def test_plain_text_has_no_hits(text: str) -> None:
    assert not list(hits(Passage("text", text)))


def test_messages_are_read_once_and_with_their_placeholders() -> None:
    tree = ast.parse('raise Error(f"the file {name} is {kind} here", remedy="too short")')
    assert [text for _, text in _messages(tree)] == ["the file value is value here"]
