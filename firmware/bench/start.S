# Hart 0 runs bench(fdt) and then powers off through the test device; other harts sleep.
  .section .text.start, "ax"
  .globl _start
_start:
  csrw    mie, zero
  csrr    t0, mhartid
1:beqz    t0, 2f
  wfi
  j       1b
2:lla     t0, __bss_start
  lla     t1, __bss_end
3:sd      zero, (t0)
  addi    t0, t0, 8
  bltu    t0, t1, 3b
  lla     sp, stack_top
  li      t0, 0x6000                  # mstatus.FS: floating point may be used
  csrs    mstatus, t0
  csrw    fcsr, zero
  mv      a0, a1
  call    bench
  li      t0, 0x100000
  li      t1, 0x5555
  bnez    a0, 5f
4:sw      t1, (t0)
  j       4b
5:li      t1, 0x13333                 # a failed self-check ends with code 1
  j       4b
