/*
 * Patterns are found by the automaton of Aho and Corasick: a tree of all beginnings of all
 * patterns, in which a node's `fail` is the longest proper end of its text that is a beginning,
 * too. After each byte the state is the longest beginning that the stream ends with, so what lies
 * before it is decided: no occurrence that is still to come can reach back to it.
 *
 * Of the patterns that end at a byte the longest covers all the others, so a node knows only the
 * length of that one. Occurrences are found in the order of their ends; each is merged with the
 * spans that it touches, and those are at the end of the list.
 */
#include "base/redact.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define ROOT 0

struct node {
	uint32_t child; /* the first; 0: none, since nobody is the root's parent */
	uint32_t sibling;
	uint32_t fail;
	uint32_t depth;
	uint32_t match; /* length of the longest pattern that its text ends with; 0: none */
	unsigned char byte;
};

struct redact_patterns {
	struct node *nodes;
	size_t n, cap;
	uint32_t first[256]; /* the root's children, by their byte */
};

static uint32_t child_of(const struct redact_patterns *p, uint32_t node, unsigned char byte)
{
	uint32_t child;

	if (node == ROOT)
		return p->first[byte];
	child = p->nodes[node].child;
	while (child && p->nodes[child].byte != byte)
		child = p->nodes[child].sibling;
	return child;
}

static uint32_t next_state(const struct redact_patterns *p, uint32_t state, unsigned char byte)
{
	uint32_t child;

	while (!(child = child_of(p, state, byte)) && state != ROOT)
		state = p->nodes[state].fail;
	return child;
}

/* Memory that grows leaves nothing of the values behind. */
static void grow_nodes(struct redact_patterns *p)
{
	size_t cap = p->cap ? p->cap * 2 : 256;
	struct node *nodes = mem_zalloc(cap, sizeof(*nodes));

	if (p->n) {
		memcpy(nodes, p->nodes, p->n * sizeof(*nodes));
		explicit_bzero(p->nodes, p->n * sizeof(*nodes));
	}
	free(p->nodes);
	p->nodes = nodes;
	p->cap = cap;
}

static uint32_t add_node(struct redact_patterns *p, uint32_t parent, unsigned char byte)
{
	uint32_t node;

	if (p->n == p->cap)
		grow_nodes(p);
	node = (uint32_t)p->n++;
	p->nodes[node] = (struct node){.byte = byte, .depth = p->nodes[parent].depth + 1};
	if (parent == ROOT)
		p->first[byte] = node;
	p->nodes[node].sibling = p->nodes[parent].child;
	p->nodes[parent].child = node;
	return node;
}

static uint32_t add_byte(struct redact_patterns *p, uint32_t parent, unsigned char byte)
{
	uint32_t child = child_of(p, parent, byte);

	return child ? child : add_node(p, parent, byte);
}

static size_t bare_len(const char *value)
{
	size_t len = strlen(value);

	while (len && (value[len - 1] == '\n' || value[len - 1] == '\r'))
		len--;
	return len;
}

/* The first len bytes as a pattern, and at its length without line ends another one. */
static void add_pattern(struct redact_patterns *p, const char *value, size_t len,
			const char *newline)
{
	size_t bare = bare_len(value);
	uint32_t node = ROOT;

	for (size_t i = 0; i < len; i++) {
		const char one[] = {value[i], '\0'};

		for (const char *c = value[i] == '\n' ? newline : one; *c; c++)
			node = add_byte(p, node, (unsigned char)*c);
		if (i + 1 == bare || i + 1 == len)
			p->nodes[node].match = p->nodes[node].depth;
	}
}

/* In the order of depth: a node's fail is found from its parent's, and is less deep. */
static void link_nodes(struct redact_patterns *p)
{
	AUTO_FREE uint32_t *queue = mem_zalloc(p->n, sizeof(*queue));
	size_t n = 1;

	for (size_t at = 0; at < n; at++) {
		const struct node *parent = &p->nodes[queue[at]];

		for (uint32_t i = parent->child; i; i = p->nodes[i].sibling) {
			struct node *node = &p->nodes[i];

			if (queue[at] != ROOT)
				node->fail = next_state(p, parent->fail, node->byte);
			if (!node->match)
				node->match = p->nodes[node->fail].match;
			queue[n++] = i;
		}
	}
}

struct redact_patterns *redact_patterns_new(const char *const *values)
{
	struct redact_patterns *p = mem_zalloc(1, sizeof(*p));

	grow_nodes(p);
	p->n = 1; /* the root */
	for (; *values; values++) {
		add_pattern(p, *values, strlen(*values), "\n");
		add_pattern(p, *values, strlen(*values), "\r\n");
		add_pattern(p, *values, bare_len(*values), " ");
	}
	link_nodes(p);
	return p;
}

struct redact_patterns *redact_patterns_free(struct redact_patterns *p)
{
	if (!p)
		return NULL;
	explicit_bzero(p->nodes, p->n * sizeof(*p->nodes));
	free(p->nodes);
	free(p);
	return NULL;
}

/*
 * Streams.
 */

void redactor_init(struct redactor *r, const struct redact_patterns *p, redact_emit_fn *emit,
		   void *ctx)
{
	*r = (struct redactor){
		.p = p,
		.emit = emit,
		.ctx = ctx,
		.held = BUF_INIT(SIZE_MAX / 2),
	};
}

static void emit_plain(struct redactor *r, const char *data, size_t len)
{
	if (!len)
		return;
	r->is_covering = false;
	r->emit(r->ctx, data, len);
}

