"""QEMU's GDB stub, spoken to directly: a stop costs 1 ms, where a GDB between would cost a hundred."""

from collections.abc import Callable, Sequence
import pathlib
import select
import socket

from ringside.emulators.machine import Missing

LIMIT = 60  # seconds for an answer


class Stub:
    """The connection. `evidence` says what to add to a message when nothing comes."""

    def __init__(self, path: pathlib.Path, evidence: Callable[[], str]) -> None:
        self._evidence = evidence
        self._breakpoints: set[int] = set()
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
            self._socket.settimeout(LIMIT)
            self.ask("qXfer:features:read:target.xml:0,fff")  # else it refuses P
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def send(self, packet: str) -> None:
        """A packet whose answer comes later, or never."""
        self._write(self._framed(packet))

    @staticmethod
    def _framed(packet: str) -> bytes:
        return b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 255)

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except ConnectionError:
            raise self._gone() from None

    def _gone(self) -> Missing:
        return Missing("QEMU hung up\n" + self._evidence())

    def _answer(self) -> str:
        """Not acknowledged: the next packet does that."""
        while b"#" not in self._buffer or len(self._buffer) < self._buffer.index(b"#") + 3:
            try:
                data = self._socket.recv(65536)
            except socket.timeout:
                raise Missing("it did not stop in time\n" + self._evidence()) from None
            except ConnectionError:
                raise self._gone() from None
            if not data:
                raise self._gone()
            self._buffer += data
        packet, self._buffer = self._buffer.split(b"#", 1)
        self._buffer = self._buffer[2:]
        return packet.split(b"$", 1)[1].decode()

    def ask(self, packet: str) -> str:
        """A packet and its answer; an error is raised."""
        self.send(packet)
        return self._held(packet, self._answer())

    @staticmethod
    def _held(packet: str, answer: str) -> str:
        if answer.startswith("E") or not answer:
            raise RuntimeError(f"QEMU's GDB stub: {packet}: {answer or 'unknown'}")
        return answer

    def ask_all(self, packets: Sequence[str], may_fail: bool = False) -> list[str]:
        """Several packets and their answers. None may let the guest run: the next would stop it."""
        self._write(b"".join(map(self._framed, packets)))
        answers = [self._answer() for _ in packets]
        for packet, answer in zip(packets, answers):
            if not may_fail:
                self._held(packet, answer)
        return answers

    def monitor(self, line: str) -> str:
        """What a line for QEMU's monitor prints, while the guest stands: of its own socket QEMU reads each letter by itself."""
        packet, found = f"qRcmd,{line.encode().hex()}", ""
        self.send(packet)
        while (answer := self._held(packet, self._answer())) != "OK":
            found += bytes.fromhex(answer.removeprefix("O")).decode()
        return found

    def breakpoints(self, places: set[int]) -> None:
        """These linear addresses and no others."""
        for address in self._breakpoints - places:
            self.ask(f"z0,{address:x},1")
        for address in places - self._breakpoints:
            self.ask(f"Z0,{address:x},1")
        self._breakpoints = places

    def places(self) -> set[int]:
        """The breakpoints."""
        return self._breakpoints

    def on(self, timeout: float) -> None:
        """On to the next stop, which comes within so many seconds."""
        self._socket.settimeout(timeout)
        self.ask("c")

    def stops(self, seconds: float) -> bool:
        """Behind send("c"): whether it stops within so many seconds."""
        self._socket.settimeout(seconds)
        try:
            self._answer()
        except Missing:
            if select.select([self._socket], [], [], 0)[0]:    # it has hung up
                raise
            return False
        finally:
            self._socket.settimeout(LIMIT)
        return True

    def interrupt(self) -> None:
        """Stops the guest, wherever it is."""
        self._write(b"\3")
        self._answer()
