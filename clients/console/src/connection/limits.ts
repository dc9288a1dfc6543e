/** The limits that a server announces, in words: what each is about, and its value with its unit. */

import { sizeText } from "../parts/json_value";

/** A limit as the page shows it. */
export interface Limit {
  readonly name: string;
  readonly label: string;
  readonly value: string;
}

/** A heading, and the limits below it. */
export interface Group {
  readonly title: string;
  readonly limits: readonly Limit[];
}

const GROUPS: readonly (readonly [title: string, labels: { readonly [name: string]: string }])[] = [
  [
    "This connection",
    {
      max_frame_bytes: "Largest message to the server",
      max_event_bytes: "Largest data of one event; larger parts are cut",
      max_subscriptions: "Open subscriptions",
      max_open_requests: "Requests without a reply yet",
      requests_per_s: "Requests in the long run",
      request_burst: "Requests at once before that counts",
      hello_timeout_s: "Time to sign in after connecting",
      state_timeout_s: "Longest request about a thread",
      message_timeout_s: "Time for one message to arrive whole",
      send_timeout_s: "How long this page may read nothing",
      heartbeat_s: "Time between two signs of life",
      disconnect_grace_s: "How long a run that needs its page outlives it",
      max_filter_entries: "Entries in each list of a filter",
      max_pattern_chars: "Characters of each of them",
    },
  ],
  [
    "Each run",
    {
      log_events: "Events kept; older ones merge into a snapshot",
      log_bytes: "Bytes kept",
      log_min_age_s: "An event is kept at least",
      log_ttl_s: "Events are kept after the end for",
      result_ttl_s: "The run and its result are kept for",
      interrupt_ttl_s: "A question waits at most",
      max_metadata_bytes: "Size of the metadata",
      max_run_events: "Events that a run may make",
      max_run_s: "Time that a run may take",
      cancel_grace_s: "Cancelled at the latest after",
    },
  ],
  ["You", { max_connections: "Open connections", max_active_runs: "Runs that have not ended" }],
  [
    "The server",
    {
      max_server_runs: "Runs that execute at once; more are queued",
      store_bytes: "Bytes kept of all runs",
      max_watch_runs: "Runs that a list begins with",
      drain_s: "Time for runs to end when it stops",
    },
  ],
];

/** Return the limits in groups; those that this version does not know come last, by their own names. */
export function limitsOf(announced: { readonly [name: string]: number | null }): readonly Group[] {
  const known = new Set(GROUPS.flatMap(([, labels]) => Object.keys(labels)));
  const groups = GROUPS.map(([title, labels]) => ({
    title,
    limits: Object.entries(labels).flatMap(([name, label]) =>
      Object.hasOwn(announced, name)
        ? [{ name, label, value: valueText(name, announced[name] ?? null) }]
        : [],
    ),
  }));
  const others = Object.entries(announced)
    .filter(([name]) => !known.has(name))
    .map(([name, value]) => ({ name, label: name, value: valueText(name, value) }));
  return [...groups, { title: "Others", limits: others }].filter((group) => group.limits.length);
}

/** Return a limit’s value with the unit that its name says. */
export function valueText(name: string, value: number | null): string {
  if (value === null) return "no limit";
  if (name.endsWith("_bytes")) return sizeText(value);
  if (name === "requests_per_s") return `${value.toLocaleString("en")} a second`;
  if (name.endsWith("_s")) return secondsText(value);
  return value.toLocaleString("en");
}

const UNITS = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
] as const;

/** A round number of the largest unit that says it exactly; else seconds. */
function secondsText(seconds: number): string {
  const unit = UNITS.find(([length]) => seconds >= length && seconds % length === 0);
  if (!unit) return `${seconds.toLocaleString("en")} s`;
  const count = seconds / unit[0];
  return `${count.toLocaleString("en")} ${unit[1]}${count === 1 ? "" : "s"}`;
}
