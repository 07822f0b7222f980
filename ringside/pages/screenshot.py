"""Makes a picture of the screen, in QEMU.

usage: scripts/ringside screenshot WHAT FILE.png

  switch   the README's: the fifth switch, with the ball on its way through ring 0
  fault    that of docs/faults.md: proc A has asked DOS for help, B plays alone
"""

import pathlib
import time

from ringside.emulators import machines

RING0_ROWS = range(8, 15)  # of the screen: where both frames are listed
BALL_COLUMNS = slice(38, 42)


def ball_row(qemu):
    return next((row for row, line in enumerate(qemu.screen()) if "O" in line[BALL_COLUMNS]), None)


def wait_ball(qemu):
    end = time.monotonic() + 10
    while ball_row(qemu) not in RING0_ROWS:
        if time.monotonic() > end:
            raise machines.Missing("the ball did not come by")


def switch(qemu):
    qemu.wait_screen(r"switches +5 ")
    wait_ball(qemu)


def fault(qemu):
    qemu.wait_screen(r"switches +4 ")
    qemu.key("3")
    qemu.wait_screen("only door is int 0x30")
    wait_ball(qemu)


PICTURES = {picture.__name__: picture for picture in (switch, fault)}


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in PICTURES:
        print(__doc__)
        return 0 if "--help" in arguments else 2
    with machines.Qemu() as qemu:
        PICTURES[arguments[0]](qemu)
        pathlib.Path(arguments[1]).parent.mkdir(exist_ok=True)
        qemu.screenshot(arguments[1])
    return 0
