/** The graph as a picture: pan, zoom, open and close subgraphs. It is loaded when it is first needed. */

import {
  Background,
  BaseEdge,
  Controls,
  type Edge,
  type EdgeProps,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  type ReactFlowInstance,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { createContext, type KeyboardEvent, useContext, useEffect, useMemo, useRef, useState } from "react";
import { withMarks } from "../parts/marks";
import { Text } from "../parts/text";
import {
  type Direction,
  type Drawn,
  layoutOf,
  type PlacedEdge,
  type PlacedNode,
  pathThrough,
  subgraphPaths,
} from "./layout";
import { type NodeState, STATE_WORDS, shownState } from "./spans";

interface Props {
  graph: Drawn;
  nodes: ReadonlyMap<string, NodeState>;
  /** Whether a node that works would be seen. */
  isRecorded: (names: readonly string[]) => boolean;
  chosen: string | undefined;
  onChoose: (path: string) => void;
}

/** What the nodes read, so that lighting one lays out nothing. */
interface Lit {
  readonly nodes: ReadonlyMap<string, NodeState>;
  readonly isRecorded: (names: readonly string[]) => boolean;
  readonly chosen: string | undefined;
  readonly onChoose: (path: string) => void;
  readonly onToggle: (path: string) => void;
}

const LitContext = createContext<Lit | undefined>(undefined);

type PlacedData = { placed: PlacedNode };
type RoutedData = { points: PlacedEdge["points"] };

const NODE_TYPES = { placed: PlacedView };
const EDGE_TYPES = { routed: RoutedView };
/** Small graphs are shown with their subgraphs open. */
const OPEN_UP_TO = 24;
const NARROW = 640;
const STEP = 60;

export default function Drawing({ graph, nodes, isRecorded, chosen, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const flow = useRef<ReactFlowInstance<Node<PlacedData>, Edge<RoutedData>>>(undefined);
  const [open, setOpen] = useState<ReadonlySet<string>>(() => openAtFirst(graph));
  const direction = useDirection(box);
  const layout = useMemo(
    () => direction && layoutOf(graph, (path) => open.has(path), direction),
    [graph, open, direction],
  );
  const flowNodes = useMemo(() => (layout ? layout.nodes.map(flowNode) : []), [layout]);
  const flowEdges = useMemo(() => (layout ? layout.edges.map(flowEdge) : []), [layout]);
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const fit = { padding: 0.08, maxZoom: 1.25, duration: isCalm ? 0 : 200 };
  // Another layout is fitted anew.
  useEffect(() => {
    const frame = requestAnimationFrame(() => flow.current?.fitView(fit));
    return () => cancelAnimationFrame(frame);
  }, [layout]);
  const lit = useMemo<Lit>(
    () => ({
      nodes,
      isRecorded,
      chosen,
      onChoose,
      onToggle: (path) =>
        setOpen((paths) => {
          const next = new Set(paths);
          if (!next.delete(path)) next.add(path);
          return next;
        }),
    }),
    [nodes, isRecorded, chosen, onChoose],
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const now = flow.current;
    if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
    const { x, y, zoom } = now.getViewport();
    const moves: { [key: string]: [number, number] } = {
      ArrowLeft: [STEP, 0],
      ArrowRight: [-STEP, 0],
      ArrowUp: [0, STEP],
      ArrowDown: [0, -STEP],
    };
    const move = moves[event.key];
    if (move) now.setViewport({ x: x + move[0], y: y + move[1], zoom });
    else if (event.key === "+" || event.key === "=") now.zoomIn();
    else if (event.key === "-") now.zoomOut();
    else if (event.key === "0") now.fitView(fit);
    else return;
    event.preventDefault();
  };
  const label = "Picture of the graph. Arrow keys move it, plus and minus zoom, 0 fits it.";
  return (
    // biome-ignore lint/a11y/useSemanticElements: a picture that is moved by keys is no fieldset
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it is moved by keys
    <div className="run-flow" ref={box} role="group" aria-label={label} tabIndex={0} onKeyDown={onKeyDown}>
      <LitContext value={lit}>
        {layout && (
          <ReactFlow
            nodes={flowNodes}
            edges={flowEdges}
            nodeTypes={NODE_TYPES}
            edgeTypes={EDGE_TYPES}
            onInit={(instance) => {
              flow.current = instance;
            }}
            fitView
            fitViewOptions={fit}
            minZoom={0.1}
            maxZoom={2}
            nodesDraggable={false}
            nodesConnectable={false}
            nodesFocusable={false}
            edgesFocusable={false}
            elementsSelectable={false}
            disableKeyboardA11y
            preventScrolling={direction === "LR"}
          >
            <Background gap={20} size={1} />
            <Controls showInteractive={false} fitViewOptions={fit} />
          </ReactFlow>
        )}
      </LitContext>
      <Legend />
    </div>
  );
}

function Legend() {
  return (
    <ul className="run-legend" aria-hidden>
      {(["running", "waiting", "done", "failed"] as const).map((state) => (
        <li key={state}>
          <span className="run-dot" data-state={state} /> {STATE_WORDS[state]}
        </li>
      ))}
      <li>
        <svg width="22" height="8" aria-hidden>
          <path d="M0,4 H22" className="run-edge run-edge-conditional" />
        </svg>{" "}
        conditional
      </li>
    </ul>
  );
}

function openAtFirst(graph: Drawn): ReadonlySet<string> {
  const count = (each: Drawn): number =>
    each.nodes.length + (each.subgraphs ?? []).reduce((sum, below) => sum + count(below), 0);
  return new Set(count(graph) <= OPEN_UP_TO ? subgraphPaths(graph) : []);
}

/** A wide picture runs from left to right, a narrow one downwards. */
function useDirection(box: { readonly current: HTMLElement | null }): Direction | undefined {
  const [direction, setDirection] = useState<Direction>();
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry && entry.contentRect.width > 0) setDirection(entry.contentRect.width < NARROW ? "TB" : "LR");
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return direction;
}

// ── nodes and edges ────────────────────────────────────────────────────────────────────────────

function flowNode(placed: PlacedNode): Node<PlacedData> {
  const { id, parent, x, y, width, height } = placed;
  return {
    id,
    type: "placed",
    position: { x, y },
    width,
    height,
    data: { placed },
    ...(parent !== undefined && { parentId: parent }),
  };
}

function flowEdge({ id, source, target, isConditional, points }: PlacedEdge): Edge<RoutedData> {
  return {
    id,
    source,
    target,
    type: "routed",
    data: { points },
    className: isConditional ? "run-edge run-edge-conditional" : "run-edge",
    markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16, color: "var(--line-strong)" },
    zIndex: 1,
  };
}

