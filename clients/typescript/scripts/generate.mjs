// Writes src/protocol/frames.ts and src/protocol/tables.ts from proto-docs/schema; with --check, compares instead.
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";
import ts from "typescript";

const root = new URL("../../../", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(`proto-docs/schema/${name}.json`, root), "utf8"));
const banner = "// Written by scripts/generate.mjs from proto-docs/schema: do not edit.\n\n";

function frames() {
  const [client, server] = [read("client-frames"), read("server-frames")];
  const $defs = { ...client.$defs, ...server.$defs };
  for (const [name, file] of [
    ["Lifecycle", "lifecycle"],
    ["MessageData", "messages"],
    ["Interrupts", "interrupt"],
  ]) {
    const { $defs: parts, $schema, ...schema } = read(file);
    Object.assign($defs, parts, { [name]: schema });
  }
  $defs.ClientFrame = { oneOf: client.oneOf, description: "Every frame that a client may send." };
  $defs.ServerFrame = { oneOf: server.oneOf, description: "Every frame that a server may send." };
  const payloads = ["Lifecycle", "MessageData", "Interrupts"].map((name) => ({ $ref: `#/$defs/${name}` }));
  $defs.Payload = { oneOf: payloads, description: "The `data` of the protocol's own modes." };
  for (const [name, schema] of Object.entries($defs)) plain(schema, name);
  const whole = { title: "Wire", oneOf: [$defs.ClientFrame, $defs.ServerFrame, $defs.Payload], $defs };
  const options = { additionalProperties: false, bannerComment: "", format: true };
  return compile(whole, "Wire", { ...options, style: { printWidth: 110 } }).then(optional);
}

// Lets a field that may be left out be undefined as well, which JSON leaves out: an application may compile with
// `exactOptionalPropertyTypes`.
function optional(text) {
  const ends = [];
  const visit = (node) => {
    const { questionToken, type } = node;
    if (ts.isPropertySignature(node) && questionToken && type.kind !== ts.SyntaxKind.UnknownKeyword)
      ends.push(type.end);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("frames.ts", text, ts.ScriptTarget.Latest));
  return ends
    .sort((a, b) => b - a)
    .reduce((out, end) => `${out.slice(0, end)} | undefined${out.slice(end)}`, text);
}

// Takes out what says nothing to a type, or would make a second type of a definition that is referred to.
function plain(schema, title) {
  if (title !== undefined) schema.title = title;
  if (schema.$ref) for (const key of Object.keys(schema)) if (key !== "$ref") delete schema[key];
  if (["type", "$ref", "oneOf", "anyOf", "const", "enum", "properties"].every((key) => !(key in schema))) {
    if (title === undefined) schema.tsType = "unknown";
  }
  for (const key of ["minItems", "maxItems", "discriminator"]) delete schema[key];
  for (const part of [
    ...Object.values(schema.properties ?? {}),
    ...(schema.oneOf ?? schema.anyOf ?? []),
    ...[schema.items, schema.additionalProperties].filter((part) => part && typeof part === "object"),
  ])
    plain(part);
}

function tables() {
  const { closes, subscription, replies, modes, statuses, filter, version, limits } = read("tables");
  const all = {
    CLOSES: [closes, "Every close code: what it means, and whether a client connects again."],
    SUBSCRIPTION: [subscription, "The steps of a subscription: `state: happening` and the state after it."],
    REPLY: [replies, "The frame that answers each request if it succeeds."],
    MODES: [modes, "LangGraph's stream modes, and the protocol's own."],
    STATUSES: [statuses.all, "Every status of a run."],
    TERMINAL: [statuses.terminal, "The statuses of a run that has ended."],
    UNCONSTRAINED: [filter.unconstrained, "The modes that reach every subscription and cost no credit."],
    SUBPROTOCOL: [version.subprotocol, "What a WebSocket asks for."],
    MAX_FRAME_BYTES: [
      limits.max_frame_bytes.default,
      "What a frame of a client may take until `welcome` says.",
    ],
  };
  return Object.entries(all)
    .map(
      ([name, [value, about]]) =>
        `/** ${about} */\nexport const ${name} = ${JSON.stringify(value, null, 2)} as const;\n`,
    )
    .join("\n");
}

let stale = 0;
for (const [name, text] of [
  ["frames", await frames()],
  ["tables", tables()],
]) {
  const path = new URL(`../src/protocol/${name}.ts`, import.meta.url);
  const fresh = banner + text;
  if (!process.argv.includes("--check")) writeFileSync(path, fresh);
  else if (readFileSync(path, "utf8") !== fresh) {
    console.error(`src/protocol/${name}.ts is not what the schema says: npm run generate`);
    stale += 1;
  }
}
process.exitCode = stale ? 1 : 0;
