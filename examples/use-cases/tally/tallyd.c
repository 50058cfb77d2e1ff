/* The same as a service: tallyd PORT. GET /health says ok, GET /one+two counts "one two". */
#define _GNU_SOURCE
#include "count.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(unsigned short port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		return -1;
	return fd;
}

static void answer(int fd)
{
	char request[1024] = "", reply[256], body[100] = "ok\n";
	const ssize_t got = read(fd, request, sizeof(request) - 1);

	if (got < 5 || memcmp(request, "GET /", 5) != 0)
		return;
	char *const text = request + 5;
	const size_t size = strcspn(text, " \r\n");

	if (size != strlen("health") || memcmp(text, "health", size) != 0) {
		for (size_t i = 0; i < size; i++)
			text[i] = text[i] == '+' ? ' ' : text[i];
		snprintf(body, sizeof(body), "%zu words\n", count_text(text, size).words);
	}
	const int length =
		snprintf(reply, sizeof(reply), "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(body), body);

	if (write(fd, reply, (size_t)length) == length)
		printf("GET /%.*s: %s", (int)size, text, body);
}

int main(int argc, char **argv)
{
	unsigned short port = 0;
	int server;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2 || sscanf(argv[1], "%hu", &port) != 1 || (server = listen_on(port)) < 0)
		return fprintf(stderr, "usage: tallyd PORT, which must be free\n"), 2;
	printf("listening on port %hu\n", port);
	for (;;) {
		const int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		answer(fd);
		close(fd);
	}
}
