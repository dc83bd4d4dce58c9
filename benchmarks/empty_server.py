"""What the protocol costs by itself: a server of the plain SDK whose one tool does nothing."""

from mcp.server import MCPServer

server = MCPServer("empty")


@server.tool()
async def empty() -> str:
    """Nothing."""
    return ""


if __name__ == "__main__":
    server.run("stdio")
