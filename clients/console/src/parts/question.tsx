/** A question of a graph, and the form of its answer. */

import type { Interrupt } from "graphwire";
import { type FormEvent, useId, useState } from "react";
import { Json } from "./json";
import { Problem } from "./problem";
import { askedOf, MAX_BUTTONS, type Way } from "./question_words";
import { fieldOf } from "./schema";
import { check, type Wrong } from "./schema_check";
import { choiceText, jsonOf } from "./schema_field";
import { SchemaForm, startValue } from "./schema_form";
import { LongText, Text } from "./text";
import "./question.css";

interface Props {
  interrupt: Interrupt;
  onAnswer: (value: unknown) => unknown;
  busy?: boolean | undefined;
  /** Why the latest answer was refused. What was typed stays. */
  error?: Error | undefined;
}

/** The question as a person reads it, and a form by its `responseSchema`. */
export function Question(props: Props) {
  return <OneQuestion key={props.interrupt.id} {...props} />;
}

function OneQuestion({
  interrupt: { value, namespace, responseSchema },
  onAnswer,
  busy = false,
  error,
}: Props) {
  const { asked, rest, whole } = askedOf(value);
  const way = wayOf(responseSchema);
  const id = useId();
  return (
    <fieldset className="question" aria-labelledby={id}>
      <div className="question-asked" id={id}>
        {asked === undefined ? <p>The graph asks for an answer.</p> : <LongText>{asked}</LongText>}
      </div>
      {namespace.length > 0 && (
        <p className="question-from">
          asked by <Text>{namespace.map((part) => part.replace(/:.*/s, "")).join(" › ")}</Text>
        </p>
      )}
      {rest.length > 0 && <Facts facts={rest} />}
      {whole !== undefined && whole !== null && <Json value={whole} open />}
      {way.kind === "buttons" ? (
        <div className="question-buttons">
          {way.choices.map((choice, index) => (
            <button
              key={choiceText(choice)}
              type="button"
              className={index ? "button" : "button button-main"}
              disabled={busy}
              onClick={() => onAnswer(choice)}
            >
              <Text>{choiceText(choice)}</Text>
            </button>
          ))}
        </div>
      ) : way.kind === "form" ? (
        <Form schema={way.schema} onAnswer={onAnswer} busy={busy} />
      ) : (
        <Free onAnswer={onAnswer} busy={busy} />
      )}
      <Problem error={error} />
    </fieldset>
  );
}

function Facts({ facts }: { facts: readonly (readonly [string, unknown])[] }) {
  return (
    <dl className="question-facts">
      {facts.map(([key, item]) => (
        <div key={key}>
          <dt>
            <Text>{key}</Text>
          </dt>
          <dd>{typeof item === "string" ? <LongText>{item}</LongText> : <Json value={item} open />}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Return how an answer with this schema is given. */
export function wayOf(schema: Interrupt["responseSchema"]): Way {
  if (!schema || !Object.keys(schema).length) return { kind: "free" };
  const field = fieldOf(schema, schema);
  const choices =
    field.kind === "boolean" ? [true, false] : field.kind === "choice" ? field.choices : undefined;
  const all = choices && field.isNullable ? [...choices, null] : choices;
  return all && all.length <= MAX_BUTTONS ? { kind: "buttons", choices: all } : { kind: "form", schema };
}

interface Answering {
  onAnswer: (value: unknown) => unknown;
  busy: boolean;
}

function Form({ schema, onAnswer, busy }: Answering & { schema: NonNullable<Interrupt["responseSchema"]> }) {
  const [value, setValue] = useState<unknown>(() => startValue(schema));
  const [wrong, setWrong] = useState<readonly Wrong[]>([]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = value === undefined ? [{ path: "", reason: "is needed" }] : check(value, schema);
    setWrong(found);
    if (!found.length) onAnswer(value);
  };
  return (
    <form onSubmit={submit} noValidate>
      <SchemaForm schema={schema} value={value} onChange={setValue} />
      {wrong.length > 0 && (
        <ul className="form-faults" role="alert">
          {wrong.slice(0, 8).map(({ path, reason }) => (
            <li key={`${path} ${reason}`}>
              {path ? <code>{path}</code> : "The answer"} {reason}.
            </li>
          ))}
        </ul>
      )}
      <button type="submit" className="button button-main" disabled={busy}>
        {busy ? "Sending…" : "Answer"}
      </button>
    </form>
  );
}

/** An answer without a schema: yes, no, or what is written, as text or as JSON. */
function Free({ onAnswer, busy }: Answering) {
  const [text, setText] = useState("");
  const [asJson, setAsJson] = useState(false);
  const id = useId();
  const isWrong = asJson && text.trim() !== "" && typeof jsonOf(text) === "string" && !/^\s*"/.test(text);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text && !isWrong) onAnswer(asJson ? jsonOf(text) : text);
  };
  return (
    <form className="question-free" onSubmit={submit}>
      <div className="question-buttons">
        <button type="button" className="button button-main" disabled={busy} onClick={() => onAnswer(true)}>
          Yes
        </button>
        <button type="button" className="button" disabled={busy} onClick={() => onAnswer(false)}>
          No
        </button>
        <span className="question-or">or</span>
        <label className="visually-hidden" htmlFor={id}>
          Answer in words
        </label>
        <textarea
          id={id}
          className={asJson ? "input input-json" : "input"}
          rows={1}
          placeholder={asJson ? '{"key": "value"}' : "in words"}
          value={text}
          aria-invalid={isWrong}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            event.currentTarget.form?.requestSubmit();
          }}
        />
        <button type="submit" className="button" disabled={busy || !text || isWrong}>
          {busy ? "Sending…" : "Answer"}
        </button>
      </div>
      <label className="question-json">
        <input type="checkbox" checked={asJson} onChange={(event) => setAsJson(event.target.checked)} />
        send as JSON
        {isWrong && <span className="form-fault"> This is not valid JSON yet.</span>}
      </label>
    </form>
  );
}
