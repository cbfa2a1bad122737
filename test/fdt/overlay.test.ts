import { describe, expect, test } from "bun:test";
import { applyOverlays } from "../../src/fdt/overlay.ts";
import { cells, type Fdt, type FdtNode, find, node, setProperty, strings, u32, walk } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { fdtoverlay, hasFdtoverlay, NEEDS_FDTOVERLAY, randomOverlays, zeroGaps } from "./overlay-support.ts";
import { codeOf, errorOf, expectSameBytes, randomFrom } from "./support.ts";

function tree(...children: FdtNode[]): Fdt {
  return { root: node("", {}, children), reservations: [], bootCpu: 0 };
}

function base(): Fdt {
  return tree(
    node("soc", { phandle: 1, status: "okay" }, [node("uart@10", { phandle: 5, reg: 16 })]),
    node("aliases", { serial0: "/soc/uart@10" }),
    node("__symbols__", { soc: "/soc", uart0: "/soc/uart@10" }),
  );
}

function fragment(target: string | number, content: FdtNode, name = "fragment@0"): FdtNode {
  return node(name, typeof target === "string" ? { "target-path": target } : { target }, [content]);
}

function apply(...overlays: Fdt[]): Fdt {
  return applyOverlays(
    base(),
    overlays.map((fdt, i) => ({ fdt, file: `${i}.dtbo` })),
  ).fdt;
}

describe("an overlay", () => {
  test("changes and adds; what is new comes first, as in libfdt", () => {
    const content = node("__overlay__", { status: "disabled", ranges: true }, [node("gpio@1"), node("gpio@2")]);
    const { root } = apply(tree(fragment("/soc", content)));
    const soc = find(root, "/soc")!;
    expect([...soc.properties.keys()]).toEqual(["ranges", "phandle", "status"]);
    expect(strings(soc, "status")).toEqual(["disabled"]);
    expect(soc.children.map(({ name }) => name)).toEqual(["gpio@2", "gpio@1", "uart@10"]);
  });

  test("keeps its references while its phandles move behind the base's", () => {
    const gpio = node("gpio@1", { phandle: 1 });
    const content = node("__overlay__", { "reset-gpios": [1, 3] }, [gpio]);
    const local = node("__local_fixups__", {}, [node("fragment@0", {}, [node("__overlay__", { "reset-gpios": [0] })])]);
    const { root } = apply(tree(fragment("/soc", content), local));
    expect(u32(find(root, "/soc/gpio@1")!, "phandle")).toBe(6);
    expect(cells(find(root, "/soc")!, "reset-gpios")).toEqual([6, 3]);
  });

  test("finds the base's labels", () => {
    const content = node("__overlay__", { console: 0xffff_ffff });
    const fixups = node("__fixups__", { soc: "/fragment@0:target:0", uart0: "/fragment@0/__overlay__:console:0" });
    const { root } = apply(tree(fragment(0xffff_ffff, content), fixups));
    expect(u32(find(root, "/soc")!, "console")).toBe(5);
  });

  test("gives its labels to the next one", () => {
    const first = tree(
      fragment("/soc", node("__overlay__", {}, [node("i2c@3", { phandle: 1 })])),
      node("__symbols__", { i2c3: "/fragment@0/__overlay__/i2c@3", lost: "/elsewhere" }),
    );
    const second = tree(
      fragment(0xffff_ffff, node("__overlay__", {}, [node("eeprom@50")])),
      node("__fixups__", { i2c3: "/fragment@0:target:0" }),
    );
    const { root } = apply(first, second);
    expect(find(root, "/soc/i2c@3/eeprom@50")).toBeDefined();
    expect(strings(find(root, "/__symbols__")!, "i2c3")).toEqual(["/soc/i2c@3"]);
    expect(find(root, "/__symbols__")!.properties.has("lost")).toBe(false);
  });

  test("leaves the base a phandle that it has, and follows it", () => {
    const content = node("__overlay__", { link: 1 }, [node("uart@10", { phandle: 1 })]);
    const local = node("__local_fixups__", {}, [node("fragment@0", {}, [node("__overlay__", { link: [0] })])]);
    const { root } = apply(tree(fragment("/soc", content), local));
    expect(u32(find(root, "/soc/uart@10")!, "phandle")).toBe(5);
    expect(u32(find(root, "/soc")!, "link")).toBe(5);
  });

  test("may name its target by alias, and a node without its unit address", () => {
    const { root } = apply(tree(fragment("serial0", node("__overlay__", { a: 1 }), "fragment@0")));
    expect(u32(find(root, "/soc/uart@10")!, "a")).toBe(1);
    const other = apply(tree(fragment("/soc", node("__overlay__", {}, [node("uart", { b: 2 })]))));
    expect(u32(find(other.root, "/soc/uart@10")!, "b")).toBe(2);
  });

  test("changes neither its argument nor the base's", () => {
    const [before, overlay] = [base(), tree(fragment("/soc", node("__overlay__", { status: "x" }, [node("n")])))];
    const blobs = [writeDtb(before), writeDtb(overlay)];
    const { fdt } = applyOverlays(before, [{ fdt: overlay }]);
    find(fdt.root, "/soc/uart@10")!.properties.get("reg")!.fill(0xff);
    expect([writeDtb(before), writeDtb(overlay)]).toEqual(blobs);
  });
});

