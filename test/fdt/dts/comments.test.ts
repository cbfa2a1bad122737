/** Comments from source to source: what each belongs to, and that nothing but the text depends on them. */
import { describe, expect, test } from "bun:test";
import { type ParseDtsOptions, parseDts } from "../../../src/fdt/dts/parse.ts";
import { printSource } from "../../../src/fdt/dts/printer.ts";
import { printDts } from "../../../src/fdt/printer.ts";
import { removeNode, writeProperty } from "../../../src/fdt/query.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { expectSameBytes, randomFdt, randomFrom } from "../support.ts";
import { filesOf, randomSource, root } from "./support.ts";

const again = (source: string, options: ParseDtsOptions = {}): string => printSource(parseDts(source, options));
/** The comments alone, in their order. */
const commentsOf = (text: string): string[] => text.match(/\/\/.*|\/\*[\s\S]*?\*\//g) ?? [];

describe("places", () => {
  const CANONICAL = `// license
/*
 * board
 */

/* what it is */
/dts-v1/; // header
// a plugin
/plugin/; /* it is */

// room
/memreserve/\t0x0000000000001000 0x0000000000002000; // kept
// the root
/ { /* opens */
	// above
	/* and again */

	/* after an empty line */
	a = <0x01>; // behind
	b; /* with
	   more */ // and more

	// a node
	l: n@1 { // opens it
		// alone in it
	}; // closes it

	m {
		c;

		inner {
		};
		// last in m
	};
	// last
}; // closes

// the end
`;
  test("each stays where it is", () => expect(again(CANONICAL)).toBe(CANONICAL));

  test("what stands inside a value or a name moves to the end of its line", () => {
    const source = root(
      "p /* a */ = <1 // b",
      "/* c */ 2>, /* d */ &l; // e",
      "l: /* f */ n /* g */ { /* h */ } /* i */ ; // j",
    );
    expect(again(source)).toBe(`/dts-v1/;

/ {
	p = <0x01 0x02>, "/n"; /* a */ /* b */ /* c */ /* d */ // e

	l: n { /* f */ /* g */ /* h */
	}; /* i */ // j
};
`);
  });

  test("several statements on a line", () => {
    expect(
      again(root("/* 1 */ p; /* 2 */ q; /* 3 */ n { }; /* 4 */ /* 5", "*/ /* 6 */")).split("\n").slice(3, -2),
    ).toEqual(["\t/* 1 */", "\tp; /* 2 */", "\tq; /* 3 */", "", "\tn {", "\t}; /* 4 */ /* 5", "\t */ /* 6 */"]);
  });
});

describe("what happens to them", () => {
  test("a node that is extended keeps them, later ones win; a property that is set again does not", () => {
    const source = `${root("// n", "l: n { // open", "// p", "p = <1>; // one", "// q", "q; };")}
      // more of n
      &l { // p again
      p = <2>; };
      &l { q; /* q again */
      // last
      };`;
    expect(commentsOf(again(source))).toEqual(["// more of n", "// p again", "/* q again */", "// last"]);
  });

  test("what is deleted takes them along, also when it returns", () => {
    const source = `${root("// p", "p; // p", "// n", "l: n { // n", "// in n", "}; // n", "// m", "m { };")}
      // why
      /delete-node/ &l; // why
      / { // root
        /* gone */ /delete-property/ p; /* gone */
        /* gone */ /delete-node/ m; // gone
      };
      / { p; n { }; m { }; };`;
    expect(commentsOf(again(source))).toEqual(["// root"]);
  });

  test("what nothing refers to takes them along", () => {
    expect(commentsOf(again(root("// n", "/omit-if-no-ref/ n { // n", "};", "// m", "m { };")))).toEqual(["// m"]);
  });

  test("a plugin's fragments have them", () => {
    expect(
      again("/dts-v1/; /plugin/;\n// on\n&x { // open\n// p\np;\n// last\n}; // off\n").split("\n").slice(4, 14),
    ).toEqual([
      "",
      "\t// on",
      "\tfragment@0 {",
      "\t\ttarget = <&x>;",
      "",
      "\t\t__overlay__ { // open",
      "\t\t\t// p",
      "\t\t\tp;",
      "\t\t\t// last",
      "\t\t};",
    ]);
  });

  test("included files: by what they stand above; a header of macros, and what is above a macro, has none", () => {
    const files = filesOf({
      "soc.dtsi": "// soc\n/ { // opens\nl: n { };\n}; // soc ends\n",
      "part.dtsi": "// part\n&l { // opens n\n};\n",
      "numbers.h": '/* license */\n#ifndef N\n#include "more.h"\n/* N */\n#define N 1 /* one */\n#endif\n/* end */\n',
      "more.h": "/* more */\n",
    });
    const source = `// board
#include "numbers.h"
/dts-v1/;
#include "soc.dtsi"
/* M,
   in two lines */
#define M 2
/include/ "part.dtsi" // not of n
// p
/ { p = <N M>; };
/* about what follows */

#undef M
// last
`;
    expect(again(source, { files }).split("\n")).toEqual([
      "// board",
      "/dts-v1/;",
      "",
      "// not of n",
      "// p",
      "/ { // opens",
      "\tp = <0x01 0x02>;",
      "",
      "\t// part",
      "\tl: n { // opens n",
      "\t};",
      "}; // soc ends",
      "",
      "/* about what follows */",
      "",
      "// last",
      "",
    ]);
  });

  test("a changed tree: values are the new ones, references stand where they still lead", () => {
    const tree = parseDts(root("// p", "p = <&a &b>; // two", "q = <0x7>;", "a: a { };", "// b", "b: b { };"));
    removeNode(tree, "/b");
    writeProperty(tree, "/", "q", new Uint8Array([0, 0, 0, 8]));
    const text = printSource(tree, { changed: true });
    expect(text).toContain("\t// p\n\tp = <&a 0x02>; // two\n\tq = <0x08>;\n");
    expect(commentsOf(text)).toEqual(["// p", "// two"]);
    expectSameBytes(writeDtb(parseDts(text)), writeDtb(tree));
  });

  test("the note on the boot CPU comes once", () => {
    const once = again(root("n { };"), { bootCpu: 3 });
    expect(commentsOf(once)).toEqual(["// boot CPU: dtc -b 3"]);
    expect(again(once, { bootCpu: 3 })).toBe(once);
  });

  test("too many are left out, with a warning", () => {
    for (const comments of ["/**/".repeat((1 << 17) + 1), `/*${"\n".repeat(4 << 20)}*/`]) {
      const tree = parseDts(comments + root("// last", "p;"));
      expect(tree.warnings.map(({ code }) => code)).toEqual(["dts/comments"]);
      expect(printSource(tree)).not.toContain("last");
    }
  });
});

/** Comments of every kind where blanks are, none of them inside quotes; each has a number. */
function commented(source: string, random: (limit: number) => number): string {
  const bodies = [
    "",
    "*",
    " a ",
    "\\",
    ' "q',
    " '",
    "\x1b\x00",
    "\r",
    "\u202e",
    " /dts-v1/; ",
    "{",
    "// x",
    "/* y",
    "\t",
  ];
  let count = 0;
  const body = () => `§${count++}§${bodies[random(bodies.length)]!}`;
  const comment = (): string => {
    if (random(2)) return `//${body()}${random(3) ? "" : "*/"}\n`;
    const breaks = ["", "", "\n", "\n\t\t* ", "\r\n  ", "\n\n   *"];
    return `/*${body()}${breaks[random(breaks.length)]}${body()}${breaks[random(breaks.length)]}*/`.replaceAll(
      "*/ ",
      "* ",
    );
  };
  const blanks = [" ", "\n", "\n\n\t", ""];
  return source.replace(/"(?:\\.|[^"\\])*"|[ \n]+/g, (found) => {
    if (found.startsWith('"') || random(3)) return found;
    return `${found}${comment()}${blanks[random(4)]}${random(4) ? "" : comment()}`;
  });
}

