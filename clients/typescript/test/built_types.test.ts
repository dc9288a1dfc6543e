/** The types as they are built, in a program that compiles as strictly as TypeScript can. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";

const PACKAGE = join(dirname(fileURLToPath(import.meta.url)), "..");
const STRICTLY: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  jsx: ts.JsxEmit.ReactJSX,
  types: [],
  noEmit: true,
};

/** The folder of the built types. It lies within the package, where the libraries are found. */
let built: string;

beforeAll(() => {
  built = mkdtempSync(join(PACKAGE, "node_modules/.built-"));
  const { config } = ts.readConfigFile(join(PACKAGE, "tsconfig.json"), ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, PACKAGE);
  const emitted = ts
    .createProgram(fileNames, {
      ...options,
      outDir: built,
      declaration: true,
      emitDeclarationOnly: true,
      noCheck: true,
    })
    .emit();
  expect(emitted.emitSkipped).toBe(false);
}, 60_000);

afterAll(() => rmSync(built, { recursive: true }));

/** Compile a program of a user; return what the compiler says of it and of the built types. */
function complaints(code: string): string[] {
  const file = join(built, "user.tsx");
  writeFileSync(file, code);
  const program = ts.createProgram([file], STRICTLY);
  const own = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(built));
  expect(own.length).toBeGreaterThan(30);
  return own
    .flatMap((source) => [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ])
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
    );
}

const IMPORTS = `
import { type ChatTransportOptions, GraphwireChatTransport } from "./ai.js";
import { type ConnectOptions, connect, type RunOptions, type ThreadRow } from "./index.js";
import { graphwireStream } from "./langchain/index.js";
import { type RunStart, useInterrupts, useMessages, useRun, useThread, useWatch } from "./react/index.js";
`;

test("what an application does not know it may leave undefined, everywhere", () => {
  const code = `${IMPORTS}
    declare const maybe: { [name in "text" | "id"]: string | undefined } & { some: number | undefined };
    export async function main(token: string | undefined, signal: AbortSignal | undefined) {
      const options: ConnectOptions = { token, window: maybe.some, silenceMs: maybe.some, onState: undefined };
      const client = connect<{ chat: { input: { text: string }; state: { answer: string } } }>("ws://a/ws", options);
      const view: RunOptions = { thread: maybe.id, checkpoint: maybe.id, signal, window: maybe.some, tags: undefined };
      const run = await client.run("chat", { text: "hi" }, view);
      await client.attach(run.id, { signal, namespaces: undefined });
      for await (const row of client.runs({ graph: maybe.id, limit: maybe.some, signal })) row.thread?.length;
      for await (const row of client.watchThreads({ search: maybe.text, thread: maybe.id, signal })) row.status;
      await client.follow("chat", "t", { window: maybe.some, key: maybe.text, signal });
      await client.state("chat", "t", { checkpoint: maybe.id, keys: undefined });
      const chat: ChatTransportOptions = { run: undefined, window: maybe.some, messagesKey: maybe.text };
      new GraphwireChatTransport(client, "chat", chat);
      graphwireStream(client, "chat", { subgraphs: undefined });
      const row: Partial<ThreadRow> = { run: maybe.id, metadata: undefined };
      return [run, row];
    }
    export function Page({ id }: { id: string | undefined }) {
      const client = connect("ws://a/ws");
      const start: RunStart = { run: "r", graph: "chat", thread: id, modes: undefined };
      const messages = useMessages(useRun(client, start));
      useThread(client, "chat", id, { modes: undefined, window: maybe.some });
      useInterrupts(client, { thread: id });
      return <p>{useWatch(client, { thread: id, progress: undefined }).rows.length + messages.length}</p>;
    }`;
  expect(complaints(code)).toEqual([]);
}, 60_000);

test("a wrong program is not accepted", () => {
  const code = `${IMPORTS}
    export const options: ConnectOptions = { window: "many" };
    export const start: RunStart = { run: undefined, graph: "chat" };`;
  expect(complaints(code)).toEqual([
    expect.stringContaining("Type 'string' is not assignable to type 'number"),
    expect.stringContaining("Type 'undefined' is not assignable to type 'string'"),
  ]);
}, 60_000);
