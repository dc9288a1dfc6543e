/** The inputs of a form: a text, a number, a choice, JSON; and the frame around each, with its label and its fault. */

import { type ReactNode, useState } from "react";
import { isPlain, jsonText } from "./json_value";
import type { FieldProps } from "./schema_form";
import { Text } from "./text";

/** Label, description and fault of a field; a switch for "nothing" if null is a value. */
export function Frame({
  id,
  field,
  label,
  name,
  value,
  isRequired,
  reason,
  describedBy,
  onChange,
  onLeave,
  children,
}: FieldProps & { name: string; reason: string | undefined; onLeave: () => void; children: ReactNode }) {
  const isGroup = field.kind === "object" || field.kind === "list";
  const hasSwitch = field.isNullable && field.kind !== "choice" && field.kind !== "boolean";
  const isHidden = value === null && hasSwitch;
  const title = (
    <>
      <Text>{label}</Text>
      {isRequired ? (
        <span className="form-required" title="needed">
          <span aria-hidden="true"> *</span>
          <span className="visually-hidden"> (needed)</span>
        </span>
      ) : (
        <span className="form-optional"> optional</span>
      )}
    </>
  );
  const about = describedBy && (
    <p className="form-about" id={describedBy}>
      {field.description && <Text>{field.description}</Text>}
      {field.kind === "json" && <span> {field.why}</span>}
      {reason && <span className="form-fault"> This {reason}.</span>}
    </p>
  );
  const nothing = hasSwitch && (
    <label className="form-null">
      <input
        type="checkbox"
        checked={value === null}
        onChange={(event) => onChange(event.target.checked ? null : undefined)}
      />
      null (no value) <span className="visually-hidden">for {label}</span>
    </label>
  );
  const classes = `form-field${reason ? " form-wrong" : ""}`;
  if (isGroup || isHidden)
    return (
      <fieldset className={`${classes} form-group`} aria-describedby={describedBy}>
        <legend>{title}</legend>
        {about}
        {nothing}
        {children}
      </fieldset>
    );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only notices that its input was left
    <div className={classes} data-key={name} onBlur={onLeave}>
      <label htmlFor={id} className="form-label">
        {title}
      </label>
      {children}
      {nothing}
      {about}
    </div>
  );
}

const INPUT_TYPES: { readonly [format: string]: string } = {
  date: "date",
  email: "email",
  uri: "url",
  password: "password",
};

function inputProps({ id, isWrong, isRequired, describedBy, field }: FieldProps) {
  return {
    id,
    className: "input",
    "aria-invalid": isWrong,
    "aria-required": isRequired,
    "aria-describedby": describedBy,
    placeholder: field.hasDefault && field.default !== null ? `default: ${asText(field.default)}` : undefined,
  };
}

const asText = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** A text, in as many lines as it has. An optional one that is emptied is left out. */
export function TextField(props: FieldProps) {
  const { field, value, isRequired, onChange } = props;
  const text = typeof value === "string" ? value : "";
  const change = (next: string) => onChange(next || isRequired ? next : undefined);
  if (field.kind === "text" && !field.isLong)
    return (
      <input
        {...inputProps(props)}
        type={INPUT_TYPES[field.format ?? ""] ?? "text"}
        value={text}
        onChange={(event) => change(event.target.value)}
      />
    );
  return (
    <textarea {...inputProps(props)} rows={1} value={text} onChange={(event) => change(event.target.value)} />
  );
}

/** A number. What is no number stays as it was typed, and does not fit. */
export function NumberField(props: FieldProps) {
  const { field, value, onChange } = props;
  const [typed, setTyped] = useState<{ text: string; value: unknown }>();
  const text =
    typed && Object.is(typed.value, value)
      ? typed.text
      : value === undefined || value === null
        ? ""
        : asNumberText(value);
  const change = (next: string) => {
    const parsed = numberOf(next);
    setTyped({ text: next, value: parsed });
    onChange(parsed);
  };
  const isInteger = field.kind === "number" && field.isInteger;
  return (
    <input
      {...inputProps(props)}
      className="input input-number"
      inputMode={isInteger ? "numeric" : "decimal"}
      autoComplete="off"
      value={text}
      onChange={(event) => change(event.target.value)}
    />
  );
}

const asNumberText = (value: unknown) => (typeof value === "bigint" ? String(value) : asText(value));

/** Return the number that a text is, exactly; undefined if it is empty, and the text if it is none. */
export function numberOf(text: string): number | bigint | string | undefined {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return text;
  const number = Number(trimmed);
  if (/^[+-]?\d+$/.test(trimmed) && !Number.isSafeInteger(number)) return BigInt(trimmed.replace("+", ""));
  return Number.isFinite(number) ? number : text;
}

/** One of several values. */
export function ChoiceField({ choices, ...props }: FieldProps & { choices: readonly unknown[] }) {
  const { field, value, isRequired, onChange } = props;
  const all = field.isNullable && !choices.includes(null) ? [...choices, null] : choices;
  const at = all.findIndex(
    (each) => Object.is(each, value) || (typeof each === "object" && asText(each) === asText(value)),
  );
  const { placeholder, ...rest } = inputProps(props);
  const isOther = value !== undefined && at < 0;
  return (
    <select
      {...rest}
      value={isOther ? "other" : at < 0 ? "" : String(at)}
      onChange={({ target }) =>
        target.value === "other"
          ? undefined
          : onChange(target.value === "" ? undefined : all[Number(target.value)])
      }
    >
      {(!isRequired || at < 0) && (
        <option value="">{placeholder ?? (isRequired ? "Choose" : "not set")}</option>
      )}
      {isOther && <option value="other">{asText(value)} (not among the choices)</option>}
      {all.map((each, index) => (
        <option key={asText(each)} value={index}>
          {choiceText(each)}
        </option>
      ))}
    </select>
  );
}

/** Return a choice as a person reads it. */
export function choiceText(value: unknown): string {
  if (value === true) return "Yes";
  if (value === false) return "No";
  if (value === null) return "null";
  return asText(value) || "(empty)";
}

/** JSON. What cannot be read as JSON stays as it was typed, and is a text. */
export function JsonField(props: FieldProps) {
  const { value, onChange } = props;
  const [typed, setTyped] = useState<{ text: string; value: unknown }>();
  const isTyped = typed && Object.is(typed.value, value);
  const text = isTyped ? typed.text : value === undefined ? "" : jsonText(value);
  const fault = isTyped ? jsonFault(typed.text) : undefined;
  const change = (next: string) => {
    const parsed = jsonOf(next);
    setTyped({ text: next, value: parsed });
    onChange(parsed);
  };
  return (
    <>
      <textarea
        {...inputProps(props)}
        className="input input-json"
        rows={2}
        spellCheck={false}
        value={text}
        onChange={(event) => change(event.target.value)}
      />
      {fault && <p className="form-note">This is no JSON, so it would be sent as a text: {fault}</p>}
      {!isTyped && value !== undefined && !isPlain(value) && (
        <p className="form-note">
          It holds what JSON cannot say, such as a set or bytes: changed here, it is sent as plain JSON.
        </p>
      )}
    </>
  );
}

/** Return the value of a JSON text; undefined if it is empty, and the text itself if it is no JSON. */
export function jsonOf(text: string): unknown {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function jsonFault(text: string): string | undefined {
  if (!text.trim()) return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
