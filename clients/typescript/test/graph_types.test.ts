/**
 * What `graphwire types` writes: it compiles, whatever the schemas are, and takes the values that they describe.
 *
 * The tests are concurrent: Python writes for one while TypeScript compiles for another.
 */

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import ts from "typescript";
import { expect, test } from "vitest";
import { python } from "./gateway.js";

interface Row {
  name: string;
  description?: string;
  input_schema?: unknown;
  output_schema?: unknown;
  context_schema?: unknown;
}

const PROGRAM = `
import json, sys
from graphwire.cli.typescript import typescript_of
from graphwire_protocol.replies import GraphRow
rows = json.loads(sys.stdin.read())
text = typescript_of([GraphRow(**row, nodes=(), edges=(), modes=()) for row in rows])
sys.stdout.buffer.write(text.encode())
`;

const written = (...rows: Row[]) => python(PROGRAM, JSON.stringify(rows));

/** What the compiler has read: most of its time goes into its libraries, which do not change. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** Compile `graphs.ts`, and code beside it, as strictly as TypeScript can; return what the compiler says. */
function complaints(graphs: string, code = ""): string[] {
  const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const files = new Map([
    [file("graphs.ts"), graphs],
    [file("code.ts"), `import type * as t from "./graphs.js";\nexport type { t };\n${code}`],
  ]);
  const options: ts.CompilerOptions = {
    strict: true,
    isolatedModules: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...more) => {
    const text = files.get(name);
    if (text !== undefined) return ts.createSourceFile(name, text, version);
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, version, ...more));
    return parsed.get(name);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  // What they import is checked elsewhere.
  const found = [
    ...program.getOptionsDiagnostics(),
    ...[...files.keys()].flatMap((name) => {
      const own = program.getSourceFile(name);
      return [...program.getSyntacticDiagnostics(own), ...program.getSemanticDiagnostics(own)];
    }),
  ];
  return found.map(({ messageText, file, start = 0 }) => {
    const line = file ? file.text.slice(0, start).split("\n").length : 0;
    return `${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}: ${file?.text.split("\n")[line - 1]}`;
  });
}

