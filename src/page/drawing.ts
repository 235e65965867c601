// Graphs as SVG, layers from top to bottom. Layout is dagre's; everything else is here.

import dagre from '@dagrejs/dagre';
import { type Html, html } from './html.ts';

export interface DrawnNode {
  /** What the script finds it by: `kernel` or `op`, and its place in the list of those. */
  readonly kind: 'kernel' | 'op';
  readonly place: number;
  readonly title: string;
  /** Further lines, smaller. */
  readonly lines: readonly string[];
  /** Place of its family, for its colour; undefined where the script decides. */
  readonly family: number | undefined;
}

/** From one node to another, by their places in the list of drawn nodes, and what goes along. */
export interface DrawnEdge {
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/** Nodes that are framed together, as `from` up to `to`. */
export interface Frame {
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/** Widths and heights of text, in pixels. */
const CHARACTER = 6.6;
const LINE = 14;
const PAD = 8;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A drawing with a title for those who do not see it. `id` is unique in the page. */
export function draw(
  id: string,
  title: string,
  nodes: readonly DrawnNode[],
  edges: readonly DrawnEdge[],
  frames: readonly Frame[],
): Html {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: 'TB', nodesep: 16, ranksep: 28, marginx: 48, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [i, { title, lines }] of nodes.entries()) {
    const characters = Math.max(title.length, ...lines.map((line) => 0.9 * line.length));
    graph.setNode(String(i), { width: 2 * PAD + CHARACTER * characters, height: PAD + LINE * (1 + lines.length) });
  }
  const labels = new Map(edges.map(({ from, to, label }) => [`${from} ${to}`, label]));
  for (const { from, to } of edges) graph.setEdge(String(from), String(to));
  dagre.layout(graph);
  const boxes = nodes.map((_, i) => graph.node(String(i)) as Box);
  const size = graph.graph();
  const [width, height] = [Math.ceil(size.width ?? 0), Math.ceil(size.height ?? 0)];
  return html`<svg class="drawing" id="${id}" role="group" aria-labelledby="${id}-title" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title id="${id}-title">${title}</title>
<defs><marker id="${id}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>
${frames.map((frame) => framed(boxes.slice(frame.from, frame.to), frame.label))}
${(graph.edges() as { readonly v: string; readonly w: string }[]).map(({ v, w }) => {
  const { points } = graph.edge(v, w) as { points: readonly { readonly x: number; readonly y: number }[] };
  return html`<path class="edge" d="${curve(points)}" marker-end="url(#${id}-arrow)"><title>${labels.get(`${v} ${w}`)}</title></path>\n`;
})}
${nodes.map((node, i) => drawn(node, boxes[i]!))}
</svg>`;
}

function drawn({ kind, place, title, lines, family }: DrawnNode, { x, y, width, height }: Box): Html {
  const [left, top] = [round(x - width / 2), round(y - height / 2)];
  const colour = family === undefined ? html`` : html` data-family="${family}"`;
  return html`<g class="node" role="button" tabindex="-1" data-${kind}="${place}"${colour} transform="translate(${left} ${top})"><rect width="${round(width)}" height="${round(height)}" rx="4"/><text x="${PAD}" y="${LINE}">${title}</text>${lines.map((line, i) => html`<text class="small" x="${PAD}" y="${LINE * (i + 2)}">${line}</text>`)}</g>\n`;
}

function framed(boxes: readonly Box[], label: string): Html {
  const left = Math.min(...boxes.map(({ x, width }) => x - width / 2)) - 8;
  const right = Math.max(...boxes.map(({ x, width }) => x + width / 2)) + 8;
  const top = Math.min(...boxes.map(({ y, height }) => y - height / 2)) - 8;
  const bottom = Math.max(...boxes.map(({ y, height }) => y + height / 2)) + 8;
  const size = html`x="${round(left)}" y="${round(top)}" width="${round(right - left)}" height="${round(bottom - top)}"`;
  return html`<g class="frame"><rect ${size} rx="8"/><text x="${round(right + 5)}" y="${round(top + LINE)}">${label}</text></g>\n`;
}

/** A path through points, its corners rounded. */
function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const [first, ...rest] = points;
  const at = ({ x, y }: { readonly x: number; readonly y: number }): string => `${round(x)} ${round(y)}`;
  const parts = rest.map((point, i) => {
    const next = rest[i + 1];
    if (next === undefined) return `L${at(point)}`;
    return `Q${at(point)} ${at({ x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 })}`;
  });
  return `M${at(first!)}${parts.join('')}`;
}

const round = (n: number): number => Math.round(10 * n) / 10;
