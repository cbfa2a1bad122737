/** Devicetree source to a tree, byte for byte the one that dtc makes of it. The door of this folder. */
import { type Diagnostic, fail, type Place, VmrunError } from "../../diagnostics/diagnostic.ts";
import type { Comments, NodeComments, SourceComments } from "../comments.ts";
import type { Fdt, FdtNode } from "../tree.ts";
import { cellOf, type Label, type LiveNode, type LiveTree, type Mark, propertyOf } from "./livetree.ts";
import { type ParsedSource, parseTokens } from "./parser.ts";
import { type PreprocessOptions, preprocess } from "./preprocessor.ts";
import { type PhandleFormat, resolveReferences } from "./resolve.ts";
import { type DtsFiles, placeOf, SourceReader, type SourceText } from "./source.ts";
import { adoptFixups, adoptSymbols, writeAliases, writeFixups, writeSymbols } from "./symbols.ts";

export type { DtsFiles } from "./source.ts";

export interface ParseDtsOptions extends PreprocessOptions {
  /** Name of the source: errors show it, and the paths of included files are relative to it. */
  readonly file?: string;
  /** Reads what the source includes; without it, includes are errors. */
  readonly files?: DtsFiles;
  /** Directories to search for included files, after that of the including one. */
  readonly includePaths?: readonly string[];
  /** Writes `__symbols__`, so that overlays can refer to labels. As `dtc -@`. */
  readonly symbols?: boolean;
  /** Writes labels to `aliases`. As `dtc -A`. */
  readonly aliases?: boolean;
  /** Writes `__fixups__` and `__local_fixups__`; a source with `/plugin/` always has them. As `dtc -L`. */
  readonly fixups?: boolean;
  /** Which properties new phandles are written to. As `dtc -H`. */
  readonly phandles?: PhandleFormat;
  /** Makes a tree also where names, phandles, labels or references are wrong, and warns: for checks that tell more. As `dtc -f`. */
  readonly force?: boolean;
  /** Instead of the `reg` of the first CPU. As `dtc -b`. */
  readonly bootCpu?: number;
}

/** A tree and what its source knows beyond it. */
export interface DtsTree extends Fdt {
  /** The source is an overlay: it says `/plugin/`. */
  readonly plugin: boolean;
  readonly sources: DtsSources;
  /** What is odd but has a meaning; errors are thrown. */
  readonly warnings: readonly Diagnostic[];
}

export function parseDts(source: string | Uint8Array, options: ParseDtsOptions = {}): DtsTree {
  const {
    files,
    includePaths = [],
    symbols = false,
    aliases = false,
    fixups = false,
    force = false,
    phandles: format = "epapr",
  } = options;
  const reader = new SourceReader(files, includePaths);
  const parsed = parseTokens(openText(source, options, reader), reader, includer(options, reader));
  const { tree, plugin, findings } = parsed;
  const bootCpu = options.bootCpu ?? firstCpu(tree);
  const phandles = resolveReferences(tree, { plugin, symbols, phandles: format, force }, findings);
  adoptSymbols(tree);
  if (symbols) writeSymbols(tree, phandles, findings);
  if (aliases) writeAliases(tree, findings);
  adoptFixups(tree);
  if (fixups || plugin) writeFixups(tree);
  if (findings.some(({ severity }) => severity === "error")) throw new VmrunError(findings);
  return toTree(parsed, bootCpu);
}

/** What a source says of a property beyond its value. */
export interface PropertySource {
  readonly labels: readonly string[];
  readonly marks: readonly Mark[];
  readonly comments: Comments | undefined;
}

const UNKNOWN: PropertySource = { labels: [], marks: [], comments: undefined };

function labelsOf(owner: { readonly labels: readonly Label[] } | undefined): string[] {
  if (!owner || owner.labels.length === 0) return [];
  return owner.labels.filter(({ deleted }) => !deleted).map(({ name }) => name);
}

/** What the source says about the parts of its tree. */
export class DtsSources {
  readonly #nodes: ReadonlyMap<FdtNode, LiveNode>;
  /** For each reservation of the tree, its labels. */
  readonly reservationLabels: readonly (readonly string[])[];
  /** Of its headers, and at its end. */
  readonly comments: SourceComments;
  readonly #reservationComments: ReadonlyMap<object, Comments | undefined>;

