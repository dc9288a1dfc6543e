"""A client that is connected to the model server."""

from collections.abc import AsyncIterator

import graphwire
import pytest

from tests.support.model_server import ModelServer, impatient


@pytest.fixture
def server() -> ModelServer:
    return ModelServer()


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[graphwire.Client]:
    async with graphwire.connect("ws://model/ws", open=server.open, backoff=impatient()) as client:
        yield client
