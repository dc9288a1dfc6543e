"""Groups of workers: their shards and graphs. About `gateway/graphwire_gateway/cluster/groups.py`."""

import pytest
from graphwire_gateway.cluster.groups import Groups, Offer, check_group, group_number, shards_of, words
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.limits import Limits

SHARDS = 4
GPU = 935_987
"""It must stay: the shards' keys in Redis have it."""


def offer(*graphs: str, **limits: float | None) -> Offer:
    return Offer(Limits(**limits), "crash", graphs)  # type: ignore[arg-type]


def test_the_group_without_a_name_has_the_first_shards() -> None:
    assert list(shards_of("", SHARDS)) == [0, 1, 2, 3]


def test_a_name_has_its_number_in_every_process() -> None:
    assert group_number("gpu") == GPU
    assert list(shards_of("gpu", SHARDS)) == [4 * GPU + shard for shard in range(SHARDS)]
    assert len({group_number(f"group-{number}") for number in range(100)}) == 100


@pytest.mark.parametrize("name", ["gpu", "", "team-a.gpu_2", "x" * 64])
def test_names(name: str) -> None:
    check_group(name)


@pytest.mark.parametrize("name", ["a b", "a:b", "ü", "x" * 65, "a/b", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(CannotServe, match="is no name of a group: up to 64 letters"):
        check_group(name)


def test_an_offer_is_read_as_it_was_written() -> None:
    one = offer("a", "b", max_active_runs=3, max_run_s=2.5)
    assert Offer.of(one.to_bytes()) == one
    older = b'{"limits":{"max_active_runs":3,"new":1},"durability":"crash"}'
    assert Offer.of(older) == offer(max_active_runs=3), "a worker of another version"


def test_what_all_offer_is_the_least_of_each_limit() -> None:
    groups = Groups(
        SHARDS,
        {
            "": offer("a", max_active_runs=3, max_run_s=None),
            "gpu": offer("b", max_active_runs=5, max_run_s=2.5),
        },
        {"a": "", "b": "gpu"},
    )
    assert groups.offer() == offer("a", "b", max_active_runs=3, max_run_s=2.5)
    assert groups.offer(without={""}) == offer("b", max_active_runs=5, max_run_s=2.5)
    assert groups.offer(without={"", "gpu"}) == groups.offer(), "what was known last"
    assert Groups(SHARDS, {}, {}).offer() is None


def test_a_graph_is_found_in_its_group_and_an_unknown_one_where_there_is_only_one() -> None:
    one = Groups(SHARDS, {"": offer("a")}, {"a": ""})
    assert [one.group_of("a"), one.group_of("x")] == ["", ""]
    two = Groups(SHARDS, {"": offer("a"), "gpu": offer("b")}, {"a": "", "b": "gpu"})
    assert [two.group_of("a"), two.group_of("b"), two.group_of("x")] == ["", "gpu", None]
    assert sorted(two.graphs) == ["a", "b"]


def test_a_group_whose_offer_is_gone_has_its_shards_as_long_as_it_has_a_graph() -> None:
    groups = Groups(SHARDS, {"": offer("a")}, {"a": "", "b": "gpu"})
    assert groups.names == ["", "gpu"]
    assert groups.shards == [*shards_of("", SHARDS), *shards_of("gpu", SHARDS)]
    assert [groups.group_at(shard) for shard in groups.shards] == [""] * SHARDS + ["gpu"] * SHARDS
    assert groups.lacking(list(shards_of("", SHARDS))) == ["gpu"]
    assert groups.lacking(groups.shards[1:]) == [""]
    assert not groups.lacking(groups.shards)


def test_what_people_call_a_group() -> None:
    assert words("gpu") == "group 'gpu'"
    assert words("") == "the group without a name"
