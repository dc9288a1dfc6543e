/**
 * What a JSON Schema asks of a person: the fields of a form.
 *
 * Understood is what pydantic and people write for inputs and answers: objects, texts, numbers, yes and no, choices,
 * lists, any of these or nothing (`anyOf` with `null`), and `$ref` into the schema. Anything else becomes a field of
 * kind `json` that says why. Nothing of a schema is evaluated as code.
 */

/** A JSON Schema, or what stands for one. */
export type Schema = { readonly [keyword: string]: unknown };

interface Common {
  readonly title: string | undefined;
  readonly description: string | undefined;
  /** Whether `null` is a value, too. */
  readonly isNullable: boolean;
  readonly hasDefault: boolean;
  readonly default: unknown;
  /** The schema behind all `$ref`s, to check a value against. */
  readonly schema: Schema;
}

/** A field of a form. */
export type Field = Common &
  (
    | { readonly kind: "text"; readonly isLong: boolean; readonly format: string | undefined }
    | { readonly kind: "number"; readonly isInteger: boolean }
    | { readonly kind: "boolean" }
    | { readonly kind: "choice"; readonly choices: readonly unknown[] }
    | { readonly kind: "list"; readonly items: Schema }
    | { readonly kind: "object"; readonly properties: readonly Property[] }
    | { readonly kind: "json"; readonly why: string }
  );

