"""A question or command of the store as a command of the terminal: what it takes becomes
arguments and options, described once, where it is defined."""

import sys
from collections.abc import Callable, Mapping
from inspect import Parameter, getdoc, signature
from typing import Any

import click
from pydantic import TypeAdapter

ARGUMENTS = ("number", "body")  # Said by place; all else by name.
ONE_OF = {  # What may be said several times, as it is said once.
    "legs": "leg",
    "fills": "fill",
    "conditions": "condition",
    "prices": "leg-price",
}
FROM_STDIN = "-"


def terminal_command(
    name: str,
    function: Callable[..., Any],
    carry_out: Callable[..., None],
    *shared: Callable[[Callable[..., None]], Callable[..., None]],
    defaults: Mapping[str, Any] | None = None,
    example: str,
    short: str | None = None,
) -> click.Command:
    """`function`, which takes a session first, as command `name`; `carry_out` is given what was
    typed. `shared` are options beside its own, `defaults` those that differ here."""
    _session, *parameters = signature(function, eval_str=True).parameters.values()
    own = [_parameter(one, (defaults or {}).get(one.name, one.default)) for one in parameters]
    for add in shared:
        add(carry_out)
    beside = list(reversed(getattr(carry_out, "__click_params__", ())))
    summary = " ".join((getdoc(function) or "").split())
    return click.Command(
        name,
        params=[*own, *beside],
        callback=carry_out,
        help=summary,
        epilog=f"Example: trade-history trades {example}",
        short_help=short or summary.partition(": ")[0].partition(". ")[0].rstrip("."),
    )


def _parameter(one: Parameter, default: Any) -> click.Parameter:
    schema = TypeAdapter(one.annotation).json_schema()
    needed = default is Parameter.empty
    if one.name in ARGUMENTS:
        return click.Argument([one.name], type=_type(schema), callback=_typed)
    option = ONE_OF.get(one.name, one.name).replace("_", "-")
    several, flag = schema.get("type") == "array", schema.get("type") == "boolean"
    return click.Option(
        [f"--{option}", one.name],
        type=None if flag else _type(schema.get("items", schema)),
        is_flag=flag,
        multiple=several,
        required=needed,
        **({} if needed else {"default": default}),  # To Click, None would be given.
        show_default=not flag and default not in (None, Parameter.empty),
        help=_description(one.annotation),
        metavar="NUMBER" if schema.get("type") == "number" else None,
        callback=_listed if several else None,
    )


def _description(annotation: Any) -> str | None:
    """What is said of a parameter; where several say something, the last, which is nearest."""
    said = [getattr(part, "description", None) for part in getattr(annotation, "__metadata__", ())]
    return next((one for one in reversed(said) if one), None)


def _type(schema: Mapping[str, Any]) -> click.ParamType[Any]:
    if "enum" in schema:
        return click.Choice(schema["enum"])
    if schema.get("type") == "integer":
        return click.IntRange(schema.get("minimum"), schema.get("maximum"))
    return click.STRING


def _listed(_ctx: click.Context, _parameter: click.Parameter, said: tuple[str, ...]) -> Any:
    return list(said) or None


def _typed(_ctx: click.Context, _parameter: click.Parameter, said: Any) -> Any:
    """What is typed; a long text may come on stdin."""
    return sys.stdin.read() if said == FROM_STDIN else said
