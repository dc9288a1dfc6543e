/** What attaches to a run, and what starts it again: as a command line, in Python, in TypeScript. */

import {
  CannotWrite,
  pythonValue,
  pythonWord,
  shellJson,
  shellWord,
  typescriptValue,
  typescriptWord,
} from "./quoting";

/** The run, as far as it matters to somebody who types. */
export interface Subject {
  readonly url: string;
  /** Whether the server asks who one is. */
  readonly hasToken: boolean;
  readonly run: string;
  readonly graph: string | undefined;
  readonly modes: readonly string[];
  readonly subgraphs: boolean;
}

/** How the run is started again. */
export interface Again {
  readonly input: unknown;
  readonly thread: string | undefined;
  readonly checkpoint: string | undefined;
}

export type Language = "shell" | "python" | "typescript";

/** A text to copy, or why there is none. */
export type Written = { readonly text: string } | { readonly problem: string };

/** The modes that a command can name: the others come by themselves. */
const NAMED = ["values", "updates", "messages", "custom", "tasks", "checkpoints", "debug"];

/** Return what attaches to the run. */
export function attaching(subject: Subject, language: Language): Written {
  const modes = NAMED.filter((mode) => subject.modes.includes(mode));
  return writing(() => {
    if (language === "shell") {
      const view = [...modes.map((mode) => `-m ${mode}`), ...(subject.subgraphs ? ["-N '**'"] : [])];
      return line(subject, ["graphwire attach", ...view, place(subject), ...words([subject.run])]);
    }
    // By default a client asks for what the run records.
    const view: Field[] = modes.length ? [["modes", modes]] : [];
    if (subject.subgraphs) view.push(["namespaces", [["**"]]]);
    if (language === "python")
      return python(subject, `run = await client.attach(${pythonWord(subject.run)}${pythonFields(view)})`);
    return typescript(
      subject,
      `const run = await client.attach(${typescriptWord(subject.run)}${objectOf(view)});`,
    );
  });
}

/** Return what starts the run again, under a new id. */
export function starting(subject: Subject, again: Again, language: Language): Written {
  const modes = NAMED.filter((mode) => subject.modes.includes(mode));
  const { graph } = subject;
  const { input, thread, checkpoint } = again;
  return writing(() => {
    if (graph === undefined) throw new CannotWrite("the name of the graph is not known");
    if (language === "shell") {
      const view = [...modes.map((mode) => `-m ${mode}`), ...(subject.subgraphs ? ["-N '**'"] : [])];
      const where = [
        ...(thread === undefined ? [] : [option("--thread", thread)]),
        ...(checkpoint === undefined ? [] : [option("--checkpoint", checkpoint)]),
      ];
      const given = input === undefined ? [] : [shellJson(input)];
      const isOption = graph.startsWith("-") || given.some((word) => word.startsWith("-"));
      return line(subject, [
        "graphwire run",
        ...view,
        ...where,
        place(subject),
        ...(isOption ? ["--"] : []),
        shellWord(graph),
        ...given,
      ]);
    }
    // Of a run that records nothing there is nothing to name: the client’s own choice shows something.
    const fields: Field[] = modes.length ? [["modes", modes]] : [];
    if (subject.subgraphs) fields.push(["namespaces", [["**"]]]);
    if (thread !== undefined) fields.push(["thread", thread]);
    if (checkpoint !== undefined) fields.push(["checkpoint", checkpoint]);
    if (language === "python") {
      const call = `${pythonWord(graph)}, ${pythonValue(input)}${pythonFields(fields)}`;
      return python(subject, `run = await client.run(${call})`);
    }
    const given = input === undefined ? "undefined" : typescriptValue(input);
    return typescript(
      subject,
      `const run = await client.run(${typescriptWord(graph)}, ${given}${objectOf(fields)});`,
    );
  });
}

type Field = [name: string, value: unknown];

function writing(write: () => string): Written {
  try {
    return { text: write() };
  } catch (error) {
    if (error instanceof CannotWrite) return { problem: error.message };
    throw error;
  }
}

// ── a command line ─────────────────────────────────────────────────────────────────────────────

function line({ hasToken }: Subject, parts: string[]): string {
  const command = parts.filter(Boolean).join(" ");
  return hasToken ? `# GRAPHWIRE_TOKEN holds your token\n${command}` : command;
}

function place({ url }: Subject): string {
  return option("--url", url);
}

/** An option with its value in one word: so the value may begin with a dash. */
function option(name: string, value: string): string {
  const word = shellWord(value);
  return value.startsWith("-") ? `${name}=${word}` : `${name} ${word}`;
}

function words(all: string[]): string[] {
  return all.some((each) => each.startsWith("-")) ? ["--", ...all.map(shellWord)] : all.map(shellWord);
}

// ── Python, TypeScript ─────────────────────────────────────────────────────────────────────────

function pythonFields(fields: Field[]): string {
  return fields.map(([name, value]) => `, ${name}=${pythonValue(value)}`).join("");
}

function objectOf(fields: Field[]): string {
  return `, {\n${fields.map(([name, value]) => `  ${name}: ${typescriptValue(value)},\n`).join("")}}`;
}

function python({ url, hasToken }: Subject, call: string): string {
  const token = hasToken ? ', token=os.environ["GRAPHWIRE_TOKEN"]' : "";
  return `import asyncio
${hasToken ? "import os\n" : ""}
import graphwire


async def main():
    async with graphwire.connect(${pythonWord(url)}${token}) as client:
        ${call}
        async for event in run:
            print(event)


asyncio.run(main())
`;
}

function typescript({ url, hasToken }: Subject, call: string): string {
  const token = hasToken ? ", { token: process.env.GRAPHWIRE_TOKEN }" : "";
  return `import { connect } from "graphwire";

const client = connect(${typescriptWord(url)}${token});
${call}
for await (const event of run) console.log(event);
client.close();
`;
}
