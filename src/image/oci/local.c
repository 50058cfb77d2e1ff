#include "image/oci/local.h"

#include "base/err.h"
#include "base/file.h"
#include "image/oci/spec.h"
#include "image/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define REF_NAME "org.opencontainers.image.ref.name"
#define BLOCK 65536
#define MEMBERS_MAX 100000

static int not_found(const struct reference *r, const struct buf *names, struct pyro_error *err)
{
	(void)err_set(err, PYRO_E_NOT_FOUND,
		      r->tag ? "'%s' has no image '%s'" : "'%s' has several images, or none",
		      r->path, r->tag);
	return names->len
		       ? err_hint(err, "add one of its names to the reference:%s", buf_text(names))
		       : -1;
}

/* --- layouts ---------------------------------------------------------------------------- */

static char *blob_path(const char *dir, const char *digest)
{
	return mem_printf("%s/blobs/sha256/%s", dir, strchr(digest, ':') + 1);
}

static int read_blob(void *ctx, const char *kind, const char *digest, struct buf *out,
		     struct pyro_error *err)
{
	const struct reference *r = ctx;
	AUTO_FREE char *path = blob_path(r->path, digest);

	(void)kind;
	return file_read(path, out, err);
}

static bool is_meant(const struct reference *r, const json_t *descriptor, struct buf *names)
{
	const char *name = json_string_value(
		json_object_get(json_object_get(descriptor, "annotations"), REF_NAME));

	if (name)
		buf_printf(names, " %.100s", name);
	return !r->tag || (name && strcmp(name, r->tag) == 0);
}

/* The descriptor that the index of a layout has for the reference; NULL with err. */
static json_t *find_row(const struct reference *r, const json_t *index, struct pyro_error *err)
{
	AUTO_BUF struct buf names = BUF_INIT(200);
	json_t *descriptor, *found = NULL;
	int n = 0;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, descriptor)
	{
		if (is_meant(r, descriptor, &names)) {
			found = descriptor;
			n++;
		}
	}
	if (n != 1)
		(void)not_found(r, &names, err);
	return n == 1 ? found : NULL;
}

int local_layout(const struct reference *reference, struct spec *ret, struct pyro_error *err)
{
	const struct spec_source source = {read_blob, (void *)(uintptr_t)reference};
	AUTO_FREE char *path = mem_printf("%s/index.json", reference->path);
	AUTO_BUF struct buf text = BUF_INIT(SPEC_DOCUMENT_MAX);
	json_t *index = file_read(path, &text, err) < 0 ? NULL : spec_parse(&text, "index", err);
	json_t *row = index ? find_row(reference, index, err) : NULL;
	int r = -1;

	if (row) { /* an index of that one image is followed as any other */
		json_t *only = json_pack("{s:[O]}", "manifests", row);
		AUTO_FREE char *document = json_dumps(only, JSON_COMPACT);

		buf_reset(&text);
		buf_puts(&text, document);
		json_decref(only);
		r = spec_resolve(ret, &source, &text, err);
	}
	json_decref(index);
	for (size_t i = 0; r == 0 && i < ret->n_layers; i++)
		ret->layers[i].path = blob_path(reference->path, ret->layers[i].digest);
	return r;
}

/* --- archives --------------------------------------------------------------------------- */

static int archive_failed(struct archive *a, const char *path, struct pyro_error *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, PYRO_E_INVALID, "read '%s': %s", path, why ? why : "it is damaged");
}

/* Copies the member that the archive is at. */
static int copy_member(struct archive *a, const char *from, const char *to, struct pyro_error *err)
{
	AUTO_FD int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	AUTO_FREE char *block = mem_zalloc(1, BLOCK);
	int64_t total = 0;
	la_ssize_t n;

	if (fd < 0)
		return err_sys(err, errno, "create '%s'", to);
	while ((n = archive_read_data(a, block, BLOCK)) > 0) {
		total += n;
		if (total > SPEC_LAYER_BYTES_MAX)
			return err_set(err, PYRO_E_LIMIT, "'%s' has too large a layer", from);
		if (file_write_all(fd, block, (size_t)n, err) < 0)
			return -1;
	}
	return n < 0 ? archive_failed(a, from, err) : 0;
}

static struct archive *open_archive(const char *path, struct pyro_error *err)
{
	struct archive *a = archive_read_new();

	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_format_tar(a);
	if (archive_read_open_filename(a, path, BLOCK) == ARCHIVE_OK)
		return a;
	(void)archive_failed(a, path, err);
	(void)archive_read_free(a);
	return NULL;
}

/* The next regular file: 1, 0 at the end, -1 with err. */
static int next_member(struct archive *a, const char *path, int *n, const char **ret_name,
		       struct pyro_error *err)
{
	struct archive_entry *entry;
	int got;

	while ((got = archive_read_next_header(a, &entry)) >= ARCHIVE_WARN && got != ARCHIVE_EOF) {
		if (++*n > MEMBERS_MAX)
			return err_set(err, PYRO_E_LIMIT, "'%s' has too many members", path);
		*ret_name = archive_entry_pathname(entry);
		if (*ret_name && archive_entry_filetype(entry) == AE_IFREG &&
		    !archive_entry_hardlink(entry))
			return 1;
	}
	return got == ARCHIVE_EOF ? 0 : archive_failed(a, path, err);
}

