/*
 * A qcow2 file maps the disk's clusters by two levels of tables of big-endian 64-bit entries. The
 * first (L1, found through the header or the snapshot) points to tables of the second (L2), of one
 * cluster each, whose entries point to the data. With 64 KiB clusters an L2 table maps 512 MiB, so
 * the largest disk that is taken has 128 of them, 8 MiB: each is kept once it was read.
 *
 * A running QEMU replaces the snapshot table when a snapshot is made or deleted: it writes a new
 * one, makes the header point there, and then uses the old one's place again. A search that went
 * wrong, or during which the header changed, is made again.
 */
#include "disk/qcow2.h"

#include "base/err.h"
#include "base/mem.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x514649fb
#define CLUSTER_BITS 16
#define CLUSTER (UINT64_C(1) << CLUSTER_BITS)
#define L2_ENTRIES (CLUSTER / 8)
#define L2_SPAN (CLUSTER * L2_ENTRIES)
#define SIZE_MAX_BYTES (UINT64_C(64) << 30)
#define L1_MAX (SIZE_MAX_BYTES / L2_SPAN)
#define SNAPSHOTS_MAX 65536
#define EXTRA_MAX 1024
#define TRIES 5

#define OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define IS_COMPRESSED (UINT64_C(1) << 62)
#define IS_ZERO UINT64_C(1)
#define FEATURE_DIRTY                                                              \
	UINT64_C(1) /* reference counts may be wrong, which a reader does not mind \
		     */

/* The header as it is in the file; a version 2 header ends before the features. */
struct header {
	uint32_t magic;
	uint32_t version;
	uint64_t backing_offset;
	uint32_t backing_size;
	uint32_t cluster_bits;
	uint64_t size;
	uint32_t crypt_method;
	uint32_t l1_size;
	uint64_t l1_offset;
	uint64_t refcount_offset;
	uint32_t refcount_clusters;
	uint32_t n_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible_features;
} __attribute__((packed));

/* What an entry of the snapshot table begins with; extra data, id and name follow. */
struct snapshot {
	uint64_t l1_offset;
	uint32_t l1_size;
	uint16_t id_size;
	uint16_t name_size;
	uint32_t date_s;
	uint32_t date_ns;
	uint64_t clock_ns;
	uint32_t vm_state_size;
	uint32_t extra_size;
} __attribute__((packed));

struct qcow2 {
	int fd;
	int root_fd;
	uint64_t root_size;
	uint64_t size;
	bool has_zero_flag;
	uint64_t *l1;
	size_t l1_size;
	uint64_t *l2[L1_MAX]; /* by place in L1; NULL: not read yet */
};

static int damaged(struct pyro_error *err, const char *what)
{
	return err_set(err, PYRO_E_PROTOCOL, "the disk of the workspace is damaged: %s", what);
}

/* Reads all of it, or as much as there is and zeros for the rest. */
static int read_padded(int fd, uint64_t offset, void *data, size_t len, struct pyro_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read the disk");
		if (n == 0)
			break;
		done += (size_t)n;
	}
	memset((char *)data + done, 0, len - done);
	return 0;
}

/* Reads a table or a cluster, which must begin within the file; a hole may be at its end. */
static int read_file(const struct qcow2 *q, uint64_t offset, void *data, size_t len,
		     struct pyro_error *err)
{
	struct stat st;

	if (fstat(q->fd, &st) < 0)
		return err_sys(err, errno, "stat the disk");
	if (offset >= (uint64_t)st.st_size)
		return damaged(err, "a place behind its end");
	return read_padded(q->fd, offset, data, len, err);
}

/*
 * Opening.
 */

static int read_header(struct qcow2 *q, struct header *ret, struct pyro_error *err)
{
	struct header h;

	if (read_padded(q->fd, 0, &h, sizeof(h), err) < 0)
		return -1;
	if (be32toh(h.magic) != MAGIC)
		return damaged(err, "not a qcow2 file");
	if (be32toh(h.version) != 2 && be32toh(h.version) != 3)
		return damaged(err, "an unknown version");
	if (be32toh(h.version) == 3 && be64toh(h.incompatible_features) & ~FEATURE_DIRTY)
		return damaged(err, "unknown features");
	if (be32toh(h.cluster_bits) != CLUSTER_BITS || h.crypt_method)
		return damaged(err, "a form that was not asked for");
	*ret = h;
	return 0;
}

