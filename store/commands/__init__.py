"""The commands as people and agents say them: one module each, named as its function.

They stand on the commands of `recording` and `corrections`, which programs use: here a
trade is said flatly, and a repetition without a key is refused.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from store.commands.command import Command

VERBS = ("record_", "add_", "close_", "correct_", "void_")


def load() -> list[Command]:
    """Every command, in alphabetical order: the modules of this folder that begin with a verb."""
    names = sorted(module.name for module in iter_modules(__path__))
    return [_command(name) for name in names if name.startswith(VERBS)]


def _command(name: str) -> Any:
    return getattr(import_module(f"{__name__}.{name}"), name)
