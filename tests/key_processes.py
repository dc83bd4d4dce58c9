"""What the tests of keys do in processes of their own, many at once or killed half-way.

    python -m tests.key_processes COMMAND FOLDER

A process here starts by forking, so that hundreds of them take a second.
"""

import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path
from typing import NoReturn

from store.keyring import Keyring, forget_old, load_keyring, rotate_file
from store.sealing import seal, unseal
from store.settings import Settings

AT_ONCE = 8
ROUNDS = 10
ROTATIONS = 5
KILLS = 30


def settings_in(folder: Path) -> Settings:
    return Settings(_env_file=None, TRADE_HISTORY_DATA_DIR=folder)


def race_to_create(folder: Path) -> None:
    """Print the ids that all who asked at once were given, a line for each round."""
    for number in range(ROUNDS):
        settings = settings_in(folder / str(number))
        say({ids for (ids,) in at_once(partial(ids_of, settings))})


def ids_of(settings: Settings) -> tuple[str, ...]:
    return load_keyring(settings).ids


def race_to_rotate(folder: Path) -> None:
    """Print every id that some process made current."""
    settings = settings_in(folder)
    load_keyring(settings)

    def rotate() -> tuple[str, ...]:
        return tuple(rotate_file(settings).current.id for _ in range(ROTATIONS))

    say(one for told in at_once(rotate) for one in told)


def kill_at_each_step(folder: Path, command: str) -> None:
    """Kill before each call that asks something of the system; print what is left.

    Each line: the places that the kept keys had before, "-" for a key that is new.
    """
    for step in count(1):
        settings = settings_in(folder / str(step))
        before = BEFORE[command](settings)
        if not killed(forked(partial(kill_myself, settings, command, step))):
            return
        after = load_keyring(settings).ids
        rotated = rotate_file(settings).ids
        assert rotated[1:] == after, "the lock or a half-written file was left in the way"
        assert {path.name for path in settings.data_folder().iterdir()} == {"keys", "keys.lock"}
        say(str(before.index(one)) if one in before else "-" for one in after)


def kill_at_random(folder: Path) -> None:
    """Kill processes that rotate and seal without pause; print how many secrets open."""
    settings, sealed = settings_in(folder), list[str]()
    for _ in range(KILLS):
        reading, writing = os.pipe()
        child = forked(partial(rotate_and_seal, settings, writing))
        os.close(writing)
        select.select([reading], [], [])  # It has begun.
        time.sleep(random.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        assert killed(child)
        with os.fdopen(reading) as pipe:
            sealed += pipe.read().split()
        keyring = load_keyring(settings)
        assert all(unseal(keyring, one, place="p").get_secret_value() == "s" for one in sealed)
    say([str(len(sealed))])


def rotate_and_seal(settings: Settings, pipe: int) -> NoReturn:
    while True:
        os.write(pipe, f"{seal(rotate_file(settings), 's', place='p')}\n".encode())


def nothing(settings: Settings) -> tuple[str, ...]:
    return ()


def three_keys(settings: Settings) -> tuple[str, ...]:
    load_keyring(settings)
    rotate_file(settings)
    return rotate_file(settings).ids


def forget_the_last(settings: Settings) -> Keyring:
    return forget_old(settings, {load_keyring(settings).ids[1]})


BEFORE = {"create": nothing, "rotate": three_keys, "forget": three_keys}
ACT = {"create": load_keyring, "rotate": rotate_file, "forget": forget_the_last}


def kill_myself(settings: Settings, command: str, step: int) -> None:
    calls = count(1)

    def watch(_frame: object, event: str, called: object) -> None:
        if event == "c_call" and asks_the_system(called) and next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    ACT[command](settings)
    sys.setprofile(None)


def asks_the_system(called: object) -> bool:
    """Also what a buffer would write when it is flushed or closed."""
    files = type(getattr(called, "__self__", None)).__module__ == "_io"
    return files or getattr(called, "__module__", None) in ("posix", "fcntl")


def at_once(act: Callable[[], tuple[str, ...]]) -> list[tuple[str, ...]]:
    """What each of several processes answers that wait for the same moment to begin."""
    gate, opening = os.pipe()
    reading, writing = os.pipe()

    def wait_and_act() -> None:
        os.close(opening)
        os.read(gate, 1)  # Returns when nobody holds the far end any more.
        os.write(writing, f"{' '.join(act())}\n".encode())

    children = [forked(wait_and_act) for _ in range(AT_ONCE)]
    for end in (gate, opening, writing):
        os.close(end)
    with os.fdopen(reading) as pipe:
        told = [tuple(line.split()) for line in pipe]
    assert not any(killed(child) for child in children)
    return told


def forked(act: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        act()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def killed(child: int) -> bool:
    """Whether it was; one that failed by itself ends everything."""
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def say(words: Iterable[str]) -> None:
    sys.stdout.write(" ".join(words) + "\n")


def main() -> None:
    command, folder = sys.argv[1], Path(sys.argv[2])
    if command == "race_to_create":
        race_to_create(folder)
    elif command == "race_to_rotate":
        race_to_rotate(folder)
    elif command == "kill_at_random":
        kill_at_random(folder)
    else:
        kill_at_each_step(folder, command)


if __name__ == "__main__":
    main()
