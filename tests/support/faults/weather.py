"""What a proxy does to the connections of a storm, drawn from a seed: it stalls, throttles and cuts each."""

import random

from tests.support.proxy import Act, Direction, Plan, cut


def weather(seed: str, reach: int) -> Plan:
    """Return a plan for a proxy; ``reach`` is about how many bytes pass before a connection is cut."""
    return lambda number: _acts(random.Random(f"{seed}/link/{number}"), reach)


def _acts(draw: random.Random, reach: int) -> list[Act]:
    acts: list[Act] = []
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        direction: Direction = draw.choice(("down", "down", "up"))
        after = draw.randrange(1, 1500 if direction == "up" else reach)
        if draw.random() < 0.7:
            holds = draw.choice((("down",), ("up",), ("up", "down")))
            acts.append(Act(direction, after, "stall", holds, draw.uniform(0.005, 0.06)))
        else:
            acts.append(
                Act(direction, after, "throttle", (), draw.uniform(0.02, 0.15), draw.randrange(500, 5000))
            )
    return [*acts, _end(draw, reach)]


def _end(draw: random.Random, reach: int) -> Act:
    match draw.randrange(8):
        case 0:
            return cut("down", draw.randrange(1, 130))
        case 1:
            return cut("up", draw.randrange(1, 400))
        case 2 | 3:
            return cut("up", draw.randrange(400, 3000))
        case _:
            return cut("down", draw.randrange(200, 2 * reach))
