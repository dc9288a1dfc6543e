"""TypeScript's types of schemas, without a server; that they compile is for `clients/typescript/test/`.

About `clients/python/graphwire/cli/typescript.py`, `clients/python/graphwire/cli/type_expressions.py` and
`clients/python/graphwire/cli/message_types.py`.
"""

import time
from typing import Any

import pytest
from graphwire.cli.message_types import DECLARATIONS
from graphwire.cli.type_expressions import MAX_DEPTH, MAX_MEMBERS
from graphwire.cli.typescript import declared, typescript_of
from graphwire_protocol.replies import GraphRow
from hypothesis import given
from hypothesis import strategies as st


def row(name: str = "g", input: Any = None, state: Any = None, context: Any = None, **more: Any) -> GraphRow:
    schemas = {"input_schema": input, "output_schema": state, "context_schema": context}
    return GraphRow(name=name, nodes=(), edges=(), modes=(), **schemas, **more)


def type_of(schema: dict[str, Any], **definitions: Any) -> str:
    """The expression for a schema of an input."""
    text = declared(typescript_of([row(input={**schema, "$defs": definitions})]))["GInput"]
    return (
        text.partition("=")[2].strip().removesuffix(";") if " = " in text else text.partition(" ")[2].strip()
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "unknown"),
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null", "number"]}, "string | number | null"),
        ({"type": "string", "nullable": True}, "string | null"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string | null"),
        ({"anyOf": [{}, {"type": "string"}]}, "unknown"),
        ({"const": "a"}, '"a"'),
        ({"enum": ["b", 1, None, True, "\u2028"]}, '"b" | 1 | true | "\\u2028" | null'),
        ({"enum": [2**60]}, "number"),
        ({"const": {"a": [1]}}, "{ a: [1] }"),
        ({"type": "array"}, "unknown[]"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "Set<string>"),
        (
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "null"}],
                "minItems": 2,
                "maxItems": 2,
            },
            "[string, null]",
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "[string?, ...unknown[]]"),
        ({"type": "array", "items": [{"type": "string"}], "additionalItems": False}, "[string?]"),
        ({"type": "array", "items": {"required": ["a"]}}, "{\n  a: unknown;\n}[]"),
        ({"type": "object"}, "{ [key: string]: unknown }"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "{ [key: string]: number }"),
        ({"type": "object", "patternProperties": {"^a": {"type": "number"}}}, "{ [key: string]: number }"),
        ({"type": "string", "format": "binary"}, "Uint8Array"),
        ({"type": "string", "format": "date-time"}, "string | Date"),
        ({"$ref": "elsewhere.json"}, "unknown"),
        ({"$ref": "#/$defs/none"}, "unknown"),
        ({"$ref": "#anchor"}, "unknown"),
        ({"type": "strange"}, "unknown"),
        ({"type": 7, "anyOf": "x", "enum": "y", "properties": []}, "{ [key: string]: unknown }"),
    ],
)
def test_a_schema_is_the_type_of_what_it_describes(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema) == expected


def test_fields_are_optional_unless_required_and_say_what_they_are() -> None:
    fields = {
        "a": {"type": "string", "description": "What */ it\nis. @ts-ignore", "format": "uuid"},
        "b c": {"type": "integer", "default": 3},
        "große": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "\u202e": {"type": "object", "properties": {"x": {}}, "additionalProperties": True},
    }
    assert type_of({"type": "object", "properties": fields, "required": ["a", "d"]}).splitlines() == [
        "interface GInput {",
        "  /**",
        "   * What * / it",
        "   * is. @ ts-ignore",
        "   * Format: uuid.",
        "   */",
        "  a: string;",
        "  /** Default: 3. */",
        '  "b c"?: number;',
        '  "große"?: string | null;',
        '  "\\u202e"?: {',
        "    x?: unknown;",
        "    [key: string]: unknown;",
        "  };",
        "  d: unknown;",
        "}",
    ]


