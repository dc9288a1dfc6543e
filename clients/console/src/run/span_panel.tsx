/** One task: what went into a node, and what came out. */

import { Json } from "../parts/json";
import { Text } from "../parts/text";
import { timeText } from "./axis";
import { useLog } from "./log";
import { NotRecorded } from "./not_recorded";
import type { Viewed } from "./page";
import { isObject, namesOf, type Span, STATE_WORDS } from "./spans";
import { useEvent } from "./use_event";

export function SpanPanel({ span, onClose, ...viewed }: Viewed & { span: Span; onClose: () => void }) {
  const { log, recorded, row } = viewed;
  useLog(log);
  const begun = log.clock.at(span.from);
  const ended = span.to === undefined ? undefined : log.clock.at(span.to);
  const place = namesOf(span.namespace);
  const isExact = recorded.modes.includes("tasks") || recorded.modes.includes("debug");
  return (
    <div className="run-span">
      <div className="run-span-head">
        <h2>
          <Text>{span.node}</Text>
        </h2>
        <button type="button" className="button" onClick={onClose}>
          All nodes
        </button>
      </div>
      <dl className="run-facts">
        <div>
          <dt>State</dt>
          <dd>
            <span className="run-dot" data-state={span.state} aria-hidden /> {STATE_WORDS[span.state]}
          </dd>
        </div>
        {place.length > 0 && (
          <div>
            <dt>In</dt>
            <dd>
              <Text>{place.join(" / ")}</Text>
            </dd>
          </div>
        )}
        {begun && ended && (
          <div>
            <dt>Took</dt>
            <dd>
              {begun.isExact && ended.isExact && !span.isInferred ? "" : "about "}
              {timeText(ended.ms - begun.ms)}
            </dd>
          </div>
        )}
        {span.retries.length > 0 && (
          <div>
            <dt>Retried</dt>
            <dd>{span.retries.length} times, after a failure</dd>
          </div>
        )}
        {span.task !== undefined && (
          <div>
            <dt>Task</dt>
            <dd>
              <code>
                <Text>{span.task}</Text>
              </code>
            </dd>
          </div>
        )}
      </dl>
      {span.error !== undefined && (
        <p className="run-span-error">
          <Text>{span.error}</Text>
        </p>
      )}
      {isExact ? (
        <Part {...viewed} title="Input" seq={span.inputSeq} field="input" />
      ) : (
        <NotRecorded modes={["tasks"]} row={row}>
          <p>Inputs of nodes are not recorded.</p>
        </NotRecorded>
      )}
      <Part
        {...viewed}
        title={isExact ? "Result" : "Update"}
        seq={span.resultSeq}
        field="result"
        node={span.node}
      />
    </div>
  );
}

interface PartProps extends Viewed {
  title: string;
  seq: number | undefined;
  field: "input" | "result";
  node?: string;
}

function Part({ title, seq, field, node, ...viewed }: PartProps) {
  const found = useEvent(viewed, seq);
  if (seq === undefined) return field === "result" ? <p className="run-soft">{title}: none yet.</p> : null;
  if (found.isLoading) return <p className="run-soft">{title}: loading…</p>;
  const { event } = found;
  if (!event) return <p className="run-soft">{title}: the server no longer has it.</p>;
  return (
    <section className="run-span-part">
      <h3>{title}</h3>
      <Json value={fieldOf("data" in event ? event.data : undefined, field, node)} open />
    </section>
  );
}

/** Return the input, the result or the update in the data of an event of mode `tasks`, `debug` or `updates`. */
function fieldOf(data: unknown, field: string, node: string | undefined): unknown {
  if (!isObject(data)) return data;
  if (field in data) return data[field];
  if (isObject(data.payload) && field in data.payload) return data.payload[field];
  return node !== undefined && node in data ? data[node] : data;
}
