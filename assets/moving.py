"""A terminal's screens as one moving picture: SVG with CSS animation only, so that it plays where scripts are not allowed.

A row that stays is drawn once and shown for as long as it stays; a row that comes again is drawn once, too. So the size goes with what
changes, not with how long it takes."""

import re
from html import escape

CELL, LINE, SIZE = 8.4, 18, 14
PLAIN = {"fg": "#c9d1d9", "bg": None, "bold": False, "dim": False, "italic": False, "under": False, "reverse": False}
SIXTEEN = ["#000000", "#cd3131", "#0dbc79", "#e5e510", "#3b78d6", "#bc3fbc", "#11a8cd", "#e5e5e5",
           "#767676", "#f14c4c", "#23d18b", "#f5f543", "#61a0ff", "#d670d6", "#29b8db", "#ffffff"]
ON = {1: "bold", 2: "dim", 3: "italic", 4: "under", 7: "reverse"}
OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("under",), 27: ("reverse",)}


def colour(words):
    """What follows 38 or 48, taken from `words`: `2;r;g;b` or `5;n`."""
    if words.pop(0) == 2:
        return "#%02x%02x%02x" % tuple(words.pop(0) for _ in range(3))
    n = words.pop(0)
    if n < 16:
        return SIXTEEN[n]
    if n >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)
    level = lambda value: 0 if value == 0 else 55 + 40 * value
    return "#%02x%02x%02x" % (level((n - 16) // 36), level((n - 16) // 6 % 6), level((n - 16) % 6))


def restyle(style, body):
    style, words = dict(style), [int(word or 0) for word in re.split("[;:]", body)]
    while words:
        n = words.pop(0)
        if n == 0:
            style = dict(PLAIN)
        elif n in ON:
            style[ON[n]] = True
        elif n in OFF:
            style.update(dict.fromkeys(OFF[n], False))
        elif n in (38, 48):
            style["fg" if n == 38 else "bg"] = colour(words)
        elif n in (39, 49):
            key = "fg" if n == 39 else "bg"
            style[key] = PLAIN[key]
        elif 30 <= n <= 37 or 90 <= n <= 97:
            style["fg"] = SIXTEEN[n - 30 if n < 90 else n - 82]
        elif 40 <= n <= 47 or 100 <= n <= 107:
            style["bg"] = SIXTEEN[n - 40 if n < 100 else n - 92]
    return style


def runs(row, style):
    """Pieces of `row` of one look, and the look that the next row begins with."""
    pieces, column = [], 0
    for code, text in re.findall(r"\x1b\[([\d;:]*)m|([^\x1b]+)", row):
        if text:
            pieces.append((column, text, style))
            column += len(text)
        else:
            style = restyle(style, code)
    return pieces, style


def drawn(pieces):
    """One row, with its top at zero."""
    out = []
    for column, text, style in pieces:
        fg, bg = style["fg"], style["bg"]
        if style["reverse"]:
            fg, bg = bg or "#0d1117", fg
        x, width = column * CELL, len(text) * CELL
        if bg:
            out.append(f'<path fill="{bg}" d="M{x:.1f} 0h{width:.1f}v{LINE}h-{width:.1f}z"/>')
        if text.strip():
            kept = text.rstrip()
            start = len(kept) - len(kept.lstrip())
            kept = kept.lstrip()
            looks = "".join((' font-weight="700"' * style["bold"], ' opacity=".6"' * style["dim"], ' font-style="italic"' * style["italic"],
                             ' text-decoration="underline"' * style["under"]))
            out.append(f'<text x="{x + start * CELL:.1f}" y="13.5" textLength="{len(kept) * CELL:.1f}" fill="{fg}"{looks}>{escape(kept)}</text>')
    return "".join(out)


def moving(frames, columns, title):
    """`frames`: pairs of a second and a screen, as `tmux capture-pane -e -p -N` prints it; the last one is where it ends."""
    whole = frames[-1][0] - frames[0][0]
    begin, ids, shown = frames[0][0], {}, {}
    for index, (at, screen) in enumerate(frames[:-1]):
        style = dict(PLAIN)
        for line, row in enumerate(screen.split("\n")):
            pieces, style = runs(row, style)
            row = ids.setdefault(drawn(pieces), f"r{len(ids)}")
            times = shown.setdefault((line, row), [])
            if times and times[-1][1] == index:
                times[-1][1] = index + 1
            else:
                times.append([index, index + 1])
    share = lambda index: f"{(frames[index][0] - begin) / whole * 100:.2f}%"
    rules, uses, names = [], [], {}
    for (line, row), times in sorted(shown.items()):
        place = f'<use href="#{row}" y="{line * LINE}"'
        if times == [[0, len(frames) - 1]]:
            uses.append(place + "/>")
            continue
        steps = "".join(f"{share(start)}{{visibility:visible}}{share(end)}{{visibility:hidden}}" for start, end in times)
        if times[0][0] > 0:
            steps = "0%{visibility:hidden}" + steps
        if steps not in names:
            names[steps] = f"k{len(names)}"
            rules.append(f"@keyframes {names[steps]}{{{steps}}}.{names[steps]}{{animation-name:{names[steps]}}}")
        # Where nothing moves, the first screen is seen.
        late = ' visibility="hidden"' * (times[0][0] > 0)
        uses.append(f'{place} class="{names[steps]}"{late}/>')
    rows = frames[0][1].rstrip("\n").count("\n") + 1
    width, height = columns * CELL, rows * LINE
    defs = "".join(f'<g id="{name}">{body}</g>' for body, name in ids.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -12 {width + 24:.0f} {height + 24}" role="img"><title>{escape(title)}</title><style>'
        f"text{{font:{SIZE}px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}"
        f"use{{animation-duration:{whole:.1f}s;animation-iteration-count:infinite;animation-timing-function:step-end}}{''.join(rules)}</style>"
        f'<rect x="-12" y="-12" width="{width + 24:.0f}" height="{height + 24}" rx="8" fill="#0d1117"/><defs>{defs}</defs>{"".join(uses)}</svg>\n'
    )
