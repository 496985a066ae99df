"""Words of a Nuke script: Tcl's quoting, read and written, with nothing ever substituted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from safelight.graph.errors import GraphError

Kind = Literal["bare", "quoted", "braced", "bracket"]

_BRACE = re.compile(r"[{}\\]")
_QUOTE = re.compile(r'["\\]')
_BRACKET = re.compile(r"[\[\]\\]")
_BARE_STOP = re.compile(r"[\s\\\[]")
_SPACE = re.compile(r"(?:[ \t\f\v]|\\\n)+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{1,4})|x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(\n[ \t]*)|(.))", re.DOTALL)
_LIVE = re.compile(r"(?:^|[^\\])(?:\\\\)*[\[$]")
_PLAIN = re.compile(r"[A-Za-z0-9_./%#:@+*=~,-]+")
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MUST = re.compile(r'[\\"\[\]{}$\x00-\x1f\x7f]')


class NkError(GraphError):
    """A Nuke script that cannot be read, or holds what a graph document cannot; names the line."""

    def __init__(self, what: str, *, line: int = 0, remedy: str = "") -> None:
        super().__init__(what, where=f"line {line}" if line else "", remedy=remedy)
        self.line = line


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a statement."""

    text: str
    """What it says, escapes undone; of a braced or bracketed word what stands between."""
    kind: Kind
    line: int
    live: bool = False
    """Holds a `[` or `$` that Tcl would replace. It stays as it is: nothing of a script is ever run."""
    raw: str = ""
    """The word as it stands in the text."""


def unescape(text: str) -> str:
    r"""Undo Tcl's backslashes.

    >>> unescape(r"a\[b\]\n\x41\u00e9")
    'a[b]\nAé'
    """
    if "\\" not in text:
        return text
    made = _ESCAPE.sub(_plain, text)
    if any("\ud800" <= char <= "\udfff" for char in made):  # halves of a pair, each escaped by itself
        made = made.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return made


def _plain(match: re.Match[str]) -> str:
    wide, byte, octal, newline, char = match.groups()
    if wide is not None:
        return chr(int(wide, 16))
    if byte is not None:
        return chr(int(byte, 16))
    if octal is not None:
        return chr(int(octal, 8) & 0xFF)
    return " " if newline is not None else _NAMED.get(char, char)


def quote(text: str) -> str:
    r"""Write one word so that Tcl, Nuke and `Lexer` read back this very text.

    >>> quote("plate.####.exr"), quote("two words"), quote("a[b]")
    ('plate.####.exr', '"two words"', '"a\\[b\\]"')
    """
    if _PLAIN.fullmatch(text):
        return text
    return '"' + _MUST.sub(_written, text) + '"'


def _written(match: re.Match[str]) -> str:
    char = match[0]
    if char in _WRITTEN:
        return _WRITTEN[char]
    return f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else "\\" + char


class Lexer:
    """Cuts script text into statements and these into words. Each character is looked at a bounded number of times."""

    def __init__(self, text: str, line: int = 1) -> None:
        self.text = text
        self.at = 0
        self._line = line
        self._counted = 0

    @property
    def line(self) -> int:
        """Line of the next character."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def statement(self) -> list[Word] | None:
        """Return the words up to the end of the line, comments and empty lines left out; None at the end."""
        text, size = self.text, len(self.text)
        while True:
            self._spaces()
            if self.at >= size:
                return None
            if text[self.at] in "\n;":
                self.at += 1
            elif text[self.at] == "#":
                end = text.find("\n", self.at)
                self.at = size if end < 0 else end
            else:
                break
        words = []
        while self.at < size and text[self.at] not in "\n;":
            words.append(self._word())
            self._spaces()
        return words

    def _spaces(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match:
            self.at = match.end()

    def _word(self) -> Word:
        char = self.text[self.at]
        if char == "{":
            return self._braced()
        if char == '"':
            return self._quoted()
        if char == "[":
            line, begin = self.line, self.at + 1
            self._skip_bracket()
            return self._closed(
                Word(self.text[begin : self.at - 1], "bracket", line, True, self.text[begin - 1 : self.at])
            )
        return self._bare()

    def _braced(self) -> Word:
        line, begin, depth = self.line, self.at + 1, 0
        at = self.at
        while True:
            match = _BRACE.search(self.text, at)
            if match is None:
                raise NkError("the brace opened here is never closed", line=line, remedy="The text is cut short.")
            at = match.end()
            if match[0] == "\\":
                at += 1
            elif match[0] == "{":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    break
        self.at = at
        return self._closed(Word(self.text[begin : at - 1], "braced", line, raw=self.text[begin - 1 : at]))

    def _quoted(self) -> Word:
        line, begin = self.line, self.at + 1
        at = begin
        while True:
            match = _QUOTE.search(self.text, at)
            if match is None:
                raise NkError("the quote opened here is never closed", line=line, remedy="The text is cut short.")
            at = match.end()
            if match[0] == '"':
                break
            at += 1
        self.at = at
        inner = self.text[begin : at - 1]
        live = bool(_LIVE.search(inner))
        return self._closed(Word(unescape(inner), "quoted", line, live, self.text[begin - 1 : at]))

    def _closed(self, word: Word) -> Word:
        """Insist on a space behind a closing brace or quote, as Tcl does."""
        if self.at < len(self.text) and not self.text[self.at].isspace() and self.text[self.at] not in ";\\":
            raise NkError(f"'{self.text[self.at]}' follows a closing brace or quote without a space", line=self.line)
        return word

    def _bare(self) -> Word:
        line, begin, at, size = self.line, self.at, self.at, len(self.text)
        while at < size:
            match = _BARE_STOP.search(self.text, at)
            if match is None:
                at = size
                break
            at = match.start()
            if match[0] == "\\":
                if self.text[at + 1 : at + 2] == "\n":
                    break
                at = min(at + 2, size)
            elif match[0] == "[":
                self.at = at
                self._skip_bracket()
                at = self.at
            else:
                break
        self.at = at
        inner = self.text[begin:at]
        return Word(unescape(inner), "bare", line, bool(_LIVE.search(inner)), inner)

    def _skip_bracket(self) -> None:
        line, at, depth = self.line, self.at, 0
        while True:
            match = _BRACKET.search(self.text, at)
            if match is None:
                raise NkError("the bracket opened here is never closed", line=line, remedy="The text is cut short.")
            at = match.end()
            if match[0] == "\\":
                at += 1
            else:
                depth += 1 if match[0] == "[" else -1
                if depth == 0:
                    self.at = min(at, len(self.text))
                    return