static void emit_mark(struct redactor *r)
{
	if (!r->is_covering)
		r->emit(r->ctx, REDACT_MARK, strlen(REDACT_MARK));
	r->is_covering = true;
}

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Lets out what is held before `end`, which is decided or to be released. */
static void emit_until(struct redactor *r, size_t end)
{
	for (size_t i = 0; i < r->n_spans && r->n_out < end; i++) {
		const struct redact_span *span = &r->spans[i];

		if (span->start > r->n_out) {
			size_t stop = lesser(span->start, end);

			emit_plain(r, r->held.data + r->n_out, stop - r->n_out);
			r->n_out = stop;
		}
		if (r->n_out < end && r->n_out < span->end) {
			emit_mark(r);
			r->n_out = lesser(span->end, end);
		}
	}
	if (r->n_out < end) {
		emit_plain(r, r->held.data + r->n_out, end - r->n_out);
		r->n_out = end;
	}
}

/* Forgets what is decided: the first n bytes, which went on. */
static void drop(struct redactor *r, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_spans; i++) {
		struct redact_span span = r->spans[i];

		if (span.end <= n)
			continue;
		r->spans[kept++] = (struct redact_span){
			.start = span.start > n ? span.start - n : 0,
			.end = span.end - n,
		};
	}
	r->n_spans = kept;
	r->n_out -= n;
	buf_consume(&r->held, n);
}

static void cover(struct redactor *r, size_t start, size_t end)
{
	while (r->n_spans && r->spans[r->n_spans - 1].end >= start) {
		start = lesser(start, r->spans[r->n_spans - 1].start);
		r->n_spans--;
	}
	if (r->n_spans == r->cap_spans) {
		r->cap_spans = r->cap_spans ? r->cap_spans * 2 : 16;
		r->spans = mem_resize(r->spans, r->cap_spans, sizeof(*r->spans));
	}
	r->spans[r->n_spans++] = (struct redact_span){start, end};
}

/* How many bytes at the beginning begin no value. */
static size_t skip(const struct redact_patterns *p, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && !p->first[(unsigned char)data[i]])
		i++;
	return i;
}

static void find(struct redactor *r, size_t from)
{
	const struct redact_patterns *p = r->p;
	const char *data = r->held.data;
	size_t len = r->held.len;
	uint32_t state = r->state;

	for (size_t i = from; i < len; i++) {
		if (state == ROOT)
			i += skip(p, data + i, len - i);
		if (i == len)
			break;
		state = next_state(p, state, (unsigned char)data[i]);
		if (p->nodes[state].match)
			cover(r, i + 1 - p->nodes[state].match, i + 1);
	}
	r->state = state;
}

void redactor_add(struct redactor *r, const void *bytes, size_t len)
{
	const char *data = bytes;
	size_t plain, from, decided;

	if (!r->p) {
		emit_plain(r, data, len);
		return;
	}
	plain = r->state == ROOT ? skip(r->p, data, len) : 0;
	emit_plain(r, data, plain);
	if (plain == len)
		return;
	from = r->held.len;
	buf_append(&r->held, data + plain, len - plain);
	find(r, from);
	decided = r->held.len - r->p->nodes[r->state].depth;
	emit_until(r, decided);
	drop(r, decided);
}

bool redactor_is_holding(const struct redactor *r)
{
	return r->n_out < r->held.len;
}

void redactor_release(struct redactor *r)
{
	emit_until(r, lesser(r->held.len, REDACT_RELEASED));
}

void redactor_flush(struct redactor *r)
{
	emit_until(r, r->held.len);
	drop(r, r->held.len);
	r->state = ROOT;
	r->is_covering = false;
}

void redactor_done(struct redactor *r)
{
	if (r->held.data)
		explicit_bzero(r->held.data, r->held.cap);
	buf_done(&r->held);
	free(r->spans);
	r->spans = NULL;
	r->n_spans = r->cap_spans = 0;
}

/*
 * Texts.
 */

static void emit_to_buf(void *ctx, const char *data, size_t len)
{
	buf_append(ctx, data, len);
}

void redact_bytes(const struct redact_patterns *p, const void *data, size_t len, struct buf *out)
{
	struct redactor r;

	redactor_init(&r, p, emit_to_buf, out);
	redactor_add(&r, data, len);
	redactor_flush(&r);
	redactor_done(&r);
}

size_t redact_longest(const struct redact_patterns *p)
{
	uint32_t longest = 0;

	for (size_t i = 0; p && i < p->n; i++)
		if (p->nodes[i].depth > longest)
			longest = p->nodes[i].depth;
	return longest;
}

size_t redact_part(const struct redact_patterns *p, const void *data, size_t len, size_t from,
		   size_t to, struct buf *out)
{
	struct redactor r;

	redactor_init(&r, p, emit_to_buf, out);
	buf_append(&r.held, data, len);
	if (p)
		find(&r, 0);
	for (size_t i = 0; i < r.n_spans; i++)
		if (r.spans[i].start > from && r.spans[i].start < to && r.spans[i].end > to)
			to = r.spans[i].start;
	r.n_out = from;
	emit_until(&r, to);
	redactor_done(&r);
	return to;
}

char *redact_text(const struct redact_patterns *p, const char *text)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	if (!text || !p)
		return mem_strdup(text);
	redact_bytes(p, text, strlen(text), &out);
	return buf_take(&out);
}

void redact_error(const struct redact_patterns *p, struct pyro_error *error)
{
	AUTO_FREE char *message = NULL;
	AUTO_FREE char *hint = NULL;

	if (!p)
		return;
	message = redact_text(p, error->message);
	hint = redact_text(p, error->hint);
	(void)err_set(error, error->code, "%s", message);
	(void)err_hint(error, "%s", hint);
}
