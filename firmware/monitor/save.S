# What -msave-restore calls: shared prologues and epilogues, because libgcc's are built for another floating-point ABI.
# __riscv_save_N keeps ra and s0..s(N-1), ra topmost, in a frame of whole 16 bytes; it is called with t0 as link.

  .macro  save_entry low, high, unused
  .globl __riscv_save_\low, __riscv_save_\high
__riscv_save_\low:
__riscv_save_\high:
  addi    sp, sp, -112
  li      t1, \unused
  .endm

  .section .text.save_restore, "ax"
  .globl __riscv_save_12
__riscv_save_12:
  addi    sp, sp, -112
  li      t1, 0
  sd      s11, 8(sp)
  j       save_10
  save_entry 10, 11, 16
save_10:
  sd      s10, 16(sp)
  sd      s9, 24(sp)
  j       save_8
  save_entry 8, 9, 32
save_8:
  sd      s8, 32(sp)
  sd      s7, 40(sp)
  j       save_6
  save_entry 6, 7, 48
save_6:
  sd      s6, 48(sp)
  sd      s5, 56(sp)
  j       save_4
  save_entry 4, 5, 64
save_4:
  sd      s4, 64(sp)
  sd      s3, 72(sp)
  sd      s2, 80(sp)
  sd      s1, 88(sp)
  sd      s0, 96(sp)
  sd      ra, 104(sp)
  add     sp, sp, t1
  jr      t0

  .globl __riscv_save_0, __riscv_save_1, __riscv_save_2, __riscv_save_3
__riscv_save_2:
__riscv_save_3:
  addi    sp, sp, -32
  sd      s2, 0(sp)
  sd      s1, 8(sp)
  sd      s0, 16(sp)
  sd      ra, 24(sp)
  jr      t0
__riscv_save_0:
__riscv_save_1:
  addi    sp, sp, -16
  sd      s0, 0(sp)
  sd      ra, 8(sp)
  jr      t0

  .macro  restore_entry low, high, upper, lower
  .globl __riscv_restore_\low, __riscv_restore_\high
__riscv_restore_\low:
__riscv_restore_\high:
  ld      \upper, 0(sp)
  ld      \lower, 8(sp)
  addi    sp, sp, 16
  .endm
  .globl __riscv_restore_12
__riscv_restore_12:
  ld      s11, 8(sp)
  addi    sp, sp, 16
  restore_entry 10, 11, s10, s9
  restore_entry 8, 9, s8, s7
  restore_entry 6, 7, s6, s5
  restore_entry 4, 5, s4, s3
  restore_entry 2, 3, s2, s1
  .globl __riscv_restore_0, __riscv_restore_1
__riscv_restore_0:
__riscv_restore_1:
  ld      s0, 0(sp)
  ld      ra, 8(sp)
  addi    sp, sp, 16
  ret
