#include "core/layout.h"

const struct layout layout = { .magic = "procfs-mp-serve", .version = 7 };