/* A small member as a text. */
static int read_member(const char *path, const char *name, struct buf *out, struct pyro_error *err)
{
	struct archive *a = open_archive(path, err);
	const char *found = "";
	int r, n = 0;

	while (a && (r = next_member(a, path, &n, &found, err)) > 0) {
		la_ssize_t got = -1;

		if (strcmp(found, name) != 0)
			continue;
		while (buf_room(out, BLOCK) &&
		       (got = archive_read_data(a, out->data + out->len, BLOCK)) > 0)
			buf_grew(out, (size_t)got);
		r = got == 0 ? 1 : err_set(err, PYRO_E_LIMIT, "'%s' is too large or damaged", name);
		break;
	}
	(void)archive_read_free(a);
	if (!a || r < 0)
		return -1;
	return r > 0 ? 0
		     : err_set(err, PYRO_E_INVALID,
			       "'%s' has no '%s': it is no archive of "
			       "docker save",
			       path, name);
}

static bool has_tag(const json_t *image, const char *tag, struct buf *names)
{
	const json_t *tags = json_object_get(image, "RepoTags"), *name;
	bool found = !tag;
	size_t i;

	json_array_foreach(tags, i, name)
	{
		const char *text = json_string_value(name);

		buf_printf(names, " %.100s", text ? text : "");
		found |= text && tag && strcmp(text, tag) == 0;
	}
	return found;
}

static const json_t *find_image(const struct reference *r, const json_t *list,
				struct pyro_error *err)
{
	AUTO_BUF struct buf names = BUF_INIT(200);
	const json_t *image, *found = NULL;
	int n = 0;
	size_t i;

	json_array_foreach(list, i, image)
	{
		if (has_tag(image, r->tag, &names)) {
			found = image;
			n++;
		}
	}
	if (n != 1)
		(void)not_found(r, &names, err);
	return n == 1 ? found : NULL;
}

/* Copies every member that is a layer; a layer may occur twice in an image. */
static int copy_layers(const char *path, const json_t *names, const char *tmp, struct spec *spec,
		       struct pyro_error *err)
{
	struct archive *a = open_archive(path, err);
	const char *found = "";
	int r = -1, n = 0;

	while (a && (r = next_member(a, path, &n, &found, err)) > 0) {
		AUTO_FREE char *to = mem_printf("%s/member.%d", tmp, n);
		bool is_copied = false;

		for (size_t i = 0; i < spec->n_layers; i++) {
			const char *name = json_string_value(json_array_get(names, i));

			if (!name || strcmp(name, found) != 0 || spec->layers[i].path)
				continue;
			if (!is_copied && copy_member(a, path, to, err) < 0) {
				(void)archive_read_free(a);
				return -1;
			}
			is_copied = true;
			spec->layers[i].path = mem_strdup(to);
		}
	}
	(void)archive_read_free(a);
	return r;
}

/* Old archives have links in the place of layers that occurred before. */
static int share_layers(const struct reference *r, struct spec *spec, struct pyro_error *err)
{
	for (size_t i = 0; i < spec->n_layers; i++) {
		struct spec_layer *layer = &spec->layers[i];

		for (size_t k = 0; k < spec->n_layers && !layer->path; k++)
			if (spec->layers[k].path &&
			    strcmp(spec->layers[k].diff_id, layer->diff_id) == 0)
				layer->path = mem_strdup(spec->layers[k].path);
		if (!layer->path)
			return err_set(err, PYRO_E_INVALID, "'%s' lacks a layer of the image",
				       r->path);
	}
	return 0;
}

static int take_image(const struct reference *r, const json_t *image, const char *tmp,
		      struct spec *ret, struct pyro_error *err)
{
	const char *config = json_string_value(json_object_get(image, "Config"));
	const json_t *layers = json_object_get(image, "Layers");
	AUTO_BUF struct buf text = BUF_INIT(SPEC_DOCUMENT_MAX);
	char digest[SPEC_DIGEST_SIZE];

	if (!config || json_array_size(layers) > SPEC_LAYERS_MAX)
		return err_set(err, PYRO_E_INVALID, "'%s' describes no image, or too large a one",
			       r->path);
	*ret = (struct spec){.n_layers = json_array_size(layers)};
	ret->layers = mem_zalloc(ret->n_layers + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < ret->n_layers; i++)
		ret->layers[i].size = -1;
	if (read_member(r->path, config, &text, err) < 0 || spec_take_config(ret, &text, err) < 0 ||
	    copy_layers(r->path, layers, tmp, ret, err) < 0)
		return -1;
	spec_digest(buf_text(&text), text.len, digest);
	ret->digest = mem_strdup(digest);
	return share_layers(r, ret, err);
}

int local_archive(const struct reference *reference, const char *tmp, struct spec *ret,
		  struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(SPEC_DOCUMENT_MAX);
	const json_t *image;
	json_t *list;
	int r;

	if (read_member(reference->path, "manifest.json", &text, err) < 0)
		return -1;
	list = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
	image = find_image(reference, list, err);
	r = image ? take_image(reference, image, tmp, ret, err) : -1;
	json_decref(list);
	return r;
}
