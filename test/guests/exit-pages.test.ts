// Pages of exits in a real browser: it draws them without an error, and a click sorts.
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { endedWith, testWith, VIRT, vmrun, Workshop } from "./vmrun.ts";

const browser = testWith([], { chromium: "chromium" });

/** Loads a page and answers what it has come to, and what its console says. */
async function dom(path: string): Promise<{ html: string; log: string }> {
  const options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom"];
  const child = Bun.spawn(["chromium", ...options, `file://${path}`], { stdout: "pipe", stderr: "pipe" });
  const [html, log] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(await child.exited).toBe(0);
  return { html, log };
}

/** Put at the end of a page: sorts the last table by its second column, and measures what was drawn. */
const PROBE = `<script>
  const table = [...document.querySelectorAll("table")].at(-1);
  const exits = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[3].dataset.v));
  table.tHead.rows[0].cells[3].click();
  const cells = [...document.querySelectorAll("svg rect")].map((rect) => rect.getBoundingClientRect());
  const wide = document.documentElement.clientWidth;
  const texts = [...document.querySelectorAll("svg .cell")].filter((text) => {
    const box = text.getBoundingClientRect(), own = text.parentNode.querySelector("rect").getBoundingClientRect();
    return box.right > own.right + 1;
  });
  document.title = JSON.stringify({
    sorted: exits(), drawn: cells.filter(({ width, height }) => width > 0 && height > 0).length,
    outside: cells.filter(({ right }) => right > wide + 1).length, spilt: texts.map((text) => text.textContent),
  });
</script>`;

browser("the page and the picture are drawn, fit, and sort", async () => {
  using shop = new Workshop();
  const files = ["--exits-html", shop.path("exits.html"), "--exits-svg", shop.path("exits.svg")];
  endedWith(await vmrun([VIRT, ...files], "rng 16\nrtc\nirq\npoweroff\n"), 0);
  const page = readFileSync(shop.path("exits.html"), "utf8");
  writeFileSync(shop.path("probed.html"), page.replace("</body>", `${PROBE}</body>`));
  const { html, log } = await dom(shop.path("probed.html"));
  expect(log).not.toMatch(/CONSOLE.*(rror|warn)/i);
  const title = /<title>(.*?)<\/title>/.exec(html)![1].replaceAll("&quot;", '"');
  const { sorted, drawn, outside, spilt } = JSON.parse(title);
  expect(sorted.length).toBeGreaterThan(20);
  expect(sorted).toEqual(sorted.toSorted((a: number, b: number) => b - a));
  expect(drawn).toBeGreaterThan(40);
  expect([outside, spilt]).toEqual([0, []]);
  const picture = await dom(shop.path("exits.svg"));
  expect(picture.html).toContain("Memory map");
  expect(picture.html).not.toContain("parsererror");
});
