"""What the protocol costs by itself: a server of the plain SDK whose one tool does nothing.

python -m benchmarks.empty_server [--transport streamable-http --port PORT]
"""

import sys

from mcp.server import MCPServer

server = MCPServer("empty")


@server.tool()
async def empty() -> str:
    """Nothing."""
    return ""


if __name__ == "__main__":
    if "--port" in sys.argv:
        server.run("streamable-http", port=int(sys.argv[-1]))
    else:
        server.run("stdio")
