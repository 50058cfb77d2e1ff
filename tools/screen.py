"""What a terminal shows of a program that prints lines: colours, carriage returns and erased ends."""
import fcntl
import os
import re
import struct
import termios

COLUMNS, ROWS = 100, 26
TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|\x1b\][^\x07]*\x07|\r|\n|[^\x1b\r\n]+")


def open_terminal():
    """(the side to read, the side for programs)"""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return master, slave


class Row:
    """A line of cells, each (character, style), and when it last changed."""

    def __init__(self, at):
        self.cells, self.at = [], at

    def runs(self, place):
        """[(text, style)]"""
        runs = []
        for character, style in self.cells:
            if runs and runs[-1][1] == style:
                runs[-1][0] += character
            else:
                runs.append([character, style])
        return [(place(text), style) for text, style in runs]


class Shot:
    """A command and what it shows: rows of (text, style) runs, and when each was complete.

    place(text) is what stands in the place of a text. A style is the numbers of ECMA-48's SGR.
    """

    def __init__(self, command, chunks, place):
        self.command, self.took = command, chunks[-1][0]
        self.row, self.column, self.style = Row(0), 0, ""
        self.all = [self.row]
        data, arrived = "", []
        for at, chunk in chunks:
            text = chunk.decode(errors="replace")
            arrived += [at] * len(text)
            data += text
        for token in TOKEN.finditer(data):
            self.put(token, arrived[token.end() - 1])
        if not self.row.cells:
            self.all.pop()
        self.rows = [(row.at, row.runs(place)) for row in self.all]

    def put(self, token, at):
        text = token[0]
        if token[2] == "m":
            self.style = "" if token[1] in ("", "0") else token[1]
        elif token[2] == "K":
            del self.row.cells[self.column:]
        elif text == "\r":
            self.column = 0
        elif text == "\n":
            self.row, self.column = Row(at), 0
            self.all.append(self.row)
        elif text[0] != "\x1b":
            self.row.cells[self.column:self.column + len(text)] = [(c, self.style) for c in text]
            self.column += len(text)
            self.row.at = at
        else:
            assert text[1] == "]", f"an unknown control sequence: {text!r}"

    def lines(self):
        """Plain text."""
        return ["".join(text for text, _ in runs).rstrip() for _, runs in self.rows]
