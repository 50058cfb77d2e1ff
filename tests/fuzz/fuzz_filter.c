/*
 * The filter of a guest's frames, fed one arbitrary frame with the guest's hardware address, and
 * everything that pyro-net does with a frame that passed.
 */
#include "fuzz.h"
#include "net/filter.h"
#include "net/link.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_AT 6

static void check(uint8_t *frame, size_t len, const struct packet *p, enum filter_verdict verdict)
{
	static uint8_t told[256];
	struct address to = p->dst;

	assert(p->frame_len <= len && p->body + p->body_len == frame + p->frame_len);
	assert(!address_is_group(&p->dst));
	assert(verdict != FILTER_OUT || !address_is_forbidden(&p->dst));
	assert(packet_make_error(told, p, PACKET_NO_PORT) <= 128);
	if (p->protocol == IPPROTO_TCP) {
		to.bytes[0] ^= 1;
		packet_readdress(frame, p, false, &to);
		packet_readdress(frame, p, true, &to);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint8_t guest[] = {LINK_GUEST_MAC_BYTES};
	uint8_t *frame = malloc(size + 1); /* of just that size, so that reading past it shows */
	enum filter_verdict verdict;
	struct packet p;

	if (!frame)
		return 0;
	memcpy(frame, bytes, size);
	if (size >= SOURCE_AT + sizeof(guest) && bytes[0] & 1)
		memcpy(frame + SOURCE_AT, guest, sizeof(guest));
	verdict = filter_check(frame, size, &p);
	if (verdict != FILTER_DROP && verdict != FILTER_LINK)
		check(frame, size, &p, verdict);
	free(frame);
	return 0;
}
