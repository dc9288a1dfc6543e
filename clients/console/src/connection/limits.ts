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
      max_event_bytes: "Largest event; larger parts are cut",
      max_subscriptions: "Open subscriptions",
      max_open_requests: "Open requests",
      requests_per_s: "Requests, sustained",
      request_burst: "Requests, in a burst",
      hello_timeout_s: "Time to sign in after connecting",
      state_timeout_s: "Timeout of a request about a thread",
      message_timeout_s: "Timeout of an incoming message",
      send_timeout_s: "Timeout of an outgoing message",
      heartbeat_s: "Heartbeat interval",
      disconnect_grace_s: "Grace period of a run whose page disconnects",
      max_filter_entries: "Entries in a list of a filter",
      max_pattern_chars: "Characters of such an entry",
    },
  ],
  [
    "Each run",
    {
      log_events: "Events kept; older ones become a snapshot",
      log_bytes: "Bytes kept",
      log_min_age_s: "Minimum age of a dropped event",
      log_ttl_s: "Events kept after the end",
      result_ttl_s: "Run and result kept after the end",
      interrupt_ttl_s: "Longest wait for an answer",
      max_metadata_bytes: "Largest metadata",
      max_run_events: "Events of a run, in all",
      max_run_s: "Longest run",
      max_attempts: "Attempts of a run whose server is killed",
      cancel_grace_s: "A cancelled run ends within",
    },
  ],
  ["You", { max_connections: "Open connections", max_active_runs: "Active runs" }],
  [
    "The server",
    {
      max_server_runs: "Runs at once; more are queued",
      store_bytes: "Bytes kept, of all runs",
      max_watch_runs: "Runs in a live list",
      drain_s: "Time for runs to end at shutdown",
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
