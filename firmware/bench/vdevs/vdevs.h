#pragma once

#include "list.h"

typedef unsigned long ulong;

void virtqueue_begin(const struct command *command);
void virtqueue_run(struct command *command);
void virtqueue_end(const struct command *command);
