"""The description of the API, as exact as clients and generators of tests take it."""

from typing import Any

from pydantic import BaseModel

LARGEST = 2**63 - 1  # In the smallest unit that is kept.
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
    if "decimals" in node:
        return decimal(node)
    return {key: exact(value) for key, value in node.items()}


def decimal(node: dict[str, Any]) -> dict[str, Any]:
    """A decimal as JSON's number and as text, within the limits of `node`."""
    decimals = node["decimals"]
    high = int(node.get("le", LARGEST // 10**decimals))
    positive = "gt" in node
    low = node.get("ge", 10.0**-decimals if positive else -high)
    digits = len(str(high)) - 1  # All numbers of so many digits are within the limit.
    sign, nonzero = "-?" if low < 0 else "", "(?![0.]+$)" if positive else ""
    pattern = rf"^{nonzero}{sign}[0-9]{{1,{digits}}}(\.[0-9]{{1,{decimals}}})?$"
    number = {"type": "number", "minimum": low, "maximum": high}
    rest = {name: node[name] for name in ("title", "description", "default") if name in node}
    return rest | {"anyOf": [number, {"type": "string", "pattern": pattern}]}
