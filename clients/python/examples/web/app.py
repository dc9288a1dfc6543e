"""A web application that sends a graph's answer onward, word by word, as server-sent events."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import graphwire
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

URL = os.environ.get("GRAPHWIRE_URL", "ws://127.0.0.1:8765/ws")
TOKEN = os.environ.get("GRAPHWIRE_TOKEN")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect once. All requests share the client; ``wait`` is for a server that starts at the same time."""
    async with graphwire.connect(URL, token=TOKEN, wait=30) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/ask/{graph}")
async def ask(graph: str, topic: str) -> StreamingResponse:
    """Stream the words of the models. When the browser leaves, its run is cancelled."""

    async def words() -> AsyncIterator[str]:
        answer = app.state.client.graph(graph).astream({"topic": topic}, stream_mode="messages")
        try:
            async with aclosing(answer):  # closing it cancels the run
                async for message, _ in answer:
                    yield f"data: {json.dumps(message.text)}\n\n"
            yield "event: done\ndata: null\n\n"
        except graphwire.GraphwireError as error:
            yield f"event: failed\ndata: {json.dumps(str(error))}\n\n"

    return StreamingResponse(words(), media_type="text/event-stream")
