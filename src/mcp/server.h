/*
 * server: MCP over two descriptors: one JSON-RPC message a line, until the input ends, the output
 * breaks or a signal comes.
 */
#ifndef MCP_SERVER_H
#define MCP_SERVER_H

struct setup;

#define SERVER_LINE_MAX (10 * 1024 * 1024)

/*
 * Serves until it is over, ends the calls under way, and returns within two seconds with 0, or with
 * the number of the signal. The roots that the client offers are put into the setup's project.
 * SIGINT, SIGTERM and SIGHUP must be blocked, SIGPIPE ignored; both descriptors stay the caller's
 * and are close-on-exec.
 */
int server_run(struct setup *setup, int in_fd, int out_fd);

#endif
