#!/usr/bin/env python3
"""Plays the demo as an operator would and records it: assets/record.py MAYDAY OUT.cast [COLUMNS ROWS] [--shots DIR] [--svg OUT.svg]

`--shots` keeps the screens that README's pictures are made of, `--svg` makes its moving picture. Needs tmux and python 3 only. The operator here is a loop: it reads the screen, and presses what the last two lines say."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

from moving import moving

TITLE = "Mayday: a region goes dark, and comes back on the other side"
SERVER = ["tmux", "-L", f"mayday-record-{os.getpid()}", "-f", "/dev/null"]


def tmux(*words):
    return subprocess.run([*SERVER, *words], check=True, capture_output=True, text=True).stdout


def screen():
    return tmux("capture-pane", "-p", "-t", "0")


def shot(name):
    if SHOTS:
        with open(os.path.join(SHOTS, f"{name}.sgr"), "w") as out:
            out.write(tmux("capture-pane", "-e", "-p", "-N", "-t", "0"))


def watch(frames, over):
    """A screen every two seconds, until `over`."""
    while not over.wait(2):
        try:
            frames.append((time.time(), tmux("capture-pane", "-e", "-p", "-N", "-t", "0")))
        except subprocess.CalledProcessError:
            return


def until(what, holds, patience=180):
    deadline = time.time() + patience
    while not holds(screen()):
        if time.time() > deadline:
            sys.exit(f"never saw {what}:\n{screen()}")
        time.sleep(0.1)


def press(*keys, pause=0.8):
    for key in keys:
        tmux("send-keys", "-t", "0", key)
        time.sleep(pause)


def type_text(text):
    for letter in text:
        tmux("send-keys", "-l", "-t", "0", letter)
        time.sleep(0.06)


def answer(gate):
    """Opens the card of a gate, reads it, and answers."""
    press("Enter", pause=1.5)
    shot(f"gate-{gate}")
    press("c")
    phrase = re.search(r"to go ahead: (\S+)", screen())
    if phrase:
        type_text(phrase.group(1))
        press("Enter")


def play():
    until("the lab healthy", lambda text: "● live" in text and "all quiet" in text)
    shot("peacetime")
    until("the region down", lambda text: "declare an incident" in text and "6 of 6" in text)
    shot("region-down")
    press("D", "Enter", "Enter", "A", "y", pause=1.2)
    press("u", pause=3)
    shot("update")
    press("Enter", "r", pause=1.2)
    press("Enter")
    while "close INC-" not in screen():
        last = screen()
        gate = re.search(r"answer the gate of (\S+)", last)
        if gate:
            answer(gate.group(1))
        elif re.search(r"▸ .*(blocks|say whether|decide)", last):
            sys.exit(f"it does not go by itself:\n{last}")
        if "no way back since" in last:
            shot("running")
        time.sleep(0.4)
    press("6", pause=4)
    shot("recovered")
    press("u", pause=3)
    press("Enter", pause=8)
    press("9", pause=2)
    shot("told")
    press("w", pause=3)
    shot("walkthrough")
    press("Escape", "W", pause=3)
    shot("wayback")
    press("Escape", "C")
    type_text("the region is gone, and the west serves")
    press("Enter", pause=1.5)
    press("Enter")
    type_text("the day shift goes through them")
    press("Enter")
    until("the incident closed", lambda text: "no incident" in text)
    press("R", pause=4)
    shot("report")
    press("Escape", "q", pause=0.5)


def write(raw, out, columns, rows):
    """The pieces of `raw` (time and bytes a line) as an asciinema v2 cast."""
    decoder = __import__("codecs").getincrementaldecoder("utf-8")("replace")
    with open(raw) as pieces, open(out, "w") as cast:
        head = {"version": 2, "width": columns, "height": rows, "title": TITLE, "env": {"TERM": "xterm-256color"}}
        cast.write(json.dumps(head) + "\n")
        start = None
        for line in pieces:
            at, data = line.split(" ", 1)
            start = float(at) if start is None else start
            text = decoder.decode(bytes.fromhex(data))
            if text:
                cast.write(json.dumps([round(float(at) - start, 3), "o", text], ensure_ascii=False) + "\n")


TAP = """
import os, sys, time
with open(sys.argv[1], "w") as out:
    while True:
        piece = os.read(0, 65536)
        if not piece:
            break
        out.write(f"{time.time()} {piece.hex()}\\n")
        out.flush()
"""

if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("mayday", type=os.path.abspath)
    options.add_argument("cast")
    options.add_argument("columns", type=int, nargs="?", default=120)
    options.add_argument("rows", type=int, nargs="?", default=40)
    options.add_argument("--shots")
    options.add_argument("--svg")
    asked = options.parse_args()
    SHOTS = asked.shots
    frames, over = [], threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        tap, raw = os.path.join(folder, "tap.py"), os.path.join(folder, "raw")
        with open(tap, "w") as file:
            file.write(TAP)
        command = f"sleep 1; exec env COLORTERM=truecolor LANG=C.UTF-8 '{asked.mayday}' demo {os.environ.get('DEMO', '')}"
        tmux("new-session", "-d", "-x", str(asked.columns), "-y", str(asked.rows), command, ";", "set", "-g", "status", "off")
        tmux("set", "-g", "default-terminal", "tmux-256color", ";", "resize-window", "-x", str(asked.columns), "-y", str(asked.rows))
        tmux("pipe-pane", "-o", "-t", "0", f"exec python3 {tap} {raw}")
        watcher = threading.Thread(target=watch, args=(frames, over))
        watcher.start()
        try:
            play()
        finally:
            over.set()
            watcher.join()
            subprocess.run([*SERVER, "kill-server"], capture_output=True)
            subprocess.run([asked.mayday, "demo", "--end", "--delete"], capture_output=True)
        write(raw, asked.cast, asked.columns, asked.rows)
    print(f"{asked.cast}: {os.path.getsize(asked.cast) // 1024} KB")
    if asked.svg:
        # A second of the screen for half a second of the picture; the last one stays for a moment.
        begin = frames[0][0]
        played = [((at - begin) / 2, screen) for at, screen in frames if "MAYDAY" in screen or "INC-" in screen]
        with open(asked.svg, "w") as picture:
            picture.write(moving([*played, (played[-1][0] + 3, "")], asked.columns, TITLE))
        print(f"{asked.svg}: {os.path.getsize(asked.svg) // 1024} KB")
