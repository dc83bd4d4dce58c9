"""A small ledger, and a call of every tool that it can answer."""

from typing import Any

from mcp.types import Tool

LEDGER = """
    2026-01-05  AAPL  +120.00  fees 1.30  strategy leap_call  scanner 72  ai 55
    2026-01-06  AAPL   -80.50  fees 0.70  strategy leap_call  scanner 61
    2026-01-07  SPY     +0.00  option put  condition vix=18.5
    2026-01-08  MSFT   +15.50  open  strategy swing  stop 95
"""
# What a tool that requires arguments is asked.
ASKED: dict[str, dict[str, Any]] = {
    "get_trade": {"number": 1},
    "check_setup": {"ticker": "AAPL"},
}


def arguments_for(tool: Tool) -> dict[str, Any]:
    if not tool.input_schema.get("required"):
        return {}
    return ASKED[tool.name]
