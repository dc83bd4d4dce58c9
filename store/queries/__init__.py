"""The questions that can be put to the store: one module each, named as its function."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from store.queries.answer import Answer

Query = Callable[..., Awaitable[Answer]]


def load() -> list[Query]:
    """Every question, in alphabetical order: the modules `get_*` and `check_*` of this folder.

    Each takes a session first and answers with an `Answer`; its signature and docstring are
    its contract.
    """
    names = sorted(module.name for module in iter_modules(__path__))
    return [_query(name) for name in names if name.startswith(("get_", "check_"))]


def _query(name: str) -> Any:
    return getattr(import_module(f"{__name__}.{name}"), name)
