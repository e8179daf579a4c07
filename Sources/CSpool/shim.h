// What the spool needs of Linux that the Glibc module lacks: glibc declares these only with _GNU_SOURCE, which that
// module is built without. The functions are glibc's own; only their declarations are repeated here (fallocate(2), lseek(2)).
#ifndef CSPOOL_SHIM_H
#define CSPOOL_SHIM_H

#include <stddef.h>
#include <stdint.h>

extern long copy_file_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length, unsigned int flags);
extern int fallocate64(int descriptor, int mode, int64_t offset, int64_t length);

// From linux/falloc.h: the file keeps its size; the range is given back to the disk and reads as zeros.
enum { SPOOL_KEEP_SIZE = 0x01, SPOOL_PUNCH_HOLE = 0x02 };

// From unistd.h: lseek to the next byte that is, or is not, backed by the disk.
enum { SPOOL_SEEK_DATA = 3, SPOOL_SEEK_HOLE = 4 };

// In C because the declaration above has to be; under our own name so that it meets no other declaration.
static inline int spool_fallocate(int descriptor, int mode, int64_t offset, int64_t length)
{
    return fallocate64(descriptor, mode, offset, length);
}

static inline long spool_copy_file_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length)
{
    return copy_file_range(from, from_offset, to, to_offset, length, 0);
}

#endif
