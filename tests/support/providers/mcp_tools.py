"""A server of tools over MCP, for an agent: run as a program it speaks on its standard streams."""

from mcp.server.fastmcp import Context, FastMCP


def tools() -> FastMCP:
    """Return a server with one tool, which tells how far it is."""
    server = FastMCP("digging", host="127.0.0.1", log_level="ERROR")

    @server.tool()
    async def dig(place: str, context: Context) -> str:
        """Dig a hole."""
        if place == "the rock":
            raise ValueError(f"{place} is too hard")
        for depth in (1, 2, 3):
            await context.report_progress(depth, 3, f"{depth} m deep in {place}")
        return f"A hole in {place}"

    return server


if __name__ == "__main__":
    tools().run("stdio")