/* Where an L1 table is, and the size of the disk it describes. */
struct state {
	uint64_t l1_offset;
	uint64_t l1_size;
	uint64_t size;
};

/* Reads one entry of the snapshot table at *offset, which moves on. *ret_is_it: has that name. */
static int read_snapshot(const struct qcow2 *q, uint64_t *offset, const char *name,
			 struct state *ret, bool *ret_is_it, struct pyro_error *err)
{
	struct snapshot s;
	uint64_t extra[2] = {0}, end;
	char found[256];
	size_t name_size;

	if (read_file(q, *offset, &s, sizeof(s), err) < 0)
		return -1;
	name_size = be16toh(s.name_size);
	if (be32toh(s.extra_size) > EXTRA_MAX)
		return damaged(err, "a snapshot");
	if (be32toh(s.extra_size) >= sizeof(extra) &&
	    read_file(q, *offset + sizeof(s), extra, sizeof(extra), err) < 0)
		return -1;
	end = *offset + sizeof(s) + be32toh(s.extra_size) + be16toh(s.id_size);
	*ret_is_it = name_size == strlen(name) && name_size <= sizeof(found);
	if (*ret_is_it && read_file(q, end, found, name_size, err) < 0)
		return -1;
	*ret_is_it = *ret_is_it && memcmp(found, name, name_size) == 0;
	*offset = (end + name_size + 7) & ~UINT64_C(7);
	ret->l1_offset = be64toh(s.l1_offset);
	ret->l1_size = be32toh(s.l1_size);
	ret->size = be64toh(extra[1]);
	return 0;
}

static int search_snapshot(const struct qcow2 *q, const struct header *h, const char *name,
			   struct state *ret, struct pyro_error *err)
{
	uint64_t offset = be64toh(h->snapshots_offset);
	bool is_it = false;

	if (be32toh(h->n_snapshots) > SNAPSHOTS_MAX || offset > INT64_MAX / 2)
		return damaged(err, "the table of snapshots");
	for (uint32_t i = 0; i < be32toh(h->n_snapshots) && !is_it; i++)
		if (read_snapshot(q, &offset, name, ret, &is_it, err) < 0)
			return -1;
	if (!is_it)
		return err_set(err, PYRO_E_NOT_FOUND, "the disk has no snapshot '%s'", name);
	if (!ret->size)
		ret->size = be64toh(h->size);
	return 0;
}

static int find_snapshot(struct qcow2 *q, struct header *h, const char *name, struct state *ret,
			 struct pyro_error *err)
{
	for (int try = 0;; try++) {
		struct header now = {0};
		int result = search_snapshot(q, h, name, ret, err);

		if (read_header(q, &now, err) < 0)
			return -1;
		if (result == 0 && now.snapshots_offset == h->snapshots_offset)
			return 0;
		if (try == TRIES)
			return result < 0 ? -1 : damaged(err, "its snapshots change all the time");
		*h = now;
	}
}

static int load_l1(struct qcow2 *q, const struct state *s, struct pyro_error *err)
{
	uint64_t needed = (s->size + L2_SPAN - 1) / L2_SPAN;

	if (s->size == 0 || s->size > SIZE_MAX_BYTES || s->size % 512)
		return damaged(err, "its size");
	if (s->l1_size < needed || s->l1_offset > INT64_MAX / 2)
		return damaged(err, "the first level of its map");
	q->size = s->size;
	q->l1_size = needed;
	q->l1 = mem_zalloc(needed, sizeof(*q->l1));
	return read_file(q, s->l1_offset, q->l1, needed * sizeof(*q->l1), err);
}

static int open_both(struct qcow2 *q, const char *snapshot, struct pyro_error *err)
{
	struct stat st;
	struct state state;
	struct header h = {0};

	if (fstat(q->root_fd, &st) < 0)
		return err_sys(err, errno, "stat the root");
	q->root_size = (uint64_t)st.st_size;
	if (read_header(q, &h, err) < 0)
		return -1;
	state = (struct state){be64toh(h.l1_offset), be32toh(h.l1_size), be64toh(h.size)};
	if (snapshot && find_snapshot(q, &h, snapshot, &state, err) < 0)
		return -1;
	q->has_zero_flag = be32toh(h.version) == 3;
	return load_l1(q, &state, err);
}

struct qcow2 *qcow2_open(int fd, int root_fd, const char *snapshot, struct pyro_error *err)
{
	struct qcow2 *q = mem_zalloc(1, sizeof(*q));

