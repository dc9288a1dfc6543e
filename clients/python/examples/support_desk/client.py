"""Send one message to the support desk, on the thread "ann": python client.py "Is anybody there?" """

import asyncio
import sys

import graphwire


async def main(text: str, url: str = "ws://127.0.0.1:8765/ws") -> None:
    """Print the answer while it is written."""
    async with graphwire.connect(url) as client:
        said = {"messages": [{"role": "user", "content": text}]}
        async for event in await client.run("chat", said, thread="ann", modes=["messages"]):
            if isinstance(event, graphwire.MessagesEvent):
                print(event.message.text, end="", flush=True)
        print()


asyncio.run(main(*sys.argv[1:]))
