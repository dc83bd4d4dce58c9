"""The description of the API, as exact as clients and generators of tests take it."""

from typing import Any

from pydantic import BaseModel

DIGITS = 10  # Before the point, where no limit is stated; a price may have one more.
DECIMALS = 8
SMALLEST = 1e-8  # What is smaller is rounded to 0.
REFERENCE = "#/components/schemas/{model}"


def described(schema: dict[str, Any], problem: type[BaseModel], *, with_tokens: bool) -> Any:
    """`schema` with decimals as they are accepted, the shape of problems, and the tokens."""
    made = exact(schema)
    parts = made["components"]["schemas"]
    made_problem = problem.model_json_schema(ref_template=REFERENCE)
    parts |= made_problem.pop("$defs", {}) | {problem.__name__: made_problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        parts.pop(unused, None)
    if with_tokens:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    return made


def exact(node: Any) -> Any:
    """Every decimal as a number or a string, each with its limits: pydantic states limits of
    numbers only."""
    if isinstance(node, list):
        return [exact(one) for one in node]
    if not isinstance(node, dict):
        return node
    if is_decimal(node):
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "gt", "ge", "le")}
        nullable = [one for one in node["anyOf"] if one.get("type") == "null"]
        return rest | {"anyOf": [*decimal(node), *nullable]}
    return {key: exact(value) for key, value in node.items()}


def is_decimal(node: dict[str, Any]) -> bool:
    kinds = node.get("anyOf")
    return isinstance(kinds, list) and kinds[:2] == [{"type": "number"}, {"type": "string"}]


def decimal(limits: dict[str, Any]) -> list[dict[str, Any]]:
    """A decimal as JSON's number and as text."""
    high = limits.get("le", 10**DIGITS - 1)
    positive, signed = "gt" in limits, limits.get("ge", 0 if "gt" in limits else -1) < 0
    digits = len(str(int(high))) - ("le" in limits)
    low = SMALLEST if positive else -high if signed else 0
    number = {"type": "number", "minimum": low, "maximum": high}
    decimals = rf"(\.[0-9]{{1,{DECIMALS}}})?"
    plain = rf"{'-?' if signed else ''}[0-9]{{1,{digits}}}{decimals}"
    return [number, {"type": "string", "pattern": f"^{'(?![0.]+$)' if positive else ''}{plain}$"}]
