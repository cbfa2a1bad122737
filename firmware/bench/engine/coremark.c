// Lists, matrices, a state machine and CRCs.
#include "../coremark-work.h"
#include "kernel.h"

KERNEL(coremark, 17000);

static uint64_t run(ulong iterations) { return coremark_work(iterations); }
