"""The server as it is, but for one thing: it never looks at the store unless it is told to."""

from mcp_server import watching
from mcp_server.cli import main

watching.LOOK_SECONDS = watching.ANNOUNCED_SECONDS = 86_400.0

if __name__ == "__main__":
    main(prog_name="trade-history-mcp")