function RoutedView({ id, data, markerEnd }: EdgeProps<Edge<RoutedData>>) {
  return <BaseEdge id={id} path={pathThrough(data?.points ?? [])} {...(markerEnd && { markerEnd })} />;
}

/** The library draws an edge only between handles. */
function Handles() {
  return (
    <>
      <Handle type="target" position={Position.Left} isConnectable={false} aria-hidden />
      <Handle type="source" position={Position.Right} isConnectable={false} aria-hidden />
    </>
  );
}

function PlacedView({ data: { placed } }: NodeProps<Node<PlacedData>>) {
  const lit = useContext(LitContext);
  const { id, label, kind } = placed;
  if (kind === "start" || kind === "end")
    return (
      <>
        <div
          className={kind === "start" ? "run-end run-start" : "run-end run-finish"}
          role="img"
          aria-label={kind === "start" ? "Beginning" : "End"}
        />
        <Handles />
      </>
    );
  const node = lit?.nodes.get(id);
  const state = shownState(node, lit?.isRecorded(placed.names));
  const times = node && node.times > 1 ? `, ${node.times} times` : "";
  const hasBelow = kind === "open" || kind === "closed";
  return (
    <>
      <div className="run-node" data-state={state} data-kind={kind} data-chosen={lit?.chosen === id}>
        <div className="run-node-head">
          <button
            type="button"
            className="run-node-button nodrag nopan"
            aria-pressed={lit?.chosen === id}
            onClick={() => lit?.onChoose(id)}
          >
            <span className="run-dot" data-state={state} aria-hidden />
            <span className="run-node-label">
              <Text>{label}</Text>
            </span>
            <span className="run-hidden">{`${STATE_WORDS[state]}${times}`}</span>
            {node && node.times > 1 && (
              <span className="run-times" aria-hidden>
                ×{node.times}
              </span>
            )}
          </button>
          {hasBelow && (
            <button
              type="button"
              className="run-node-open nodrag nopan"
              aria-expanded={kind === "open"}
              aria-label={`Subgraph of ${withMarks(label)}`}
              onClick={() => lit?.onToggle(id)}
            >
              {kind === "open" ? "−" : "+"}
            </button>
          )}
          {kind === "cut" && (
            <span
              className="run-times"
              title="The server leaves its subgraph out: it is too deep or too large"
            >
              …
            </span>
          )}
        </div>
      </div>
      <Handles />
    </>
  );
}