def test_a_definition_may_contain_itself_but_not_be_itself() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}, {"type": "null"}]}
    text = typescript_of(
        [row(input={"oneOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}], "$defs": {"Tree": tree}})]
    )
    assert "export type GInput = Tree | null;" in text
    assert "export interface Tree {\n  kids?: Tree[];\n}" in text
    assert type_of({"$ref": "#/$defs/Loop"}, Loop=loop) == "unknown"
    assert type_of({"type": "array", "items": {"$ref": "#/$defs/Loop"}}, Loop=loop) == "Loop[]"
    assert type_of({"type": "array", "items": {"$ref": "#"}}) == "GInput[]"


def shaped(*fields: str) -> dict[str, Any]:
    return {"type": "object", "properties": {field: {"type": "string"} for field in fields}}


def test_what_graphs_share_is_declared_once_and_what_differs_has_its_own_name() -> None:
    def of(*fields: str, inner: str = "string") -> dict[str, Any]:
        holder = {"type": "object", "properties": {"in": {"$ref": "#/$defs/In"}}}
        properties = {"h": {"$ref": "#/$defs/Holder"}, "p": {"$ref": "#/$defs/Part"}}
        definitions = {"Part": shaped(*fields), "Holder": holder, "In": {"type": inner}}
        return {"type": "object", "properties": properties, "$defs": definitions}

    text = typescript_of([row("a", of("x"), of("x")), row("b", of("x")), row("c", of("y", inner="number"))])
    graphs = ["Graphs", "AInput", "AState", "BInput", "CInput"]
    assert list(declared(text))[1:] == [
        *graphs,
        "Holder",
        "HolderInput",
        "In",
        "InInput",
        "Part",
        "PartInput",
    ]
    assert "in?: InInput;" in declared(text)["HolderInput"]
    assert "h?: HolderInput;\n  p?: PartInput;" in declared(text)["CInput"]
    assert "h?: Holder;\n  p?: Part;" in declared(text)["BInput"]


def test_names_are_of_typescript_and_not_taken_twice() -> None:
    schema = {"type": "object", "properties": {"s": {"$ref": "#/$defs/Set"}}, "$defs": {"Set": shaped("x")}}
    names = ["a-b", "a_b", "日本", "1", "Graphs"]
    text = typescript_of([row(name, schema) for name in names])
    found = list(declared(text))
    assert len(found) == len(set(found)) == 8
    assert {"ABInput", "ABInput2", "TypeInput", "Type1Input", "GraphsInput", "SetInput"} <= set(found)
    assert '"a-b": { input: ABInput; state: unknown };' in text
    assert '"日本": { input: TypeInput; state: unknown };' in text


def message(kind: str) -> dict[str, Any]:
    fields = ("content", "type", "additional_kwargs", "response_metadata", "id")
    return {"title": kind, **shaped(*fields)}


def test_messages_are_a_short_type_and_inputs_are_lenient() -> None:
    definitions = {kind: message(kind) for kind in ("AIMessage", "HumanMessage", "HumanMessageChunk")}
    any_of = {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in definitions]}
    schema = {
        "type": "object",
        "properties": {
            "all": {"type": "array", "items": any_of},
            "last": {"$ref": "#/$defs/AIMessage"},
            "maybe": {"anyOf": [{"$ref": "#/$defs/AIMessage"}, {"type": "null"}]},
            "said": {"oneOf": [{"$ref": "#/$defs/HumanMessage"}, {"$ref": "#/$defs/HumanMessageChunk"}]},
        },
        "$defs": definitions,
    }
    text = typescript_of([row(input=schema, state=schema)])
    assert "all?: MessageInput[];\n  last?: AIMessage;" in declared(text)["GInput"]
    assert (
        "all?: Message[];\n  last?: AIMessage;\n  maybe?: AIMessage | null;\n  said?: HumanMessage;" in text
    )
    assert text.count(DECLARATIONS) == 1
    assert "export interface Message {" not in text


def test_a_class_of_the_users_own_is_not_taken_for_a_message() -> None:
    definitions = {"Message": shaped("x"), "HumanMessage": shaped("content")}
    references = [{"$ref": f"#/$defs/{name}"} for name in definitions]
    assert type_of({"anyOf": references}, **definitions) == "Message | HumanMessage"


def test_without_a_schema_there_is_a_remark() -> None:
    text = typescript_of(
        [row("a", description="Greets.\n\n*/"), row("b", {"type": "string"}, {"type": "string"})]
    )
    assert (
        "   * Greets.\n   *\n   * * /\n   * The server has no schema of its input or state.\n   */\n" in text
    )
    assert "  a: { input: unknown; state: unknown };\n  b: { input: BInput; state: BState };\n" in text


def test_the_order_of_the_graphs_does_not_matter() -> None:
    rows = [
        row(name, {"type": "array", "items": {"$ref": "#/$defs/P"}, "$defs": {"P": shaped(name)}})
        for name in "cab"
    ]
    assert (
        typescript_of(rows)
        == typescript_of(rows[::-1])
        == typescript_of(sorted(rows, key=lambda row: row.name))
    )


def test_a_deep_or_wide_schema_is_bounded() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"type": "array", "items": deep}
    assert type_of(deep) == "unknown" + "[]" * (MAX_DEPTH + 1)
    many = [f"v{number}" for number in range(MAX_MEMBERS + 1)]
    assert type_of({"enum": [*many, 1]}) == "string | number"
    assert type_of({"anyOf": [{"const": value} for value in many]}) == "unknown"
    wide = {"enum": many[:30]}
    both = {"allOf": [{"$ref": "#/$defs/W"}, {"$ref": "#/$defs/V"}]}
    assert (
        type_of(both, W=wide, V={"enum": many[100:140]}) == "unknown"
    )  # 1,200 members, were they written out
    assert type_of(both, W=wide, V={"enum": many[:10]}) == "W & V"


def test_a_chain_of_names_and_thousands_of_definitions_take_no_time() -> None:
    chain = {f"D{number}": {"$ref": f"#/$defs/D{number + 1}"} for number in range(2_000)}
    parts = {
        f"P{number}": {"type": "array", "items": {"$ref": f"#/$defs/P{number + 1}"}}
        for number in range(2_000)
    }
    properties = {"a": {"$ref": "#/$defs/D0"}, "b": {"$ref": "#/$defs/P0"}}
    began = time.process_time()
    text = typescript_of(
        [row(input={"type": "object", "properties": properties, "$defs": {**chain, **parts}})] * 1
    )
    assert time.process_time() - began < 10
    assert "b?: P0;" in text
    assert len(text) < 200_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "items", "properties", "enum", "const", "$ref", "$defs", "anyOf", "allOf", "x"]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["#", "#/$defs/x", "object", "array"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), JSON))
def test_no_schema_is_a_fault(schema: dict[str, Any]) -> None:
    text = typescript_of([row(input=schema)])
    text.encode()
    assert text == typescript_of([row(input=schema)])
