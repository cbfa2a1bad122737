# The shortest run there is: one character on the UART, then power off. For timing the start of a machine.
  .section .text.start, "ax"
  .globl _start
_start:
  csrr    t0, mhartid
1:bnez    t0, 3f
  li      t0, 0x10000000
  li      t1, 'X'
  sb      t1, (t0)
  li      t0, 0x100000
  li      t1, 0x5555
2:sw      t1, (t0)
  j       2b
3:wfi
  j       3b
