"""What a type checker makes of the functional API."""

import asyncio
from typing import Any

from graphwire_runtime import CompiledStateGraph, RetryPolicy, entrypoint, task
from typing_extensions import assert_type


@task
def add(a: int, b: int = 1) -> str:
    return str(a + b)


@task(name="slow", retry_policy=RetryPolicy(max_attempts=2), timeout=3)
async def later(text: str) -> list[str]:
    return [text]


@task
async def plain(text: str) -> bytes:
    return text.encode()


class Context:
    user: str


@entrypoint(context_schema=Context)
async def main(x: int, *, previous: int | None) -> entrypoint.final[str, int]:
    assert_type(add(x).result(), str)
    assert_type(await add(x, b=2), str)
    assert_type(await plain("x"), bytes)
    assert_type(await later("x"), list[str])
    assert_type(await asyncio.gather(plain("x"), add(1)), tuple[bytes, str])
    add("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add(1, c=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    final: entrypoint.final[str, int] = entrypoint.final(value="x", save=x)
    return final


async def use() -> None:
    graph: CompiledStateGraph[Any, Context, Any, Any] = main
    assert_type(main.invoke(1, context=Context()), Any)
    assert_type(await graph.ainvoke(1), Any)
    async for chunk in main.astream(1, stream_mode="updates"):
        print(chunk)
    main.invoke(1, stream_mode="dreams")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    entrypoint(retry_policy=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
