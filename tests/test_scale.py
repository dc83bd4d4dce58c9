"""The generator of large ledgers, and what is measured on them; no time is judged here."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from benchmarks.scale.filling import Sizes, fill, sizes
from store.database import Store
from store.derived import facts
from store.guards import wrong_guard
from store.models import Account, Condition, Fill, Leg, Snapshot, Trade
from store.pnl import FLAT
from store.schema import status
from tests.conftest import settings_for
from tests.server.running import ROOT, environment
