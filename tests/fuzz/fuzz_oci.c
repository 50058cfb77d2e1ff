/*
 * What a registry may send: the first byte says whether the rest is documents, divided by NULs, or
 * entries of layers, each two bytes, what it is (and whether it begins a layer) and the length of
 * its path, and the path; the entry before is the target of links. A document names a later one by
 * its number, in the place of the last digit of a digest that is all zeros, since nobody hits upon
 * a digest by chance.
 */
#include "base/err.h"
#include "fuzz.h"
#include "image/oci/spec.h"
#include "image/oci/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX 2000
#define DOCUMENTS_MAX 8

struct documents {
	struct buf text[DOCUMENTS_MAX];
	char digest[DOCUMENTS_MAX][SPEC_DIGEST_SIZE];
	size_t n;
};

/* Puts the digests of later documents in; then this one has its own. */
static void settle(struct documents *d, size_t i)
{
	static const char zeros[] = SPEC_DIGEST_PREFIX
		"000000000000000000000000000000000000000000000000000000000000000";
	struct buf *text = &d->text[i];
	char *at = text->data;

	while (at && (at = strstr(at, zeros))) {
		size_t number = (size_t)(unsigned char)at[strlen(zeros)] - '0';

		if (number > i && number < d->n)
			memcpy(at, d->digest[number], SPEC_DIGEST_SIZE - 1);
		at += strlen(zeros);
	}
	spec_digest(buf_text(text), text->len, d->digest[i]);
}

static void split(struct documents *d, const uint8_t *bytes, size_t size)
{
	while (size && d->n < DOCUMENTS_MAX) {
		size_t len = strnlen((const char *)bytes, size);

		d->text[d->n] = (struct buf)BUF_INIT(SPEC_DOCUMENT_MAX);
		buf_append(&d->text[d->n++], bytes, len);
		len += len < size;
		bytes += len;
		size -= len;
	}
	for (size_t i = d->n; i-- > 0;)
		settle(d, i);
}

static int read_document(void *ctx, const char *kind, const char *digest, struct buf *out,
			 struct pyro_error *err)
{
	const struct documents *d = ctx;
	size_t i = 0;

	(void)kind;
	(void)err;
	while (i + 1 < d->n && strcmp(d->digest[i], digest) != 0)
		i++;
	buf_append(out, d->text[i].data, d->text[i].len);
	return 0;
}

static void check_spec(const struct spec *spec)
{
	assert(json_is_object(spec->config) && spec->n_layers <= SPEC_LAYERS_MAX);
	for (size_t i = 0; i < spec->n_layers; i++)
		assert(spec->layers[i].diff_id &&
		       strlen(spec->layers[i].diff_id) == SPEC_DIGEST_SIZE - 1);
}

static void try_documents(const uint8_t *bytes, size_t size)
{
	struct documents d = {.n = 0};
	const struct spec_source source = {read_document, &d};
	struct spec spec = {NULL};
	struct pyro_error err;

	split(&d, bytes, size);
	if (!d.n)
		return;
	if (spec_resolve(&spec, &source, &d.text[0], &err) == 0)
		check_spec(&spec);
	spec_done(&spec);
	(void)spec_take_config(&spec, &d.text[0], &err);
	spec_done(&spec);
	for (size_t i = 0; i < d.n; i++)
		buf_done(&d.text[i]);
}

static void apply(struct tree *tree, uint8_t what, const char *path, const char *before,
		  unsigned layer, uint32_t place)
{
	static const mode_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
	struct pyro_error err;

	switch (what % 8) {
	case 4:
		(void)tree_link(tree, path, before, layer, &err);
		return;
	case 5:
		(void)tree_remove(tree, path, layer, &err);
		return;
	case 6:
		(void)tree_clear(tree, path, layer, &err);
		return;
	default:
		(void)tree_add(tree, path, kinds[what % 4] | 0644, before, layer, place, &err);
	}
}

/* A path of the result has neither "." nor ".." in it, and nothing empty. */
static void check_path(const char *path)
{
	for (const char *p = path; *p; p += strspn(p, "/")) {
		size_t len = strcspn(p, "/");

		assert(len > 0 && strncmp(p, "..", len > 2 ? 3 : len) != 0);
		p += len;
		assert(*p != '/' || p[1]);
	}
}

static void check_result(const struct tree *tree, unsigned layers, const uint32_t *places)
{
	for (unsigned layer = 1; layer <= layers; layer++)
		for (uint32_t place = 0; place < places[layer]; place++) {
			const struct tree_file *file = tree_file_at(tree, layer, place);
			size_t cursor = 0;
			char *path;

			while (file && (path = tree_file_path(file, &cursor))) {
				check_path(path);
				free(path);
			}
		}
}

static void try_layers(const uint8_t *bytes, size_t size)
{
	struct tree *tree = tree_new();
	uint32_t places[ENTRIES_MAX + 2] = {0};
	char path[256] = "", before[256];
	unsigned layer = 1;

	for (int n = 0; n < ENTRIES_MAX && size >= 2; n++) {
		uint8_t what = bytes[0];
		size_t len = bytes[1] < size - 2 ? bytes[1] : size - 2;

		memcpy(before, path, sizeof(before));
		memcpy(path, bytes + 2, len);
		path[len] = '\0';
		bytes += 2 + len;
		size -= 2 + len;
		layer += what >> 7;
		apply(tree, what & 0x7f, path, before, layer, places[layer]);
		places[layer]++;
	}
	check_result(tree, layer, places);
	(void)tree_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size > 0 && *bytes & 1)
		try_documents(bytes + 1, size - 1);
	else if (size > 0)
		try_layers(bytes + 1, size - 1);
	return 0;
}
