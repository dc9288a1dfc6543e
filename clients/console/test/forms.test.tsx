/**
 * Forms, questions and trees, as a person uses them.
 *
 * @vitest-environment happy-dom
 */

import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { Refused } from "graphwire";
import { useState } from "react";
import { afterEach, expect, test } from "vitest";
import { Json } from "../src/parts/json";
import { Question } from "../src/parts/question";
import { SchemaForm } from "../src/parts/schema_form";
import { Text } from "../src/parts/text";

afterEach(cleanup);

const type = (label: RegExp | string, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });
const press = (name: RegExp | string) => fireEvent.click(screen.getByRole("button", { name }));

function Form({ schema, start, heard }: { schema: object; start: unknown; heard: unknown[] }) {
  const [value, setValue] = useState(start);
  const change = (next: unknown) => {
    heard.push(next);
    setValue(next);
  };
  return <SchemaForm schema={schema as never} value={value} onChange={change} />;
}

test("a form makes a value of what is typed, and leaves out what is empty", () => {
  const heard: unknown[] = [];
  const schema = {
    type: "object",
    properties: {
      topic: { type: "string" },
      steps: { type: "integer" },
      tags: { type: "array", items: { type: "string" } },
      at: { type: "object", properties: { city: { type: "string" } } },
    },
    required: ["topic"],
  };
  render(<Form schema={schema} start={{}} heard={heard} />);
  type(/^topic/, "cats");
  type(/^steps/, "12");
  type(/^steps/, "12x");
  expect(heard.at(-1)).toEqual({ topic: "cats", steps: "12x" });
  expect(screen.getByText(/must be a whole number/)).toBeTruthy();
  type(/^steps/, "");
  press("Add to tags");
  type(/^tags 1/, "a");
  press("Add to tags");
  type(/^tags 2/, "b");
  press("Remove tags 1");
  expect((screen.getByLabelText(/^tags 1/) as HTMLTextAreaElement).value).toBe("b");
  type(/^city/, "Rome");
  expect(heard.at(-1)).toEqual({ topic: "cats", tags: ["b"], at: { city: "Rome" } });
});

test("keys that the schema does not name stay, and are said", () => {
  const heard: unknown[] = [];
  render(
    <Form
      schema={{ type: "object", properties: { a: { type: "string" } } }}
      start={{ z: 1 }}
      heard={heard}
    />,
  );
  type(/^a/, "x");
  expect(heard.at(-1)).toEqual({ a: "x", z: 1 });
  expect(screen.getByText(/Sent as well/).textContent).toContain("z");
});

test("what may be nothing has a switch", () => {
  const heard: unknown[] = [];
  const schema = { type: "object", properties: { n: { anyOf: [{ type: "integer" }, { type: "null" }] } } };
  render(<Form schema={schema} start={{ n: 3 }} heard={heard} />);
  fireEvent.click(screen.getByRole("checkbox"));
  expect(heard.at(-1)).toEqual({ n: null });
  fireEvent.click(screen.getByRole("checkbox"));
  expect(heard.at(-1)).toEqual({});
});

const interrupt = (value: unknown, responseSchema?: object) =>
  ({ id: "q", value, namespace: [], responseSchema }) as never;

test("yes and no are buttons", () => {
  const answers: unknown[] = [];
  render(
    <Question interrupt={interrupt("Go?", { type: "boolean" })} onAnswer={(value) => answers.push(value)} />,
  );
  press("No");
  press("Yes");
  expect(answers).toEqual([false, true]);
});

test("an answer that does not fit is not sent; one that the server refuses keeps what was typed", () => {
  const answers: unknown[] = [];
  const asked = interrupt(
    { question: "Whom?" },
    { type: "object", properties: { to: { type: "string" } }, required: ["to"] },
  );
  const onAnswer = (value: unknown) => answers.push(value);
  const { rerender } = render(<Question interrupt={asked} onAnswer={onAnswer} />);
  press("Answer");
  expect(answers).toEqual([]);
  expect(screen.getByRole("alert").textContent).toContain("to is needed");
  type(/^to/, "ann");
  press("Answer");
  expect(answers).toEqual([{ to: "ann" }]);
  const errors = [{ path: "responses[0].value.to", reason: "does not fit pattern" }];
  const error = new Refused("invalid_argument", "no", "never", undefined, { errors });
  rerender(<Question interrupt={asked} onAnswer={onAnswer} error={error} />);
  expect(screen.getByRole("alert").textContent).toContain("to does not fit pattern");
  expect((screen.getByLabelText(/^to/) as HTMLTextAreaElement).value).toBe("ann");
});

test("a free answer is a text, or JSON if that is asked for", () => {
  const answers: unknown[] = [];
  render(<Question interrupt={interrupt({ question: "What?" })} onAnswer={(value) => answers.push(value)} />);
  type("Answer in words", "5");
  press("Answer");
  fireEvent.click(screen.getByRole("checkbox"));
  press("Answer");
  type("Answer in words", "{");
  press("Answer");
  expect(answers).toEqual(["5", 5]);
});

test("a tree shows what is opened, a page at a time, and never HTML", () => {
  const value = {
    list: Array.from({ length: 250 }, (_, index) => `item ${index}`),
    html: "<img src=x onerror=alert(1)>",
  };
  const { container } = render(<Json value={value} open />);
  expect(container.querySelector("img")).toBeNull();
  expect(screen.queryByText("item 0")).toBeNull();
  press(/list/);
  expect(screen.getAllByText(/^item/)).toHaveLength(100);
  press(/show 150 more/);
  expect(screen.getAllByText(/^item/)).toHaveLength(250);
});

test("what is invisible is marked, and a long text says how much more there is", () => {
  const { container } = render(<Text>{"a\u202Eb"}</Text>);
  expect(container.textContent).toBe("aU+202Eb");
  render(<Text>{"x".repeat(5000)}</Text>);
  expect(screen.getByText(/1,000 more characters/)).toBeTruthy();
});
