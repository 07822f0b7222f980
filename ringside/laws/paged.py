"""What a recorded state tells of pages and segments: whether ring 3 may reach an address.

    leaf(state, linear)         the entry that leads to its page; None without paging, or if it is not recorded
    for_users(state, linear)    whether all entries on the way have U, and are present
    loadable(state)             the segments that ring 3 may load
"""

from collections.abc import Iterator

from ringside.recorder import pages
from ringside.recorder.recording import State

TI = 4
PRESENT, MEMORY, CODE, CONFORMING_OR_DOWN = 1 << 47, 1 << 44, 1 << 43, 1 << 42
WHOLE, WRAP = 1 << 32, (1 << 32) - 1


def _way(state: State, linear: int) -> list[pages.Entry]:
    """Empty if it is not known."""
    if not state["cr0"] >> 31 or "pages" not in state:
        return []
    known: dict[str, int] = state["pages"]
    try:
        return list(pages.walk(linear & WRAP, state["cr3"], state["cr4"], lambda physical, _: known.get(f"{physical:x}")))
    except pages.Unread:
        return []


def leaf(state: State, linear: int) -> int | None:
    way = _way(state, linear)
    return way[-1].value if way and way[-1].leads_to_page and way[-1].value & pages.PRESENT else None


def for_users(state: State, linear: int) -> bool:
    way = [entry for entry in _way(state, linear) if entry.name != "PDPTE"]
    return bool(way) and way[-1].leads_to_page and all(entry.value & (pages.PRESENT | pages.USER) == pages.PRESENT | pages.USER
                                                       for entry in way)


def descriptor(state: State, selector: int) -> int | None:
    table, number = state["ldt" if selector & TI else "gdt"], selector >> 3
    return int(table[number], 16) if selector & ~3 and number < len(table) else None


def base_of(raw: int) -> int:
    return raw >> 16 & 0xFFFFFF | raw >> 32 & 0xFF000000


def limit_of(raw: int) -> int:
    limit = raw & 0xFFFF | raw >> 32 & 0xF0000
    return limit << 12 | 0xFFF if raw >> 55 & 1 else limit


def loadable(state: State) -> Iterator[tuple[int, int, int]]:
    """Selector, first linear address, the one behind the last: DPL 3, or conforming code (SDM vol. 3A, 5.5)."""
    for table, ti in (("gdt", 0), ("ldt", TI)):
        for number, text in enumerate(state[table]):
            raw = int(text, 16)
            if not raw & PRESENT or not raw & MEMORY or number == 0 and not ti:
                continue
            conforming = raw & CODE and raw & CONFORMING_OR_DOWN
            if raw >> 45 & 3 != 3 and not conforming:
                continue
            start, end = base_of(raw), base_of(raw) + limit_of(raw) + 1
            if not raw & CODE and raw & CONFORMING_OR_DOWN:     # expand-down: what is above the limit
                start, end = end, start + (WHOLE if raw >> 54 & 1 else 0x10000)
            yield 8 * number + ti + 3, start, end
