/**
 * Ways: what native code remembers of the memory that it accesses, ahead of the TLB. A way is for a few accesses of a block
 * by one base register, and says where memory lies that they have all gone to: a comparison tells whether they do so again,
 * and an addition makes a host's address of the guest's. That memory is a page, or more where it is known to be alike
 * (`reach.ts`).
 *
 * Ways are right as long as the same TLB tables are in force, and nothing is forgotten that is remembered here (`Realm` in
 * hart.ts): for one *generation*. Only code of a page uses the ways of its code, so that each page keeps the generation that its own are for,
 * and a list of them, and lets them go when it is entered in another. What is remembered of jumps (which code is at a guest
 * address) has a generation, too.
 */
import {
  HartField,
  Privilege,
  REALM_EPOCH,
  REALM_SIZE,
  REMEMBERED_BITS,
  Realm,
  Remembered,
  TLB_REALMS,
  TLB_TABLE_SIZE,
  TlbFlag,
  TlbSet,
} from "../../isa/riscv/hart.ts";
import { ADDEND, FLAGS, STAMP as STAMP_OF_ENTRY } from "../tlb-code.ts";
import { Alu, type Assembler, Condition, data, Label, type Operand, Reg, Shift } from "./assembler.ts";
import { REACH_TAKES, writeReach } from "./reach.ts";
import { field, LINEAR } from "./registers.ts";
import { Runs, writeRun } from "./runs.ts";
import { writeTlbEntry } from "./tlb.ts";

const PAGE_SIZE = 4096;
const PAGE_BITS = 12;
/**
 * What a way says. `start`: the guest's address of the memory; `added`: what makes the host's of an address; `limit`: how far
 * from `start` accesses may begin, 0 while nothing is remembered; `room`: what `limit` is for a single page; `page`: whose it
 * is; `next`: the next one of the page that may remember something, plus 1; 0: it remembers nothing.
 */
export const WayField = { start: 0, added: 8, limit: 16, room: 24, page: 26, next: 28 } as const;
const WAY_SIZE = 32;
const WAYS = 1 << 16;
/** The stack, globals and the thread have the same few pages wherever the code is: ways by them are shared on a page. */
const EVERYWHERE: ReadonlySet<number> = new Set([2, 3, 4]);
/** They are shared by those that are for up to as many bytes. A single access fits at the end of a page: its size is its own. */
const SIZES = [1, 2, 4, 8, 32, 128, 512];
/** The most bytes that accesses with one way may lie apart. */
export const FARTHEST_APART = 512;

/** Pages of code: each has a generation and the first of its ways (two arrays of i32). */
const PAGES = 1 << 15;

/** They fit beside a page's address. */
const GENERATIONS = 1 << 12;
const NO_GENERATION = 0;
/** Every set of TLB tables has a place, by privilege and by where it lies: `{ epoch: i32, generation: i32 }`, of its realm. */
const PLACES_EACH = 256;
const PLACES = 4 * PLACES_EACH;
/** Where jumps went: `{ address: i64, code: i64, generation: i32 }`, by the address, mixed. */
const JUMP_BITS = 14;
const JUMP_SIZE_BITS = 5;
const JumpField = { code: 8, generation: 16 } as const;
/**
 * Where single jumps to other pages went, which always go as far: `{ code: i64, key: i64 }`. The key is the guest's address of
 * the page that they are on, of which there may be several, with the generation in its lowest bits.
 */
const SITES = 1 << 15;
const SITE_SIZE = 16;
const SITE_KEY = 8;

/** Of the tables in force (8 bytes); the latest one given out; the tables and the epoch that the former is for. */
const GENERATION = 0;
const LATEST = 8;
const TABLE = 12;
const EPOCH = 16;
/** How many ways have lately been found to be of no use where pages meet, and which. */
const USELESS_COUNT = 20;
/** Linear-memory offset of what the realm in force remembers, and what its epoch is in stamps. */
const REALM = 24;
const STAMP = 28;
/** Whether the accesses that are looked up are on two pages. */
const CROSSES = 32;
const USELESS = 40;
const USELESS_MOST = 32;

