/** A form for what a JSON Schema describes. It holds nothing but texts that are not values yet. */

import { useId, useState } from "react";
import { isPlain } from "./json_value";
import { withMarks } from "./marks";
import { type Field, fieldOf, isSchema, type Property, type Schema } from "./schema";
import { check } from "./schema_check";
import { ChoiceField, Frame, JsonField, NumberField, TextField } from "./schema_field";
import { Text } from "./text";
import "./form.css";

/** What every kind of field gets. */
export interface FieldProps {
  readonly id: string;
  readonly field: Field;
  readonly label: string;
  readonly value: unknown;
  readonly isRequired: boolean;
  readonly isWrong: boolean;
  readonly describedBy: string | undefined;
  /** Called with the value, or with undefined for none: then the key is left out. */
  readonly onChange: (value: unknown) => void;
}

/**
 * The form. `value` is what it shows, `onChange` hears of each change.
 *
 * What a person typed always reaches `onChange`, also what does not fit; `check(value, schema)` says what is wrong.
 */
export function SchemaForm({
  schema,
  value,
  onChange,
}: {
  schema: Schema | undefined;
  value: unknown;
  onChange: (value: unknown) => void;
}) {
  const root = schema ?? {};
  const field = fieldOf(root, root);
  if (field.kind === "object")
    return (
      <div className="form">
        <Properties properties={field.properties} value={value} root={root} depth={0} onChange={onChange} />
      </div>
    );
  return (
    <div className="form">
      <AnyField
        name="Value"
        schema={root}
        root={root}
        depth={0}
        value={value}
        isRequired
        onChange={onChange}
      />
    </div>
  );
}

interface Nested {
  readonly root: Schema;
  readonly depth: number;
  readonly onChange: (value: unknown) => void;
  readonly value: unknown;
}

function Properties({
  properties,
  value,
  root,
  depth,
  onChange,
}: Nested & { properties: readonly Property[] }) {
  const given = isSchema(value) ? value : {};
  const others = Object.keys(given).filter((key) => !properties.some((each) => each.key === key));
  const set = (key: string, item: unknown) => {
    const { [key]: _, ...rest } = given;
    // The order of the keys stays that of the schema, so that what is sent reads like the form.
    const next = item === undefined ? rest : { ...rest, [key]: item };
    const names = [...properties.map((each) => each.key), ...others];
    onChange(
      Object.fromEntries(names.filter((name) => Object.hasOwn(next, name)).map((name) => [name, next[name]])),
    );
  };
  return (
    <>
      {properties.map((property) => (
        <AnyField
          key={property.key}
          name={property.key}
          schema={property.schema}
          root={root}
          depth={depth + 1}
          value={given[property.key]}
          isRequired={property.isRequired}
          onChange={(item) => set(property.key, item)}
        />
      ))}
      {others.length > 0 && (
        <p className="form-note">
          Sent as well, though the schema does not name it: <Text>{others.join(", ")}</Text>
        </p>
      )}
    </>
  );
}

function AnyField({
  name,
  schema,
  root,
  depth,
  value,
  isRequired,
  onChange,
}: Nested & { name: string; schema: Schema; isRequired: boolean }) {
  const id = useId();
  const [isTouched, setTouched] = useState(false);
  const field = fieldOf(schema, root, depth);
  const isMissing = value === undefined;
  const faults = isMissing ? [] : check(value, schema, root).filter((each) => !each.path);
  const reason = !isTouched ? undefined : isMissing && isRequired ? "is needed" : faults[0]?.reason;
  const label = field.title ?? name;
  const change = (item: unknown) => {
    setTouched(true);
    onChange(item);
  };
  const props: FieldProps = {
    id,
    field,
    label,
    value,
    isRequired,
    isWrong: reason !== undefined,
    describedBy: field.description || reason || field.kind === "json" ? `${id}-about` : undefined,
    onChange: change,
  };
  return (
    <Frame {...props} name={name} reason={reason} onLeave={() => setTouched(true)}>
      {value === null && field.isNullable && field.kind !== "choice" && field.kind !== "boolean" ? null : (
        <Input {...props} root={root} depth={depth} />
      )}
    </Frame>
  );
}

