/** JSON objects as untrusted data: a key such as `__proto__` or `constructor` is a key like any other. */

/** An object as it was parsed. */
export type JsonObject = { [key: string]: unknown };

/** Tell whether a value is an object, and neither a list nor null. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Tell whether an object has a key of its own. */
export const has: (object: object, key: string) => boolean = Object.hasOwn;
