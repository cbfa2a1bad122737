/** `struct fw_dynamic_info`: how OpenSBI's fw_dynamic learns in a2 what it shall start. Other firmware does not look. */

export const FIRMWARE_INFO_SIZE = 48;

/** OpenSBI, docs/firmware/fw_dynamic.md and include/sbi/fw_dynamic.h: six fields of XLEN bits. */
const MAGIC = 0x4942_534fn; // "OSBI"
const VERSION = 2n;
const SUPERVISOR = 1n;
const NO_OPTIONS = 0n;
/** As QEMU has it: the hart that boots is the same in every run. */
const BOOT_HART = 0n;

/** `next`: where OpenSBI goes in S-mode when it is done; 0 where there is nothing. */
export function firmwareInfo(next: number): Uint8Array {
  const bytes = new Uint8Array(FIRMWARE_INFO_SIZE);
  const view = new DataView(bytes.buffer);
  [MAGIC, VERSION, BigInt(next), SUPERVISOR, NO_OPTIONS, BOOT_HART].forEach((field, i) => {
    view.setBigUint64(8 * i, field, true);
  });
  return bytes;
}