describe("refuses, and says where:", () => {
  const content = () => node("__overlay__", { link: 0xffff_ffff });
  const cases: [string, Fdt, string, string][] = [
    [
      "an unknown label",
      tree(fragment("/soc", content()), node("__fixups__", { i2c9: "/fragment@0/__overlay__:link:0" })),
      "overlay/unresolved-symbol",
      "/__fixups__:i2c9",
    ],
    [
      "a fixup that is no triple",
      tree(fragment("/soc", content()), node("__fixups__", { soc: "/fragment@0:link" })),
      "overlay/fixup",
      "/__fixups__:soc",
    ],
    [
      "a fixup to nowhere",
      tree(fragment("/soc", content()), node("__fixups__", { soc: "/fragment@0/x:link:0" })),
      "overlay/fixup",
      "/__fixups__:soc",
    ],
    [
      "a fixup beyond its property",
      tree(fragment("/soc", content()), node("__fixups__", { soc: "/fragment@0/__overlay__:link:1" })),
      "overlay/fixup",
      "/__fixups__:soc",
    ],
    [
      "a local fixup beyond its property",
      tree(
        fragment("/soc", content()),
        node("__local_fixups__", {}, [node("fragment@0", {}, [node("__overlay__", { link: [0xffff_fffe] })])]),
      ),
      "overlay/local-fixup",
      "/__local_fixups__/fragment@0/__overlay__:link",
    ],
    [
      "a local fixup without its node",
      tree(fragment("/soc", content()), node("__local_fixups__", {}, [node("x")])),
      "overlay/local-fixup",
      "/__local_fixups__/x",
    ],
    ["a target that is not there", tree(fragment("/nowhere", content())), "overlay/target", "/fragment@0"],
    ["a target that nothing resolved", tree(fragment(0xffff_ffff, content())), "overlay/target", "/fragment@0:target"],
    ["no target", tree(node("fragment@0", {}, [content()])), "overlay/target", "/fragment@0"],
    ["what is no overlay", tree(node("soc")), "overlay/empty", "/"],
    [
      "a phandle of two cells",
      tree(fragment("/soc", node("__overlay__", { phandle: [1, 2] }))),
      "overlay/phandle",
      "/fragment@0/__overlay__:phandle",
    ],
    [
      "phandles that run out",
      tree(fragment("/soc", node("__overlay__", { phandle: 0xffff_fffe }))),
      "overlay/phandle",
      "/fragment@0/__overlay__:phandle",
    ],
    [
      "a symbol of a fragment that is not there",
      tree(fragment("/soc", content()), node("__symbols__", { a: "/fragment@7/__overlay__/x" })),
      "overlay/symbol",
      "/__symbols__:a",
    ],
  ];
  for (const [what, overlay, code, path] of cases) {
    test(what, () => {
      const [diagnostic] = errorOf(() => apply(overlay)).diagnostics;
      expect([diagnostic!.code, diagnostic!.place]).toEqual([code, { file: "0.dtbo", path }]);
    });
  }

  test("labels where the base has none", () => {
    const overlay = tree(fragment("/soc", content()), node("__fixups__", { soc: "/fragment@0:target:0" }));
    const error = errorOf(() => applyOverlays(tree(node("soc")), [{ fdt: overlay }]));
    expect(error.diagnostics[0]!.hint).toContain("dtc -@");
  });

  test("a tree that would grow too deep", () => {
    let deep = node("__overlay__");
    for (let i = 0; i < 60; i++) deep = node(i === 59 ? "__overlay__" : "d", {}, [{ ...deep, name: "d" }]);
    const overlay = tree(fragment("/soc", deep));
    const again = tree(fragment(`/soc${"/d".repeat(60)}`, deep));
    expect(codeOf(() => apply(overlay, again))).toBe("fdt/too-deep");
  });
});

describe("the same bytes as fdtoverlay", () => {
  test.skipIf(!hasFdtoverlay)(`for overlays at random${NEEDS_FDTOVERLAY}`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { base, overlays } = randomOverlays(seed);
      const theirs = fdtoverlay(
        writeDtb(base),
        overlays.map((each) => writeDtb(each)),
      );
      if (typeof theirs === "string") throw new Error(`seed ${seed}: ${theirs}`);
      const ours = applyOverlays(
        base,
        overlays.map((fdt) => ({ fdt })),
      );
      expectSameBytes(writeDtb(ours.fdt, { names: ours.names }), zeroGaps(theirs));
    }
  });
});

test("damaged overlays are refused or applied, never more", () => {
  const random = randomFrom(4);
  let [applied, refused] = [0, 0];
  for (let seed = 1; seed <= 400; seed++) {
    const { base, overlays } = randomOverlays(seed, { phandleClashes: true });
    const damaged = overlays[0]!;
    for (const { node: each } of walk(damaged.root)) {
      for (const [name, value] of each.properties) {
        const harm = random(8);
        if (harm === 0) each.properties.set(name, value.slice(0, random(value.length + 1)));
        else if (harm === 1 && value.length > 0) value[random(value.length)] = random(256);
      }
      if (random(16) === 0) each.children.pop();
    }
    try {
      writeDtb(applyOverlays(base, [{ fdt: damaged }]).fdt);
      applied++;
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "VmrunError") throw error;
      refused++;
    }
  }
  // Both must happen, else this proves nothing.
  expect(applied).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(50);
});

test("the work does not grow faster than the tree", () => {
  // Counted, not timed: reads of the children of a node with many.
  const reads = (count: number): number => {
    let counted = 0;
    const wide = node("soc");
    wide.children = new Proxy(
      Array.from({ length: count }, (_, i) => node(`d@${i.toString(16)}`)),
      {
        get(target, key, receiver) {
          counted++;
          return Reflect.get(target, key, receiver);
        },
      },
    );
    const content = node("__overlay__");
    content.children = Array.from({ length: count }, (_, i) => node(`d@${(2 * i).toString(16)}`));
    setProperty(content, "a", 1);
    applyOverlays(tree(wide), [{ fdt: tree(fragment("/soc", content)) }]);
    return counted;
  };
  expect(reads(4000) / reads(1000)).toBeLessThan(4.5);
});
