"""Bodies as one would send them, shown in the description of the API."""

from typing import Annotated

from fastapi import Body

from mcp_server.rest import bodies
from store.records import TradeEntry

BOUGHT = {
    "side": "buy", "quantity": "2", "price": "4.35", "fee": "1.30",
    "filled_at": "2026-01-05T10:02:11-05:00", "execution_id": "E-1001",
}  # fmt: skip
SOLD = {
    "side": "sell", "quantity": "2", "price": "6.10", "fee": "1.30",
    "filled_at": "2026-01-09T15:30:00-05:00", "execution_id": "E-1002",
}  # fmt: skip
CALL = {"instrument": "option", "option_type": "call", "strike": "190", "expiry": "2026-02-20"}
TRADE = {
    "account": "main", "ticker": "AAPL", "strategy": "leap_call",
    "scanner_score": 82, "stop_loss": "2.10", "conditions": {"vix": 18.5, "regime": "bull"},
    "legs": [{**CALL, "fills": [BOUGHT]}],
}  # fmt: skip

Trade = Annotated[TradeEntry, Body(examples=[TRADE])]
Fill = Annotated[bodies.LastFill, Body(examples=[{"leg": 1, **SOLD, "exit_reason": "target"}])]
Snapshots = Annotated[
    bodies.NewSnapshots,
    Body(
        examples=[
            {
                "snapshots": [
                    {
                        "taken_at": "2026-01-06T16:00:00-05:00",
                        "mark_price": "4.80",
                        "underlying_price": "191.22",
                    }
                ]
            }
        ]
    ),
]
Checks = Annotated[
    bodies.NewChecks,
    Body(
        examples=[
            {"checks": [{"question": "Is the spread below 5 %?", "answer": "yes, 3 %"}]},
        ]
    ),
]
Ending = Annotated[
    bodies.Close,
    Body(
        examples=[
            {"by": "fills", "fills": [SOLD], "exit_reason": "target"},
            {"by": "expiry", "at": "2026-02-20T16:00:00-05:00"},
        ]
    ),
]
