// Written by scripts/generate.mjs from proto-docs/schema: do not edit.

/** Every close code: what it means, and whether a client connects again. */
export const CLOSES = {
  "1000": {
    "meaning": "done",
    "reconnect": false
  },
  "1001": {
    "meaning": "going away",
    "reconnect": true
  },
  "1006": {
    "meaning": "lost",
    "reconnect": true
  },
  "1009": {
    "meaning": "a message over max_frame_bytes; only its request failed",
    "reconnect": true
  },
  "1011": {
    "meaning": "a fault of the server",
    "reconnect": true
  },
  "1012": {
    "meaning": "the server drained and restarts",
    "reconnect": true
  },
  "1013": {
    "meaning": "try again later",
    "reconnect": true
  },
  "4400": {
    "meaning": "misuse of the protocol",
    "reconnect": false
  },
  "4401": {
    "meaning": "identity missing, refused or expired: only with a new token",
    "reconnect": false
  },
  "4403": {
    "meaning": "forbidden",
    "reconnect": false
  },
  "4408": {
    "meaning": "no hello in time, or nothing taken in time",
    "reconnect": true
  },
  "4429": {
    "meaning": "too many connections or requests",
    "reconnect": true
  }
} as const;

/** The steps of a subscription: `state: happening` and the state after it. */
export const SUBSCRIPTION = {
  "gapped: closed": "ended",
  "gapped: snapshot": "replaying",
  "live: closed": "ended",
  "live: event": "live",
  "live: gap": "live_gapped",
  "live: mark": "live",
  "live_gapped: closed": "ended",
  "live_gapped: snapshot": "live",
  "replaying: closed": "ended",
  "replaying: event": "replaying",
  "replaying: gap": "gapped",
  "replaying: mark": "replaying",
  "replaying: snapshot": "replaying",
  "replaying: synced": "live",
  "requested: error": "ended",
  "requested: subscribed": "replaying",
  "requested: subscribed live": "live"
} as const;

/** The frame that answers each request if it succeeds. */
export const REPLY = {
  "cancel": "ok",
  "delete": "ok",
  "hello": "welcome",
  "list": "ok",
  "respond": "ok",
  "result": "ok",
  "run": "started",
  "state": "ok",
  "state_history": "ok",
  "state_update": "ok",
  "subscribe": "subscribed",
  "thread_update": "ok",
  "unsubscribe": "ok",
  "watch": "subscribed"
} as const;

/** LangGraph's stream modes, and the protocol's own. */
export const MODES = [
  "values",
  "updates",
  "custom",
  "messages",
  "tasks",
  "checkpoints",
  "debug",
  "interrupt",
  "lifecycle"
] as const;

/** Every status of a run. */
export const STATUSES = [
  "queued",
  "running",
  "interrupted",
  "completed",
  "failed",
  "cancelled"
] as const;

/** The statuses of a run that has ended. */
export const TERMINAL = [
  "completed",
  "failed",
  "cancelled"
] as const;

/** The modes that reach every subscription and cost no credit. */
export const UNCONSTRAINED = [
  "interrupt",
  "lifecycle"
] as const;

/** What a WebSocket asks for. */
export const SUBPROTOCOL = "graphwire.v1.json" as const;

/** What a frame of a client may take until `welcome` says. */
export const MAX_FRAME_BYTES = 1048576 as const;
