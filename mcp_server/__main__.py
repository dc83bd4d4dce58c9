"""python -m mcp_server: the same as trade-history-mcp."""

from mcp_server.cli import main

main(prog_name="trade-history-mcp")
