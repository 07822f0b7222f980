"""Finds the five crossings of a round trip A -> B -> A in a recording.

    for crossing in crossings(recorded):    in time: iret to A, int from A, iret to B, int from B, iret to A
        crossing.kind, crossing.letter      "int", "A"
        crossing.before, crossing.after     states of the recording
"""

import dataclasses

from ringside.recorder import recording
from ringside.emulators.registers import FRAME_WORDS

FRAME_BYTES = 4 * len(FRAME_WORDS)
CPU_WORDS = 5  # of them: what int pushes and iret pops

EXPECTED = ("iretA", "intA", "iretB", "intB", "iretA")


@dataclasses.dataclass
class Crossing:
    """One way in or out, with the gate's part of it: esp's four stops on the way."""

    kind: str           # "int" or "iret"
    letter: str         # the proc that comes or goes
    before: dict        # states around int or iret
    after: dict
    saved: dict         # the state in which both frames are as drawn
    esp: list           # the four stops, in time
    mover: str          # of esp between frame and ring-0 stack: an instruction

    @property
    def outer(self):
        """The state in ring 3."""
        return self.after if self.kind == "iret" else self.before


class NoRoundTrip(Exception):
    pass


def frame_range(recorded, letter):
    """Offsets that esp can have inside a proc's frame, its end among them."""
    start = recorded["symbols"][f"proc_{letter.lower()}"]
    return range(start, start + FRAME_BYTES + 1)


def crossings(recorded):
    """The first five from an iret into A on: A, in, B, in, A."""
    for name in ("proc_a", "proc_b", "A_DATA", "B_DATA", "ring0_stack_end"):
        if name not in recorded["symbols"]:
            raise NoRoundTrip(f"the program has no {name}")
    letters = {recorded["symbols"][f"{letter}_DATA"]: letter for letter in "AB"}
    steps = list(recording.walk(recorded))
    places = [place for place, (_, before, _, after) in enumerate(steps)
              if before["cpl"] != after["cpl"] and before["cr0"] & 1]
    found = []
    for place in places:
        _, before, step, after = steps[place]
        kind = "iret" if after["cpl"] == 3 else "int"
        inner, outer = (before, after) if kind == "iret" else (after, before)
        letter = letters.get(outer["ss"]["selector"], "?")
        if kind + letter != EXPECTED[len(found)]:
            if found:
                raise NoRoundTrip(f"step {place}: {step['text']} of proc {letter} comes after crossing {len(found)}")
            continue
        frame = frame_range(recorded, letter)
        other = place
        if kind == "int":
            while other + 1 < len(steps) and steps[other][3]["esp"] in frame:
                other += 1
            esp = [before["esp"], after["esp"], steps[other][1]["esp"], steps[other][3]["esp"]]
            saved = steps[other][1]
        else:
            while other > 0 and steps[other][1]["esp"] in frame:
                other -= 1
            esp = [steps[other][1]["esp"], steps[other][3]["esp"], before["esp"], after["esp"]]
            saved = before
        stops = esp if kind == "iret" else esp[::-1]
        for true, what in (
                (stops[0] == recorded["symbols"]["ring0_stack_end"] and stops[1] == frame[0],
                 f"the way between proc {letter}'s frame and an empty ring-0 stack is not in it"),
                (stops[2] == frame[-1] - 4 * CPU_WORDS, f"{kind} does not move {CPU_WORDS} words"),
                (stops[3] == outer["ss"]["limit"] + 1, f"proc {letter}'s stack is not empty"),
                (inner["tss"]["esp0"] == frame[-1], f"esp0 is not the end of proc {letter}'s frame")):
            if not true:
                raise NoRoundTrip(f"step {place}: {what}")
        found.append(Crossing(kind, letter, before, after, saved, esp, steps[other][2]["text"]))
        if len(found) == len(EXPECTED):
            return found
    raise NoRoundTrip(f"it has {len(found)} of its {len(EXPECTED)} crossings")