const name = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "Tree",
    "Set",
    "Message",
    "__proto__",
    "constructor",
    "Graphs",
    "1",
    "*/",
    "größe",
  ),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "*/ } boom",
    "@ts-expect-error",
    "/** @ts-ignore */",
    "a\n@ts-expect-error\nb",
    "\u2028*/\r",
    "`",
  ),
);
const DEFINITIONS = ["Tree", "tree", "Set", "Message", "a/b~c", "2", "日本", "Graphs", "HumanMessage"];
const { schema } = fc.letrec((tie) => {
  const part = tie("schema") as fc.Arbitrary<unknown>;
  const parts = fc.array(part, { maxLength: 3 });
  const pointer = (key: string) => `#/$defs/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return {
    schema: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.boolean(),
      fc.constantFrom({ type: "string" }, { type: "null" }, { type: "integer" }, {}, [], 7, null),
      fc.constantFrom("#", "#/nowhere", "else.json", ...DEFINITIONS.map(pointer)).map(($ref) => ({ $ref })),
      fc.record({ anyOf: parts, description: text }),
      fc.record(
        {
          type: fc.oneof(
            fc.constantFrom("object", "array", "string", "number", "boolean", "null", "strange"),
            fc.subarray(["object", "array", "string", "integer", "null"]),
          ),
          properties: fc.oneof(fc.dictionary(name, part, { maxKeys: 4 }), fc.constant("no object")),
          required: fc.array(name, { maxLength: 3 }),
          additionalProperties: part,
          patternProperties: fc.dictionary(name, part, { maxKeys: 2 }),
          items: fc.oneof(part, parts),
          prefixItems: parts,
          minItems: fc.nat(3),
          maxItems: fc.nat(3),
          uniqueItems: fc.boolean(),
          enum: fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }),
          const: fc.jsonValue({ maxDepth: 2 }),
          anyOf: parts,
          oneOf: parts,
          allOf: parts,
          $ref: fc.constantFrom("#", ...DEFINITIONS.map(pointer)),
          format: fc.constantFrom("date-time", "binary", "duration", "*/"),
          nullable: fc.boolean(),
          description: text,
          default: fc.jsonValue({ maxDepth: 1 }),
        },
        { requiredKeys: [] },
      ),
    ),
  };
});
const document = fc
  .tuple(
    fc.array(fc.tuple(name, schema), { minLength: 3, maxLength: 5 }),
    fc.tuple(...DEFINITIONS.map(() => schema)),
  )
  .map(([properties, parts]) => ({
    type: "object",
    properties: Object.fromEntries(properties),
    $defs: Object.fromEntries(DEFINITIONS.map((key, index) => [key, parts[index]])),
  }));
const row = fc.record<Row>({
  name,
  description: text,
  input_schema: document,
  output_schema: document,
  context_schema: document,
});

test.concurrent("whatever the schemas and the names are, the types compile", async () => {
  const seed = Date.now();
  const rows = fc.uniqueArray(row, { selector: (each) => each.name, minLength: 25, maxLength: 25 });
  const [sample = []] = fc.sample(rows, { seed, numRuns: 1 });
  expect({ seed, complaints: complaints(await written(...sample)) }).toEqual({ seed, complaints: [] });
}, 60_000);

/** A schema, and a value that it describes. */
type Described = [schema: object, value: unknown];
const { described } = fc.letrec<{ described: Described }>((tie) => {
  const each = tie("described");
  return {
    described: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.string().map((text): Described => [{ type: "string" }, text]),
      fc.integer().map((number): Described => [{ type: "integer" }, number]),
      fc.jsonValue({ maxDepth: 2 }).map((value): Described => [{ const: value }, value]),
      fc.array(fc.string(), { minLength: 1 }).map((texts): Described => [{ enum: texts }, texts[0]]),
      fc.constant<Described>([{ anyOf: [{ type: "string" }, { type: "null" }] }, null]),
      fc.constant<Described>([{ $ref: "#/$defs/Tree" }, { kids: [{ kids: [] }] }]),
      each.map(([schema, value]): Described => [{ type: "array", items: schema }, [value, value]]),
      each.map(([schema, value]): Described => [{ type: ["array", "null"], items: schema }, [value]]),
      fc.tuple(each, each).map(([a, b]): Described => [{ oneOf: [a[0], b[0]] }, b[1]]),
      fc
        .tuple(each, each)
        .map(
          ([a, b]): Described => [
            { type: "array", prefixItems: [a[0], b[0]], minItems: 1, items: false },
            [a[1], b[1]],
          ],
        ),
      each.map(
        ([schema, value]): Described => [
          { type: "object", additionalProperties: schema },
          { x: value, "y-z": value },
        ],
      ),
      fc.dictionary(name, each, { noNullPrototype: true }).map(
        (fields): Described => [
          {
            type: "object",
            properties: Object.fromEntries(Object.entries(fields).map(([key, [schema]]) => [key, schema])),
            required: Object.keys(fields),
            additionalProperties: Object.keys(fields).length > 2,
          },
          Object.fromEntries(Object.entries(fields).map(([key, [, value]]) => [key, value])),
        ],
      ),
    ),
  };
});
const $defs = {
  Tree: {
    type: "object",
    properties: { kids: { type: "array", items: { $ref: "#/$defs/Tree" } } },
    required: ["kids"],
    additionalProperties: false,
  },
};

test.concurrent("a type takes the values that its schema describes", async () => {
  const seed = Date.now();
  const samples = fc.sample(described, { seed, numRuns: 150 });
  const rows = samples.map(([schema], index) => ({ name: `g${index}`, input_schema: { ...schema, $defs } }));
  const code = samples.map(([, value], index) => {
    // An object literal has a prototype where JSON has a key.
    const literal = JSON.stringify(value).replaceAll('"__proto__":', '["__proto__"]:');
    return `export const v${index}: t.Graphs["g${index}"]["input"] = ${literal};`;
  });
  expect({ seed, complaints: complaints(await written(...rows), code.join("\n")) }).toEqual({
    seed,
    complaints: [],
  });
}, 60_000);

test.concurrent("the client's generics take the types, and refuse what the schemas do not describe", async () => {
  const graphs = await python(
    `
import operator, sys
from typing import Annotated
from langchain_core.messages import AnyMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict
from graphwire.cli.typescript import typescript_of
from graphwire_protocol.replies import GraphRow
class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
graph = StateGraph(State).add_node("a", print).add_edge(START, "a").compile()
row = GraphRow(name="chat", input_schema=graph.get_input_jsonschema(), nodes=(), edges=(), modes=(),
    output_schema=graph.get_output_jsonschema())
print(typescript_of([row]))
`,
    "",
  );
  expect(graphs.split("\n").length).toBeLessThan(110);
  const code = `
    import { connect } from "../src/index.js";
    export async function main(): Promise<number> {
      const client = connect<t.Graphs>("ws://127.0.0.1:8765/ws");
      const run = await client.run("chat", { messages: [{ role: "user", content: "hi" }] });
      await client.run("chat", { messages: ["hi", ["user", "hi"], { type: "human", content: "hi" }] });
      // @ts-expect-error no such field
      await client.run("chat", { text: "hi" });
      // @ts-expect-error no such graph
      await client.run("chatt", { messages: [] });
      const { messages } = await run.result();
      const [message] = messages;
      if (message?.type === "ai") return message.tool_calls?.length ?? 0;
      if (message?.type === "tool") return message.tool_call_id.length;
      // @ts-expect-error not of every message
      message.tool_call_id.length;
      return messages.length;
    }`;
  expect(complaints(graphs, code)).toEqual([]);
}, 60_000);
