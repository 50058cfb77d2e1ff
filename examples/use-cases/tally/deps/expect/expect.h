/* The smallest test library: says of each expectation whether it holds, and counts what does not.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdbool.h>
#include <stdio.h>

static int expect_failures;

static inline void expect(const char *what, bool holds)
{
	printf("%s: %s\n", holds ? "ok" : "FAILED", what);
	expect_failures += !holds;
}

#endif