/** Where it all is. */
const RUNS_START = USELESS + 4 * USELESS_MOST;
const PLACES_START = RUNS_START + Runs.size;
const JUMPS_START = PLACES_START + PLACES * 8;
const SITES_START = JUMPS_START + (1 << (JUMP_BITS + JUMP_SIZE_BITS));
const PAGES_START = SITES_START + SITES * SITE_SIZE;
const FIRST_START = PAGES_START + PAGES * 4;
const WAYS_START = FIRST_START + PAGES * 4;

/** The ways of a page of code. */
export interface PageWays {
  /** Position among all pages. */
  readonly index: number;
  /** Where those are that several blocks share, from the first way's data on. */
  readonly shared: Map<number, number>;
}

/** Accesses that use the same way. */
export interface Accesses {
  readonly base: number;
  readonly store: boolean;
  /** The least that is added to the base, and how many bytes from there may be accessed. */
  readonly least: number;
  readonly bytes: number;
  /** Position of the first of them in the block. */
  readonly first: number;
  /** How many other ones by the same base begin before it in the block. */
  readonly ordinal: number;
  /** There is more than one. */
  readonly together: boolean;
}

/** What lies beside the code, from `start` on. */
export class Ways {
  readonly #missed = [new Label(), new Label()];
  readonly #entered = new Label();
  readonly #view: DataView;
  #next = 0;
  #pages = 0;
  #sites = 0;

  /** Bytes that it takes. */
  static readonly size = WAYS_START + WAYS * WAY_SIZE;

  /**
   * @param memory The same as `start`, for us.
   * @param codePages Linear-memory offset of a byte for each page: whether stores into it have to be noticed.
   */
  constructor(
    readonly start: number,
    readonly memory: Uint8Array,
    readonly codePages: number,
  ) {
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  }

  /** Where runs are ({@link Runs}). */
  get runs(): Uint8Array {
    return this.memory.subarray(RUNS_START, RUNS_START + Runs.size);
  }

