"""Many attacks on a program, one after the other, with a new game whenever one is over.

    try_all("qemu", program, attacks)       (attack, what was not as expected), for each
    at_random(program, seed, 500)           the same for codes at random, in Bochs
"""

from ringside.attacks.assembler import assembled
from ringside.attacks.flat_game import FlatGame
from ringside.attacks.fuzzer import random_codes
from ringside.attacks.game import BOTH, Game, at_once
from ringside.emulators import versions

GAME = 500         # attacks at random, until a new game begins
WHOLE_EVERY = 16   # of them, until all the memory is looked at
# Bochs' names: the oldest that it has, and a young one.
MODELS = ("i386" if versions.holds("bochs-old-models") else "pentium", "corei7_haswell_4770")


def models(program):
    return program.pages and program.pages.models or MODELS


def game_of(emulator, program, codes, model=None):
    return (FlatGame if program.pages else Game)(emulator, program, codes, model)


def try_all(emulator, program, attacks):
    """Gives (attack, what was not as expected of it), None for what is not to be run there."""
    size = at_once(program)
    for start in range(0, len(attacks), size):
        yield from _games(emulator, program, attacks[start:start + size])


def _games(emulator, program, attacks):
    codes = assembled(program, attacks)
    game = None
    try:
        for number, attack in enumerate(attacks):
            if attack.left_out or attack.harmful and emulator == "qemu":
                yield attack, None
                continue
            game = game or game_of(emulator, program, codes)
            found = game.attack(attack, number)
            yield attack, found
            if found:
                game.close()
                game = None
    finally:
        if game:
            game.close()


def at_random(program, seed, count, model=None):
    """Gives (code, how A ended, what was not as it must be) for codes at random, in Bochs."""
    size = min(GAME, at_once(program))
    for start in range(0, count, size):
        codes = random_codes(program, f"{seed}.{start}", min(size, count - start))
        game = None
        try:
            for number, code in enumerate(codes):
                game = game or game_of("bochs", program, codes, model or models(program)[0])
                last = number == len(codes) - 1
                found, end = game.random(number, whole=last or number % WHOLE_EVERY == 0)
                yield code, end, found
                if found or end == BOTH:
                    game.close()
                    game = None
        finally:
            if game:
                game.close()
