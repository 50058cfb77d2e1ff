/*
 * page: a part of a file as it is shown. It ends between two characters and before a value that
 * goes on behind it, where that leaves at least one byte, so that pages one after the other show
 * the same as the whole file.
 */
#ifndef WORKSPACE_PAGE_H
#define WORKSPACE_PAGE_H

#include "base/buf.h"

struct redact_patterns;

/* So many bytes before and behind a page must be known. */
size_t page_margin(const struct redact_patterns *patterns);

/*
 * Appends to out what is shown of data[from..], of at most max bytes of it; the rest of data is
 * what is around it. Returns where the page ends. *ret_is_text: it is UTF-8 without NUL, but for a
 * character that an edge cuts in two. from <= data->len.
 */
size_t page_show(const struct redact_patterns *patterns, const struct buf *data, size_t from,
		 size_t max, struct buf *out, bool *ret_is_text);

#endif