describe("at random", () => {
  test("the blob is the same, and printed comments stay as they are", () => {
    let trees = 0;
    for (let seed = 0; seed < 300; seed++) {
      const random = randomFrom(seed);
      const plain = randomSource(random);
      const source = commented(plain, random);
      let expected: Uint8Array;
      try {
        expected = writeDtb(parseDts(plain));
      } catch {
        expect(() => parseDts(source)).toThrow();
        continue;
      }
      trees++;
      const tree = parseDts(source);
      expectSameBytes(writeDtb(tree), expected);
      const printed = printSource(tree);
      expect(printed).not.toMatch(/[^\n\t\P{Cc}]|\p{Cf}/u);
      expectSameBytes(writeDtb(parseDts(printed)), expected);
      expect(again(printed)).toBe(printed);
    }
    expect(trees).toBeGreaterThan(50);
  });

  test("none is lost where nothing is deleted or merged", () => {
    for (let seed = 0; seed < 60; seed++) {
      const source = commented(printDts(randomFdt(seed)), randomFrom(seed));
      const numbers = (text: string) => (text.match(/§\d+§/g) ?? []).sort();
      const printed = again(source);
      expect(numbers(printed)).toEqual(numbers(source));
      expect(again(printed)).toBe(printed);
    }
  });
});
