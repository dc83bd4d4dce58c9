"""A demo ledger: eighteen invented months of a discretionary trader, for trying things out.

It goes in through the ordinary commands, under stable keys, and is the same everywhere.
"""

from store.demo.recorder import DemoSummary, record_demo

__all__ = ["DemoSummary", "record_demo"]
