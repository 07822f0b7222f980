"""What one switch costs, counted in Bochs at full speed.

    switch("hwtask", path)    (instructions from A's int to B's first, of these: {which:
                              memory accesses inside}, accesses of all together)

Reads and writes of data count, each of them as Bochs makes it, those inside int, iret
and ljmp as well; the fetching of instructions does not.
"""

import re

import debuggers
import machines

STEP = re.compile(r"^\(0\)\.\[\d+\] \[\w+\] \w+:\w+ \(.*?\): (\w+)", re.M)
ACCESS = re.compile(r"^\[CPU0 ", re.M)
HEAVY = ("int", "iret", "jmpf")  # jmpf: what Bochs calls a far jump


def switch(program, path):
    emulator = debuggers.knowing(program)[1]
    with emulator(machines.floppy_that_starts(program, path)) as machine:
        machine.go()
        machine.wait_log("n=4096 ", 60)
        machine.halt()
        while True:  # until no look is due in this switch
            machine.run_to("proc_a_int")
            if machine.word("switches_left") > 1:
                break
        first_of_b = machine.linear("proc_b_int") + 2
        machine.cmd("trace on")
        machine.cmd("trace-mem on")
        start = len(machine.text)
        machine.run_to(first_of_b)
        text = machine.text[start:]
    steps = list(STEP.finditer(text))
    ends = [*(step.start() for step in steps[1:]), len(text)]
    inside, heavy = 0, {}
    for step, end in zip(steps, ends):
        accesses = len(ACCESS.findall(text[step.start():end]))
        inside += accesses
        if step[1] in HEAVY:
            heavy[step[1].replace("jmpf", "ljmp")] = accesses
    return len(steps), heavy, inside
