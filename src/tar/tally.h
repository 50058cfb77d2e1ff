/*
 * tally: what has been done, and of how much if that is known: told as progress and as the result.
 */
#ifndef TAR_TALLY_H
#define TAR_TALLY_H

#include <jansson.h>
#include <stdint.h>

struct tally {
	int64_t entries;       /* without the directory itself that they are in */
	int64_t bytes;         /* content of files */
	int64_t total_entries; /* with total_bytes; 0: not known */
	int64_t total_bytes;
};

/* Tells how far it is, if that is due. */
void tally_tell(const struct tally *tally);

#endif