  constructor(
    { reservations, comments }: ParsedSource,
    nodes: ReadonlyMap<FdtNode, LiveNode>,
    inTree: Fdt["reservations"],
  ) {
    this.#nodes = nodes;
    this.comments = comments;
    this.reservationLabels = reservations.map(({ labels }) => labels);
    this.#reservationComments = new Map(inTree.map((reservation, i) => [reservation, reservations[i]!.comments]));
  }

  /** Where a node begins, or one of its properties. Undefined for what no source text stands for. */
  place(node: FdtNode, property?: string): Place | undefined {
    const live = this.#nodes.get(node);
    const span = property === undefined ? live?.spans[0] : live && propertyOf(live, property)?.span;
    return span && placeOf(span);
  }

  /** Where a node begins and where later parts of the source extend it. */
  places(node: FdtNode): Place[] {
    return this.#nodes.get(node)?.spans.map(placeOf) ?? [];
  }

  /** The labels of a node or a property, the one that was given last first. */
  labels(node: FdtNode, property?: string): string[] {
    const live = this.#nodes.get(node);
    return labelsOf(property === undefined ? live : live && propertyOf(live, property));
  }

  /** What is known about the value of a property: types, references, labels, each with its offset. Of one set since, nothing. */
  marks(node: FdtNode, property: string): readonly Mark[] {
    return this.property(node, property).marks;
  }

  /** All of it about a property, in one look. */
  property(node: FdtNode, name: string): PropertySource {
    const live = this.#nodes.get(node);
    const known = live && propertyOf(live, name);
    if (!known) return UNKNOWN;
    const marks = known.value === node.properties.get(name) ? known.marks : [];
    return { labels: labelsOf(known), marks, comments: known.comments };
  }

  nodeComments(node: FdtNode): NodeComments | undefined {
    return this.#nodes.get(node)?.comments;
  }

  reservationComments(reservation: Fdt["reservations"][number]): Comments | undefined {
    return this.#reservationComments.get(reservation);
  }
}

function openText(source: string | Uint8Array, options: ParseDtsOptions, reader: SourceReader): SourceText {
  return preprocess(reader.open(options.file ?? "<source>", source), reader, options);
}

/** `/include/` happens behind the preprocessor: macros do not reach into such a file, nor out of it. */
function includer(options: ParseDtsOptions, reader: SourceReader) {
  return (
    name: string,
    from: { text: SourceText; start: number; end: number },
    open: readonly SourceText[],
  ): SourceText => {
    const place = placeOf(from);
    const file = reader.include(name, from.text.segmentAt(from.start).file, open.length, place);
    if (open.some((text) => text.file.name === file.name)) {
      fail("dts/include", `"${file.name}" includes itself`, { place });
    }
    return preprocess(file, reader, options);
  };
}

/** The `reg` of the first CPU, as dtc guesses. */
function firstCpu(tree: LiveTree): number {
  const cpus = tree.childOf(tree.root, "cpus");
  const first = cpus?.children[0];
  return (first && cellOf(propertyOf(first, "reg"))) ?? 0;
}

function toTree(parsed: ParsedSource, bootCpu: number): DtsTree {
  const { tree, plugin, findings } = parsed;
  const nodes = new Map<FdtNode, LiveNode>();
  const convert = (live: LiveNode): FdtNode => {
    const node: FdtNode = { name: live.name, properties: new Map(), children: [] };
    for (const { deleted, name, value } of live.properties) {
      // Twice only where that is tolerated: libfdt finds the first.
      if (!deleted && !node.properties.has(name)) node.properties.set(name, value);
    }
    for (const child of live.children) if (!child.deleted) node.children.push(convert(child));
    nodes.set(node, live);
    return node;
  };
  const root = convert(tree.root);
  const reservations = parsed.reservations.map(({ address, size }) => ({ address, size }));
  return {
    root,
    reservations,
    bootCpu,
    plugin,
    sources: new DtsSources(parsed, nodes, reservations),
    warnings: findings,
  };
}
