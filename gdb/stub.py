#!/usr/bin/python3
"""Stands between GDB and QEMU, because GDB knows nothing of segments.

usage, in GDB: target remote | /usr/bin/python3 gdb/stub.py QEMU [ARGUMENT ...]

QEMU's error messages go to the file that ERRORS in the environment names, if it is set.

QEMU tells GDB eip and esp as they are, offsets in segments, and takes all other
addresses for linear ones. So GDB would look for proc A's first instruction at
linear address 0. Here both get what they can use:

- Below 64 KiB, GDB's addresses are offsets in the program, as in the log, on the
  screen and in C's pointers: linear minus BASE. eip and esp become such addresses,
  whatever segment they are offsets in. In ring 0 that changes nothing.
- The boot sector, and everything from 64 KiB on, is linear. So is the rest, while
  neither code nor stack of the program is in use.

It also starts QEMU, up to the boot sector, and ends it when GDB goes; leaves it to GDB
whether code is 16-bit or 32-bit; holds keys back until the machine runs, because a
stopped QEMU drops them; and refuses the watchpoints at which QEMU 7.2 aborts.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys

from ringside.emulators.registers import of_qemu

BASE = 0x10000  # boot.S: PROGRAM
PROGRAM_BYTES = 0x10000
BOOT_SECTOR = range(0x7c00, 0x7e00)


def is_in_program(linear):
    return BASE <= linear < BASE + PROGRAM_BYTES


def address(linear):
    """GDB's address of what is there."""
    return linear - BASE if is_in_program(linear) else linear


def is_offset(address):
    return address < PROGRAM_BYTES and address not in BOOT_SECTOR


# ---- the two connections

class Packets:
    """GDB's protocol: $packet#checksum, answered by +."""

    def __init__(self, source, sink):
        self.source, self.sink = source.fileno(), sink.fileno()
        self.buffer = b""

    def fileno(self):
        return self.source

    def receive(self):
        while (packet := self.complete()) is None:
            self.read()
        return packet

    def read(self):
        data = os.read(self.source, 0x10000)
        if not data:
            raise EOFError
        self.buffer += data

    def complete(self):
        """The next packet, if all of it has been read."""
        packet = self.take(rb"[+\x03]*\$([^#]*)#..")
        if not packet:
            return None
        with contextlib.suppress(BrokenPipeError):  # the other end's last words
            os.write(self.sink, b"+")
        return packet[1]

    def take(self, pattern):
        found = re.match(pattern, self.buffer, re.S)
        if found:
            self.buffer = self.buffer[found.end():]
        return found

    def send(self, packet):
        data = b"$%s#%02x" % (packet, sum(packet) & 255)
        while data:
            data = data[os.write(self.sink, data):]

    def was_interrupted(self):
        """By Ctrl-C: one byte, no packet."""
        return self.take(rb"\+*\x03")

    def interrupt(self):
        os.write(self.sink, b"\x03")

    def ask(self, packet):
        self.send(packet)
        return self.receive()


class Monitor:
    """QEMU's monitor, as programs use it."""

    def __init__(self, connection):
        self.stream = connection.makefile("rw")
        self.stream.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.stream)
        self.stream.flush()
        for line in self.stream:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                return answer["error"]["desc"] + "\n"
        raise EOFError

    def say(self, line):
        """Types a line as a person would. What the monitor prints."""
        return self.ask("human-monitor-command", **{"command-line": line}).replace("\r", "")


# ---- what passes between them

ESP, EIP = 4, 8  # as the protocol numbers registers
SOFTWARE, WRITTEN = b"0", b"2"  # and the kinds of breakpoints
REGISTER_DIGITS = 8
RUNS_AFTER = 0.02  # s: by then it runs, or has stopped again


def digits(value):
    return value.to_bytes(4, "little").hex().encode()


def number(digits):
    return int.from_bytes(bytes.fromhex(digits.decode()), "little")


