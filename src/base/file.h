/*
 * file.h - small files that are whole, the old one or the new one.
 *
 * Purpose    Writes all of a text, replaces a file by another at once, makes a
 *            directory's entries durable; keeps a program's files away from
 *            what others take for its standard streams.
 * Threads    Blocks on the disk; any thread.
 * Ownership  Descriptors stay the caller's.
 * Errors     0, or the errno of what failed first, for the sentence of a caller
 *            who knows what the file is for.
 * See        tests/unit/base/test_file.c
 */
#ifndef FLV_BASE_FILE_H
#define FLV_BASE_FILE_H

#include "base/bytes.h"

/* The first thing of a main(): takes those of the descriptors 0, 1 and 2 that
 * whoever started the program has closed. Else the next file or socket would
 * be one of them, and would get what is logged and printed. To read from them
 * and to write to them fails as before. */
void flv_file_take_std(void);

FLV_CHECKED int flv_file_write_all(int fd, struct flv_slice bytes);
FLV_CHECKED int flv_file_sync_dir(const char *path);

/* Writes `aside`, readable for its owner alone, and renames it to `name`, both
 * in the directory. A failure leaves the old file, and takes `aside` away. */
struct flv_file_replace {
    int dir_fd;
    const char *name, *aside;
    bool durable; /* also after a power cut */
};
FLV_CHECKED int flv_file_replace(const struct flv_file_replace *r,
                                 struct flv_slice bytes);

#endif
