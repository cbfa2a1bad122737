/** The grammar of devicetree source (DTSpec v0.4 §6, and what dtc has beyond it): tokens to a tree whose references are open. */
import { type Diagnostic, fail, VmrunError } from "../../diagnostics/diagnostic.ts";
import { type Comment, type Comments, commentsOf, NO_COMMENTS, type SourceComments } from "../comments.ts";
import { MAX_DEPTH, MAX_SIZE } from "../format.ts";
import { nodeNameFault, propertyNameFault } from "../names.ts";
import { ByteBuffer } from "./bytes.ts";
import { type ExpressionInput, evaluate, UNSIGNED } from "./expression.ts";
import { type Includer, type Kind, Lexer } from "./lexer.ts";
import { MAX_COMMENT_CHARACTERS, MAX_COMMENTS, MAX_ERRORS, MAX_LABELS, MAX_NODES } from "./limits.ts";
import {
  addChild,
  addLabel,
  addProperty,
  type LiveNode,
  type LiveProperty,
  LiveTree,
  liveNode,
  liveProperty,
  type Mark,
  rememberLabel,
} from "./livetree.ts";
import { placeOf, type SourceReader, type SourceText, type Span } from "./source.ts";

export interface Reservation {
  readonly address: bigint;
  readonly size: bigint;
  readonly labels: readonly string[];
  readonly comments: Comments | undefined;
}

/** What a source says, before references mean anything. */
export interface ParsedSource {
  readonly tree: LiveTree;
  readonly reservations: readonly Reservation[];
  readonly plugin: boolean;
  /** Errors that do not keep the rest from being read, and warnings. */
  readonly findings: Diagnostic[];
  readonly comments: SourceComments;
}

interface LabelHere {
  readonly name: string;
  readonly span: Span;
}

type Bits = 8 | 16 | 32 | 64;

export function parseTokens(source: SourceText, reader: SourceReader, include: Includer): ParsedSource {
  return new Parser(source, reader, include).parse();
}

class Parser {
  readonly #lexer: Lexer;
  readonly #reader: SourceReader;
  readonly #findings: Diagnostic[] = [];
  readonly #value = new ByteBuffer();
  #marks: Mark[] = [];
  readonly #labelled = new Map<string, Set<LiveNode>>();
  readonly #expression: ExpressionInput;
  #tree: LiveTree | undefined;
  #plugin = false;
  #nodes = 0;
  #valueBytes = 0;
  #fragments = 0;
  #headerComments: Comments | undefined;
  #pluginComments: Comments | undefined;