class Stub:
    def __init__(self, gdb, qemu, monitor):
        self.gdb, self.qemu, self.monitor = gdb, qemu, monitor
        self.breakpoints = set()
        self.watchable = set()
        self.keys = []
        self.bases = None  # asked for when needed, void when the machine has run

    def skip_the_bios(self):
        place = b"0,%x,1" % BOOT_SECTOR.start
        self.qemu.ask(b"Z" + place)
        self.resume(b"c")
        self.qemu.ask(b"z" + place)

    def serve(self):
        while (packet := self.gdb.receive()) != b"k":
            self.gdb.send(self.answer(packet))

    def answer(self, packet):
        for start, answer in (
                (rb"qSupported", self.supported),
                (rb"qXfer:features:read:target.xml", self.description),
                (rb"qRcmd,(.*)", self.command),
                (rb"g$", self.all_registers),
                (rb"p([48])$", self.one_register),
                (rb"P([48])=(.*)", self.set_address),
                (rb"P", self.set_register),
                (rb"(m)(\w+)(,.*)", self.memory),
                (rb"(M)(\w+)(,.*)", self.memory),
                (rb"([zZ])(\d),(\w+),(\w+)", self.breakpoint),
                (rb"vCont;|[csCS]", self.resume),
                (rb"D|vKill", self.end),
                (rb"[GX]", self.unknown)):
            if match := re.match(start, packet, re.S):
                return answer(packet, *match.groups())
        return self.qemu.ask(packet)

    def end(self, _packet):
        return b"OK"  # GDB hangs up now

    def unknown(self, _packet):
        return b""

    def supported(self, packet):
        # Without this, GDB takes one off eip when it stops right behind a breakpoint.
        return self.qemu.ask(packet) + b";swbreak+;hwbreak+"

    def description(self, packet):
        return re.sub(rb"<architecture>.*</architecture>", b"", self.qemu.ask(packet))

    # -- addresses

    def learn_bases(self):
        """The bases of the segments that eip and esp are offsets in."""
        if self.bases:
            return
        found = of_qemu(self.monitor.say("info registers"))
        code, stack = found["cs"].base, found["ss"].base
        self.bases = {EIP: code, ESP: stack}
        self.uses_program = any(is_in_program(linear & 0xffffffff) for linear in (code + found["eip"], stack + found["esp"]))

    def to_address(self, register, offset):
        self.learn_bases()
        return digits(address(self.bases[register] + number(offset) & 0xffffffff))

    def to_linear(self, address):
        self.learn_bases()
        return address + BASE if is_offset(address) and self.uses_program else address

    def all_registers(self, packet):
        values = self.qemu.ask(packet)
        for register in (ESP, EIP):
            start = register * REGISTER_DIGITS
            end = start + REGISTER_DIGITS
            values = values[:start] + self.to_address(register, values[start:end]) + values[end:]
        return values

    def one_register(self, packet, register):
        return self.to_address(int(register), self.qemu.ask(packet))

    def set_address(self, packet, register, value):
        offset = self.to_linear(number(value)) - self.bases[int(register)] & 0xffffffff
        return self.set_register(b"P%s=%s" % (register, digits(offset)))

    def set_register(self, packet):
        self.bases = None
        return self.qemu.ask(packet)

    def memory(self, _packet, letter, start, rest):
        return self.qemu.ask(b"%s%x%s" % (letter, self.to_linear(int(start, 16)), rest))

    # -- stopping and going on

    def breakpoint(self, _packet, letter, kind, start, size):
        start = int(start, 16)
        if kind > WRITTEN or kind == WRITTEN and (start, int(size, 16)) not in self.watchable:
            return b"E22"
        if kind == SOFTWARE:
            (self.breakpoints.add if letter == b"Z" else self.breakpoints.discard)(start)
        # Wherever the CPU is now, it is in the program when it gets there.
        linear = start + BASE if is_offset(start) else start
        return self.qemu.ask(b"%s%s,%x,%s" % (letter, kind, linear, size))

    def resume(self, packet):
        self.bases = None
        self.qemu.send(packet)
        while (reply := self.qemu.complete()) is None:
            ready = select.select([self.gdb, self.qemu], [], [], RUNS_AFTER if self.keys else None)[0]
            if not ready:
                self.press_keys()
            for end in ready:
                end.read()
            if self.gdb.was_interrupted():
                self.qemu.interrupt()
        return self.stopped(reply)

    def stopped(self, reply):
        if watch := re.search(rb"watch:(\w+);", reply):
            return reply.replace(watch[1], b"%x" % address(int(watch[1], 16)))
        if reply.startswith(b"T05") and number(self.one_register(b"p8", b"8")) in self.breakpoints:
            return reply + b"swbreak:;"
        return reply

    # -- what GDB's user says to the monitor

    def command(self, _packet, text):
        line = bytes.fromhex(text.decode()).decode()
        verb, *words = line.split() or [""]
        if verb == "press":  # ours: keys as sendkey names them, when the machine runs
            self.keys += words
        elif verb == "watchable":  # ours: address and size of what may be watched
            self.watchable.add(tuple(int(word, 0) for word in words))
        else:
            said = self.monitor.say(line)
            self.gdb.send(b"O" + said.encode().hex().encode())
        return b"OK"

    def press_keys(self):
        for name in self.keys:
            self.monitor.ask("send-key", keys=[{"type": "qcode", "data": part} for part in name.split("-")])
        self.keys.clear()


def main(command):
    if not command or command[0] in ("-h", "--help"):
        print(__doc__)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    ours, its = socket.socketpair()
    command += ["-S", "-gdb", "stdio", "-chardev", f"socket,id=monitor,fd={its.fileno()}",
                "-qmp", "chardev:monitor"]
    with open(os.environ.get("ERRORS", "/dev/stderr"), "w") as errors:
        qemu = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                pass_fds=[its.fileno()])
    its.close()
    try:
        stub = Stub(Packets(sys.stdin, sys.stdout), Packets(qemu.stdout, qemu.stdin), Monitor(ours))
        stub.skip_the_bios()
        stub.serve()
    except (EOFError, BrokenPipeError, ConnectionError):
        pass  # one of them is gone
    finally:
        qemu.kill()
        qemu.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