function Input({ root, depth, ...props }: FieldProps & { root: Schema; depth: number }) {
  const { field, value, onChange } = props;
  switch (field.kind) {
    case "text":
      return typeof value === "string" || value === undefined || value === null ? (
        <TextField {...props} />
      ) : (
        <JsonField {...props} />
      );
    case "number":
      return <NumberField {...props} />;
    case "boolean":
      return <ChoiceField {...props} choices={[true, false]} />;
    case "choice":
      return <ChoiceField {...props} choices={field.choices} />;
    case "list":
      return <List {...props} items={field.items} root={root} depth={depth} />;
    case "object":
      return value === undefined || (isSchema(value) && isPlain(value)) ? (
        <Properties
          properties={field.properties}
          value={value}
          root={root}
          depth={depth}
          onChange={onChange}
        />
      ) : (
        <JsonField {...props} />
      );
    default:
      return <JsonField {...props} />;
  }
}

function List({ items, root, depth, ...props }: FieldProps & { items: Schema; root: Schema; depth: number }) {
  const { value, onChange, label } = props;
  const list = Array.isArray(value) ? value : value instanceof Set ? [...value] : [];
  // Keys follow the items when one is removed, so that what is typed stays with its item.
  const [keys, setKeys] = useState<readonly number[]>(() => list.map((_, index) => index));
  const known = list.map((_, index) => keys[index] ?? 1_000_000 + index);
  if (value !== undefined && !Array.isArray(value) && !(value instanceof Set))
    return <JsonField {...props} />;
  const add = () => {
    setKeys([...known, Math.max(-1, ...known) + 1]);
    onChange([...list, startOf(fieldOf(items, root, depth + 1))]);
  };
  const remove = (index: number) => {
    setKeys(known.filter((_, each) => each !== index));
    const left = list.filter((_, each) => each !== index);
    onChange(left.length || props.isRequired ? left : undefined);
  };
  return (
    <div className="form-list">
      {list.map((item, index) => (
        <div key={known[index]} className="form-item">
          <AnyField
            name={`${label} ${index + 1}`}
            schema={withoutTitle(items)}
            root={root}
            depth={depth + 1}
            value={item}
            isRequired
            onChange={(next) => onChange(list.map((old, each) => (each === index ? (next ?? null) : old)))}
          />
          <button
            type="button"
            className="icon-button"
            aria-label={`Remove ${withMarks(label)} ${index + 1}`}
            onClick={() => remove(index)}
          >
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M4 4l8 8M12 4l-8 8" />
            </svg>
          </button>
        </div>
      ))}
      <button type="button" className="button" onClick={add}>
        Add to {label}
      </button>
    </div>
  );
}

/** Items of one list have one title; its number tells them apart. */
function withoutTitle({ title: _, ...schema }: Schema): Schema {
  return schema;
}

/** What a new item of a list is. */
function startOf(field: Field): unknown {
  if (field.hasDefault) return field.default;
  if (field.isNullable) return null;
  switch (field.kind) {
    case "text":
      return "";
    case "number":
      return 0;
    case "boolean":
      return false;
    case "choice":
      return field.choices[0] ?? null;
    case "list":
      return [];
    case "object":
      return {};
    default:
      return null;
  }
}

/** Return what a form for this schema starts with: the defaults of its required keys, and nothing else. */
export function startValue(schema: Schema): unknown {
  const field = fieldOf(schema, schema);
  if (field.kind !== "object") return field.hasDefault ? field.default : undefined;
  return Object.fromEntries(
    field.properties.flatMap(({ key, schema: of, isRequired }) => {
      const inner = fieldOf(of, schema, 1);
      return isRequired && inner.hasDefault ? [[key, inner.default]] : [];
    }),
  );
}