  constructor(source: SourceText, reader: SourceReader, include: Includer) {
    const lexer = new Lexer(source, include);
    this.#lexer = lexer;
    this.#reader = reader;
    this.#expression = {
      get kind() {
        return lexer.kind;
      },
      advance: () => lexer.advance(),
      operand: () => {
        if (lexer.kind !== "number" && lexer.kind !== "character") this.#unexpected("a number");
        const value = lexer.number();
        lexer.advance();
        return value;
      },
      fail: (code, message) => lexer.fail(code, message),
    };
  }

  parse(): ParsedSource {
    this.#lexer.advance();
    this.#headers();
    const reservations = this.#reservations();
    this.#firstNode();
    while (this.#lexer.kind !== "end of file") this.#laterPart();
    const end = this.#lexer.takeComments();
    const comments = { header: this.#headerComments, plugin: this.#pluginComments, end };
    if (this.#lexer.commentsLost) {
      const message = `comments beyond the ${MAX_COMMENTS}th, or the ${MAX_COMMENT_CHARACTERS}th character, are not kept`;
      this.#add({ code: "dts/comments", severity: "warning", message });
    }
    return { tree: this.#tree!, reservations, plugin: this.#plugin, findings: this.#findings, comments };
  }

  #headers(): void {
    if (this.#lexer.kind !== "/dts-v1/") {
      this.#lexer.fail(
        "dts/syntax",
        `the source begins with ${this.#lexer.describe()}`,
        'it must begin with "/dts-v1/;"',
      );
    }
    for (let first = true; this.#lexer.kind === "/dts-v1/"; first = false) {
      const header = this.#header();
      const plugin = this.#lexer.kind === "/plugin/";
      const pluginComments = plugin ? this.#header() : undefined;
      // An included file has a header of its own.
      if (first) {
        this.#headerComments = header;
        this.#pluginComments = pluginComments;
        this.#plugin = plugin;
      } else if (plugin !== this.#plugin) {
        this.#lexer.fail("dts/syntax", "/plugin/ must stand in every header of the source or in none");
      }
    }
  }

  #header(): Comments | undefined {
    const before = this.#lexer.takeComments();
    this.#lexer.advance();
    return commentsOf(before, this.#end());
  }

  #reservations(): Reservation[] {
    const reservations: Reservation[] = [];
    for (;;) {
      const labels = this.#labels();
      if (this.#lexer.kind !== "/memreserve/") {
        if (labels.length > 0) this.#unexpected("/memreserve/");
        return reservations;
      }
      const span = this.#lexer.span();
      const before = this.#lexer.takeComments();
      this.#lexer.advance();
      const address = this.#integer();
      const size = this.#integer();
      const after = this.#end();
      if (size === 0n) {
        fail("dts/reservation", "a reservation of no bytes would end the list", { place: placeOf(span) });
      }
      const comments = commentsOf(before, after);
      reservations.push({ address, size, labels: labels.map(({ name }) => name), comments });
    }
  }

  #firstNode(): void {
    const { kind } = this.#lexer;
    if (kind === "/") {
      this.#tree = new LiveTree(this.#rootBody(), this.#labelled);
      return;
    }
    if (kind !== "label reference" && kind !== "path reference") this.#unexpected('the root node, "/ {"');
    this.#tree = new LiveTree(liveNode(""), this.#labelled);
    this.#extension();
  }

  #laterPart(): void {
    const tree = this.#tree!;
    const { kind } = this.#lexer;
    switch (kind) {
      case "/":
        tree.merge(tree.root, this.#rootBody());
        break;
      case "label":
      case "label reference":
      case "path reference":
        this.#extension();
        break;
      case "/delete-node/":
      case "/omit-if-no-ref/": {
        this.#lexer.takeComments();
        this.#lexer.advance();
        const span = this.#lexer.span();
        const target = this.#referenced(this.#reference());
        this.#end();
        if (target === tree.root) fail("dts/syntax", "the root node must stay", { place: placeOf(span) });
        if (target && kind === "/delete-node/") tree.delete(target);
        else if (target) target.omitIfUnused = true;
        break;
      }
      case "/memreserve/":
        this.#lexer.fail("dts/syntax", "/memreserve/ stands behind a node", "move it before the first node");
        break;
      default:
        this.#unexpected("a node or the end of the file");
    }
  }

  #rootBody(): LiveNode {
    const span = this.#lexer.span();
    const before = this.#lexer.takeComments();
    this.#lexer.advance();
    return this.#body(liveNode("", span), 1, before);
  }

  /** `&label { }`, `&{/path} { }`, `new: &label { }`. */
  #extension(): void {
    const tree = this.#tree!;
    const before = this.#lexer.takeComments();
    let label: LabelHere | undefined;
    if (this.#lexer.kind === "label") {
      label = { name: this.#lexer.word(), span: this.#lexer.span() };
      this.#lexer.advance();
    }
    const byPath = this.#lexer.kind === "path reference";
    const reference = this.#reference();
    const relative = !reference.name.startsWith("/") && reference.name.includes("/");
    if (this.#plugin && relative) {
      this.#report("dts/reference", `a plugin cannot extend a node by a path from a label`, reference.span);
    }
    // A plugin's paths lead into the tree that it will be applied to; a label may also be its own.
    const own = this.#plugin && byPath && !label ? undefined : tree.find(reference.name);
    const body = this.#body(liveNode("__overlay__", reference.span), own ? depthOf(own) + 1 : 3, before);
    if (own) {
      if (label) tree.label(own, label.name, label.span);
      tree.merge(own, body);
    } else if (this.#plugin && !label) this.#fragment(reference, body);
    else this.#reportMissing(reference);
  }

  /** A part of a plugin whose target is not here: `fragment@N` around it, as overlays want it. */
  #fragment({ name, span }: LabelHere, body: LiveNode): void {
    const path = name.startsWith("/");
    const marks: Mark[] = [{ offset: 0, kind: path ? "string" : "u32" }];
    if (!path) marks.push({ offset: 0, kind: "phandle", name, span });
    const value = path ? Buffer.from(`${name}\0`, "latin1") : new Uint8Array(4).fill(0xff);
    const fragment = liveNode(`fragment@${this.#fragments++}`, span);
    addProperty(fragment, liveProperty(path ? "target-path" : "target", new Uint8Array(value), span, marks));
    addChild(fragment, body);
    if (body.comments) {
      const { before, after, open, last } = body.comments;
      fragment.comments = { before, after, open: NO_COMMENTS, last: NO_COMMENTS };
      body.comments = { before: NO_COMMENTS, after: NO_COMMENTS, open, last };
    }
    addChild(this.#tree!.root, fragment);
    this.#countNode(span);
  }

  /** `{ ... };` into `node`, which is `depth` levels deep, the root being the first; its comments so far are given. */
  #body(node: LiveNode, depth: number, before: readonly Comment[]): LiveNode {
    const start = node.spans[0]!;
    this.#countNode(start);
    if (depth > MAX_DEPTH) {
      fail("dts/limit", `nodes are nested more than ${MAX_DEPTH} levels deep`, { place: placeOf(start) });
    }
    const open = this.#withComments("{");
    while (this.#lexer.kind !== "}") this.#member(node, depth);
    const last = this.#lexer.takeComments();
    this.#lexer.advance();
    const after = this.#end();
    if (before.length + open.length + last.length + after.length > 0) node.comments = { before, open, last, after };
    return node;
  }

  #member(node: LiveNode, depth: number): void {
    const before = this.#lexer.takeComments();
    const labels = this.#labels();
    let omit = false;
    while (this.#accept("/omit-if-no-ref/")) {
      omit = true;
      labels.push(...this.#labels());
    }
    const { kind } = this.#lexer;
    if (kind === "/delete-property/") {
      this.#lexer.advance();
      const span = this.#lexer.span();
      this.#property(node, deletedProperty(this.#name("a property's name"), span), labels, omit);
      this.#end();
      return;
    }
    const deletion = this.#accept("/delete-node/");
    const span = this.#lexer.span();
    const name = this.#name(deletion ? "a node's name" : 'a property, a node or "}"');
    if (deletion || this.#lexer.kind === "{") {
      const fault = nodeNameFault(name);
      if (fault) fail("dts/name", fault, { place: placeOf(span) });
      const child = liveNode(name, span);
      child.omitIfUnused = omit;
      for (const label of labels.reverse()) {
        addLabel(child.labels, label.name, label.span);
        rememberLabel(this.#labelled, label.name, child);
      }
      if (deletion) {
        child.deleted = true;
        this.#countNode(span);
        this.#end();
      } else this.#body(child, depth + 1, before);
      addChild(node, child);
      return;
    }
    const fault = propertyNameFault(name);
    if (fault) fail("dts/name", fault, { place: placeOf(span) });
    let value: Uint8Array = new Uint8Array(0);
    let marks: Mark[] = [];
    if (this.#accept("=")) {
      this.#values();
      marks = this.#marks;
      this.#marks = [];
      value = this.#value.take();
      this.#valueBytes += value.length;
    } else if (this.#lexer.kind !== ";") this.#unexpected('"=", ";" or "{"');
    const property = liveProperty(name, value, span, marks);
    this.#property(node, property, labels, omit);
    property.comments = commentsOf(before, this.#end());
  }

  #property(node: LiveNode, property: LiveProperty, labels: LabelHere[], omit: boolean): void {
    if (omit) fail("dts/syntax", "/omit-if-no-ref/ is for nodes", { place: placeOf(property.span!) });
    if (node.children.length > 0) {
      fail("dts/syntax", `property ${property.name} stands behind a subnode`, {
        place: placeOf(property.span!),
        hint: "properties must come before subnodes",
      });
    }
    for (const label of labels.reverse()) addLabel(property.labels, label.name, label.span);
    addProperty(node, property);
  }

  /** What is behind `=`, into the buffer and the marks. */
  #values(): void {
    do {
      this.#labelMarks();
      this.#item();
      this.#labelMarks();
    } while (this.#accept(","));
  }

  #item(): void {
    switch (this.#lexer.kind) {
      case "string": {
        const bytes = this.#lexer.stringBytes();
        this.#mark("string");
        this.#reserve(bytes.length + 1);
        this.#value.put(bytes);
        this.#value.put8(0);
        this.#lexer.advance();
        break;
      }
      case "<":
        this.#cells(32);
        break;
      case "/bits/":
        this.#cells(this.#bits());
        break;
      case "[":
        this.#byteString();
        break;
      case "label reference":
      case "path reference": {
        const { name, span } = this.#reference();
        // Its bytes, the path of the node, are put in when all nodes are known.
        this.#mark("string");
        this.#mark("path", name, span);
        break;
      }
      case "/incbin/":
        this.#includedBytes();
        break;
      default:
        this.#unexpected("a value", 'values are <cells>, "strings", [bytes], &references and /incbin/');
    }
  }

  #bits(): Bits {
    this.#lexer.advance();
    if (this.#lexer.kind !== "number") this.#unexpected("a number of bits");
    const bits = this.#lexer.number();
    if (bits !== 8n && bits !== 16n && bits !== 32n && bits !== 64n) {
      this.#lexer.fail("dts/number", "elements have 8, 16, 32 or 64 bits");
    }
    this.#lexer.advance();
    return Number(bits) as Bits;
  }

  #cells(bits: Bits): void {
    const lexer = this.#lexer;
    this.#mark(`u${bits}`);
    this.#expect("<");
    for (;;) {
      this.#reserve(8);
      switch (lexer.kind) {
        case "number": {
          const small = bits === 32 ? lexer.smallNumber() : -1;
          if (small >= 0) this.#value.put32(small);
          else this.#element(lexer.number(), bits, lexer.span());
          lexer.advance();
          break;
        }
        case "character":
        case "(": {
          const span = lexer.span();
          this.#element(this.#integer(), bits, span);
          break;
        }
        case "label reference":
        case "path reference": {
          if (bits !== 32) lexer.fail("dts/reference", `a reference fills a cell of 32 bits, not ${bits}`);
          const { name, span } = this.#reference();
          this.#mark("phandle", name, span);
          this.#value.put32(0xffff_ffff);
          break;
        }
        case "label":
          this.#labelMarks();
          break;
        case ">":
          lexer.advance();
          return;
        default:
          this.#unexpected('a cell or ">"', "arithmetic needs parentheses: <(1 + 2)>");
      }
    }
  }

  #element(value: bigint, bits: Bits, span: Span): void {
    const low = BigInt.asUintN(bits, value);
    // A value that is the sign extension of its low bits lost nothing.
    if (low !== value && BigInt.asUintN(64, BigInt.asIntN(bits, value)) !== value) {
      const message = `0x${value.toString(16)} does not fit in ${bits} bits and becomes 0x${low.toString(16)}`;
      this.#add({ code: "dts/truncated", severity: "warning", message, place: placeOf(span) });
    }
    if (bits === 64) this.#value.put64(low);
    else if (bits === 32) this.#value.put32(Number(low));
    else if (bits === 16) this.#value.put16(Number(low));
    else this.#value.put8(Number(low));
  }

  #byteString(): void {
    this.#mark("u8");
    this.#lexer.advance();
    for (;;) {
      switch (this.#lexer.kind) {
        case "byte":
          this.#reserve(1);
          this.#value.put8(this.#lexer.byte());
          this.#lexer.advance();
          break;
        case "label":
          this.#labelMarks();
          break;
        case "]":
          this.#lexer.advance();
          return;
        default:
          this.#unexpected('two hexadecimal digits or "]"');
      }
    }
  }

  /** `/incbin/("file")` or `/incbin/("file", offset, length)`; of a shorter file, what there is. */
  #includedBytes(): void {
    const from = this.#lexer.source.file;
    this.#lexer.advance();
    this.#expect("(");
    const span = this.#lexer.span();
    if (this.#lexer.kind !== "string") this.#unexpected("the name of a file in double quotes");
    const name = Buffer.from(this.#lexer.stringBytes()).toString(from.bytewise ? "latin1" : "utf8");
    this.#lexer.advance();
    let start = 0n;
    let length: bigint | undefined;
    if (this.#accept(",")) {
      start = this.#integer();
      this.#expect(",");
      length = this.#integer();
    }
    this.#expect(")");
    const place = placeOf(span);
    const { bytes } = this.#reader.find(name, from, place);
    const end = length === undefined ? bytes.length : Math.min(bytes.length, Number(start + length));
    const part = bytes.subarray(Math.min(bytes.length, Number(start)), end);
    this.#mark("file", name, span);
    this.#reserve(part.length);
    this.#value.put(part);
  }

  /** A number, a character, or an expression in parentheses. */
  #integer(): bigint {
    const { kind } = this.#lexer;
    if (kind === "(") {
      this.#lexer.advance();
      const value = evaluate(this.#expression, UNSIGNED);
      this.#expect(")");
      return value;
    }
    if (kind === "number" || kind === "character") return this.#expression.operand();
    this.#unexpected("a number", "arithmetic needs parentheses: (1 + 2)");
  }

  #reference(): LabelHere {
    const { kind } = this.#lexer;
    if (kind !== "label reference" && kind !== "path reference") this.#unexpected("a reference, &label or &{/path}");
    const reference = { name: this.#lexer.word(), span: this.#lexer.span() };
    if (reference.name === "") this.#lexer.fail("dts/reference", "a reference to nothing");
    this.#lexer.advance();
    return reference;
  }

  #referenced(reference: LabelHere): LiveNode | undefined {
    const target = this.#tree!.find(reference.name);
    if (!target) this.#reportMissing(reference);
    return target;
  }

  #labels(): LabelHere[] {
    const labels: LabelHere[] = [];
    while (this.#lexer.kind === "label") {
      if (labels.length >= MAX_LABELS) this.#lexer.fail("dts/limit", `more than ${MAX_LABELS} labels at one place`);
      labels.push({ name: this.#lexer.word(), span: this.#lexer.span() });
      this.#lexer.advance();
    }
    return labels;
  }

  #labelMarks(): void {
    while (this.#lexer.kind === "label") {
      this.#mark("label", this.#lexer.word(), this.#lexer.span());
      this.#lexer.advance();
    }
  }

  #mark(kind: Mark["kind"], name?: string, span?: Span): void {
    this.#marks.push({ offset: this.#value.length, kind, name, span });
  }

  #name(expected: string): string {
    if (this.#lexer.kind !== "name") this.#unexpected(expected);
    const name = this.#lexer.word();
    this.#lexer.advance();
    return name;
  }

  #accept(kind: Kind): boolean {
    if (this.#lexer.kind !== kind) return false;
    this.#lexer.advance();
    return true;
  }

  #expect(kind: Kind): void {
    if (!this.#accept(kind)) this.#unexpected(`"${kind}"`);
  }

  /** The `;` that ends something: gives the comments inside it, and behind it on its line. */
  #end(): readonly Comment[] {
    return this.#withComments(";");
  }

  /** Expects a token: gives the comments before it, and behind it on its line. */
  #withComments(kind: Kind): readonly Comment[] {
    const inside = this.#lexer.takeComments();
    this.#expect(kind);
    const behind = this.#lexer.takeCommentsBehind();
    if (inside.length === 0) return behind;
    return behind.length === 0 ? inside : [...inside, ...behind];
  }

  #unexpected(expected: string, hint?: string): never {
    this.#lexer.fail("dts/syntax", `expected ${expected}, found ${this.#lexer.describe()}`, hint);
  }

  #reserve(size: number): void {
    if (this.#valueBytes + this.#value.length + size > MAX_SIZE || !this.#value.reserve(size)) {
      this.#lexer.fail("dts/limit", `the values of this tree take more than ${MAX_SIZE} bytes`);
    }
  }

  #countNode(span: Span): void {
    if (++this.#nodes > MAX_NODES) {
      fail("dts/limit", `the source has more than ${MAX_NODES} nodes`, { place: placeOf(span) });
    }
  }

  #reportMissing({ name, span }: LabelHere): void {
    this.#report("dts/reference", `there is no node ${name.startsWith("/") ? "at" : "with label"} ${name}`, span);
  }

  #report(code: string, message: string, span: Span): void {
    this.#add({ code, severity: "error", message, place: placeOf(span) });
  }

  /** Beyond the bound, errors end the reading; warnings are dropped. */
  #add(finding: Diagnostic): void {
    if (this.#findings.length < MAX_ERRORS) this.#findings.push(finding);
    else if (finding.severity === "error") throw new VmrunError([...this.#findings, finding]);
  }
}

function deletedProperty(name: string, span: Span): LiveProperty {
  return { ...liveProperty(name, new Uint8Array(0), span), deleted: true };
}

/** 1 for the root. */
function depthOf(node: LiveNode): number {
  let depth = 1;
  for (let at = node; at.parent; at = at.parent) depth++;
  return depth;
}