	q->fd = fd;
	q->root_fd = root_fd;
	return open_both(q, snapshot, err) < 0 ? qcow2_free(q) : q;
}

struct qcow2 *qcow2_free(struct qcow2 *q)
{
	if (!q)
		return NULL;
	for (size_t i = 0; i < q->l1_size; i++)
		free(q->l2[i]);
	free(q->l1);
	free(q);
	return NULL;
}

uint64_t qcow2_size(const struct qcow2 *q)
{
	return q->size;
}

/*
 * Reading.
 */

enum place { IN_ROOT, IN_FILE, ALL_ZERO };

/* The L2 table that maps offset; NULL in *ret if there is none. */
static int find_l2(struct qcow2 *q, uint64_t offset, const uint64_t **ret, struct pyro_error *err)
{
	size_t i = offset / L2_SPAN;
	uint64_t at = be64toh(q->l1[i]) & OFFSET_MASK;

	if (at && !q->l2[i]) {
		AUTO_FREE uint64_t *table = mem_zalloc(L2_ENTRIES, sizeof(*table));

		if (at % CLUSTER)
			return damaged(err, "the first level of its map");
		if (read_file(q, at, table, CLUSTER, err) < 0)
			return -1;
		q->l2[i] = TAKE_PTR(table);
	}
	*ret = q->l2[i];
	return 0;
}

/* Where the cluster is that holds offset. *ret_at: its place in the file. */
static int find_cluster(struct qcow2 *q, uint64_t offset, enum place *ret, uint64_t *ret_at,
			struct pyro_error *err)
{
	const uint64_t *l2 = NULL;
	uint64_t entry;

	if (find_l2(q, offset, &l2, err) < 0)
		return -1;
	entry = l2 ? be64toh(l2[offset / CLUSTER % L2_ENTRIES]) : 0;
	*ret_at = entry & OFFSET_MASK;
	*ret = *ret_at ? IN_FILE : IN_ROOT;
	if (entry & IS_COMPRESSED)
		return damaged(err, "a compressed cluster");
	if (q->has_zero_flag && entry & IS_ZERO)
		*ret = ALL_ZERO;
	else if (*ret_at % CLUSTER)
		return damaged(err, "the second level of its map");
	return 0;
}

/* Within one cluster. */
static int read_cluster(struct qcow2 *q, uint64_t offset, void *data, size_t len,
			struct pyro_error *err)
{
	enum place place;
	uint64_t at;

	if (find_cluster(q, offset, &place, &at, err) < 0)
		return -1;
	if (place == IN_FILE)
		return read_file(q, at + offset % CLUSTER, data, len, err);
	if (place == IN_ROOT && offset < q->root_size)
		return read_padded(q->root_fd, offset, data, len, err);
	memset(data, 0, len);
	return 0;
}

int qcow2_read(struct qcow2 *q, uint64_t offset, void *data, size_t len, struct pyro_error *err)
{
	char *to = data;

	if (offset > q->size || len > q->size - offset)
		return damaged(err, "a place behind its end");
	while (len) {
		size_t part = (size_t)(CLUSTER - offset % CLUSTER);

		if (part > len)
			part = len;
		if (read_cluster(q, offset, to, part, err) < 0)
			return -1;
		offset += part;
		to += part;
		len -= part;
	}
	return 0;
}

/* Whether the root has data in [offset, end); then *offset is moved to it. */
static bool find_in_root(const struct qcow2 *q, uint64_t *offset, uint64_t end)
{
	off_t at = *offset < q->root_size ? lseek(q->root_fd, (off_t)*offset, SEEK_DATA) : -1;

	if (at < 0 || (uint64_t)at >= end)
		return false;
	*offset = (uint64_t)at;
	return true;
}

int qcow2_next_data(struct qcow2 *q, uint64_t offset, uint64_t *ret_start, uint64_t *ret_len,
		    struct pyro_error *err)
{
	while (offset < q->size) {
		uint64_t at, end = (offset / CLUSTER + 1) * CLUSTER;
		enum place place;

		if (end > q->size)
			end = q->size;
		if (find_cluster(q, offset, &place, &at, err) < 0)
			return -1;
		if (place == IN_FILE || (place == IN_ROOT && find_in_root(q, &offset, end))) {
			*ret_start = offset;
			*ret_len = end - offset;
			return 1;
		}
		offset = end;
	}
	return 0;
}
