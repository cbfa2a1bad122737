/** Random bytes of the host, as many as are asked for. */

/** The Web Crypto call takes no more at a time. */
const AT_ONCE = 65536;

export function hostRandom(into: Uint8Array): void {
  for (let at = 0; at < into.length; at += AT_ONCE) {
    crypto.getRandomValues(into.subarray(at, at + AT_ONCE) as Uint8Array<ArrayBuffer>);
  }
}
