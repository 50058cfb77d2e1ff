"""A terminal session as an animated SVG: CSS only, so that it also moves where it is an <img>.

Commands are typed by a quick typist, and what they show stays a moment; between, time is real. Rows
that appear together are a group with an animation of its own; when the window is full, the whole
moves up. Without animations, the end is shown.
"""
import html
import re

from screen import COLUMNS, ROWS

CELL, LINE, FONT = 8, 18, 13.3  # of a character
PAD, TITLE = 16, 34
TYPED_S, TYPED_MAX_S = 0.02, 0.8  # a character, a command
BEFORE_S, READ_S, ROW_S, READ_MAX_S, LAST_S = 0.3, 0.4, 0.05, 1.2, 3.0
WIDTH, HEIGHT = COLUMNS * CELL + 2 * PAD, ROWS * LINE + TITLE + PAD
STYLES = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "36": "c"}
PROMPT = "$ "
LOOK = """\
text{font:%(FONT)spx ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#d5dae3;\
white-space:pre}
.b{fill:#fff;font-weight:600}.d{fill:#7f8896}.r{fill:#ff7b72}.g{fill:#7ee787}.y{fill:#e3b341}\
.c{fill:#79c0ff}.w{fill:#15181e}.k{fill:#d5dae3}
.a{animation:%(total).2fs step-end infinite}
@media (prefers-reduced-motion:reduce){.a{animation:none!important}}
"""


class Film:
    """Collects rows and the moments at which something changes, in seconds from the start."""

    def __init__(self):
        self.now, self.row = 0.0, 0
        self.groups = []  # (moment, [svg of rows])
        self.covers = []  # (typing begins, ends, row, columns)

    def add(self, at, svg):
        if not self.groups or self.groups[-1][0] != at:
            self.groups.append((at, []))
        self.groups[-1][1].append(svg)
        self.row += 1

    def shoot(self, shot):
        self.type(shot.command)
        begun = self.now
        for at, runs in shot.rows:
            for line in wrapped(runs, COLUMNS):
                self.add(round(begun + at, 2), text(self.row, line))
        self.now = begun + shot.took + min(READ_S + ROW_S * len(shot.rows), READ_MAX_S)

    def type(self, command):
        assert len(PROMPT + command) <= COLUMNS, command
        self.add(round(self.now, 2), text(self.row, [(PROMPT, "32"), (command, "1")]))
        begun = self.now + BEFORE_S
        self.now = begun + min(len(command) * TYPED_S, TYPED_MAX_S)
        self.covers.append((begun, self.now, self.row - 1, len(command)))


def wrapped(runs, columns):
    """Rows of at most so many columns."""
    rows, left = [[]], columns
    for part, style in runs:
        while len(part) > left:
            rows[-1].append((part[:left], style))
            part, left = part[left:], columns
            rows.append([])
        rows[-1].append((part, style))
        left -= len(part)
    return rows


def text(row, runs):
    """One row. Its length is stated: fonts differ in width."""
    spans = "".join(f'<tspan class="{STYLES[style]}">{html.escape(part, False)}</tspan>' if style else
                    html.escape(part, False) for part, style in runs if part)
    columns = sum(len(part) for part, _ in runs)
    length = f' textLength="{columns * CELL}"' if columns else ""
    return f'<text y="{row * LINE + 14}"{length}>{spans}</text>'


def frames(name, moments, total):
    """Keyframes: [(moment, declarations)]"""
    return f"@keyframes {name}{{" + "".join(
        f"{100 * at / total:.2f}%{{{what}}}" for at, what in moments) + "}\n"


def scrolled(groups):
    """[(moment, rows that are out of sight)]"""
    moments, count = [(0, 0)], 0
    for at, rows in groups:
        count += len(rows)
        if count > ROWS:
            moments.append((at, count - ROWS))
    return moments


def cover(number, begun, end, row, columns, total):
    """(keyframes, svg) of what hides a command until it is typed, with the cursor at its left."""
    style = frames(f"t{number}", [
        (0, "transform:none"), (begun, f"transform:none;animation-timing-function:steps({columns})"),
        (end, f"transform:translateX({columns * CELL}px);visibility:hidden")], total)
    x, y, width = len(PROMPT) * CELL, row * LINE, columns * CELL
    return style, (f'<g class="a" style="animation-name:t{number};visibility:hidden">'
                   f'<path class="w" d="M{x} {y}h{width + CELL}v{LINE}h-{width + CELL}z"/>'
                   f'<path class="k" d="M{x} {y + 2}h{CELL}v{LINE - 3}h-{CELL}z"/></g>')


def draw(shots, title):
    """The picture of a list of screen.Shot."""
    film = Film()
    for shot in shots:
        film.shoot(shot)
    total = film.now + LAST_S
    css, body = [LOOK % {"FONT": FONT, "total": total}], []
    for number, (at, rows) in enumerate(film.groups):
        css.append(frames(f"r{number}", [(0, "visibility:hidden"), (at, "visibility:visible")], total))
        body += [f'<g class="a" style="animation-name:r{number}">', *rows, "</g>"]
    for number, typed in enumerate(film.covers):
        style, svg = cover(number, *typed, total)
        css.append(style)
        body.append(svg)
    moments = [(at, f"transform:translateY({-rows * LINE}px)") for at, rows in scrolled(film.groups)]
    css.append(frames("s", moments, total))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<style>
{"".join(css)}</style>
<rect class="w" width="{WIDTH}" height="{HEIGHT}" rx="8"/>
<circle cx="20" cy="17" r="5" fill="#ff5f57"/><circle cx="38" cy="17" r="5" fill="#febc2e"/>\
<circle cx="56" cy="17" r="5" fill="#28c840"/>
<text x="{WIDTH / 2}" y="22" text-anchor="middle"><tspan class="d">{title}</tspan></text>
<svg x="{PAD}" y="{TITLE}" width="{COLUMNS * CELL}" height="{ROWS * LINE}">
<g class="a" style="animation-name:s;{moments[-1][1]}">
{chr(10).join(body)}
</g>
</svg>
</svg>
"""


def text_of(svg):
    """What is written in a picture, a line for each row."""
    return "\n".join(html.unescape(re.sub("<[^>]*>", "", row))
                     for row in re.findall("<text.*?</text>", svg))
