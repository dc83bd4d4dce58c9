"""What is told of a file: what it holds, and what was recorded of it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from mcp_server.rest.refusals import RowError
from store.accounts import AccountEntry
from store.importers import ImportFile
from store.importing import ImportResult, StatementResult
from store.importing.preview import preview
from store.queries.answer import money
from store.records import Mode
from store.statements.execution import Statement

Amount = Annotated[Decimal, PlainSerializer(money, return_type=str)]


class Told(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AccountOfFile(Told):
    name: str
    mode: Mode
    currency: str
    zone: str


class OfFile(Told):
    format: str
    recorded: int = Field(0, description="New trades; 0 in a preview")
    accounts: list[AccountOfFile]
    assumed: list[str]
    ignored: dict[str, int]
    rejected: list[RowError]


class TradesImported(OfFile):
    """Of a file whose rows are trades."""

    rows: Literal["trades"] = "trades"
    trades: int
    closed: int
    file_net_pnl: Amount
    rounding: Amount
    already_there: int = 0
    stored_net_pnl: Amount | None = Field(None, description="Null in a preview")


class Unopened(Told):
    """Executions that close what no file has opened."""

    ticker: str
    executions: int
    cash: Amount


class Reconciled(Told):
    """Where the file's money is; what is received is above 0, fees are deducted."""

    new: int
    extended: int
    restated: int
    cash: Amount = Field(description="By the file's prices and fees")
    in_trades: Amount
    by_hand: Amount = Field(description="In trades that somebody restated or voided since")
    fees: Amount
    stated: Amount = Field(description="What the file says of its executions itself")
    worked_out: Amount = Field(description="Of the same executions, by prices and fees")
    rounding: Amount
    other_cash: dict[str, Amount] = Field(description="Moved without a deal, by kind")


class ExecutionsImported(OfFile):
    """Of a broker's file, whose rows are executions."""

    rows: Literal["executions"] = "executions"
    executions: int
    trades: int
    open: int
    unopened: list[Unopened]
    reconciled: Reconciled | None = Field(None, description="Null in a preview")


Imported = TradesImported | ExecutionsImported


def previewed(file: ImportFile | Statement) -> Imported:
    if isinstance(file, ImportFile):
        return trades_in(file)
    seen = preview(file)
    return executions_in(
        file,
        file.accounts.values(),
        trades=seen.trades,
        open=seen.open,
        unopened=seen.unopened,
        rejected=seen.rejected,
    )


def trades_in(file: ImportFile, result: ImportResult | None = None) -> TradesImported:
    return TradesImported.model_validate(
        {
            **vars(file),
            "trades": len(file.trades),
            "closed": sum(trade.net_pnl is not None for trade in file.trades),
            "file_net_pnl": file.file_net_pnl,
            "rounding": file.rounding,
            **(vars(result) if result else {}),
        }
    )


def executions_in(
    file: Statement, accounts: Iterable[AccountEntry], **found: object
) -> ExecutionsImported:
    return ExecutionsImported.model_validate(
        {
            "format": file.format,
            "accounts": list(accounts),
            "assumed": file.assumed,
            "ignored": dict(file.ignored),
            "executions": len(file.executions),
            **found,
        }
    )


def statement_recorded(file: Statement, result: StatementResult) -> ExecutionsImported:
    return executions_in(
        file,
        result.accounts,
        recorded=result.recorded,
        trades=result.there,
        open=result.left_open,
        unopened=result.unopened,
        rejected=result.rejected,
        reconciled=result,
    )