  #at(offset: number): Operand {
    return data(this.start + offset);
  }

  /** Native code is not right any more: begins a new generation. */
  forget(): void {
    // No tables lie at 0, and no place is right.
    this.memory.fill(0, TABLE, EPOCH);
    this.memory.fill(0, PLACES_START, JUMPS_START);
  }

  /** All code is let go, and all ways with it. */
  clear(): void {
    this.forget();
    this.memory.fill(0, PAGES_START, WAYS_START + this.#next * WAY_SIZE);
    this.memory.fill(0, USELESS_COUNT, USELESS);
    this.#next = 0;
    this.#pages = 0;
    this.#sites = 0;
  }

  /** Whether this many more ways, and a page, may be more than there are. */
  isFull(ways: number): boolean {
    return this.#pages === PAGES || this.#next + ways > WAYS;
  }

  page(): PageWays {
    return { index: this.#pages++, shared: new Map() };
  }

  /** The same, but ways that are taken are none. */
  imagined(): Ways {
    const imagined = new Ways(this.start, new Uint8Array(Ways.size), this.codePages);
    imagined.#missed.splice(0, 2, ...this.#missed);
    imagined.#entered.at = this.#entered.at;
    return imagined;
  }

  take(page: PageWays, { base, store, bytes, ordinal }: Accesses): Operand {
    if (!EVERYWHERE.has(base)) return this.#at(this.#take(page, bytes));
    let size = 0;
    while (SIZES[size] < bytes) size++;
    // Of 5 bits, 1 and 3, and of as many as it takes.
    const key = base | (Number(store) << 5) | (size << 6) | (ordinal << 9);
    let offset = page.shared.get(key);
    if (offset === undefined) {
      offset = this.#take(page, bytes);
      page.shared.set(key, offset);
    } else this.#share(offset, bytes);
    return this.#at(offset);
  }

  #take(page: PageWays, bytes: number): number {
    const offset = WAYS_START + this.#next++ * WAY_SIZE;
    this.#view.setUint16(offset + WayField.room, PAGE_SIZE + 1 - bytes, true);
    this.#view.setUint16(offset + WayField.page, page.index, true);
    return offset;
  }

  /**
   * A way is for so many bytes from now on, if it was for fewer. It is for no more than any of its accesses: what a kernel
   * keeps of a trap ends where its stack's page does.
   */
  #share(offset: number, bytes: number): void {
    const room = PAGE_SIZE + 1 - bytes;
    if (this.#view.getUint16(offset + WayField.room, true) <= room) return;
    this.#view.setUint16(offset + WayField.room, room, true);
    // What it remembers is for fewer, but where it begins there is room for all.
    if (this.#view.getBigUint64(offset + WayField.limit, true) === 0n) return;
    this.#view.setBigUint64(offset + WayField.limit, 1n, true);
  }

  /** Ways whose accesses have been on two pages at once that do not follow each other in memory, since last asked. */
  takeUseless(): Operand[] {
    const count = this.#view.getUint32(USELESS_COUNT, true);
    if (count === 0) return [];
    this.#view.setUint32(USELESS_COUNT, 0, true);
    return Array.from({ length: count }, (_, i) => this.#at(this.#view.getUint32(USELESS + 4 * i, true)));
  }

  // ---- generations ----

  /** Code for where native code is entered: finds the generation. Takes rax, rcx and rdx. */
  writeEntry(code: Assembler): void {
    const stale = new Label();
    const fresh = new Label();
    const given = new Label();
    const known = new Label();
    const supervisor = new Label();
    const end = new Label();
    code.move(Reg.rax, field(HartField.tlbRead), false);
    // Nothing is in its lowest bits.
    code.alu(Alu.or, Reg.rax, field(HartField.privilege), false);
    code.alu(Alu.cmp, Reg.rax, this.#at(TABLE), false);
    code.jumpIf(Condition.notEqual, stale);
    code.move(Reg.rdx, this.#at(REALM), false);
    code.loadIndexed(Reg.rcx, Reg.rdx, LINEAR + REALM_EPOCH, 4, false);
    code.alu(Alu.cmp, Reg.rcx, this.#at(EPOCH), false);
    code.jumpIf(Condition.equal, end);
    code.bind(stale);
    code.move(this.#at(TABLE), Reg.rax, false);
    code.move(Reg.rdx, field(HartField.tlb), false);
    code.lea(Reg.rcx, Reg.rdx, TlbSet.supervisor * TLB_TABLE_SIZE + Privilege.supervisor);
    code.aluImmediate(Alu.add, Reg.rdx, TLB_REALMS + Realm.supervisor * REALM_SIZE, false);
    code.alu(Alu.cmp, Reg.rax, Reg.rcx, false);
    code.jumpIf(Condition.equal, supervisor);
    code.aluImmediate(Alu.add, Reg.rdx, (Realm.others - Realm.supervisor) * REALM_SIZE, false);
    code.bind(supervisor);
    code.move(this.#at(REALM), Reg.rdx, false);
    code.loadIndexed(Reg.rcx, Reg.rdx, LINEAR + REALM_EPOCH, 4, false);
    code.move(this.#at(EPOCH), Reg.rcx, false);
    code.moveExtended(Reg.rdx, Reg.rcx, 2, false);
    code.move(this.#at(STAMP), Reg.rdx, false);
    code.move(Reg.rdx, field(HartField.privilege), false);
    code.shift(Shift.shr, Reg.rax, Math.log2(TLB_TABLE_SIZE), false);
    code.shift(Shift.shl, Reg.rdx, Math.log2(PLACES_EACH), false);
    code.alu(Alu.or, Reg.rax, Reg.rdx, false);
    code.addressOf(Reg.rdx, this.#at(PLACES_START));
    code.leaSum(Reg.rdx, Reg.rdx, Reg.rax, 3);
    code.aluAt(Alu.cmp, Reg.rcx, Reg.rdx, 4);
    code.jumpIf(Condition.notEqual, fresh);
    code.loadAt(Reg.rax, Reg.rdx, 4, false, 4);
    code.test(Reg.rax, Reg.rax, false);
    code.jumpIf(Condition.notEqual, known);
    code.bind(fresh);
    code.move(Reg.rax, this.#at(LATEST), false);
    code.aluImmediate(Alu.add, Reg.rax, 1, false);
    code.aluImmediate(Alu.cmp, Reg.rax, GENERATIONS, false);
    code.jumpIf(Condition.below, given);
    // All are used up: nothing is of any of them any more, and they are given out again.
    code.push(Reg.rdi);
    code.addressOf(Reg.rdi, this.#at(PLACES_START));
    code.moveImmediate(Reg.rcx, (FIRST_START - PLACES_START) / 8);
    code.moveImmediate(Reg.rax, 0);
    code.fill();
    code.pop(Reg.rdi);
    code.move(Reg.rcx, this.#at(EPOCH), false);
    code.moveImmediate(Reg.rax, 1);
    code.bind(given);
    code.move(this.#at(LATEST), Reg.rax, false);
    code.storeAt(Reg.rdx, Reg.rcx, 4);
    code.storeAt(Reg.rdx, Reg.rax, 4, 4);
    code.bind(known);
    code.move(this.#at(GENERATION), Reg.rax, false);
    code.bind(end);
  }

  /** Code for where a page's code is entered: goes to `body` at once if its ways are of this generation. Takes rax. */
  writePageEntry(code: Assembler, page: PageWays, body: Label): void {
    code.move(Reg.rax, this.#at(GENERATION), false);
    code.alu(Alu.cmp, Reg.rax, this.#at(PAGES_START + page.index * 4), false);
    code.jumpIf(Condition.equal, body);
  }

  /** Behind {@link writePageEntry}: lets the page's ways go. Takes rcx and rdx, too. */
  writePageChange(code: Assembler, page: PageWays): void {
    code.addressOf(Reg.rcx, this.#at(PAGES_START + page.index * 4));
    code.call(this.#entered);
  }

  // ---- jumps ----

  /** Goes to the code for the address in rax if it is known; else goes on, with where to note it in rcx. Takes rdx. */
  writeJump(code: Assembler): void {
    const elsewhere = new Label();
    this.#writeFind(code, Reg.rcx, elsewhere);
    code.aluImmediate(Alu.and, Reg.rax, -PAGE_SIZE);
    code.move(field(HartField.nativePage), Reg.rax);
    code.jumpToAt(Reg.rcx, JumpField.code);
    code.bind(elsewhere);
  }

  /** Notes that the code whose address is in rdx is that for the address in rax, where {@link writeJump} said. Takes rax. */
  writeNote(code: Assembler): void {
    code.storeAt(Reg.rcx, Reg.rax, 8);
    code.storeAt(Reg.rcx, Reg.rdx, 8, JumpField.code);
    const lasts = new Label();
    this.#writeRemember(code, Reg.rax, Reg.rdx);
    code.move(Reg.rax, this.#at(GENERATION), false);
    code.jumpIf(Condition.notEqual, lasts);
    code.moveImmediate(Reg.rax, NO_GENERATION);
    code.bind(lasts);
    code.storeAt(Reg.rcx, Reg.rax, 4, JumpField.generation);
  }

  /** Has it known that the page of an address is remembered. `equal`: it must not be. */
  #writeRemember(code: Assembler, address: Reg, other: Reg): void {
    const never = new Label();
    code.push(address);
    code.push(other);
    code.shift(Shift.shr, address, PAGE_BITS);
    code.move(other, address, false);
    code.shift(Shift.shr, other, REMEMBERED_BITS, false);
    code.alu(Alu.xor, address, other, false);
    code.aluImmediate(Alu.and, address, 2 ** REMEMBERED_BITS - 1, false);
    code.alu(Alu.add, address, this.#at(REALM), false);
    code.loadIndexed(other, address, LINEAR, 1, false);
    code.aluImmediate(Alu.cmp, other, Remembered.never, false);
    code.jumpIf(Condition.equal, never);
    // Flags stay.
    code.moveImmediate(other, Remembered.yes);
    code.storeIndexed(address, LINEAR, other, 1);
    code.bind(never);
    code.pop(other);
    code.pop(address);
  }

  /** Has what is known of a jump to the address in rax where `place` leads. Takes rdx. */
  #writeFind(code: Assembler, place: Reg, elsewhere: Label): void {
    code.move(Reg.rdx, Reg.rax, false);
    code.shift(Shift.shr, Reg.rdx, PAGE_BITS, false);
    code.alu(Alu.xor, Reg.rdx, Reg.rax, false);
    code.aluImmediate(Alu.and, Reg.rdx, ((1 << JUMP_BITS) - 1) << 1, false);
    code.shift(Shift.shl, Reg.rdx, JUMP_SIZE_BITS - 1, false);
    code.addressOf(place, this.#at(JUMPS_START));
    code.alu(Alu.add, place, Reg.rdx);
    code.aluAt(Alu.cmp, Reg.rax, place, 8);
    code.jumpIf(Condition.notEqual, elsewhere);
    code.loadAt(Reg.rdx, place, 4, false, JumpField.generation);
    code.alu(Alu.cmp, Reg.rdx, this.#at(GENERATION), false);
    code.jumpIf(Condition.notEqual, elsewhere);
  }

  /** For a jump that always goes to the same address on another page. `undefined`: there are no more. */
  takeSite(): Operand | undefined {
    return this.#sites === SITES ? undefined : this.#at(SITES_START + this.#sites++ * SITE_SIZE);
  }

  /** Goes to where a jump went, `pages` from this one, if that is known; else goes on. Takes rcx. */
  writeSite(code: Assembler, site: Operand, pages: number): void {
    const elsewhere = new Label();
    this.#writeKey(code, Reg.rcx);
    code.alu(Alu.cmp, Reg.rcx, site + SITE_KEY);
    code.jumpIf(Condition.notEqual, elsewhere);
    code.aluImmediate(Alu.add, field(HartField.nativePage), pages * PAGE_SIZE);
    code.jumpThrough(site);
    code.bind(elsewhere);
  }

  /** The key of jumps on the current page. */
  #writeKey(code: Assembler, to: Reg): void {
    code.move(to, field(HartField.nativePage));
    code.alu(Alu.or, to, this.#at(GENERATION));
  }

  /** With a jump's site in rcx, and the address in rax: notes where it goes, if that is known. Takes rcx and rdx. */
  writeSiteNote(code: Assembler): void {
    const unknown = new Label();
    code.push(Reg.rsi);
    this.#writeFind(code, Reg.rsi, unknown);
    this.#writeKey(code, Reg.rdx);
    code.storeAt(Reg.rcx, Reg.rdx, 8, SITE_KEY);
    code.loadAt(Reg.rdx, Reg.rsi, 8, false, JumpField.code);
    code.storeAt(Reg.rcx, Reg.rdx, 8);
    code.bind(unknown);
    code.pop(Reg.rsi);
  }

  // ---- accesses ----

  /** Code that all other code shares. */
  writeCommon(code: Assembler): void {
    for (const store of [false, true]) {
      code.bind(this.#missed[Number(store)]);
      this.#writeMiss(code, store);
    }
    code.bind(this.#entered);
    this.#writeLetGo(code);
  }

  /** With the generation in rax, and where the page has its own in rcx. */
  #writeLetGo(code: Assembler): void {
    const next = new Label();
    const end = new Label();
    code.storeAt(Reg.rcx, Reg.rax, 4);
    code.lea(Reg.rcx, Reg.rcx, FIRST_START - PAGES_START);
    code.moveImmediate(Reg.rax, 0);
    code.loadAt(Reg.rdx, Reg.rcx, 4, false);
    code.storeAt(Reg.rcx, Reg.rax, 4);
    code.bind(next);
    code.test(Reg.rdx, Reg.rdx, false);
    code.jumpIf(Condition.equal, end);
    code.addressOf(Reg.rcx, this.#at(0));
    code.alu(Alu.add, Reg.rcx, Reg.rdx);
    code.storeAt(Reg.rcx, Reg.rax, 8, WayField.limit);
    code.loadAt(Reg.rdx, Reg.rcx, 4, false, WayField.next);
    code.storeAt(Reg.rcx, Reg.rax, 4, WayField.next);
    code.aluImmediate(Alu.sub, Reg.rdx, 1, false);
    code.jump(next);
    code.bind(end);
    code.return();
  }

  /**
   * With the way in rcx, and how far from its start the accesses begin in rdx: `equal` tells that the TLB knew. Then the
   * way knows the first page, and what is added is in rcx: right for these accesses, even where two pages meet. Takes rdx.
   */
  #writeMiss(code: Assembler, store: boolean): void {
    const table = store ? HartField.tlbWrite : HartField.tlbRead;
    const elsewhere = new Label();
    const unknown = new Label();
    const fill = new Label();
    const wide = new Label();
    const page = new Label();
    const found = new Label();
    const first = new Label();
    const never = new Label();
    const remember = new Label();
    const remembered = new Label();
    const reach = new Label();
    const end = new Label();
    code.push(Reg.rax);
    code.aluImmediate(Alu.add, this.#at(RUNS_START + Runs.misses), 1, false);
    code.storeWord(this.#at(CROSSES), 0);
    code.aluAt(Alu.add, Reg.rdx, Reg.rcx, 8, WayField.start);
    writeTlbEntry(code, Reg.rax, Reg.rdx, table);
    // If it is that page, how far from its start.
    code.aluIndexed(Alu.xor, Reg.rdx, Reg.rax, LINEAR);
    code.aluImmediate(Alu.cmp, Reg.rdx, PAGE_SIZE);
    code.jumpIf(Condition.notBelow, elsewhere);
    code.aluAt(Alu.cmp, Reg.rdx, Reg.rcx, 2, WayField.room);
    code.jumpIf(Condition.notBelow, elsewhere);
    code.bind(fill);
    code.loadIndexed(Reg.rdx, Reg.rax, LINEAR + STAMP_OF_ENTRY, 2, false);
    code.alu(Alu.cmp, Reg.rdx, this.#at(STAMP), false);
    code.loadIndexed(Reg.rdx, Reg.rax, LINEAR, 8, false);
    code.jumpIf(Condition.notEqual, remember);
    code.bind(remembered);
    // Of no page, and not far from the last one there could be.
    code.aluImmediate(Alu.cmp, Reg.rdx, -1);
    code.jumpIf(Condition.equal, unknown);
    // Most go to the page that they went to at first, and nowhere else: only for others it pays to find more.
    code.aluAtImmediate(Alu.cmp, Reg.rcx, WayField.next, 0, false);
    code.jumpIf(Condition.equal, first);
    code.testIndexed(Reg.rax, LINEAR + FLAGS, TlbFlag.wide | TlbFlag.run);
    code.jumpIf(Condition.notEqual, wide);
    code.bind(page);
    code.storeAt(Reg.rcx, Reg.rdx, 8, WayField.start);
    writeAdded(code);
    code.loadAt(Reg.rdx, Reg.rcx, 2, false, WayField.room);
    // With what is added in rax, and how far from the start accesses may begin in rdx.
    code.bind(found);
    code.storeAt(Reg.rcx, Reg.rdx, 8, WayField.limit);
    code.storeAt(Reg.rcx, Reg.rax, 8, WayField.added);
    code.move(Reg.rcx, Reg.rax);
    code.alu(Alu.cmp, Reg.rax, Reg.rax, false);
    code.bind(end);
    code.pop(Reg.rax);
    code.return();

    code.bind(first);
    this.#writeFirst(code);
    code.jump(page);

    code.bind(remember);
    this.#writeRemember(code, Reg.rdx, Reg.rax);
    code.jumpIf(Condition.equal, never);
    code.push(Reg.rdx);
    code.move(Reg.rdx, this.#at(STAMP), false);
    code.storeIndexed(Reg.rax, LINEAR + STAMP_OF_ENTRY, Reg.rdx, 2);
    code.pop(Reg.rdx);
    code.jump(remembered);

    // What else the block accesses by the way looks nothing up.
    code.bind(never);
    writeAdded(code);
    code.moveImmediate(Reg.rdx, 0);
    code.jump(found);

    code.bind(wide);
    code.testIndexed(Reg.rax, LINEAR + FLAGS, TlbFlag.wide);
    code.jumpIf(Condition.notEqual, reach);
    // The page that follows in memory is not the one that does in the run.
    code.aluImmediate(Alu.cmp, this.#at(CROSSES), 0, false);
    code.jumpIf(Condition.notEqual, page);
    const { start, room } = WayField;
    writeRun(code, { runs: this.#at(RUNS_START), epoch: this.#at(EPOCH), start, room }, page);
    code.jump(found);

    code.bind(reach);
    for (const reg of REACH_TAKES) code.push(reg);
    writeReach(code, store ? this.codePages : undefined);
    // How far the memory begins from the page, in both.
    code.move(Reg.rax, Reg.rsi);
    code.alu(Alu.sub, Reg.rax, Reg.r8);
    code.alu(Alu.add, Reg.rax, Reg.rdx);
    code.storeAt(Reg.rcx, Reg.rax, 8, WayField.start);
    code.leaSum(Reg.rax, Reg.r8, Reg.rbp);
    code.lea(Reg.rax, Reg.rax, LINEAR);
    code.alu(Alu.sub, Reg.rax, Reg.rdx);
    code.loadAt(Reg.rdx, Reg.rcx, 2, false, WayField.room);
    code.aluImmediate(Alu.sub, Reg.rdx, PAGE_SIZE);
    code.alu(Alu.add, Reg.rdx, Reg.rdi);
    code.alu(Alu.sub, Reg.rdx, Reg.rsi);
    for (const reg of REACH_TAKES.toReversed()) code.pop(reg);
    code.jump(found);

    code.bind(elsewhere);
    this.#writeCrossing(code, table, fill);
    code.bind(unknown);
    // Not equal.
    code.test(Reg.rsp, Reg.rsp);
    code.jump(end);
  }

  /** The way in rcx is the first one of its page now. */
  #writeFirst(code: Assembler): void {
    const taken = [Reg.rax, Reg.rdx, Reg.rsi];
    for (const reg of taken) code.push(reg);
    code.loadAt(Reg.rdx, Reg.rcx, 2, false, WayField.page);
    code.addressOf(Reg.rax, this.#at(FIRST_START));
    code.leaSum(Reg.rdx, Reg.rax, Reg.rdx, 2);
    code.loadAt(Reg.rax, Reg.rdx, 4, false);
    code.aluImmediate(Alu.add, Reg.rax, 1, false);
    code.storeAt(Reg.rcx, Reg.rax, 4, WayField.next);
    code.addressOf(Reg.rax, this.#at(0));
    code.move(Reg.rsi, Reg.rcx);
    code.alu(Alu.sub, Reg.rsi, Reg.rax);
    code.storeAt(Reg.rdx, Reg.rsi, 4);
    for (const reg of taken.toReversed()) code.pop(reg);
  }

  /**
   * With an address's entry in rax, and what differs between the two in rdx: goes to `fill` if the address is on the entry's
   * page, and the next page follows it in memory, too; else goes on. Takes rdx.
   */
  #writeCrossing(code: Assembler, table: number, fill: Label): void {
    const unknown = new Label();
    const apart = new Label();
    code.push(Reg.rsi);
    code.push(Reg.rdi);
    code.aluIndexed(Alu.xor, Reg.rdx, Reg.rax, LINEAR);
    code.aluImmediate(Alu.and, Reg.rdx, -PAGE_SIZE);
    code.aluIndexed(Alu.cmp, Reg.rdx, Reg.rax, LINEAR);
    code.jumpIf(Condition.notEqual, unknown);
    code.aluImmediate(Alu.add, Reg.rdx, PAGE_SIZE);
    writeTlbEntry(code, Reg.rdi, Reg.rdx, table);
    code.aluIndexed(Alu.cmp, Reg.rdx, Reg.rdi, LINEAR);
    code.jumpIf(Condition.notEqual, unknown);
    code.loadIndexed(Reg.rsi, Reg.rdi, LINEAR + ADDEND, 4, false);
    code.aluIndexed(Alu.cmp, Reg.rsi, Reg.rax, LINEAR + ADDEND, false);
    code.jumpIf(Condition.notEqual, apart);
    code.pop(Reg.rdi);
    code.pop(Reg.rsi);
    code.storeWord(this.#at(CROSSES), 1);
    code.jump(fill);
    code.bind(apart);
    this.#writeUseless(code);
    code.bind(unknown);
    code.pop(Reg.rdi);
    code.pop(Reg.rsi);
  }

  /** Tells about the way in rcx. Takes rax, rcx and rdx. */
  #writeUseless(code: Assembler): void {
    const full = new Label();
    code.move(Reg.rdx, this.#at(USELESS_COUNT), false);
    code.aluImmediate(Alu.cmp, Reg.rdx, USELESS_MOST, false);
    code.jumpIf(Condition.equal, full);
    code.addressOf(Reg.rax, this.#at(0));
    code.alu(Alu.sub, Reg.rcx, Reg.rax);
    code.leaSum(Reg.rax, Reg.rax, Reg.rdx, 2);
    code.storeAt(Reg.rax, Reg.rcx, 4, USELESS);
    code.aluImmediate(Alu.add, this.#at(USELESS_COUNT), 1, false);
    code.bind(full);
  }

  /** Has what is to be added to addresses in rcx, for accesses that begin at the address in rdx. Takes rdx. */
  writeLookUp(code: Assembler, { way, store, interpret, afterwards }: WayPlace): void {
    const found = new Label();
    code.alu(Alu.sub, Reg.rdx, way + WayField.start);
    code.alu(Alu.cmp, Reg.rdx, way + WayField.limit);
    code.jumpIf(
      Condition.notBelow,
      afterwards(() => {
        code.addressOf(Reg.rcx, way);
        code.call(this.#missed[Number(store)]);
        code.jumpIf(Condition.equal, found);
        code.jump(interpret);
      }),
    );
    code.move(Reg.rcx, way + WayField.added);
    code.bind(found);
  }

  /** The same once more, for a way that was looked up in the same block. */
  writeAgain(code: Assembler, way: Operand): void {
    code.move(Reg.rcx, way + WayField.added);
  }

  /**
   * For accesses that begin at the address in rdx: has in rax for how many of them the way is right if each is a step from the
   * last (a power of two, forwards or backwards; 0: for all). Goes to `interpret` if that is none. Takes rdx.
   */
  writeSteps(code: Assembler, { way, store, interpret, afterwards }: WayPlace, step: number): void {
    const found = new Label();
    const compare = (otherwise: Label) => {
      code.alu(Alu.sub, Reg.rdx, way + WayField.start);
      code.move(Reg.rax, way + WayField.limit);
      code.alu(Alu.cmp, Reg.rdx, Reg.rax);
      code.jumpIf(Condition.notBelow, otherwise);
    };
    compare(
      afterwards(() => {
        code.push(Reg.rcx);
        code.move(Reg.rax, Reg.rdx);
        code.alu(Alu.add, Reg.rax, way + WayField.start);
        code.push(Reg.rax);
        code.addressOf(Reg.rcx, way);
        code.call(this.#missed[Number(store)]);
        code.pop(Reg.rdx);
        code.pop(Reg.rcx);
        code.jumpIf(Condition.notEqual, interpret);
        // It may be on two pages.
        compare(interpret);
        code.jump(found);
      }),
    );
    code.bind(found);
    if (step === 0) return;
    if (step < 0) code.move(Reg.rax, Reg.rdx);
    else {
      code.alu(Alu.sub, Reg.rax, Reg.rdx);
      code.aluImmediate(Alu.sub, Reg.rax, 1);
    }
    code.shift(Shift.shr, Reg.rax, Math.log2(Math.abs(step)));
    code.aluImmediate(Alu.add, Reg.rax, 1);
  }
}

/** With an entry in rax and its page's address in rdx: has what makes the host's of addresses there in rax. */
function writeAdded(code: Assembler): void {
  code.loadIndexed(Reg.rax, Reg.rax, LINEAR + ADDEND, 4, false);
  code.alu(Alu.add, Reg.rax, Reg.rdx, false);
  code.leaSum(Reg.rax, Reg.rax, Reg.rbp);
  code.lea(Reg.rax, Reg.rax, LINEAR);
  code.alu(Alu.sub, Reg.rax, Reg.rdx);
}

/** Accesses, where their way is looked up. */
export interface WayPlace {
  readonly way: Operand;
  readonly store: boolean;
  /** Where the interpreter carries the first one out. */
  readonly interpret: Label;
  /** Has code written behind all else. */
  afterwards(write: () => void): Label;
}
