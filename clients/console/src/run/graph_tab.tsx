/** The graph with its nodes lit, the nodes as a list, and when each worked. */

import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import { Text } from "../parts/text";
import type { Drawn } from "./layout";
import { useLog } from "./log";
import { NotRecorded } from "./not_recorded";
import type { Viewed } from "./page";
import { SpanPanel } from "./span_panel";
import { type NodeState, pathOfNames, type Span, STATE_WORDS, shownState } from "./spans";
import { Waterfall } from "./waterfall";

const Drawing = lazy(() => import("./drawing"));

export function GraphTab(viewed: Viewed) {
  const { log, graph, recorded, row } = viewed;
  const version = useLog(log);
  const [chosen, choose] = useState<{ path?: string | undefined; span?: Span | undefined }>({});
  const { activity } = log;
  const hasNothing =
    !activity.isExact && !["updates", "messages"].some((mode) => recorded.modes.includes(mode as never));
  // Every node that works is seen in these modes; in others, one that says nothing is not.
  const isSeen = activity.isExact || recorded.modes.includes("updates");
  const isDeepSeen = isSeen && recorded.subgraphs;
  const isRecorded = useCallback(
    (names: readonly string[]) => (names.length > 1 ? isDeepSeen : isSeen),
    [isSeen, isDeepSeen],
  );
  // The map is one object for ever; a new one each time lets what is made of it be kept until it changes.
  // The version says when the nodes have changed.
  const nodes = useMemo(() => new Map(activity.nodes), [activity, version]);
  return (
    <div className="run-graph">
      <section className="run-drawing" aria-label="The graph">
        {graph ? (
          graph.nodes.length ? (
            <Suspense fallback={<p className="run-loading">Drawing…</p>}>
              <Drawing
                graph={graph}
                nodes={nodes}
                isRecorded={isRecorded}
                chosen={chosen.path}
                onChoose={(path) => choose({ path })}
              />
            </Suspense>
          ) : (
            <p className="run-missing">This graph is a function, so the server does not know its nodes.</p>
          )
        ) : (
          <p className="run-loading" aria-busy="true">
            Loading the graph…
          </p>
        )}
      </section>
      <aside className="run-side" aria-label={chosen.span ? "One task" : "Nodes"}>
        {chosen.span ? (
          <SpanPanel span={chosen.span} {...viewed} onClose={() => choose({ path: chosen.span?.path })} />
        ) : (
          <NodeList
            graph={graph}
            nodes={nodes}
            isRecorded={isRecorded}
            chosen={chosen.path}
            spans={activity.spans}
            onChoose={(path) => choose({ path: path === chosen.path ? undefined : path })}
            onSpan={(span) => choose({ path: span.path, span })}
          />
        )}
      </aside>
      <section className="run-waterfall" aria-label="Timeline of the nodes">
        {hasNothing && !recorded.modes.includes("custom") ? (
          <NotRecorded modes={["tasks"]} row={row}>
            <p>This run records no events of its nodes, so it is unknown which nodes ran and when.</p>
          </NotRecorded>
        ) : (
          <>
            <Waterfall
              {...viewed}
              chosen={chosen.span}
              onChoose={(span) => choose({ path: span.path, span })}
            />
            <How {...viewed} />
          </>
        )}
      </section>
    </div>
  );
}

/** How exact all this is, and what would make it more so. */
function How({ log, recorded, row, graph }: Viewed) {
  const isBlind = !recorded.subgraphs && !!graph?.subgraphs?.length;
  if (log.activity.isExact && !isBlind) return null;
  return (
    <details className="run-how">
      <summary>{log.activity.isExact ? "Subgraphs are not recorded." : "Start times are inferred."}</summary>
      {!log.activity.isExact && (
        <NotRecorded modes={["tasks"]} subgraphs={isBlind} row={row}>
          <p>
            This run does not record mode <code>tasks</code>, which says when each node begins and ends, with
            its input and result. So a node is shown as starting when the step before it ended, and as ending
            with its update.
            {isBlind && " Its subgraphs are not recorded."}
          </p>
        </NotRecorded>
      )}
      {log.activity.isExact && isBlind && (
        <NotRecorded modes={[]} subgraphs row={row}>
          <p>What happens inside this graph’s subgraphs is not recorded.</p>
        </NotRecorded>
      )}
    </details>
  );
}

// ── the nodes as a list ────────────────────────────────────────────────────────────────────────

interface NodeListProps {
  graph: Drawn | undefined;
  nodes: ReadonlyMap<string, NodeState>;
  isRecorded: (names: readonly string[]) => boolean;
  chosen: string | undefined;
  spans: readonly Span[];
  onChoose: (path: string) => void;
  onSpan: (span: Span) => void;
}

const MOST_SHOWN = 50;

function NodeList({ graph, nodes, isRecorded, chosen, spans, onChoose, onSpan }: NodeListProps) {
  const listed = useMemo(() => (graph ? namesOfAll(graph) : []), [graph]);
  const known = new Set(listed.map((names) => pathOfNames(names)));
  const others = [...nodes.values()].filter(({ path }) => !known.has(path)).map(({ names }) => names);
  return (
    <>
      <h2>Nodes</h2>
      <ul className="run-nodes">
        {[...listed, ...others].map((names) => {
          const path = pathOfNames(names);
          const node = nodes.get(path);
          const state = shownState(node, isRecorded(names));
          const isChosen = path === chosen;
          const own = isChosen ? spans.filter((span) => span.path === path) : [];
          return (
            <li key={path}>
              <button
                type="button"
                className="run-node-row"
                data-state={state}
                data-depth={Math.min(names.length - 1, 5)}
                aria-expanded={isChosen}
                onClick={() => onChoose(path)}
              >
                <span className="run-dot" data-state={state} aria-hidden />
                <span className="run-node-name">
                  <Text>{names.at(-1) ?? ""}</Text>
                </span>
                <span className="run-node-state">
                  {STATE_WORDS[state]}
                  {node && node.times > 1 && `, ${node.times} times`}
                  {node?.running && node.times > 1 ? `, ${node.running} now` : ""}
                </span>
              </button>
              {isChosen && own.length > 0 && (
                <ul className="run-node-spans">
                  {own.slice(-MOST_SHOWN).map((span, index) => (
                    <li key={span.key}>
                      <button type="button" onClick={() => onSpan(span)}>
                        <span className="run-dot" data-state={span.state} aria-hidden /> task{" "}
                        {Math.max(own.length - MOST_SHOWN, 0) + index + 1}: {STATE_WORDS[span.state]}
                      </button>
                    </li>
                  ))}
                </ul>
              )}
              {isChosen && !own.length && <p className="run-soft run-node-spans">Not run in this run.</p>}
            </li>
          );
        })}
      </ul>
      {!listed.length && !others.length && <p className="run-soft">No nodes known yet.</p>}
    </>
  );
}

function namesOfAll(graph: Drawn, above: readonly string[] = []): string[][] {
  return graph.nodes
    .filter((node) => !node.startsWith("__"))
    .flatMap((node) => {
      const names = [...above, node];
      const subgraph = graph.subgraphs?.find((each) => each.node === node);
      return [names, ...(subgraph ? namesOfAll(subgraph, names) : [])];
    });
}
