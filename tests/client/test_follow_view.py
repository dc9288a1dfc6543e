"""About `clients/python/graphwire/follow_view.py` and `clients/python/graphwire/follow_events.py`."""

from dataclasses import replace
from typing import Any

import graphwire
from graphwire import FollowDiscard, FollowMessages, FollowRun, Message, MessageChunk, ThreadView
from hypothesis import given
from hypothesis import strategies as st


def state(*messages: Any, because: Any = "state") -> FollowMessages:
    return FollowMessages(messages=messages, because=because)


def token(id: str | None, text: str) -> graphwire.MessagesEvent:
    message = MessageChunk("AIMessageChunk", text, id=id)
    return graphwire.MessagesEvent(
        run="r", seq=1, mode="messages", data=(message, {}), message=message, metadata={}
    )


def texts(*events: Any) -> list[str]:
    view = ThreadView()
    for event in events:
        view.apply(event)
    return [message.text for message in view.messages]


HI = Message("human", "hi", id="h1")
ANSWER = Message("ai", "hello there", id="a1")


def test_streamed_pieces_come_behind_the_state_and_add_up() -> None:
    assert texts(state(HI), token("a1", "hel"), token("a1", "lo")) == ["hi", "hello"]
    assert texts(state(HI), token("a1", "one"), token("a2", "two"), token("a1", "!")) == ["hi", "one!", "two"]


def test_a_state_replaces_all_that_was_streamed() -> None:
    assert texts(state(HI), token("x", "gone"), state(HI, ANSWER, because="end")) == ["hi", "hello there"]


def test_a_streamed_message_takes_the_place_of_the_one_of_its_id() -> None:
    assert texts(state(HI, ANSWER), token("a1", "new")) == ["hi", "new"]


def test_what_a_run_has_streamed_stays_until_the_next_state() -> None:
    begun = FollowRun(run="r2", number=2, status="running", checkpoint="c")
    assert texts(state(HI), token("a1", "hello"), begun) == ["hi", "hello"]
    assert texts(state(HI), token("a1", "hello"), begun, state(HI, because="start")) == ["hi"]


def test_what_was_lost_is_withdrawn() -> None:
    assert texts(state(HI), token("a1", "hello"), FollowDiscard(reason="lost", run="r")) == ["hi"]


def test_a_repeated_step_takes_its_messages_back() -> None:
    again = graphwire.LifecycleEvent(
        run="r", seq=3, mode="lifecycle", status="running", attempt=2, at="", discard=("a1",)
    )
    assert texts(state(HI), token("a1", "hel"), token("a2", "two"), again) == ["hi", "two"]


def test_a_call_whose_node_begins_again_is_taken_back_and_ids_that_come_again_stay_apart() -> None:
    one, other = replace(token("a1", "half"), call="c1"), replace(token("a1", "whole"), call="c2")
    assert texts(state(HI), one, replace(token("a1", ""), call="c1", discard=True), other) == ["hi", "whole"]
    assert texts(state(HI), one, replace(other, message=MessageChunk("AIMessageChunk", "two", id="a2"))) == [
        "hi",
        "half",
        "two",
    ]


def test_what_is_cut_adds_up_to_nothing() -> None:
    cut = replace(token("a1", ""), cut_bytes=9, message=MessageChunk("unknown", id="a1"))
    assert texts(state(HI), token("a1", "hel"), cut) == ["hi", "hel"]
    assert texts(state(HI), cut, cut) == ["hi", ""]


def test_a_snapshot_holds_what_was_streamed_and_later_pieces_continue_it() -> None:
    items = tuple(
        graphwire.SnapshotMessage(message, {})
        for message in (ANSWER, MessageChunk("AIMessageChunk", "so ", id="a2"))
    )
    snapshot = graphwire.SnapshotEvent(run="r", seq=9, mode="snapshot", status="running", messages=items)
    assert texts(state(HI, ANSWER), token("a9", "old"), snapshot) == ["hi", "hello there", "so "]
    assert texts(state(HI, ANSWER), snapshot, token("a2", "far")) == ["hi", "hello there", "so far"]


def test_a_whole_message_replaces_its_pieces_and_a_removal_shows_nothing() -> None:
    whole = replace(token("a1", ""), message=ANSWER)
    assert texts(token("a1", "hel"), whole) == ["hello there"]
    assert texts(token("a1", "hel"), replace(whole, message=Message("remove", id="h1"))) == ["hel"]


def test_messages_without_an_id_and_states_of_plain_dicts_are_shown() -> None:
    view = ThreadView()
    view.apply(state({"role": "user", "content": "hi", "id": "h1"}, {"role": "ai"}))
    view.apply(token(None, "hello"))
    assert len(view.messages) == 3
    assert view.messages is view.messages
    view.apply(token("h1", "changed"))
    assert [getattr(message, "text", None) for message in view.messages] == ["changed", None, "hello"]


IDS = st.sampled_from(["a", "b", "c"])
EVENTS = st.lists(
    st.one_of(
        st.builds(token, IDS, st.text(max_size=2)),
        st.lists(IDS, unique=True, max_size=3).map(
            lambda ids: state(*(Message("ai", id.upper(), id=id) for id in ids))
        ),
        st.just(FollowDiscard(reason="missed")),
    ),
    max_size=20,
)


@given(EVENTS)
def test_no_message_is_there_twice_and_a_view_is_the_last_state_and_what_came_since(events: Any) -> None:
    view, base, since = ThreadView(), {}, {}
    for event in events:
        view.apply(event)
        if isinstance(event, FollowMessages):
            base, since = {message.id: message.text for message in event.messages}, {}
        elif isinstance(event, FollowDiscard):
            since = {}
        else:
            since[event.message.id] = since.get(event.message.id, "") + event.message.text
    assert [(message.id, message.text) for message in view.messages] == list({**base, **since}.items())
