/*
 * What a registry may send: the first byte says whether the rest is a document, which then is every
 * document that it names, or entries of layers, each two bytes, what it is (and whether it begins a
 * layer) and the length of its path, and the path; the entry before is the target of links.
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

static int read_document(void *ctx, const char *kind, const char *digest, struct buf *out,
			 struct pyro_error *err)
{
	const struct buf *document = ctx;

	(void)kind;
	(void)digest;
	(void)err;
	buf_append(out, document->data, document->len);
	return 0;
}

static void try_documents(const uint8_t *bytes, size_t size)
{
	struct buf document = BUF_INIT(SPEC_DOCUMENT_MAX);
	const struct spec_source source = {read_document, &document};
	struct spec spec = {NULL};
	struct pyro_error err;

	buf_append(&document, bytes, size);
	(void)spec_resolve(&spec, &source, &document, &err);
	spec_done(&spec);
	(void)spec_take_config(&spec, &document, &err);
	spec_done(&spec);
	buf_done(&document);
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