/** A key of an object. */
export interface Property {
  readonly key: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

const MAX_REFS = 16;
/** How deep forms nest; below, and where a schema refers to itself, JSON is written. */
export const MAX_DEPTH = 5;

/** Return the field for a schema; `root` is the schema that its `$ref`s lead into. */
export function fieldOf(given: unknown, root: Schema, depth = 0): Field {
  const resolved = resolve(given, root);
  if (typeof resolved === "string") return json({}, false, resolved);
  const { schema, isNullable } = withoutNull(resolved, root);
  const field = (more: object) => ({ ...commonOf(resolved, schema, isNullable), ...more }) as Field;
  const type = Array.isArray(schema.type) && schema.type.length === 1 ? schema.type[0] : schema.type;
  const choices = choicesOf(schema, root);
  if (choices) return field({ kind: "choice", choices });
  if (schema.anyOf || schema.oneOf || Array.isArray(type))
    return json(resolved, isNullable, "It may have several forms, so it is written as JSON.", schema);
  if (Array.isArray(schema.allOf) || schema.not || schema.if)
    return json(
      resolved,
      isNullable,
      "Its rules are too involved for a form, so it is written as JSON.",
      schema,
    );
  switch (type ?? (isSchema(schema.properties) ? "object" : undefined)) {
    case "string": {
      const limit = schema.maxLength;
      const isShort = schema.format !== undefined || (typeof limit === "number" && limit <= 80);
      return field({ kind: "text", isLong: !isShort, format: schema.format });
    }
    case "integer":
      return field({ kind: "number", isInteger: true });
    case "number":
      return field({ kind: "number", isInteger: false });
    case "boolean":
      return field({ kind: "boolean" });
    case "array":
      if (!isSchema(schema.items) || schema.prefixItems)
        return json(resolved, isNullable, "A list whose items are not described.", schema);
      return depth < MAX_DEPTH
        ? field({ kind: "list", items: schema.items })
        : json(resolved, isNullable, "It is nested too deep for a form.", schema);
    case "object": {
      if (!isSchema(schema.properties) || !Object.keys(schema.properties).length)
        return json(resolved, isNullable, "An object with keys of your choice.", schema);
      if (depth >= MAX_DEPTH) return json(resolved, isNullable, "It is nested too deep for a form.", schema);
      const required = Array.isArray(schema.required) ? schema.required : [];
      const properties = Object.entries(schema.properties).map(([key, of]) => ({
        key,
        schema: isSchema(of) ? of : {},
        isRequired: required.includes(key),
      }));
      return field({ kind: "object", properties });
    }
    case "null":
      return field({ kind: "choice", choices: [null] });
    default:
      return json(resolved, isNullable, "The schema does not say what it is.", schema);
  }
}

/** Return a schema behind its `$ref`s, with what stands beside each; a text says why that cannot be. */
export function resolve(given: unknown, root: Schema): Schema | string {
  let schema = isSchema(given) ? given : {};
  for (let steps = 0; steps < MAX_REFS; steps++) {
    const [only, ...more] = Array.isArray(schema.allOf) ? schema.allOf : [];
    // pydantic writes a $ref with a title or a default beside it as an `allOf` of one.
    const isWrapped = isSchema(only) && !more.length;
    if (typeof schema.$ref !== "string" && !isWrapped) return schema;
    const { $ref, allOf, ...beside } = schema;
    const target = typeof $ref === "string" ? lookup($ref, root) : only;
    if (!isSchema(target)) return `The schema refers to ${String($ref)}, which is not in it.`;
    schema = { ...target, ...(typeof $ref === "string" && allOf ? { allOf } : {}), ...beside };
  }
  return "The schema refers to itself without end.";
}

function lookup(ref: string, root: Schema): unknown {
  if (ref === "#") return root;
  if (!ref.startsWith("#/")) return undefined;
  let at: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const key = decoded(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as { [key: string]: unknown })[key];
  }
  return at;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Take `null` out of a schema: what is left, and whether there was one. */
function withoutNull(schema: Schema, root: Schema): { schema: Schema; isNullable: boolean } {
  if (Array.isArray(schema.type) && schema.type.includes("null")) {
    const type = schema.type.filter((each) => each !== "null");
    return { schema: { ...schema, type }, isNullable: true };
  }
  const word = schema.anyOf ? "anyOf" : "oneOf";
  const branches = schema[word];
  if (!Array.isArray(branches)) return { schema, isNullable: schema.nullable === true };
  const left = branches.filter((each) => !isNull(resolve(each, root)));
  const isNullable = left.length < branches.length;
  const { [word]: _, ...beside } = schema;
  const [only] = left;
  if (left.length !== 1) return { schema: { ...beside, [word]: left }, isNullable };
  const inner = resolve(only, root);
  return typeof inner === "string"
    ? { schema, isNullable }
    : { schema: { ...inner, ...titles(beside) }, isNullable };
}

/** What a person reads beside an `anyOf` wins over what its branch says. */
function titles(beside: Schema): Schema {
  const names = ["title", "description", "default"].filter((name) => name in beside);
  return Object.fromEntries(names.map((name) => [name, beside[name]]));
}

function isNull(schema: Schema | string): boolean {
  return (
    typeof schema !== "string" && (schema.type === "null" || ("const" in schema && schema.const === null))
  );
}

/** The values of an `enum` or a `const`, or of an `anyOf` of these; undefined if there is another way to choose. */
function choicesOf(schema: Schema, root: Schema): readonly unknown[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum;
  if ("const" in schema) return [schema.const];
  const branches = schema.anyOf ?? schema.oneOf;
  if (!Array.isArray(branches) || !branches.length) return undefined;
  const all = branches.map((each) => {
    const inner = resolve(each, root);
    return typeof inner === "string" || inner.anyOf || inner.oneOf ? undefined : choicesOf(inner, root);
  });
  return all.every((each) => each !== undefined) ? all.flat() : undefined;
}

function commonOf(outer: Schema, schema: Schema, isNullable: boolean): Common {
  const title = outer.title ?? schema.title;
  const description = outer.description ?? schema.description;
  return {
    title: typeof title === "string" ? title : undefined,
    description: typeof description === "string" ? description : undefined,
    isNullable,
    hasDefault: "default" in outer,
    default: outer.default,
    schema: outer,
  };
}

function json(outer: Schema, isNullable: boolean, why: string, schema: Schema = outer): Field {
  return { ...commonOf(outer, schema, isNullable), kind: "json", why };
}

/** Tell whether a value is an object, as most schemas are. */
export function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
