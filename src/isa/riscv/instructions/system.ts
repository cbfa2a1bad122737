/** Zicsr, privileged instructions and cache-block operations. RISC-V Unpriv §7, §19; Priv §3.3, §10.2 */
import type { Semantics, Service } from "../semantics.ts";
import { fixed, instruction, Major } from "./encoding.ts";

const csr = (funct3: number, source: "rs1" | "zimm") =>
  fixed(0x707f, (funct3 << 12) | Major.system, "csr", `rd,csr,${source}`);
const exactly = (bits: number) => fixed(0xffffffff, bits, "none", "");
const cacheBlock = (operation: number) =>
  fixed(0xfff07fff, (operation << 20) | (2 << 12) | Major.miscMem, "none", "(rs1)");
const service = (name: Service): Semantics => ({ does: "service", service: name });

export const system = [
  instruction("csrrw", "zicsr", csr(1, "rs1"), service("csr")),
  instruction("csrrs", "zicsr", csr(2, "rs1"), service("csr")),
  instruction("csrrc", "zicsr", csr(3, "rs1"), service("csr")),
  instruction("csrrwi", "zicsr", csr(5, "zimm"), service("csr")),
  instruction("csrrsi", "zicsr", csr(6, "zimm"), service("csr")),
  instruction("csrrci", "zicsr", csr(7, "zimm"), service("csr")),
  instruction("ecall", "i", exactly(0x00000073), service("ecall")),
  instruction("ebreak", "i", exactly(0x00100073), service("ebreak")),
  instruction("sret", "i", exactly(0x10200073), service("sret")),
  instruction("mret", "i", exactly(0x30200073), service("mret")),
  instruction("wfi", "i", exactly(0x10500073), service("wfi")),
  instruction("sfence.vma", "i", fixed(0xfe007fff, 0x12000073, "none", "rs1,rs2"), service("sfence.vma")),
  instruction("cbo.inval", "zicbom", cacheBlock(0), service("cbo.inval")),
  instruction("cbo.clean", "zicbom", cacheBlock(1), service("cbo.clean")),
  instruction("cbo.flush", "zicbom", cacheBlock(2), service("cbo.flush")),
  instruction("cbo.zero", "zicboz", cacheBlock(4), { does: "zeroBlock" }),
];
