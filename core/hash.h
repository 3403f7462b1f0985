/* hash: uthash(3), whose additions may fail: then the element's handle has no table (hh.tbl), and it is not in. */
#ifndef PROCFS_MP_HASH_H
#define PROCFS_MP_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
