/**
 * Where the nodes of a drawn graph are.
 *
 * A subgraph that is open is laid out first, and its node is then as large as what is in it. Positions of nodes are
 * relative to the node that they are in; the points of edges are not.
 */

import dagre from "@dagrejs/dagre";
import type { frames } from "graphwire";
import { pathOfNames } from "./spans";

export interface PlacedNode {
  /** The path of the node, as `pathOfNames` makes it; those of beginnings and ends are paths, too. */
  readonly id: string;
  readonly names: readonly string[];
  readonly label: string;
  /** The node that it is in, whose subgraph is open. */
  readonly parent: string | undefined;
  /** `open`: its subgraph is drawn in it. `closed`: it has a subgraph that is not drawn. */
  readonly kind: "plain" | "closed" | "open" | "start" | "end" | "cut";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly isConditional: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Layout {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
}

export type Direction = "LR" | "TB";

/** What a graph and a subgraph have in common. */
export type Drawn = Pick<frames.GraphRow, "nodes" | "edges" | "subgraphs"> & { readonly cut?: boolean };

const NODE_HEIGHT = 40;
const DOT = 22;
const HEAD = 34;
const PADDING = 14;
const START = "__start__";
const END = "__end__";

/** Lay out a graph; `isOpen` says of which nodes the subgraphs are drawn. */
export function layoutOf(graph: Drawn, isOpen: (path: string) => boolean, direction: Direction): Layout {
  return placed(graph, [], isOpen, direction);
}

function placed(
  graph: Drawn,
  names: readonly string[],
  isOpen: (path: string) => boolean,
  direction: Direction,
): Layout {
  const parent = names.length ? pathOfNames(names) : undefined;
  const levels = new dagre.graphlib.Graph({ multigraph: true });
  levels.setGraph({ rankdir: direction, nodesep: 26, ranksep: 46, edgesep: 14, marginx: 0, marginy: 0 });
  const inner = new Map<string, Layout>();
  const kinds = new Map<string, PlacedNode["kind"]>();
  for (const node of namesIn(graph)) {
    const subgraph = graph.subgraphs?.find((each) => each.node === node);
    const path = pathOfNames([...names, node]);
    let [width, height] = [widthOf(node, !!subgraph), NODE_HEIGHT];
    if (node === START || node === END) {
      kinds.set(node, node === START ? "start" : "end");
      [width, height] = [DOT, DOT];
    } else if (subgraph && !subgraph.cut && isOpen(path)) {
      const below = placed(subgraph, [...names, node], isOpen, direction);
      kinds.set(node, "open");
      inner.set(node, below);
      width = Math.max(width, below.width + 2 * PADDING);
      height = below.height + HEAD + PADDING;
    } else kinds.set(node, subgraph ? (subgraph.cut ? "cut" : "closed") : "plain");
    levels.setNode(node, { width, height });
  }
  const edges = graph.edges.filter(({ source, target }) => kinds.has(source) && kinds.has(target));
  edges.forEach(({ source, target }, index) => {
    levels.setEdge(source, target, {}, String(index));
  });
  dagre.layout(levels);

  const nodes: PlacedNode[] = [];
  const lines: PlacedEdge[] = [];
  for (const [node, kind] of kinds) {
    const { x, y, width, height } = levels.node(node);
    const id = pathOfNames([...names, node]);
    const at = { x: x - width / 2, y: y - height / 2 };
    nodes.push({ id, names: [...names, node], label: node, parent, kind, width, height, ...at });
    const below = inner.get(node);
    if (!below) continue;
    const shift = { x: (width - below.width) / 2, y: HEAD };
    for (const each of below.nodes)
      nodes.push(each.parent === id ? { ...each, x: each.x + shift.x, y: each.y + shift.y } : each);
    for (const line of below.edges)
      lines.push({
        ...line,
        points: line.points.map((point) => ({ x: point.x + at.x + shift.x, y: point.y + at.y + shift.y })),
      });
  }
  edges.forEach(({ source, target, conditional = false }, index) => {
    const { points = [] } = levels.edge(source, target, String(index)) ?? {};
    const ends = [source, target].map((node) => pathOfNames([...names, node]));
    const [from = "", to = ""] = ends;
    lines.push({
      id: `${from}>${to}#${index}`,
      source: from,
      target: to,
      isConditional: conditional,
      points,
    });
  });
  const { width = 0, height = 0 } = levels.graph();
  // A graph without nodes has no extent.
  return { nodes, edges: lines, width: Math.max(width, 0), height: Math.max(height, 0) };
}

/** The nodes, and the beginning and the end if an edge leads there. */
function namesIn({ nodes, edges }: Drawn): string[] {
  const ends = [START, END].filter((name) =>
    edges.some(({ source, target }) => source === name || target === name),
  );
  return [...new Set([...ends.slice(0, 1), ...nodes, ...ends.slice(1)])];
}

function widthOf(name: string, hasSubgraph: boolean): number {
  const length = Math.min([...name].length, 26);
  // Beside the name there is room for the mark of its state, and for how many times it worked.
  return Math.max(84, Math.round(length * 7.4) + 82 + (hasSubgraph ? 26 : 0));
}

/** Return a smooth line through the points of an edge. */
export function pathThrough(points: PlacedEdge["points"]): string {
  const [first, ...others] = points;
  if (!first) return "";
  const last = others.pop();
  if (!last) return "";
  let path = `M${round(first.x)},${round(first.y)}`;
  others.forEach((point, index) => {
    const next = others[index + 1];
    const end = next ? { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 } : last;
    path += ` Q${round(point.x)},${round(point.y)} ${round(end.x)},${round(end.y)}`;
  });
  return others.length ? path : `${path} L${round(last.x)},${round(last.y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Return the paths of all subgraphs, the outer ones first, at most `most` deep. */
export function subgraphPaths(graph: Drawn, most = Number.POSITIVE_INFINITY): string[] {
  const found: string[] = [];
  const left: [Drawn, string[]][] = [[graph, []]];
  for (let next = left.shift(); next; next = left.shift()) {
    const [each, names] = next;
    for (const subgraph of each.subgraphs ?? []) {
      const below = [...names, subgraph.node];
      if (below.length > most || subgraph.cut) continue;
      found.push(pathOfNames(below));
      left.push([subgraph, below]);
    }
  }
  return found;
}
