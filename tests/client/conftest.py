"""Puts the model of a server beside the tests on the path, and connects clients to it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

import graphwire
import pytest
from model_server import ModelServer, impatient


@pytest.fixture
def server() -> ModelServer:
    return ModelServer()


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[graphwire.Client]:
    async with graphwire.connect("ws://model/ws", open=server.open, backoff=impatient()) as client:
        yield client
